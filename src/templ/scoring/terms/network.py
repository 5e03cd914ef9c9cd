"""Network: what GNINA's neural network says of a pose that may be handed out.

It was trained on many crystals and docked poses and knows of contacts what a sum of pair terms does not. It
takes a twentieth of a second for each pose, so only representatives of clusters are shown to it.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from templ.chemistry.elements import standard_name
from templ.chemistry.receptor import Atoms
from templ.scoring.score_term import PosesToScore, Term
from templ.scoring.vina import ligand_types, receptor_types

PACKAGE = "rustina"
"""Carries the network (``fast`` of GNINA 1.3) and runs it; there are wheels for Linux on x86-64."""
REACH = 18.0
"""Angstrom from the middle of a pose: the network looks at a box of 24 Angstrom."""
SUREST = 5.0
"""Log odds beyond which more says nothing more."""
STEP = 0.1
"""Log odds are rounded to this: the same pose in another orientation differs by more."""
HYDROGEN = np.array([0.58, 0.58, 0.58])
"""Angstrom from a donor to its hydrogen: it only says that this is one, for the network sees heavy atoms."""
AROMATIC = {
    "HIS": {"CG", "CD2", "CE1"},
    "PHE": {"CG", "CD1", "CD2", "CE1", "CE2", "CZ"},
    "TRP": {"CG", "CD1", "CD2", "CE2", "CE3", "CZ2", "CZ3", "CH2"},
    "TYR": {"CG", "CD1", "CD2", "CE1", "CE2", "CZ"},
}
"""Carbons of side chains."""
TYPES = {
    7: "N", 8: "OA", 9: "F", 11: "Na", 12: "Mg", 15: "P", 16: "SA", 17: "Cl", 19: "K", 20: "Ca", 25: "Mn",
    26: "Fe", 27: "Co", 28: "Ni", 29: "Cu", 30: "Zn", 34: "S", 35: "Br", 53: "I",
}  # fmt: skip
"""AutoDock's types by atomic number; others are taken for carbon."""


def has_network() -> bool:
    """Whether the package that carries the network is installed."""
    return find_spec(PACKAGE) is not None


def network(poses: PosesToScore) -> NDArray[np.float64]:
    """Log odds that each pose is right, shape (poses,); 0 without a receptor or the network."""
    atoms = poses.pocket.atoms
    if atoms is None or not has_network():
        return np.zeros(len(poses.xyz))
    from rustina import score_cnn

    # In the pocket's axes: how the crystal lies in its file does not matter.
    inward = poses.pocket.axes.inward
    inside = inward(poses.xyz)
    receptor = _receptor_pdbqt(atoms, inward(atoms.xyz), inside.mean(axis=1))
    if not receptor:
        return np.full(len(poses.xyz), -SUREST)
    mol = poses.query.mol
    elements = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    types = ligand_types(mol)
    kinds = _kinds(elements, [atom.GetIsAromatic() for atom in mol.GetAtoms()], types.acceptor.tolist())
    donors = types.donor & np.isin(elements, (7, 8))
    found = []
    for pose in inside:
        ligand = f"ROOT\n{_pdbqt(pose, kinds, donors)}ENDROOT\nTORSDOF 0\n"
        found.append(score_cnn(receptor, ligand)["cnn_score"])
    likely = np.clip(found, 1e-6, 1 - 1e-6)
    odds = np.clip(np.log(likely / (1 - likely)), -SUREST, SUREST)
    return np.asarray(np.round(odds / STEP) * STEP)


def _receptor_pdbqt(atoms: Atoms, xyz: NDArray[np.float64], middles: NDArray[np.float64]) -> str:
    """PDBQT of the atoms, at `xyz`, around the middles of the poses, shape (poses, 3)."""
    near = np.zeros(len(atoms), np.bool_)
    for middle in middles:
        near |= ((xyz - middle) ** 2).sum(axis=1) < REACH**2
    around = atoms.only(near)
    types = receptor_types(around)
    names = zip(map(standard_name, around.residue_names.tolist()), around.names.tolist(), strict=True)
    aromatic = [name in AROMATIC.get(residue, ()) for residue, name in names]
    kinds = _kinds(around.elements.tolist(), aromatic, types.acceptor.tolist())
    return _pdbqt(xyz[near], kinds, types.donor & np.isin(around.elements, (7, 8)))


def _kinds(elements: list[int], aromatic: list[bool], acceptor: list[bool]) -> list[str]:
    """AutoDock's type of each atom."""
    kinds = []
    for element, flat, accepts in zip(elements, aromatic, acceptor, strict=True):
        kind = TYPES.get(element, "C")
        kinds.append("A" if kind == "C" and flat else "NA" if kind == "N" and accepts else kind)
    return kinds


def _pdbqt(xyz: NDArray[np.float64], kinds: list[str], donors: NDArray[np.bool_]) -> str:
    """Lines of a PDBQT file: the atoms, each donor with a hydrogen after it."""
    rows = []
    for position, kind, donates in zip(xyz, kinds, donors.tolist(), strict=True):
        rows.append((position, kind))
        if donates:
            rows.append((position + HYDROGEN, "HD"))
    return "".join(
        f"ATOM  {number % 100_000:5d} {kind:<4} UNL A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00    "
        f"+0.000 {kind:<2}\n"
        for number, ((x, y, z), kind) in enumerate(rows, 1)
    )


TERM = Term(
    "network",
    unit="log odds",
    better="more",
    function=network,
    source="A. McNutt et al., J. Cheminform. 13 (2021) 43",
    selected=True,
)
