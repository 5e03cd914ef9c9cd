"""Whether a pose is physically sound: the checks of PoseBusters, by their official limits.

M. Buttenschoen, G. M. Morris, C. M. Deane, "PoseBusters: AI-based docking methods fail to generate physically
valid poses or generalise to novel sequences", Chem. Sci. 15 (2024) 3130-3139. It is an optional dependency
and takes 40 MB, so it is imported only where poses are checked.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import rdkit
from rdkit import Chem

from templ.chemistry.molecules import heavy, positions
from templ.chemistry.receptor import without_side_chain
from templ.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from posebusters import PoseBusters

    from templ.chemistry.receptor import Atoms, Receptor

PACKAGE = "posebusters"
REACH = 7.0
"""Angstrom around the ligand's heavy atoms. PoseBusters looks at no receptor atom beyond 6 A from these, or
beyond 4.8 A from a hydrogen, so that no verdict depends on what is left out."""
FEW_CONFORMERS = 5
CLEAR = 4.0
"""The energy of a pose is compared with the mean over 50 conformers, which takes ten times as long as all
other checks. The mean over the first few was within a factor of 2.1 of it for 367 drug-like molecules: they
decide where the ratio is this factor away from the limit, and all 50 nearer to it."""

_NOT_ASKED_OF_IT = ("loading", "rmsd", "energy_ratio")
_ABOUT_TRUTH = ("identity",)
_ABOUT_RECEPTOR = ("intermolecular_distance", "volume_overlap")


def require_posebusters() -> None:
    """Refuse before any work what could not be done.

    Raises
    ------
    InputError
        When PoseBusters is not installed.
    """
    if find_spec(PACKAGE) is None:
        raise InputError("validity is checked by PoseBusters; pip install 'templ-pose[validity]'")


def failed_checks(
    pose: Chem.Mol,
    *,
    truth: Chem.Mol | None = None,
    receptor: Receptor | None = None,
    bonded_to: str = "",
) -> list[str]:
    """Names of the PoseBusters checks that a pose does not pass; none when it is valid.

    Chemistry, bond lengths and angles, clashes within the ligand, flatness of rings and double bonds, and
    internal energy are checked always; with `truth` also that it is the same molecule and stereoisomer; with
    `receptor` also distance to and overlap with protein and cofactors. What cannot be computed is not passed.
    The RMSD is no part of it.

    Parameters
    ----------
    pose : rdkit.Chem.Mol
        With one 3D conformer; not changed. Hydrogens without coordinates are placed by PoseBusters.
    truth : rdkit.Chem.Mol, optional
        The crystal's ligand with its 3D conformer, for the identity of the molecule only.
    receptor : Receptor, optional
        In the frame of the pose. Receptors hold no water, and those of a library of complexes end 10 A from
        the crystal's ligand: what a pose meets beyond that is not seen.
    bonded_to : str
        Residue that the pose is bonded to, such as ``A:CYS145``: its side chain is left out, for the bond
        would be a clash.

    Returns
    -------
    list of str
        As PoseBusters names the columns of its table, in their order; ``internal_energy`` last.
    """
    if receptor is not None and bonded_to:
        receptor = without_side_chain(receptor, bonded_to)
    near = None if receptor is None else _as_mol(_around(receptor.atoms, positions(heavy(pose))))
    checks, limit, conformers = _official(truth is not None, near is not None)
    with _quiet():
        # A copy, because the check of radicals sanitises what it is given.
        table = checks.bust(Chem.Mol(pose), truth, near)
        sound = _energy_ratio(pose, limit, conformers) <= limit
    verdicts = {
        name: isinstance(passed, bool | np.bool_) and passed for name, passed in table.iloc[0].items()
    }
    verdicts["internal_energy"] = sound
    return [name for name, passed in verdicts.items() if not passed]


@lru_cache
def _official(with_truth: bool, with_receptor: bool) -> tuple[PoseBusters, float, int]:
    """PoseBusters for what there is to compare with; limit and conformers of its check of energy."""
    from posebusters import PoseBusters

    checks = PoseBusters("redock")
    modules = checks.config["modules"]
    energy = next(module["parameters"] for module in modules if module["function"] == "energy_ratio")
    left_out = {
        *_NOT_ASKED_OF_IT,
        *(() if with_truth else _ABOUT_TRUTH),
        *(() if with_receptor else _ABOUT_RECEPTOR),
    }
    checks.config["modules"] = [module for module in modules if module["function"] not in left_out]
    return checks, energy["threshold_energy_ratio"], energy["ensemble_number_conformations"]


def _energy_ratio(pose: Chem.Mol, limit: float, conformers: int) -> float:
    """Energy over the mean of relaxed conformers, of as few as tell the side of `limit`; NaN when unknown."""
    from posebusters import check_energy_ratio
    from posebusters.modules.energy_ratio import get_energies

    def ratio(count: int) -> float:
        return float(check_energy_ratio(pose, limit, count, num_threads=1)["results"]["energy_ratio"])

    value = ratio(FEW_CONFORMERS)
    if limit / CLEAR < value < limit * CLEAR:
        value = ratio(conformers)
    get_energies.cache_clear()  # it would grow with every molecule
    return value


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep RDKit and PoseBusters off the terminal: what failed is in the verdict.

    PoseBusters sends RDKit's log to Python's, and turns it on again wherever it was blocked.
    """
    loggers = [logging.getLogger(name) for name in ("rdkit", PACKAGE)]
    levels = [logger.level for logger in loggers]
    # PoseBusters flushes what RDKit last wrote to, which somebody may have closed since.
    rdkit.log_handler.stream = sys.stderr
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _around(atoms: Atoms, ligand: NDArray[np.float64]) -> Atoms:
    """Atoms within `REACH` of the ligand, or else the nearest: PoseBusters takes no empty receptor."""
    gaps = atoms.xyz[:, None, :] - ligand[None, :, :]
    distance = np.sqrt((gaps**2).sum(axis=-1).min(axis=1))
    return atoms.only(distance <= max(REACH, distance.min()))


def _as_mol(atoms: Atoms) -> Chem.Mol:
    """Atoms without bonds: PoseBusters asks a receptor only for elements, positions and residues.

    What is in no chain is marked as hetero atoms, by which PoseBusters tells cofactors from protein.
    """
    mol = Chem.RWMol()
    for element, name, residue, index in zip(
        atoms.elements.tolist(),
        atoms.names.tolist(),
        atoms.residue_names.tolist(),
        atoms.residues,
        strict=True,
    ):
        atom = Chem.Atom(element)
        atom.SetMonomerInfo(Chem.AtomPDBResidueInfo(name, residueName=residue, isHeteroAtom=bool(index < 0)))
        mol.AddAtom(atom)
    conformer = Chem.Conformer(len(atoms))
    conformer.SetPositions(atoms.xyz.astype(np.float64))
    mol.AddConformer(conformer)
    return mol.GetMol()
