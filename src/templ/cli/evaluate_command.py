"""``templ evaluate``: how good anybody's poses are."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import typer

from templ.cli.options import QUIET, progress, say
from templ.cli.science import JSON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from templ.evaluation.pose_scores import PoseScore

NOT_COMPUTED = "not computed: {why}"


def evaluate(
    poses: Path = typer.Argument(..., help="SDF of poses by any program, titled by id, the best first."),
    truth: Path = typer.Option(
        ..., "--truth", help="Crystal poses by the same ids: an SDF, or a template library."
    ),
    receptor: Path | None = typer.Option(
        None, "--receptor", "-r", help="PDB or mmCIF that the poses lie in; by default the library's."
    ),
    truth_receptor: Path | None = typer.Option(
        None, "--truth-receptor", help="PDB or mmCIF of the crystal, where the poses lie in another."
    ),
    out: Path | None = typer.Option(None, "-o", "--out", help="Write a row a pose, CSV."),
    as_json: bool = JSON,
    quiet: bool = QUIET,
) -> None:
    """Score anybody's poses against crystals.

    RMSD, PoseBusters validity, LDDT-PLI and BiSyRMSD stand side by side.
    LDDT-PLI and BiSyRMSD need a receptor and the extra lddt, validity needs the extra validity.
    """
    from templ.disk import make_folder, replacing
    from templ.errors import InputError
    from templ.evaluation.pose_scores import score_poses

    with progress("scored") as show:
        scores = list(
            score_poses(poses, truth, receptor, truth_receptor, on_progress=lambda done: show(done, None, ""))
        )
    if not scores:
        raise InputError(f"{poses} holds no pose; expected at least one record")
    if out is not None:
        make_folder(out.parent)
        with replacing(out) as file:
            file.write(to_csv(scores).encode())
    judged = not all(score.problem for score in scores)
    if as_json:
        typer.echo(json.dumps([asdict(score) for score in scores], indent=1))
    elif not quiet and judged:
        typer.echo("\n".join(summary(scores)))
    for score in [score for score in scores if score.problem and judged][:5]:
        say(f"{score.id}: not judged: {score.problem}")
    if out is not None:
        say(f"written: {out}")
    if not judged:
        raise InputError(
            f"no pose of {poses} could be judged by {truth}; the first, {scores[0].id!r}: "
            f"{scores[0].problem} (a pose is titled by the id of its crystal)"
        )


def to_csv(scores: Sequence[PoseScore]) -> str:
    """Table of scores, a row a pose."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "rank", "rmsd", "valid", "failed_checks", "lddt_pli", "bisy_rmsd", "problem"])
    for score in scores:
        checks = score.failed_checks
        numbers = ("" if value is None else f"{value:.4f}" for value in (score.lddt_pli, score.bisy_rmsd))
        rmsd = "" if score.rmsd is None else f"{score.rmsd:.4f}"
        valid = "" if checks is None else str(not checks).lower()
        writer.writerow(
            [score.id, score.rank or "", rmsd, valid, ";".join(checks or ()), *numbers, score.problem]
        )
    return text.getvalue()


def summary(scores: Sequence[PoseScore]) -> list[str]:
    """Lines about the first poses, all measures beside each other; what was not computed says why."""
    from templ.evaluation.interface_scores import has_peppr
    from templ.evaluation.pose_scores import first_poses
    from templ.evaluation.success_rate import HEADLINE, Rate

    first = first_poses(scores)
    lines = [f"{len(scores):,} poses of {len(first):,} molecules; of the first poses:"]

    def add(name: str, right: Sequence[bool]) -> None:
        rate = Rate.of(HEADLINE, sum(right), len(first))
        told = f"{rate.rate:.1%} ({rate.successes:,} of {rate.n:,}; {rate.low:.1%} to {rate.high:.1%})"
        lines.append(f"  {name:<26}{told}")

    if first:
        near = [score.rmsd is not None and score.rmsd <= HEADLINE for score in first]
        add(f"within {HEADLINE:g} A (RMSD)", near)
        if any(score.failed_checks is not None for score in first):
            valid = [score.failed_checks == () for score in first]
            add("valid (PoseBusters)", valid)
            add("both", [a and b for a, b in zip(near, valid, strict=True)])
        else:
            lines.append(f"  {'valid (PoseBusters)':<26}{NOT_COMPUTED.format(why='extra validity')}")
        why = "it needs a receptor, and residues near the ligand" if has_peppr() else "extra lddt"
        for name, values, unit in (
            ("LDDT-PLI, median", [score.lddt_pli for score in first], ""),
            ("BiSyRMSD, median", [score.bisy_rmsd for score in first], " A"),
        ):
            known = [value for value in values if value is not None]
            told = f"{median(known):.2f}{unit} (of {len(known):,})" if known else NOT_COMPUTED.format(why=why)
            lines.append(f"  {name:<26}{told}")
    return lines
