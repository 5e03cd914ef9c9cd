"""The plots of a page, as SVG that takes its colours and its type from the page."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from templ.errors import InputError
from templ.evaluation.strata import STRATA
from templ.evaluation.success_rate import HEADLINE, wilson_interval
from templ.evaluation.summary import Accuracy, Summary
from templ.pictures.viewer_script import MISSING
from templ.report.collect import Results
from templ.report.svg import BAD, GOOD, INK, OTHER, QUIET, SMALL, STYLE, WIDTH, make_figure, to_svg
from templ.runs.memory_log import minutes_of_running

FARTHEST = 10.0
"""Angstrom: the curve of RMSD ends here; what is farther off is simply wrong."""
NEAREST = 0.1
"""Angstrom: nearer than a crystal can tell."""
THRESHOLDS = (1.0, HEADLINE, 5.0)
MOST_LINKED = 500
"""Points that lead to their target; more would only make the page heavy."""
METHOD_MEANS = {
    "core": "the atoms shared with the template lie where the template has them",
    "partial-core": "some of these atoms could not follow",
    "overlay": "nothing to copy: laid onto templates by shape",
    "docking": "from a random start in the pocket",
    "extra": "made by another program",
    "monte-carlo": "a pose of another kind, moved at random and minimised to another position",
}
"""What the placement methods are, for a caption."""

MOST_GROUPS = 20
"""Groups that are drawn, those with the most targets; a table has all."""

_METHODS = {
    "core": (GOOD, "o"),
    "partial-core": (OTHER, "^"),
    "overlay": (BAD, "s"),
    "docking": (QUIET, "v"),
    "extra": (QUIET, "P"),
    "monte-carlo": (INK, "D"),
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot, ready for the page; the caption says how to read it, `wide` that it needs the page's width."""

    title: str
    caption: str
    svg: str
    wide: bool = False


def draw_plots(results: Results) -> list[Plot]:
    """Draw what there are data for.

    Raises
    ------
    InputError
        When matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
    except ImportError:
        raise InputError(MISSING.format(package="matplotlib")) from None
    with rc_context(STYLE), warnings.catch_warnings():
        # The browser sets the text, in a type of its own that has more letters.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        return [plot for draw in _PLOTS for plot in draw(results)]


def _curve(results: Results) -> Iterator[Plot]:
    judged = [record for record in results.records if record.rmsd is not None]
    if not judged or results.summary is None:
        return
    of = results.summary.overall.attempted - results.summary.overall.without_truth
    figure, axes = make_figure(*SMALL)
    for values, label, ink, dashes in (
        ([record.rmsd for record in judged], "first pose", GOOD, "-"),
        ([record.best_rmsd for record in judged], "best of 5", OTHER, "--"),
    ):
        ordered = np.sort(np.clip(np.array(values, np.float64), 0, 2 * FARTHEST))
        axes.step(
            [0, *ordered, 2 * FARTHEST],
            [*(np.arange(len(ordered) + 1) / of), len(ordered) / of],
            where="post",
            color=ink,
            linestyle=dashes,
            label=label,
        )
    _thresholds(axes.axvline)
    axes.set(xlim=(0, FARTHEST), ylim=(0, 1), xlabel="RMSD (Å)", ylabel="share of targets")
    axes.legend(loc="lower right")
    yield Plot(
        "How far from the crystal",
        f"Share of the {of:,} targets attempted whose pose is at most so far off; refused and failed ones "
        "are never reached. Dotted: 1, 2 and 5 Å.",
        to_svg(figure, "curve"),
    )


def _against(results: Results) -> Iterator[Plot]:
    for name, label, title in (
        ("tanimoto", "Tanimoto similarity of the nearest template", "Similar templates"),
        ("query_coverage", "share of the query's atoms copied", "Query coverage"),
    ):
        points = [
            (number, getattr(record, name), record.rmsd, record.first.placement_method)
            for number, record in enumerate(results.records)
            if record.rmsd is not None and record.first is not None
        ]
        if not points:
            continue
        figure, axes = make_figure(*SMALL)
        for method, (ink, marker) in _METHODS.items():
            own = [point for point in points if point[3] == method]
            if not own:
                continue
            dots = axes.scatter(
                [point[1] for point in own],
                [max(point[2], NEAREST) for point in own],
                s=16,
                marker=marker,
                color=ink,
                alpha=0.75 if len(points) <= MOST_LINKED else 0.35,
                linewidths=0,
                label=method.replace("-", " "),
            )
            if len(points) <= MOST_LINKED:
                dots.set_urls([f"#t{point[0]}" for point in own])
        _thresholds(axes.axhline)
        axes.set(xlim=(-0.02, 1.02), yscale="log", xlabel=label, ylabel="RMSD of the first pose (Å)")
        ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if tick <= axes.get_ylim()[1]]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        # Above the axes: inside, it would lie on points.
        figure.legend(loc="outside upper left", ncols=3, handletextpad=0.1, columnspacing=1.0)
        used = {point[3] for point in points}
        methods = "; ".join(
            f"{name.replace('-', ' ')}: {METHOD_MEANS[name]}" for name in _METHODS if name in used
        )
        linked = " A point leads to its target." if len(points) <= MOST_LINKED else ""
        yield Plot(
            title,
            f"The {len(points):,} first poses; the lower, the nearer to the crystal.{linked} "
            f"Colours and shapes: how they were placed. {methods[:1].upper()}{methods[1:]}.",
            to_svg(figure, name),
        )


def _strata(results: Results) -> Iterator[Plot]:
    if results.summary is None:
        return
    blocks = _blocks(results.summary)
    lines = sum(len(parts) + 1 for _, parts in blocks)
    if not blocks:
        return
    figure, axes = make_figure(WIDTH, 0.45 + 0.235 * lines)
    names: dict[float, str] = {}
    y = 0.0
    for title, parts in blocks:
        axes.text(0, y, title, va="center", fontweight="bold")
        for name, part in parts.items():
            y += 1
            names[y] = (f"{name[:29]}…" if len(name) > 30 else name) or "(none)"
            rate = next(rate for rate in part.first_of_all if rate.threshold == HEADLINE)
            axes.plot([rate.low, rate.high], [y, y], color=GOOD, linewidth=1.4)
            axes.plot([rate.rate], [y], "o", color=GOOD, markersize=4.5, clip_on=False)
            axes.text(1.18, y, f"{rate.rate:.0%}", va="center", ha="right")
            axes.text(1.2, y, f"{rate.successes:,} of {rate.n:,}", va="center")
        y += 1
    axes.set_yticks(list(names), names.values())
    axes.tick_params(axis="y", length=0, pad=9)  # clear of a point at 0
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(0, 1), ylim=(y - 0.4, -0.6), xlabel=f"first pose within {HEADLINE:g} Å")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="x", color=QUIET, alpha=0.25, linewidth=0.6)
    yield Plot(
        "Where it works",
        f"Share of first poses within {HEADLINE:g} Å, over all targets of each line; the line through a "
        "point is its 95 % interval: the fewer targets, the longer.",
        to_svg(figure, "strata"),
        wide=True,
    )


def _blocks(summary: Summary) -> list[tuple[str, Mapping[str, Accuracy]]]:
    """What success is shown by: those lines that have a rate."""
    blocks = [("placement method of the first pose (posed targets)", summary.by_method)]
    if len(summary.by_group) > 1:
        largest = sorted(summary.by_group, key=lambda name: -summary.by_group[name].attempted)[:MOST_GROUPS]
        title = "group" if len(largest) == len(summary.by_group) else f"group, the {MOST_GROUPS} largest"
        blocks.append((title, {name: summary.by_group[name] for name in sorted(largest)}))
    blocks += [(STRATA[name][1], parts) for name, parts in summary.by_stratum.items()]
    judged = [
        (title, {name: part for name, part in parts.items() if part.first_of_all}) for title, parts in blocks
    ]
    return [(title, parts) for title, parts in judged if parts]


def _calibration(results: Results) -> Iterator[Plot]:
    calibration = None if results.summary is None else results.summary.calibration
    if calibration is None:
        return
    figure, axes = make_figure(*SMALL)
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=":")
    for part in calibration.bins:
        x, y, n = part.promised, part.right, part.count
        axes.plot([x] * 2, wilson_interval(round(y * n), n), color=GOOD, linewidth=1.2)
        axes.plot([x], [y], "o", color=GOOD, markersize=4.5, clip_on=False)
        # Above the axes, each over its tenth: beside the points they would lie on those of the next.
        tenth = min(int(x * 10), 9)
        axes.text((tenth + 0.5) / 10, 1.04, f"{n:,}", ha="center", va="bottom", color=QUIET, fontsize=8)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence of the first pose", ylabel="share within 2 Å")
    total = sum(part.count for part in calibration.bins)
    yield Plot(
        "Is the confidence right",
        f"Of the {total:,} first poses of known crystals, in tenths of confidence: the share within 2 Å with "
        "its 95 % interval; above, how many poses. On the dotted line the confidence is right: 80 % of the "
        "poses with 0.8. Below it, it promises too much.",
        to_svg(figure, "calibration"),
    )


def _cost(results: Results) -> Iterator[Plot]:
    costs, molecules = [record.cost for record in results.records], results.run.manifest.molecules
    for name, scale, title, label, caption in (
        ("cpu_s", 1.0, "CPU time of each", "CPU seconds", ""),
        (
            "uss_bytes",
            1e6,
            "Memory of each",
            "peak private memory of its worker (MB)",
            " Private memory (USS) is what the worker had to itself: the mapped library belongs to nobody.",
        ),
    ):
        values = np.array([getattr(cost, name) for cost in costs]) / scale
        figure, axes = make_figure(*SMALL)
        axes.hist(values, bins=min(40, max(8, len(values) // 6)), color=GOOD, alpha=0.8)
        axes.axvline(float(np.median(values)), color=INK, linewidth=1)
        axes.set(xlabel=label, ylabel=molecules)
        axes.yaxis.get_major_locator().set_params(integer=True)
        yield Plot(
            title,
            f"Of {len(costs):,} {molecules}; the line is the median, {np.median(values):.3g}.{caption}",
            to_svg(figure, name),
        )


def _memory(results: Results) -> Iterator[Plot]:
    samples = results.samples
    if len(samples) < 2:
        return
    minutes = minutes_of_running(samples)
    figure, (memory, workers) = make_figure(WIDTH, 3.6, rows=2)
    memory.plot(minutes, [sample["tree"] / 1e6 for sample in samples], color=GOOD, label="all processes")
    largest = [max(sample["workers"], default=0) / 1e6 for sample in samples]
    memory.plot(minutes, largest, color=OTHER, linestyle="--", label="largest worker")
    memory.set(ylabel="private MB", ylim=(0, None))
    memory.legend(loc="center right", ncols=2)
    workers.step(minutes, [len(sample["workers"]) for sample in samples], where="post", color=GOOD)
    workers.set(xlabel="minutes of running", ylabel="workers", ylim=(0, None))
    workers.yaxis.get_major_locator().set_params(integer=True)
    for action in dict.fromkeys(sample["action"] for sample in samples if sample["reason"]):
        when = [
            minute
            for minute, sample in zip(minutes, samples, strict=True)
            if sample["reason"] and sample["action"] == action
        ]
        ink, marker = (INK, "^") if action == "grow" else (BAD, "v")
        held = np.interp(when, minutes, [len(sample["workers"]) for sample in samples])
        workers.plot(when, held, marker, color=ink, markersize=5, label=f"{action} ({len(when)})")
    if workers.get_legend_handles_labels()[0]:
        workers.legend(loc="lower right", ncols=3)
    yield Plot(
        "Memory and workers over time",
        "Private memory (USS) once a second; below, how many workers ran, and what the governor of memory "
        "did. Pauses between an interruption and the next start are left out.",
        to_svg(figure, "memory"),
        wide=True,
    )


_PLOTS: tuple[Callable[[Results], Iterator[Plot]], ...] = (
    _curve,
    _calibration,
    _against,
    _cost,
    _strata,
    _memory,
)


def _thresholds(line: Callable[..., object]) -> None:
    for threshold in THRESHOLDS:
        line(threshold, color=QUIET, linewidth=0.8, linestyle=":")
