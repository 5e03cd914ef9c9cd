"""What a term of the score is: a number for each pose, with its name, its unit and what is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from templ.chemistry.conformers import PreparedQuery
    from templ.scoring.energy_grid import EnergyGrid
    from templ.scoring.pocket import Pocket


@dataclass(frozen=True, slots=True)
class PosesToScore:
    """Poses of one query, and what they are judged by.

    Attributes
    ----------
    query : PreparedQuery
        Whose poses these are.
    xyz : array, shape (poses, atoms, 3)
        Angstrom, in the frame of the templates.
    core_rmsd : array, shape (poses,)
        RMSD of the copied atoms of each from where its template has them, Angstrom; 0 where none were copied.
    pocket : Pocket
        Templates and receptor.
    grid : EnergyGrid or None
        Energies in the pocket's axes; None before poses are minimised.
    """

    query: PreparedQuery
    xyz: NDArray[np.float64]
    core_rmsd: NDArray[np.float64]
    pocket: Pocket
    grid: EnergyGrid | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """A term of the score.

    Attributes
    ----------
    name : str
        In weights, records and pose files.
    unit : str
        Empty for a share between 0 and 1.
    better : {"more", "less"}
        Which poses are better by it, all else alike; the sign of its weight must agree.
    function : callable
        Takes `PosesToScore`; returns an array, shape (poses,).
    source : str
        The paper, or where in this program it comes from.
    minimised : bool
        It says something of minimised poses only, and is left out before.
    selected : bool
        It is asked about the few poses only that may be handed out.
    """

    name: str
    unit: str
    better: Literal["more", "less"]
    function: Callable[[PosesToScore], NDArray[np.floating]]
    source: str
    minimised: bool = False
    selected: bool = False
