"""Why a pose is as it is: three sentences made of numbers that the run has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rdkit.Chem import Mol

from templ.evaluation.rmsd import symmetric_rmsd
from templ.evaluation.success_rate import HEADLINE
from templ.records import confidence_in_words
from templ.runs.record import PoseRecord, Record
from templ.scoring.pocket import IN_DENSITY
from templ.web.interactions import Interaction
from templ.web.template_support import TemplateSupport

SUPPORTED = 0.5
"""Density at an atom from which the templates support it."""
MOST_NAMED = 4
"""Residues named in a sentence."""


def reasons_for(
    record: Record,
    rank: int,
    poses: Sequence[Mol],
    interactions: Sequence[Interaction],
    support: TemplateSupport,
    similarity: float | None,
    *,
    has_receptor: bool,
) -> list[str]:
    """Say in three sentences where a pose comes from, what it does in the pocket, and how sure it is.

    Parameters
    ----------
    rank : int
        Of the pose, from 1.
    poses : sequence of rdkit.Chem.Mol
        All of the record, best first.
    interactions : sequence of Interaction
        Of this pose.
    similarity : float or None
        Tanimoto similarity of its template to the query; None where it is not known.
    """
    pose = record.poses[rank - 1]
    return [
        _where_from(record, pose, similarity),
        _what_it_does(rank, interactions, support, has_receptor=has_receptor),
        _how_sure(record, rank, poses),
    ]


def _where_from(record: Record, pose: PoseRecord, similarity: float | None) -> str:
    alike = "" if similarity is None else f" (Tanimoto {similarity:.2f})"
    if not pose.core:
        return (
            f"It was placed by {_method(pose)}, and of all templates lies best on {pose.template}{alike}, "
            "with which it shares no core."
        )
    return (
        f"It has {len(pose.core)} of its {record.query_atoms} heavy atoms in common with template "
        f"{pose.template}{alike}; they lie {pose.core_rmsd:.1f} A (RMSD) from where the crystal has them; "
        f"placed by {_method(pose)}."
    )


def _what_it_does(
    rank: int, interactions: Sequence[Interaction], support: TemplateSupport, *, has_receptor: bool
) -> str:
    parts = []
    if has_receptor:
        bonds = [pair for pair in interactions if pair.kind == "hydrogen bond"]
        clashes = sum(pair.kind == "clash" for pair in interactions)
        parts += [
            f"It is bonded to {pair.name} of {pair.residue.partition(':')[2] or pair.residue}"
            for pair in interactions
            if pair.kind == "covalent bond"
        ]
        residues = list(dict.fromkeys(pair.residue.partition(":")[2] or pair.residue for pair in bonds))
        named = ", ".join(residues[:MOST_NAMED]) + (" and others" if len(residues) > MOST_NAMED else "")
        parts.append(
            f"{'it' if parts else 'It'} makes {_counted(len(bonds), 'hydrogen bond')}"
            f"{f' (to {named})' if bonds else ''} and "
            f"{_counted(clashes, 'clash', 'clashes')} with the receptor"
        )
    if support.of_atoms:
        values = np.array(support.of_atoms[rank - 1])
        parts.append(
            f"{'the' if parts else 'The'} {min(len(support.templates), IN_DENSITY)} templates of most weight "
            f"support {int((values >= SUPPORTED).sum())} of its {len(values)} atoms where they are (mean "
            f"density {values.mean():.2f} of 1)"
        )
    return f"{'; '.join(parts) or 'Nothing more is known without its library'}."


def _how_sure(record: Record, rank: int, poses: Sequence[Mol]) -> str:
    pose = record.poses[rank - 1]
    said = (
        f"The probability that it is within {HEADLINE:g} A of the truth is {pose.confidence:.2f} "
        f"({confidence_in_words(pose.confidence)}); {pose.score:.0%} of the probability of all sampled poses "
        "lies near it"
    )
    if len(poses) > 1:
        other = 0 if rank > 1 else 1
        apart = symmetric_rmsd(poses[rank - 1], poses[other])
        if apart <= HEADLINE:  # what lies near one lies near the other: two shares would add up to too much
            said += f"; rank {other + 1} lies within {HEADLINE:g} A of it too, {apart:.1f} A away"
        else:
            said += f", {record.poses[other].score:.0%} near rank {other + 1}, which is {apart:.1f} A away"
    if pose.rmsd is not None:
        said += f". From the crystal it is {pose.rmsd:.2f} A away"
    return f"{said}."


def _method(pose: PoseRecord) -> str:
    names = {
        "core": "copying the core",
        "partial-core": "copying part of the core",
        "overlay": "overlay",
        "docking": "docking",
        "extra": "another program",
        "monte-carlo": "Monte Carlo moves",
    }
    return names.get(pose.placement_method, pose.placement_method)


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count or 'no'} {one if count == 1 else many or one + 's'}"
