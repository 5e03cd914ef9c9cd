"""Accuracy on every set, with intervals and the change since the stored result; and what each part adds.

    python benchmarks/accuracy.py FOLDER [--sets demo polaris ...] [--validity] [--ablation] [--store]

FOLDER keeps the libraries (`sets.py` says what the sets are) and the predictions, which `weights.py` takes
from there. Half an hour on two cores, twice that with ``--validity`` (PoseBusters on every first pose), and
half an hour for each row of ``--ablation``. Complexes are posed in their own receptor and in that of
another crystal; all are shown by the similarity of the nearest template too. Success is the symmetry-aware
RMSD in place, over all targets attempted; "best of all" is the best pose that was sampled. Seconds are CPU
seconds of one process. `--store` writes results/accuracy.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from samples import Row, modes, predict_all
from sets import ALL, OWN_RECEPTORS

from templ.evaluation.comparison import mcnemar
from templ.evaluation.success_rate import wilson_interval

STORED = Path(__file__).parent / "results" / "accuracy.json"
ABLATIONS: dict[str, dict[str, Any]] = {
    "one template copied": {"templates": 1},
    "one template in the consensus": {"consensus": 1},
    "no docking": {"starts": 0},
    "no Monte Carlo moves": {"rounds": 0},
    "poses not minimised": {"minimised": 0},
    "all three": {"templates": 1, "consensus": 1, "minimised": 0},
    "no receptor": {"use_receptor": False},
}
BEST_SCORE = "best score first"
SIMILARITIES = (0, 0.2, 0.4, 0.6, 1.01)
"""Tanimoto: ends of the bands of similarity."""


def rows_of(
    name: str, folder: Path, mode: str, changes: Mapping[str, Any], *, check: bool = False
) -> list[Row]:
    """Predict every target of a set."""
    return [sampled.row for sampled in predict_all(name, folder, mode, changes, check=check)]


def counts(rows: list[Row]) -> dict[str, float]:
    """Say what a set of rows comes to."""
    first = [row.rmsd[0] for row in rows]
    valid = [row.invalid == () for row in rows if row.invalid is not None]
    sound = [row for row in rows if row.invalid == () and row.rmsd[0] <= 2]
    return {
        "targets": len(rows),
        "within_1": sum(value <= 1 for value in first),
        "within_2": sum(value <= 2 for value in first),
        "best_score_within_2": sum(row.best_score <= 2 for row in rows),
        "best_of_5": sum(min(row.rmsd) <= 2 for row in rows),
        "best_of_all": sum(row.best_of_all <= 2 for row in rows),
        "seconds": round(median(row.seconds for row in rows), 2),
        **({"valid": sum(valid), "within_2_and_valid": len(sound)} if valid else {}),
        **({"seconds_validity": round(median(row.seconds_validity for row in rows), 2)} if valid else {}),
    }


def by_similarity(rows: list[Row]) -> dict[str, list[Row]]:
    """Divide targets by the Tanimoto similarity of their nearest template."""
    bands = {
        f"nearest template {least:g} to {most:g}": [row for row in rows if least <= row.tanimoto < most]
        for least, most in pairwise(SIMILARITIES)
    }
    return {name: part for name, part in bands.items() if part}


def change(rows: list[Row], before: list[dict[str, Any]]) -> str:
    """Targets won and lost since the stored result, and the chance of that (McNemar's test)."""
    old = {row["id"]: row["rmsd"][0] <= 2 for row in before}
    won = sum(row.rmsd[0] <= 2 and not old.get(row.id, False) for row in rows)
    lost = sum(row.rmsd[0] > 2 and old.get(row.id, False) for row in rows)
    return f"+{won} -{lost}, p = {mcnemar(won, lost):.2f}"


def show(label: str, found: dict[str, float]) -> None:
    """Print one line of the table."""
    total = int(found["targets"])
    low, high = wilson_interval(int(found["within_2"]), total)
    share = {
        name: f"{found[name] / total:.1%}" for name in ("within_1", "within_2", "best_of_5", "best_of_all")
    }
    valid = f"valid {found['valid'] / total:.1%}  " if "valid" in found else ""
    spent = f"{found['seconds']:g}" + (
        f" + {found['seconds_validity']:g}" if "seconds_validity" in found else ""
    )
    print(
        f"{label:<32} {total:>4}  <=1 {share['within_1']:>6}  <=2 {share['within_2']:>6}",
        f"({low:.0%} to {high:.0%})  best of 5 {share['best_of_5']:>6}  of all {share['best_of_all']:>6}",
        f" {valid}{spent} s",
        flush=True,
    )


def main() -> None:
    """Run, print, compare, store."""
    shown = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shown)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=ALL, default=ALL)
    for option in ("--validity", "--ablation", "--store"):
        parser.add_argument(option, action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    for name in options.sets:
        for mode in modes(name):
            label = f"{name}, {mode}" if name in OWN_RECEPTORS else name
            rows = rows_of(name, options.folder, mode, {}, check=options.validity)
            found = counts(rows)
            show(label, found)
            for band, in_band in by_similarity(rows).items():
                show(f"  {band}", counts(in_band))
            before = stored.get(label)
            print(f"  since the stored result: {change(rows, before['rows']) if before else 'none stored'}")
            stored[label] = {"counts": found, "rows": [asdict(row) for row in rows]}
            if options.ablation:
                parts: dict[str, dict[str, float]] = {}
                for part, changes in ABLATIONS.items():
                    parts[part] = counts(rows_of(name, options.folder, mode, changes))
                parts[BEST_SCORE] = {**found, "within_2": found["best_score_within_2"]}
                for part, its in parts.items():
                    show(f"  {part}", its)
                stored[label]["ablation"] = parts
    if options.store:
        STORED.write_text(json.dumps(stored, indent=0) + "\n")


if __name__ == "__main__":
    main()
