"""The poses handed out: of each cluster of poses the best that is soon clear of the receptor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import rmsd
from templ.chemistry.molecules import with_coordinates
from templ.chemistry.receptor import Atoms
from templ.poses.clash_removal import remove_clashes
from templ.poses.stereo import keeps_stereo
from templ.scoring.bond_restraint import BondRestraint
from templ.scoring.posterior import Cluster, clusters, members
from templ.scoring.ranking import ScoredPoses

DISTINCT_POSES = 0.5
"""Angstrom RMSD that selected poses are apart, so that the top five are five."""
JUDGED = 12
"""Clusters whose representatives are judged by the terms of selected poses, at most;"""
NEGLIGIBLE = 0.01
"""and none that is so much less likely than the first, but for those handed out."""
PER_ANGSTROM = 1.0
"""What an Angstrom that a pose must be moved to be clear of the receptor takes off its score;"""
NOT_CLEAR = 1.0
"""and what it takes off that it clashes all the same; of its cluster also."""


Judge = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.floating]]]
"""Gives the terms of selected poses, by name, of coordinates of shape (poses, atoms, 3)."""


@dataclass(frozen=True, slots=True)
class SelectedPose:
    """A pose to hand out: the representative of a cluster.

    Attributes
    ----------
    cluster : Cluster
        Whose representative it is.
    index : int
        Of the pose among those it was chosen from.
    xyz : array, shape (atoms, 3)
        That pose once it is clear of the receptor, Angstrom.
    clear : bool
        Whether it is; false where nothing near is free.
    terms : Mapping[str, float]
        Terms of selected poses, of these coordinates.
    """

    cluster: Cluster
    index: int
    xyz: NDArray[np.float64]
    clear: bool = True
    terms: Mapping[str, float] = field(default_factory=dict)


class PoseSelector:
    """Selects among the scored poses of one query; each is moved once to be clear of the receptor.

    Parameters
    ----------
    judge : Judge, optional
        Where poses are to be judged before they are handed out.
    weights : Mapping[str, float]
        Of these terms.
    bond : BondRestraint, optional
        Of the poses to the receptor.
    """

    def __init__(
        self,
        query: PreparedQuery,
        scored: ScoredPoses,
        receptor: Atoms | None,
        judge: Judge | None = None,
        weights: Mapping[str, float] = {},
        bond: BondRestraint | None = None,
    ) -> None:
        self._query, self._scored, self._receptor = query, scored, receptor
        self._judge, self._weights, self._bond = judge, weights, bond
        self._moved: dict[int, tuple[NDArray[np.float64], bool] | None] = {}

    @property
    def without_stereo(self) -> int:
        """Poses looked at so far that do not have the query's stereochemistry."""
        return sum(moved is None for moved in self._moved.values())

    def best(self, most: int) -> list[SelectedPose]:
        """At most so many that differ and have the query's stereochemistry, the likeliest cluster first."""
        kept: list[SelectedPose] = []
        for cluster in clusters(self._scored.xyz, self._scored.score):
            enough = self._judge is None or len(kept) >= JUDGED
            if len(kept) >= most and (enough or cluster.score < NEGLIGIBLE * kept[0].cluster.score):
                break
            selected = self.representative(cluster, kept)
            if selected is not None:
                kept.append(selected)
        if self._bond is not None:
            bond = self._bond
            kept = [pose for pose in kept if bond.geometry(pose.xyz[None]).sound.all()] or kept
        judged = sorted(self._judged(kept), key=lambda selected: -selected.cluster.gain)[:most]
        return sorted(judged, key=lambda selected: -selected.cluster.score)

    def _judged(self, selected: list[SelectedPose]) -> list[SelectedPose]:
        """Share the probability of the clusters anew, by what is known of their representatives."""
        if not selected:
            return selected
        gain = np.array([0.0 if pose.clear else -NOT_CLEAR for pose in selected])
        terms: Mapping[str, NDArray[np.floating]] = {}
        if self._judge is not None:
            terms = self._judge(np.array([pose.xyz for pose in selected]))
            gain = sum((self._weights[name] * terms[name] for name in self._weights), gain)
        factor = np.exp(gain - gain.max())
        score = _reweighted(np.array([pose.cluster.score for pose in selected]), factor)
        probability = _reweighted(np.array([pose.cluster.probability for pose in selected]), factor)
        covered = _reweighted(np.array([pose.cluster.gain for pose in selected]), factor)
        return [
            replace(
                pose,
                cluster=Cluster(
                    pose.cluster.centre,
                    float(score[number]),
                    float(probability[number]),
                    float(covered[number]),
                ),
                terms={name: float(values[number]) for name, values in terms.items()},
            )
            for number, pose in enumerate(selected)
        ]

    def representative(self, cluster: Cluster, others: list[SelectedPose]) -> SelectedPose | None:
        """Of the poses of a cluster the likeliest that need not go far to be clear, unlike the other poses.

        None when none there has the query's stereochemistry and differs from the others.
        """
        poses, score = self._scored.xyz, self._scored.score
        candidates = members(poses, score, cluster.centre).tolist()
        self._remove_clashes([member for member in candidates if member not in self._moved])
        able = [
            (_net_score(float(score[member]), float(rmsd(moved[0], poses[member])), moved[1]), member, *moved)
            for member in candidates
            if (moved := self._moved[member]) is not None
            and all(rmsd(moved[0], other.xyz) >= DISTINCT_POSES for other in others)
        ]
        if not able:
            return None
        _, index, xyz, clear = max(able, key=itemgetter(0))
        return SelectedPose(cluster, index, xyz, clear)

    def _remove_clashes(self, indices: list[int]) -> None:
        """Note where poses are clear of the receptor; None for those without the query's stereochemistry."""
        mol, poses = self._query.mol, self._scored.xyz
        self._moved.update(dict.fromkeys(indices))
        whole = [index for index in indices if keeps_stereo(with_coordinates(mol, poses[index]), mol)]
        moved, clear = poses[whole], np.ones(len(whole), np.bool_)
        if whole and self._receptor is not None:
            moved, clear = remove_clashes(self._query, moved, self._receptor, self._bond)
        self._moved.update(zip(whole, zip(moved, clear.tolist(), strict=True), strict=True))


def _net_score(score: float, path: float, clear: bool) -> float:
    """Score of a pose less what it costs to be clear of the receptor, or not to be."""
    return score - PER_ANGSTROM * path - (0.0 if clear else NOT_CLEAR)


def _reweighted(shares: NDArray[np.float64], factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of probability, each times its factor; together as much as before, and none above 1."""
    changed = shares * factor
    return np.asarray(np.minimum(changed * shares.sum() / max(changed.sum(), 1e-12), 1.0))
