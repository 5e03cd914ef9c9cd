"""Show that two checkouts of TEMPL make the same poses, byte for byte.

    git worktree add /tmp/old OLD_COMMIT
    python benchmarks/compare_checkouts.py /tmp/old FOLDER [--sets demo polaris loo]

Runs each set with the code of the other checkout and with this one (some ten minutes on two cores; runs that
are in FOLDER already are taken as they are), and compares the MOL blocks of all poses of all targets, as
text: coordinates to the last digit written, atoms, bonds. Properties below the blocks (scores) may have other
names. Exit code 1 when any pose differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
SHARED = HERE.parent / "shared" / "data"
SETS = {
    "demo": ["demo"],
    "polaris": ["polaris", "--data", str(SHARED / "polaris")],
    "loo": ["loo", "--library", "complexes.templ"],
}


def templ(checkout: Path, folder: Path, *words: str) -> None:
    """Run the command line of a checkout in a folder."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
    subprocess.run([sys.executable, "-m", "templ", *words], cwd=folder, env=environment, check=True)


def run(checkout: Path, folder: Path, name: str) -> Path:
    """Run a set with the code of a checkout, unless that was done before; return the run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if name == "loo" and not (folder / "complexes.templ").exists():
        templ(
            checkout, folder, "library", "build", "complexes.templ", "--complexes", str(SHARED / "complexes")
        )
    if not (folder / name / "summary.json").exists():
        templ(checkout, folder, "benchmark", "run", *SETS[name], "-o", name)
    return folder / name


def blocks(run: Path) -> dict[str, list[str]]:
    """MOL blocks of the poses of each target, best first; of runs of any version."""
    found = {}
    for line in (run / "results.jsonl").read_text().splitlines():
        record = json.loads(line)
        # Until version 2 of the record its `poses` were the address.
        address = record["address"] if "version" in record else record["poses"]
        text = ""
        if address is not None:
            data = (run / address["shard"]).read_bytes()
            text = data[address["offset"] : address["offset"] + address["length"]].decode()
        found[record["id"]] = [pose.partition("M  END")[0] for pose in text.split("$$$$\n") if pose]
    return found


def main() -> None:
    """Run, compare, and fail where poses differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path, help="the other checkout")
    parser.add_argument("folder", type=Path, help="where the runs are kept")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    options = parser.parse_args()
    differing = 0
    for name in options.sets:
        before = blocks(run(options.old.resolve(), options.folder.resolve() / "old", name))
        after = blocks(run(HERE, options.folder.resolve() / "new", name))
        changed = [id for id in before if before[id] != after.get(id)]
        differing += len(changed) + (before.keys() != after.keys())
        poses = sum(map(len, after.values()))
        print(
            f"{name}: {len(before) - len(changed)} of {len(before)} targets have byte-identical poses "
            f"({poses} poses){': not ' + ', '.join(changed[:10]) if changed else ''}",
            flush=True,
        )
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
