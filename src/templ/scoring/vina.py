"""What atoms of ligand and receptor do to each other: the contact function of AutoDock Vina.

O. Trott, A. J. Olson, J. Comput. Chem. 31 (2010) 455: two attractions, a repulsion, hydrophobic contact and
hydrogen bonds, each a function of the distance between the atoms' surfaces. Heavy atoms only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Mol

from templ.chemistry.elements import standard_name
from templ.chemistry.features import FEATURES, atom_features
from templ.chemistry.receptor import Atoms

GAUSS, WIDE_GAUSS, REPULSION, HYDROPHOBIC, HYDROGEN_BOND = -0.0356, -0.00516, 0.840, -0.0351, -0.587
"""kcal/mol: Vina's weights, Table 1 of its paper."""
RADII = {
    5: 1.9, 6: 1.9, 7: 1.8, 8: 1.7, 9: 1.5, 14: 2.2, 15: 2.1, 16: 2.0, 17: 1.8, 34: 2.1, 35: 2.0, 53: 2.2,
}  # fmt: skip
"""Angstrom, of Vina's atom types, by atomic number."""
OTHER_RADIUS = 1.8
METAL_RADIUS = 1.2
METALS = frozenset({11, 12, 19, 20, 25, 26, 27, 28, 29, 30})
"""Ions that accept a lone pair as a donor's hydrogen does."""

POLAR_CARBONS = frozenset({
    ("ARG", "CD"), ("ARG", "CZ"), ("ASN", "CG"), ("ASP", "CG"), ("CYS", "CB"), ("GLN", "CD"), ("GLU", "CD"),
    ("HIS", "CG"), ("HIS", "CD2"), ("HIS", "CE1"), ("LYS", "CE"), ("MET", "CG"), ("MET", "CE"), ("PRO", "CD"),
    ("SER", "CB"), ("THR", "CB"), ("TRP", "CD1"), ("TRP", "CE2"), ("TYR", "CZ"),
})  # fmt: skip
"""Of side chains: bound to nitrogen, oxygen or sulphur, and so not hydrophobic."""
DONORS = frozenset({
    ("ARG", "NE"), ("ARG", "NH1"), ("ARG", "NH2"), ("ASN", "ND2"), ("GLN", "NE2"), ("HIS", "ND1"),
    ("HIS", "NE2"), ("LYS", "NZ"), ("SER", "OG"), ("THR", "OG1"), ("TRP", "NE1"), ("TYR", "OH"),
})  # fmt: skip
ACCEPTORS = frozenset({
    ("ASN", "OD1"), ("ASP", "OD1"), ("ASP", "OD2"), ("GLN", "OE1"), ("GLU", "OE1"), ("GLU", "OE2"),
    ("HIS", "ND1"), ("HIS", "NE2"), ("SER", "OG"), ("THR", "OG1"), ("TYR", "OH"),
})  # fmt: skip
"""Of side chains. A histidine's nitrogens are both: its protonation is not known."""

_DONOR, _ACCEPTOR = list(FEATURES).index("donor"), list(FEATURES).index("acceptor")


@dataclass(frozen=True, slots=True)
class AtomTypes:
    """What the contact function asks of each atom: radius, Angstrom, and kind, shape (atoms,) each."""

    radii: NDArray[np.float32]
    hydrophobic: NDArray[np.bool_]
    donor: NDArray[np.bool_]
    acceptor: NDArray[np.bool_]


def ligand_types(mol: Mol) -> AtomTypes:
    """Types of a ligand's atoms; hydrogens are not needed, their number is known from valence."""
    features = atom_features(mol) > 0
    atoms = list(mol.GetAtoms())
    apolar = [
        atom.GetAtomicNum() == 6 and all(near.GetAtomicNum() in (1, 6) for near in atom.GetNeighbors())
        for atom in atoms
    ]
    halogen = [atom.GetAtomicNum() in (9, 17, 35, 53) for atom in atoms]
    radii = [RADII.get(atom.GetAtomicNum(), OTHER_RADIUS) for atom in atoms]
    return AtomTypes(
        np.array(radii, np.float32),
        np.array(apolar, np.bool_) | np.array(halogen, np.bool_),
        features[:, _DONOR],
        features[:, _ACCEPTOR],
    )


def receptor_types(atoms: Atoms) -> AtomTypes:
    """Types of a receptor's atoms, by residue and name; of what is no amino acid, by element."""
    rows = [
        _receptor_type(int(element), residue >= 0, standard_name(residue_name), name)
        for element, residue, residue_name, name in zip(
            atoms.elements, atoms.residues, atoms.residue_names.tolist(), atoms.names.tolist(), strict=True
        )
    ]
    radii, hydrophobic, donor, acceptor = zip(*rows, strict=True) if rows else [()] * 4
    kinds = (np.array(kind, np.bool_) for kind in (hydrophobic, donor, acceptor))
    return AtomTypes(np.array(radii, np.float32), *kinds)


def _receptor_type(element: int, in_chain: bool, residue: str, name: str) -> tuple[float, bool, bool, bool]:
    """Radius, hydrophobic, donor, acceptor."""
    if element in METALS:
        return METAL_RADIUS, False, True, False
    radius, key = RADII.get(element, OTHER_RADIUS), (residue, name)
    if not in_chain:
        polar = element in (7, 8)
        return radius, False, polar, polar
    if element == 6:
        return radius, name not in ("C", "CA") and key not in POLAR_CARBONS, False, False
    backbone_donor = name == "N" and residue != "PRO"
    return (
        radius,
        False,
        element in (7, 8) and (backbone_donor or key in DONORS),
        element in (7, 8) and (name in ("O", "OXT") or key in ACCEPTORS),
    )


def steric(gap: NDArray[np.float32]) -> NDArray[np.float32]:
    """Attractions and repulsion at a distance between surfaces (Angstrom, negative when they overlap)."""
    near, wide = np.exp(-((gap / 0.5) ** 2)), np.exp(-(((gap - 3) / 2) ** 2))
    return np.asarray(GAUSS * near + WIDE_GAUSS * wide + REPULSION * np.minimum(gap, 0) ** 2)


def hydrophobic(gap: NDArray[np.float32]) -> NDArray[np.float32]:
    """Contact of two hydrophobic atoms: full below 0.5 Angstrom, none above 1.5."""
    return np.asarray(HYDROPHOBIC * np.clip(1.5 - gap, 0, 1))


def hydrogen_bond(gap: NDArray[np.float32]) -> NDArray[np.float32]:
    """Contact of donor and acceptor: full at an overlap of 0.7 Angstrom, none without."""
    return np.asarray(HYDROGEN_BOND * np.clip(-gap / 0.7, 0, 1))
