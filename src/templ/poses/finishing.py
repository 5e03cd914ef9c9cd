"""Poses that were selected become those handed out: with hydrogens, terms, confidence and origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.receptor import Atoms, Receptor, residues_near, residues_with
from templ.poses.clash_removal import clashes
from templ.poses.hydrogens import add_hydrogens
from templ.poses.pose_selection import SelectedPose
from templ.records import Pose, PoseBond
from templ.sampling.monte_carlo import Sampler
from templ.sampling.placement import Placement
from templ.scoring.bond_restraint import BondRestraint
from templ.scoring.confidence import confidence, log_odds
from templ.scoring.pocket import Pocket
from templ.scoring.ranking import ScoredPoses, score_terms
from templ.scoring.score_term import PosesToScore
from templ.templates.covalent_choice import ChosenBond

NAMED = 4
"""Residues that tell a pocket in a note; a pose names them all."""


@dataclass(frozen=True, slots=True)
class Sample:
    """All poses of a query that were looked at.

    Attributes
    ----------
    placements : list of Placement
        Poses as they were copied, one for each template and mapping.
    placed, ranked : ScoredPoses
        All poses before they are minimised, and those that poses are selected from.
    evidence : Mapping[str, float]
        What is known before posing (`templ.scoring.confidence.evidence`).
    own_receptor : bool
        The receptor is of the query's own crystal.
    receptor : Receptor or None
        What poses are judged in.
    searched : bool
        Templates say little, so the pocket was searched as well, and the network is asked.
    bond : ChosenBond or None
        That to the receptor, and
    restraint : BondRestraint or None
        its springs, in the frame of the poses.
    """

    query: PreparedQuery
    placements: list[Placement]
    pocket: Pocket
    sampler: Sampler
    placed: ScoredPoses
    ranked: ScoredPoses
    evidence: Mapping[str, float]
    own_receptor: bool
    receptor: Receptor | None
    searched: bool
    bond: ChosenBond | None = None
    restraint: BondRestraint | None = None

    @property
    def pushing(self) -> Atoms | None:
        """The receptor's atoms that poses must be clear of: not those it is bonded to."""
        atoms = self.pocket.atoms
        if atoms is None or self.bond is None:
            return atoms
        return atoms.only(~np.isin(np.arange(len(atoms)), self.bond.residue.side_chain))


def finish_poses(sample: Sample, selected: Sequence[SelectedPose]) -> tuple[Pose, ...]:
    """Add hydrogens, confidence and provenance; the terms are those of the coordinates handed out."""
    ranked, query = sample.ranked, sample.query
    xyz = np.array([pose.xyz for pose in selected])
    placement = ranked.placement[[pose.index for pose in selected]]
    core_rmsd = sample.sampler.core_rmsd(xyz, placement)
    terms = score_terms(PosesToScore(query, xyz, core_rmsd, sample.pocket, sample.sampler.grid))
    poses = []
    for number, pose in enumerate(selected):
        copied = sample.placements[placement[number]]
        lies_on = _template_of(pose.xyz, copied, sample.placements)
        consensus = float(ranked.terms["consensus"][pose.cluster.centre])
        bond = _bond_of(sample, pose.xyz)
        capped = None if bond is None else (bond.atom, np.array(bond.position))
        poses.append(
            Pose(
                mol=add_hydrogens(query.mol, pose.xyz, capped),
                rank=number + 1,
                score=pose.cluster.score,
                # Of the cluster, not of its representative: so the model was fitted.
                confidence=confidence(
                    {
                        "log_odds": log_odds(pose.cluster.probability),
                        "consensus": consensus,
                        "network": pose.terms.get("network", 0.0),
                        "tanimoto": sample.evidence["tanimoto"],
                    },
                    own_receptor=sample.own_receptor,
                ),
                terms={name: float(values[number]) for name, values in terms.items()} | dict(pose.terms),
                template_id=lies_on.template.id,
                method="monte-carlo" if ranked.moved[pose.index] else copied.method,
                core=dict(lies_on.pairs),
                core_smarts=lies_on.smarts,
                core_rmsd=lies_on.rmsd_of(pose.xyz),
                pocket=() if sample.receptor is None else residues_near(sample.receptor, pose.xyz),
                superposition={} if lies_on.template.fit is None else lies_on.template.fit.numbers(),
                bond=bond,
            )
        )
    return tuple(poses)


def _bond_of(sample: Sample, xyz: NDArray[np.float64]) -> PoseBond | None:
    """The covalent bond of a pose, shape (atoms, 3); None without one."""
    if sample.bond is None or sample.restraint is None:
        return None
    geometry = sample.restraint.geometry(xyz[None])
    x, y, z = geometry.reactive[0].tolist()
    return PoseBond(
        sample.bond.residue.label,
        sample.bond.residue.atom,
        (x, y, z),
        sample.bond.atom,
        float(geometry.length[0]),
        float(geometry.at_residue[0]),
        float(geometry.at_ligand[0]),
        bool(geometry.sound[0]),
    )


def in_other_pockets(poses: Sequence[Pose]) -> str:
    """Say which poses lie in other pockets than the first, by the residues there; empty where none does."""
    first = set(poses[0].pocket)
    elsewhere = [pose for pose in poses if pose.pocket and first.isdisjoint(pose.pocket)]
    if not elsewhere:
        return ""
    where = "; ".join(f"pose {pose.rank} at {' '.join(pose.pocket[:NAMED])}" for pose in elsewhere)
    return f"in another pocket than the first pose, which is at {' '.join(poses[0].pocket[:NAMED])}: {where}"


def clashes_of_first(sample: Sample, selected: Sequence[SelectedPose]) -> str:
    """Say which residues the first pose clashes with, where no place near it is clear; empty where it is."""
    if selected[0].clear or sample.receptor is None:
        return ""
    hit = np.array(clashes(sample.query.mol, selected[0].xyz, sample.receptor.atoms).any(axis=0))
    if sample.bond is not None:
        hit[sample.bond.residue.side_chain] = False
        if not hit.any():
            return ""
    residues = residues_with(sample.receptor, hit) or ("a metal or cofactor",)
    return f"the first pose clashes with {' '.join(residues)}, which would have to move for it"


def bent_bonds(poses: Sequence[Pose]) -> str:
    """Say of which poses the bond to the receptor is not as it should be; empty where there is none."""
    bent = [pose for pose in poses if pose.bond is not None and not pose.bond.sound]
    if not bent:
        return ""
    which = f"{'poses' if len(bent) > 1 else 'pose'} {', '.join(str(pose.rank) for pose in bent)}"
    where = " or ".join(dict.fromkeys(pose.bond.residue for pose in bent if pose.bond is not None))
    return f"the bond of {which} to {where} is bent or stretched, or its side chain is in the way"


def _template_of(xyz: NDArray[np.float64], copied: Placement, placements: list[Placement]) -> Placement:
    """Choose the template that a finished pose lies on: its own, unless more atoms lie on another."""
    best = max(placements, key=lambda placement: (placement.atoms_near(xyz), -placement.rmsd_of(xyz)))
    return best if best.atoms_near(xyz) > copied.atoms_near(xyz) else copied
