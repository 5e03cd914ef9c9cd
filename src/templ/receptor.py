"""The receptor of a complex: chains as sequence and C-alpha atoms, and the atoms around a ligand.

gemmi reads the files (M. Wojdyr, J. Open Source Softw. 7 (2022) 4200): 1 to 3 ms a structure, where other
readers take 50 to 250 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import gemmi
import numpy as np

from templ.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STRUCTURE_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif")

CHAIN_REACH = 10.0
"""Angstrom from the ligand to a C-alpha atom or any atom of a chain that counts as near it."""
ATOM_REACH = 10.0
"""Angstrom from the ligand within which atoms are kept."""
POCKET_REACH = 6.0
"""Angstrom from the ligand to the nearest atom of a residue that belongs to the pocket."""
CONTACT_REACH = 6.0
"""Angstrom: a ligand farther than this from every atom of the protein is not bound to it."""
SAME_PLACE = 1.2
"""Angstrom: a small molecule of the structure this near to a ligand's atom is the ligand itself."""

PROTONATED = {
    "HID": "H", "HIE": "H", "HIP": "H", "HSD": "H", "HSE": "H", "HSP": "H", "CYX": "C", "CYM": "C",
    "ASH": "D", "GLH": "E", "LYN": "K",
}  # fmt: skip
"""Residue names that force fields give to protonation states, which no structure dictionary knows."""
ADDITIVES = frozenset({
    "ACT", "ACY", "BME", "BR", "CIT", "CL", "DMS", "EDO", "EOH", "EPE", "FMT", "GOL", "IOD", "IPA", "K",
    "MES", "MLI", "MPD", "NA", "NO3", "P6G", "PEG", "PG4", "PGE", "1PE", "PO4", "SCN", "SO4", "TLA", "TRS",
    "UNL", "UNX",
})  # fmt: skip
"""Of the crystallisation liquid: another crystal of the same protein has others, or none."""


@dataclass(frozen=True, slots=True, eq=False)
class Residues:
    """The residues of one or several chains, one after the other.

    Attributes
    ----------
    chains : tuple of str
        Names.
    ends : array, shape (chains,), int32
        Where each chain ends: the first is ``[0:ends[0]]``.
    sequence : str
        One letter a residue; a modified residue as what it was made from, X when unknown.
    numbers : array, shape (residues,), int32
        As the file counts them.
    insertions : str
        Insertion code of each residue, or a blank.
    ca : array, shape (residues, 3), float32
        C-alpha atoms, Angstrom.
    """

    chains: tuple[str, ...]
    ends: NDArray[np.int32]
    sequence: str
    numbers: NDArray[np.int32]
    insertions: str
    ca: NDArray[np.float32]

    def __len__(self) -> int:
        """Residues."""
        return len(self.sequence)

    def slices(self) -> list[slice]:
        """Where each chain lies."""
        ends = self.ends.tolist()
        return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def main_chain(self, pocket: NDArray[np.int32]) -> slice:
        """Where the chain with most residues of the pocket lies."""
        return max(self.slices(), key=lambda part: int(((pocket >= part.start) & (pocket < part.stop)).sum()))


@dataclass(frozen=True, slots=True, eq=False)
class Atoms:
    """Heavy atoms of a receptor without water.

    Attributes
    ----------
    xyz : array, shape (atoms, 3), float32
        Angstrom.
    elements : array, shape (atoms,), uint8
        Atomic numbers.
    residues : array, shape (atoms,), int32
        Index of the residue in `Residues`; -1 for what is in no chain: metals, cofactors, nucleic acids.
    names, residue_names : array, shape (atoms,), str
        As the file names them.
    b_factors : array, shape (atoms,), float32
        Angstrom^2.
    """

    xyz: NDArray[np.float32]
    elements: NDArray[np.uint8]
    residues: NDArray[np.int32]
    names: NDArray[np.str_]
    residue_names: NDArray[np.str_]
    b_factors: NDArray[np.float32]

    def __len__(self) -> int:
        """Atoms."""
        return len(self.xyz)

    def only(self, chosen: NDArray[np.bool_]) -> Atoms:
        """Those atoms for which `chosen`, shape (atoms,), is true."""
        return Atoms(
            self.xyz[chosen],
            self.elements[chosen],
            self.residues[chosen],
            self.names[chosen],
            self.residue_names[chosen],
            self.b_factors[chosen],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Receptor:
    """A receptor, whole or cut to what surrounds a ligand.

    Attributes
    ----------
    residues : Residues
        Chains.
    atoms : Atoms
        Heavy atoms.
    pocket : array, shape (pocket residues,), int32
        Residues around the ligand, by index, ascending; empty when no ligand is known.
    """

    residues: Residues
    atoms: Atoms
    pocket: NDArray[np.int32]


def read_receptor(path: Path) -> Receptor:
    """Read a receptor from PDB or mmCIF, gzipped or not: its first model, without hydrogens and water.

    Of alternate locations the first is taken. Molecules of the crystallisation liquid are left out.

    Raises
    ------
    InputError
        When the file is missing, is no structure, or has no heavy atom.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such receptor file; expected a PDB or mmCIF file")
    try:
        structure = gemmi.read_structure(str(path))
    except (RuntimeError, ValueError, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is not a receptor that can be read ({error}); expected PDB or mmCIF"
        ) from None
    if len(structure) == 0:
        raise InputError(f"{path} holds no atoms; expected a PDB or mmCIF file of a receptor")
    structure.remove_alternative_conformations()
    structure.remove_hydrogens()
    structure.remove_waters()
    receptor = _from_model(structure[0])
    if not len(receptor.atoms):
        raise InputError(f"{path} holds no heavy atoms besides water; expected a receptor")
    return receptor


def check_protein(receptor: Receptor, what: str) -> None:
    """Refuse a receptor without a chain that could be superposed.

    Raises
    ------
    InputError
        When no residue has a C-alpha atom.
    """
    if not len(receptor.residues):
        raise InputError(
            f"no protein in {what}: none of its {len(receptor.atoms)} heavy atoms is an amino acid's C-alpha"
        )


def around(receptor: Receptor, ligand: NDArray[np.float64]) -> Receptor:
    """Cut a receptor to the chains and atoms near a ligand, and list the residues of its pocket.

    Parameters
    ----------
    ligand : array, shape (ligand atoms, 3)
        Heavy atoms of the ligand in the receptor's frame, Angstrom.

    Raises
    ------
    InputError
        When the ligand is far from the protein.
    """
    atoms, residues = receptor.atoms, receptor.residues
    distance = _nearest(atoms.xyz, ligand.astype(np.float32))
    protein = atoms.residues >= 0
    if distance[protein].min() > CONTACT_REACH:
        raise InputError(f"ligand far from the protein: no atom of it within {CONTACT_REACH:g} A")
    of_residue = np.full(len(residues), np.inf, np.float32)
    np.minimum.at(of_residue, atoms.residues[protein], distance[protein])
    kept_chains = [
        (chain, part)
        for chain, part in zip(residues.chains, residues.slices(), strict=True)
        if of_residue[part].min() <= CHAIN_REACH
    ]
    rows = np.concatenate([np.arange(part.start, part.stop) for _, part in kept_chains])
    place = np.full(len(residues) + 1, -1, np.int32)  # the last for atoms in no chain
    place[rows] = np.arange(len(rows))
    cut = Residues(
        tuple(chain for chain, _ in kept_chains),
        np.cumsum([part.stop - part.start for _, part in kept_chains], dtype=np.int32),
        "".join(residues.sequence[part] for _, part in kept_chains),
        residues.numbers[rows],
        "".join(residues.insertions[part] for _, part in kept_chains),
        residues.ca[rows],
    )
    near = atoms.only((distance <= ATOM_REACH) & ~_of_the_ligand(atoms, distance))
    near.residues[:] = place[near.residues]
    return Receptor(cut, near, np.flatnonzero(of_residue[rows] <= POCKET_REACH).astype(np.int32))


def _from_model(model: gemmi.Model) -> Receptor:
    chains: list[str] = []
    letters: list[str] = []
    ends, numbers, insertions, ca = [], [], [], []
    atoms: list[tuple[list[float], int, int, str, str, float]] = []
    for chain in model:
        before = len(letters)
        for residue in chain:
            if residue.name in ADDITIVES:
                continue
            alpha = residue.find_atom("CA", "*", gemmi.Element("C"))
            index = -1
            if alpha is not None and _is_amino_acid(residue):
                index = len(letters)
                letters.append(_letter(residue.name))
                numbers.append(residue.seqid.num)
                insertions.append(residue.seqid.icode)
                ca.append(alpha.pos.tolist())
            atoms.extend(
                (atom.pos.tolist(), atom.element.atomic_number, index, atom.name, residue.name, atom.b_iso)
                for atom in residue
            )
        if len(letters) > before:
            chains.append(chain.name)
            ends.append(len(letters))
    xyz, elements, index_of, names, residue_names, b_factors = zip(*atoms, strict=True) if atoms else [()] * 6
    return Receptor(
        Residues(
            tuple(chains),
            np.array(ends, np.int32),
            "".join(letters),
            np.array(numbers, np.int32),
            "".join(insertions),
            np.array(ca, np.float32).reshape(-1, 3),
        ),
        Atoms(
            np.array(xyz, np.float32).reshape(-1, 3),
            np.array(elements, np.uint8),
            np.array(index_of, np.int32),
            np.array(names, np.str_),
            np.array(residue_names, np.str_),
            np.array(b_factors, np.float32),
        ),
        np.empty(0, np.int32),
    )


def _is_amino_acid(residue: gemmi.Residue) -> bool:
    """Tell amino acids, modified ones included; what no dictionary knows is one if it has a backbone."""
    if residue.name in PROTONATED or gemmi.find_tabulated_residue(residue.name).is_amino_acid():
        return True
    return all(residue.find_atom(name, "*") is not None for name in ("N", "C"))


def _letter(name: str) -> str:
    letter = PROTONATED.get(name) or gemmi.find_tabulated_residue(name).one_letter_code.upper()
    return letter if letter.isalpha() else "X"


def _of_the_ligand(atoms: Atoms, distance: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Atoms of small molecules that lie in the ligand's own place, shape (atoms,)."""
    free = atoms.residues < 0
    names = set(atoms.residue_names[free & (distance < SAME_PLACE)].tolist())
    return free & np.isin(atoms.residue_names, list(names)) & (distance <= ATOM_REACH)


def _nearest(atoms: NDArray[np.float32], ligand: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of each atom to the nearest ligand atom, shape (atoms,); infinite beyond `ATOM_REACH`."""
    distance = np.full(len(atoms), np.inf, np.float32)
    low, high = ligand.min(axis=0) - ATOM_REACH, ligand.max(axis=0) + ATOM_REACH
    near = np.flatnonzero(((atoms >= low) & (atoms <= high)).all(axis=1))
    gaps = atoms[near][:, None, :] - ligand[None, :, :]
    distance[near] = np.sqrt((gaps**2).sum(axis=-1).min(axis=1))
    return distance
