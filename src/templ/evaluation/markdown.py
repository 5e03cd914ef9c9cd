"""The summary of a run as Markdown, for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from templ.evaluation.calibration import Calibration
from templ.evaluation.strata import STRATA
from templ.evaluation.success_rate import HEADLINE, Rate
from templ.evaluation.summary import Accuracy, Summary, Validity


def to_markdown(summary: Summary) -> str:
    """Write the summary as Markdown tables for a person."""
    overall = summary.overall
    parts = [
        "# Summary of the run",
        table(["targets", "number"], _count_rows(summary)),
        "Success: share of targets with a pose at most so far from the crystal (heavy-atom, symmetry-aware "
        "RMSD, in place), with 95 % Wilson interval. Refused and failed targets count as missed, except in "
        "the last column.",
        table(
            ["within", "first pose, of all attempted", "best of 5, of all", "first pose, of posed only"],
            _rate_rows(overall.first_of_all, overall.best_of_all, overall.first_of_posed),
        ),
        *_both_receptors(summary.both_receptors),
        *_copies(summary.in_any_copy),
        *_denominator_table(summary),
        *_validity_table(summary.validity),
        *_calibration_table(summary.calibration),
        f"Median RMSD of first poses, over posed targets only: {_number(overall.median_rmsd, 'A')}.",
        *([_accuracy_table("group", "attempted", summary.by_group)] if len(summary.by_group) > 1 else []),
        _accuracy_table("placement method", "posed by it", summary.by_method),
        *(_accuracy_table(STRATA[name][1], "targets", parts) for name, parts in summary.by_stratum.items()),
        table(
            ["cost a target", "median", "maximum"],
            [
                ["CPU", _number(summary.cpu_median, "s"), _number(summary.cpu_max, "s")],
                ["wall", _number(summary.wall_median, "s"), _number(summary.wall_max, "s")],
            ],
        ),
        f"Peak private memory (USS) of a worker: {summary.peak_uss_bytes / 1e6:.1f} MB.",
    ]
    return "\n\n".join(parts) + "\n"


WHOSE_RECEPTOR = {
    "own": "the target's own crystal, which no query has",
    "nearest": "another crystal, as a query meets it",
}
"""What `Summary.both_receptors` calls by one word."""
NOT_RUN = "not run (`--receptor both` runs it)"
"""Of the receptors that no run beside this one has."""
_RECEPTORS = {
    "own": "the target's own receptor",
    "other": "the receptor of another crystal, or of a file",
    "none": "no receptor",
}
"""What `Summary.receptors` calls by one word."""


def _count_rows(summary: Summary) -> list[list[str]]:
    counts = {"attempted": summary.overall.attempted, "posed": summary.overall.posed}
    counts |= {f"refused: {reason}": number for reason, number in summary.refused.items()}
    counts |= {f"failed: {reason}": number for reason, number in summary.failed.items()}
    counts |= {f"posed in {_RECEPTORS[kind]}": number for kind, number in summary.receptors.items()}
    counts |= {f"posed, stereocentres {state}": number for state, number in summary.stereo.items()}
    if summary.overall.without_truth:
        counts["posed, crystal not known (in no rate)"] = summary.overall.without_truth
    return [[name, f"{number:,}"] for name, number in counts.items()]


def _denominator_table(summary: Summary) -> list[str]:
    """Show what the success is out of, where the denominators differ."""
    if len({rate.n for rate in summary.denominators.values()}) < 2:
        return []
    rows = [[name, f"{rate.n:,}", _rate(rate)] for name, rate in summary.denominators.items()]
    return [table(["out of targets", "number", f"first pose within {HEADLINE:g} A"], rows)]


def _both_receptors(sides: Mapping[str, Accuracy | None]) -> list[str]:
    """Show own receptors and those of other crystals side by side."""
    thresholds = next(([rate.threshold for rate in side.first_of_all] for side in sides.values() if side), [])
    rows = []
    for whose, side in sides.items():
        cells = [NOT_RUN] * len(thresholds)
        if side is not None:
            pairs = zip(side.first_of_all, side.best_of_all, strict=True)
            cells = [f"{_rate(first)}; best of 5 {best.rate:.1%}" for first, best in pairs]
        rows.append([WHOSE_RECEPTOR[whose], *cells])
    header = ["in the receptor of", *(f"first pose within {threshold:g} A" for threshold in thresholds)]
    return [table(header, rows)] if thresholds else []


def _copies(in_any_copy: Rate | None) -> list[str]:
    """Say how many are right where a pose in an equivalent copy of the pocket counts as well."""
    if in_any_copy is None:
        return []
    return [
        f"First pose within {in_any_copy.threshold:g} A of the crystal in any equivalent copy of the pocket "
        f"(chains of one protein, superposed): {_rate(in_any_copy)}."
    ]


def _validity_table(validity: Validity | None) -> list[str]:
    """Show how many first poses are sound, and which checks the others fail."""
    if validity is None:
        return []
    near = [[f"valid and within {rate.threshold:g} A", _rate(rate)] for rate in validity.within]
    failed = [[f"fails {name.replace('_', ' ')}", f"{number:,}"] for name, number in validity.failed.items()]
    return [
        table(["PoseBusters", "first pose, of all attempted"], [["valid", _rate(validity)], *near, *failed])
    ]


def _calibration_table(calibration: Calibration | None) -> list[str]:
    """Show what the confidence of first poses promised and what came."""
    if calibration is None:
        return []
    order = "not known" if calibration.auroc is None else f"{calibration.auroc:.3f}"
    rows = [[f"{part.promised:.2f}", f"{part.right:.2f}", f"{part.count:,}"] for part in calibration.bins]
    return [
        table(["mean confidence", f"share within {HEADLINE:g} A", "first poses"], rows),
        f"Calibration error {calibration.error:.3f}, Brier score {calibration.brier:.3f}, AUROC {order}.",
    ]


def _rate_rows(first: tuple[Rate, ...], *others: tuple[Rate, ...]) -> list[list[str]]:
    """One row a threshold; a column without rates (nothing was posed) shows dashes."""
    return [
        [f"{rate.threshold:g} A", _rate(rate), *(_rate(column[row]) if column else "-" for column in others)]
        for row, rate in enumerate(first)
    ]


def _accuracy_table(what: str, denominator: str, parts: Mapping[str, Accuracy]) -> str:
    """One row a group or placement method; rates of the first pose over all of that row."""
    thresholds = next(([rate.threshold for rate in part.first_of_all] for part in parts.values()), [])
    return table(
        [what, denominator, *(f"within {threshold:g} A" for threshold in thresholds), "median RMSD of posed"],
        [
            [
                name or "-",
                f"{part.attempted:,}",
                *(map(_rate, part.first_of_all) if part.first_of_all else ["-"] * len(thresholds)),
                _number(part.median_rmsd, "A"),
            ]
            for name, part in parts.items()
        ],
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; one without rows shows dashes."""
    lines = [header, ["---"] * len(header), *(rows or [["-"] * len(header)])]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _rate(rate: Rate | Validity) -> str:
    return f"{rate.rate:.1%} ({rate.low:.1%} to {rate.high:.1%}; {rate.successes:,} of {rate.n:,})"


def _number(value: float | None, unit: str) -> str:
    return "not known" if value is None else f"{value:.2f} {unit}"
