"""How long the page of a large run takes, and how large it is: the records of a run, repeated.

    python benchmarks/report.py RUN --targets 5000

The copies have names of their own and the poses of the original.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from templ.report.run_report import write_report
from templ.runs.journal import JOURNAL_NAME, read_records
from templ.runs.manifest import MANIFEST_NAME
from templ.runs.memory_log import MEMORY_NAME
from templ.runs.pose_shards import POSES_FOLDER
from templ.runs.run_folder import INPUTS_FOLDER


def repeat_run(run: Path, out: Path, targets: int) -> None:
    """Make a run of so many targets out of a smaller one."""
    for name in (POSES_FOLDER, INPUTS_FOLDER, MEMORY_NAME):
        if (run / name).exists():
            (out / name).symlink_to((run / name).absolute())
    manifest = json.loads((run / MANIFEST_NAME).read_bytes())
    (out / MANIFEST_NAME).write_text(json.dumps(manifest | {"targets": targets}))
    with (out / JOURNAL_NAME).open("wb") as journal:
        for number, record in enumerate(islice(cycle(read_records(run / JOURNAL_NAME)), targets)):
            journal.write(replace(record, index=number, id=f"{record.id}-{number}").to_line())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--targets", type=int, default=5000)
    parser.add_argument("--page", type=Path, help="Keep the page here.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        repeat_run(options.run, Path(folder), options.targets)
        page = options.page or Path(folder) / "report.html"
        start = time.perf_counter()
        write_report(Path(folder), page)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        sizes = f"peak {peak / 1e6:.0f} MB, page {page.stat().st_size / 1e6:.1f} MB"
        print(f"{options.targets} targets: {seconds:.1f} s, {sizes}")


if __name__ == "__main__":
    main()
