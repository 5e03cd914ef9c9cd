"""The receptor of a complex: chains as sequence and C-alpha atoms, and the atoms around a ligand.

gemmi reads the files (M. Wojdyr, J. Open Source Softw. 7 (2022) 4200): 1 to 3 ms a structure, where other
readers take 50 to 250 ms.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from templ.disk import path_text
from templ.errors import InputError

STRUCTURE_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif")

CHAIN_REACH = 10.0
"""Angstrom from the ligand to a C-alpha atom or any atom of a chain that counts as near it."""
ATOM_REACH = 10.0
"""Angstrom from the ligand within which atoms are kept."""
POCKET_REACH = 6.0
"""Angstrom from the ligand to the nearest atom of a residue that belongs to the pocket."""
CONTACT_REACH = 6.0
"""Angstrom: a ligand farther than this from every atom of the protein is not bound to it."""
LARGEST_COORDINATE = 1e6
"""Angstrom; beyond this (or not a number) a coordinate is damage."""
ON_LIGAND = 1.2
"""Angstrom: a small molecule of the structure this near to a ligand's atom is the ligand itself."""

SAME_AS = {
    "HID": "HIS", "HIE": "HIS", "HIP": "HIS", "HSD": "HIS", "HSE": "HIS", "HSP": "HIS", "CYX": "CYS",
    "CYM": "CYS", "ASH": "ASP", "GLH": "GLU", "LYN": "LYS", "MSE": "MET",
}  # fmt: skip
"""Residue names that force fields give to protonation states, which no structure dictionary knows; and
selenomethionine."""
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
        return Atoms(*(getattr(self, name)[chosen] for name in self.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class Receptor:
    """A receptor, whole or cut to what surrounds a ligand.

    Attributes
    ----------
    pocket : array, shape (pocket residues,), int32
        Residues around the ligand, by index, ascending; empty when no ligand is known.
    embedding : array, shape (dimensions,), or None
        Of its sequence, by the model that made those of a library, where templates are found by it.
    """

    residues: Residues
    atoms: Atoms
    pocket: NDArray[np.int32]
    embedding: NDArray[np.float32] | None = None


def read_receptor(path: str | Path) -> Receptor:
    """Read a receptor from PDB or mmCIF, gzipped or not: its first model, without hydrogens and water.

    Of alternate locations the first is taken. Molecules of the crystallisation liquid are left out.

    Raises
    ------
    InputError
        When the file is missing, is no structure, or has no heavy atom.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such receptor file; expected a PDB or mmCIF file")
    try:
        if path.suffix == ".gz":
            _check_gzip(path)
        structure = gemmi.read_structure(path_text(path))
        structure.remove_alternative_conformations()
        structure.remove_hydrogens()
        structure.remove_waters()
        receptor = _from_model(structure[0]) if len(structure) else None
    except (RuntimeError, ValueError, OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{path} is not a receptor that can be read ({error}); expected PDB or mmCIF"
        ) from None
    if receptor is None:
        raise InputError(f"{path} holds no atoms; expected a PDB or mmCIF file of a receptor")
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
    itself = _of_the_ligand(atoms, distance, len(residues))
    protein = (atoms.residues >= 0) & ~itself
    if not (distance[protein] <= CONTACT_REACH).any():
        raise InputError(f"ligand far from the protein: no atom of it within {CONTACT_REACH:g} A")
    of_residue = np.full(len(residues), np.inf, np.float32)
    np.minimum.at(of_residue, atoms.residues[protein], distance[protein])
    kept = {
        chain: np.setdiff1d(np.arange(part.start, part.stop), atoms.residues[itself])
        for chain, part in enumerate(residues.slices())
        if of_residue[part].min() <= CHAIN_REACH
    }
    rows = np.concatenate(list(kept.values()))
    new_index = np.full(len(residues) + 1, -1, np.int32)  # the last for atoms in no chain
    new_index[rows] = np.arange(len(rows))
    cut = Residues(
        tuple(residues.chains[chain] for chain in kept),
        np.cumsum([len(part) for part in kept.values()], dtype=np.int32),
        "".join(residues.sequence[row] for row in rows),
        residues.numbers[rows],
        "".join(residues.insertions[row] for row in rows),
        residues.ca[rows],
    )
    near = atoms.only((distance <= ATOM_REACH) & ~itself)
    near.residues[:] = new_index[near.residues]
    return Receptor(cut, near, np.flatnonzero(of_residue[rows] <= POCKET_REACH).astype(np.int32))


def _check_gzip(path: Path) -> None:
    """Read to the end: gemmi takes what there is of a file that was cut.

    Raises
    ------
    OSError, EOFError, zlib.error
        When the file is damaged.
    """
    with gzip.open(path) as stream:
        while stream.read(1 << 20):
            pass


def _from_model(model: gemmi.Model) -> Receptor:
    """Take what is wanted of a model; names that are no text and damaged coordinates raise ValueError."""
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
    coordinates = np.array(xyz, np.float64).reshape(-1, 3)
    if not (np.abs(coordinates) < LARGEST_COORDINATE).all():
        raise ValueError("a coordinate is no number or beyond any structure")
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
            coordinates.astype(np.float32),
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
    if gemmi.find_tabulated_residue(SAME_AS.get(residue.name, residue.name)).is_amino_acid():
        return True
    return all(residue.find_atom(name, "*") is not None for name in ("N", "C"))


def _letter(name: str) -> str:
    letter = gemmi.find_tabulated_residue(SAME_AS.get(name, name)).one_letter_code.upper()
    return letter if letter.isalpha() else "X"


def _of_the_ligand(atoms: Atoms, distance: NDArray[np.float32], residues: int) -> NDArray[np.bool_]:
    """Atoms of molecules that lie where the ligand does, shape (atoms,).

    Small molecules by their name, so that atoms placed otherwise go too; residues (the ligand is an amino
    acid or a peptide) when all of their atoms are there.
    """
    free = atoms.residues < 0
    names = set(atoms.residue_names[free & (distance < ON_LIGAND)].tolist())
    farthest = np.zeros(residues + 1, np.float32)  # the last for atoms in no chain
    np.maximum.at(farthest, atoms.residues[~free], distance[~free])
    named = np.isin(atoms.residue_names, list(names)) & (distance <= ATOM_REACH)
    return np.where(free, named, farthest[atoms.residues] < ON_LIGAND)


def _nearest(atoms: NDArray[np.float32], ligand: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of each atom to the nearest ligand atom, shape (atoms,); infinite beyond `ATOM_REACH`."""
    distance = np.full(len(atoms), np.inf, np.float32)
    low, high = ligand.min(axis=0) - ATOM_REACH, ligand.max(axis=0) + ATOM_REACH
    near = np.flatnonzero(((atoms >= low) & (atoms <= high)).all(axis=1))
    gaps = atoms[near][:, None, :] - ligand[None, :, :]
    distance[near] = np.sqrt((gaps**2).sum(axis=-1).min(axis=1))
    return distance
