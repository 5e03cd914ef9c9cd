"""Compares two runs that are on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from templ.benchmark.memory_profile import profile_run
from templ.errors import RunError
from templ.evaluation.comparison import COSTS, Attempt, Comparison, compare, verdict
from templ.evaluation.markdown import table
from templ.evaluation.run import Run, load_run
from templ.evaluation.success_rate import HEADLINE
from templ.runs.manifest import RunManifest
from templ.runs.pose_shards import read_poses
from templ.runs.record import PoseAddress

OF_THE_RUN = (
    "seconds",
    "targets a second",
    "all processes, peak MB",
    "a worker, peak MB",
    "workers, most at a time",
)
"""What is compared of the memory logs, by the names of `profile_run`."""
UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Table:
    """A table for a person, whatever it is written as: what it shows, its header, its rows."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs, A and B: what is compared, and the verdict in one sentence.

    Attributes
    ----------
    notes : tuple of str
        What must be known first: targets of one run alone, runs that are not finished.
    identical, both_posed : int
        Targets whose poses have the same coordinates, byte for byte, out of those posed in both runs.
    tables : tuple of Table
        Success, cost, and what differs in settings.
    """

    title: str
    verdict: str
    notes: tuple[str, ...]
    targets: Comparison
    identical: int
    both_posed: int
    tables: tuple[Table, ...]


def compare_runs(a: str | Path, b: str | Path) -> RunComparison:
    """Compare two runs over the targets that both have, target by target.

    Raises
    ------
    RunError
        When one is no run or damaged, they are judged by different crystals, or have no target in common.
    """
    one, other = load_run(a), load_run(b)
    for path, run in ((a, one), (b, other)):
        if not run.manifest.identity.truth:
            raise RunError(f"{path} has no crystals to compare by: it is of queries, not of a benchmark")
    if one.manifest.identity.truth != other.manifest.identity.truth:
        raise RunError(
            f"{a} ({one.manifest.name}) and {b} ({other.manifest.name}) are judged by different "
            "crystals; compare runs over the same library of targets"
        )
    attempts, poses = _read(one)
    other_attempts, other_poses = _read(other)
    targets = compare(attempts, other_attempts)
    both = [id for id in targets.pairs if id in poses and id in other_poses]
    identical = sum(_blocks(one, poses[id]) == _blocks(other, other_poses[id]) for id in both)
    said = verdict(targets, f"run A ({a})", f"run B ({b})")
    if identical == len(both) and attempts.keys() == other_attempts.keys() and _ended_alike(targets):
        said = (
            f"Identical: all {len(targets.pairs):,} targets ended alike in run A ({a}) and run B ({b}), with "
            f"the same coordinates in every pose: {targets.headline.in_a:,} are within {HEADLINE:g} A."
        )
    return RunComparison(
        title=f"Run A ({a}) against run B ({b})",
        verdict=said,
        notes=tuple(_notes((one, len(attempts)), (other, len(other_attempts)), len(targets.pairs))),
        targets=targets,
        identical=identical,
        both_posed=len(both),
        tables=(
            _success(targets),
            _cost(targets),
            _of_the_runs(one.path, other.path),
            _settings(one.manifest, other.manifest),
        ),
    )


def to_markdown(comparison: RunComparison) -> str:
    """Write the comparison as Markdown for a person."""
    targets = comparison.targets
    parts = [
        f"# {comparison.title}",
        comparison.verdict,
        *comparison.notes,
        *(
            f"{part.title}\n\n{table(part.header, part.rows)}" if part.rows else part.title
            for part in comparison.tables
        ),
        f"Targets with the same coordinates in all poses: {comparison.identical:,} of "
        f"{comparison.both_posed:,} that are posed in both runs.",
    ]
    for run, ids in (("B", targets.gained), ("A", targets.lost)):
        rows = [[id, *(_angstrom(attempt.first) for attempt in targets.pairs[id])] for id in ids]
        parts.append(f"First pose within {HEADLINE:g} A in run {run} alone: {len(ids):,}")
        if ids:
            parts.append(table(["target", "run A", "run B"], rows))
    return "\n\n".join(parts) + "\n"


def _read(run: Run) -> tuple[dict[str, Attempt], dict[str, PoseAddress]]:
    """What a run made of each target, and where the poses of those that have any are."""
    attempts, poses = {}, {}
    for record in run:
        attempts[record.id] = Attempt.of(record)
        if record.address is not None:
            poses[record.id] = record.address
    return attempts, poses


def _notes(a: tuple[Run, int], b: tuple[Run, int], common: int) -> Iterator[str]:
    for run, done in (a, b):
        if run.manifest.finished is None:
            yield f"{run.path} is not finished: {done:,} of {run.manifest.targets:,} targets are done."
    if {common} != {a[1], b[1]}:
        yield (
            f"Only the {common:,} targets of both runs are compared: run A has {a[1]:,}, run B has {b[1]:,}."
        )


def _ended_alike(targets: Comparison) -> bool:
    """Whether every target was posed in both, or has no pose for the same reason."""
    return all(one.outcome == other.outcome for one, other in targets.pairs.values())


def _blocks(run: Run, address: PoseAddress) -> list[str]:
    """MOL block of each pose, without the properties: scores may differ while nothing has moved."""
    poses = read_poses(run.path, address).split("$$$$\n")
    return [pose.partition("\nM  END")[0] for pose in poses]


def _success(targets: Comparison) -> Table:
    return Table(
        f"Success over {targets.judged:,} targets; refused and failed ones count as missed. "
        "Difference B - A in points, with 95 % interval (Tango); p (McNemar), below 0.05 where the interval "
        "leaves out 0: how often chance alone would divide the targets that changed sides as unevenly.",
        ("within", "run A", "run B", "in B alone", "in A alone", "difference", "p"),
        tuple(
            (
                f"{d.threshold:g} A, {d.pose}",
                f"{d.in_a / d.n:.1%}",
                f"{d.in_b / d.n:.1%}",
                f"{d.gained:,}",
                f"{d.lost:,}",
                f"{100 * d.change:+.1f} ({100 * d.low:+.1f} to {100 * d.high:+.1f})",
                f"{d.p:.2g}",
            )
            for d in targets.differences
        ),
    )


def _cost(targets: Comparison) -> Table:
    units = {name: 1e6 if name.endswith("bytes") else 1.0 for name in COSTS}
    return Table(
        f"Cost of a target: medians over {len(targets.pairs):,}, of the difference B - A too.",
        ("a target", "run A", "run B", "difference"),
        tuple(
            (
                COSTS[cost.name],
                f"{cost.a / units[cost.name]:.2f}",
                f"{cost.b / units[cost.name]:.2f}",
                f"{cost.change / units[cost.name]:+.2f}",
            )
            for cost in targets.costs
        ),
    )


def _of_the_runs(a: Path, b: Path) -> Table:
    profiles = [_profile(run) for run in (a, b)]
    return Table(
        "The runs as a whole, with all their targets; USS of all processes together.",
        ("the run", "run A", "run B"),
        tuple((name, *(str(profile.get(name, UNKNOWN)) for profile in profiles)) for name in OF_THE_RUN),
    )


def _profile(run: Path) -> dict[str, Any]:
    """Sum up the memory log of a run; nothing where there is none."""
    try:
        return profile_run(run)
    except RunError:
        return {}


def _settings(a: RunManifest, b: RunManifest) -> Table:
    before, after = _said(a), _said(b)
    names = [name for name in before | after if before.get(name) != after.get(name)]
    return Table(
        "What differs in settings, rule and machine."
        if names
        else "Settings, rule and machine are the same.",
        ("setting", "run A", "run B"),
        tuple((name, str(before.get(name, "absent")), str(after.get(name, "absent"))) for name in names),
    )


def _said(manifest: RunManifest) -> dict[str, object]:
    """Everything a manifest says that may make the difference."""
    identity = manifest.identity
    return {
        "benchmark": manifest.name,
        "method version": identity.method_version,
        "weights": identity.weights[:12],
        "library": identity.library[:12],
        **identity.settings,
        **identity.rule,
        "validity": identity.validity or "not checked",
        **manifest.run_settings,
        **{f"{name} (version)": version for name, version in identity.versions.items()},
        "host": f"{manifest.host.name}, {manifest.host.cores} cores",
    }


def _angstrom(rmsd: float) -> str:
    return f"{rmsd:.2f} A" if rmsd < float("inf") else "no pose"
