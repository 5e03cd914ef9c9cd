"""The poses handed out: chosen places, each with the best pose there that is soon clear of the receptor."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from templ.posing.finish import keeps_stereo
from templ.posing.geometry import rmsd
from templ.posing.place import with_coordinates
from templ.posing.settle import settle
from templ.scoring.choice import choose, same_place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from templ.query import PreparedQuery
    from templ.receptor import Atoms
    from templ.scoring.choice import Choice
    from templ.scoring.ranking import Ranked

DISTINCT_POSES = 0.5
"""Angstrom RMSD that answers are apart, so that the top five are five answers."""
PER_ANGSTROM = 1.0
"""What an Angstrom that a pose must be moved to be clear of the receptor takes off its score."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A pose to hand out.

    Attributes
    ----------
    choice : Choice
        The place.
    index : int
        Of the pose that stands there.
    xyz : array, shape (atoms, 3)
        That pose once it is clear of the receptor, Angstrom.
    """

    choice: Choice
    index: int
    xyz: NDArray[np.float64]


class Answers:
    """Chooses among the ranked poses of one query; each is settled once, however many answers it could give.

    Parameters
    ----------
    query : PreparedQuery
    ranked : Ranked
        The poses to choose from.
    receptor : Atoms or None
        What they must be clear of.
    """

    def __init__(self, query: PreparedQuery, ranked: Ranked, receptor: Atoms | None) -> None:
        self._query, self._ranked, self._receptor = query, ranked, receptor
        self._settled: dict[int, NDArray[np.float64] | None] = {}

    @property
    def lost(self) -> int:
        """Poses looked at so far that do not have the query's stereochemistry."""
        return sum(xyz is None for xyz in self._settled.values())

    def best(self, most: int) -> list[Answer]:
        """At most so many that differ and have the query's stereochemistry, the likeliest place first."""
        kept: list[Answer] = []
        for choice in choose(self._ranked.xyz, self._ranked.score):
            answer = self.at(choice, kept)
            if answer is not None:
                kept.append(answer)
            if len(kept) == most:
                break
        return sorted(kept, key=lambda answer: -answer.choice.agreement)

    def at(self, choice: Choice, others: list[Answer]) -> Answer | None:
        """Of the poses at a place the likeliest that need not go far to be clear, unlike the other answers.

        None when none there has the query's stereochemistry and differs from the others.
        """
        poses, score = self._ranked.xyz, self._ranked.score
        members = same_place(poses, score, choice.index).tolist()
        self._settle([member for member in members if member not in self._settled])
        able = [
            (float(score[member]) - PER_ANGSTROM * float(rmsd(xyz, poses[member])), member, xyz)
            for member in members
            if (xyz := self._settled[member]) is not None
            and all(rmsd(xyz, other.xyz) >= DISTINCT_POSES for other in others)
        ]
        if not able:
            return None
        _, index, xyz = max(able, key=itemgetter(0))
        return Answer(choice, index, xyz)

    def _settle(self, members: list[int]) -> None:
        """Note where poses are clear of the receptor; None for those without the query's stereochemistry."""
        mol, poses = self._query.mol, self._ranked.xyz
        self._settled.update(dict.fromkeys(members))
        whole = [member for member in members if keeps_stereo(with_coordinates(mol, poses[member]), mol)]
        clear = poses[whole]
        if whole and self._receptor is not None:
            clear = settle(self._query, clear, self._receptor)
        self._settled.update(zip(whole, clear, strict=True))
