"""The receptor of a complex: chains as sequence and C-alpha atoms, and the atoms around a ligand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import gemmi
import numpy as np
from numpy.typing import NDArray

from templ.chemistry.geometry import nearest_squared_distances
from templ.errors import InputError

METALS = tuple(number for number in range(1, 119) if gemmi.Element(number).is_metal)
"""Atomic numbers."""
CHAIN_REACH = 10.0
"""Angstrom from the ligand to a C-alpha atom or any atom of a chain that counts as near it."""
ATOM_REACH = 10.0
"""Angstrom from the ligand within which metals, cofactors and other atoms of no chain are kept."""
POCKET_REACH = 6.0
"""Angstrom from the ligand to the nearest atom of a residue that belongs to the pocket."""
CONTACT_REACH = 6.0
"""Angstrom: a ligand farther than this from every atom of the protein is not bound to it."""
AT_POSE = 4.5
"""Angstrom from a pose to the nearest atom of a residue that its pocket is named by."""
IN_CONTACT = 5.0
"""Angstrom from an atom of the receptor within which an atom of a ligand is in contact with it."""
LEAST_IN_CONTACT = 0.5
"""Share of a ligand's heavy atoms; of 323 crystal ligands each has at least 0.73 (brd4-c4200424 0.76)."""
MAIN_CHAIN = ("N", "CA", "C", "O", "OXT")
"""Atoms of a residue that are not its side chain."""
ON_LIGAND = 1.2
"""Angstrom: a small molecule of the structure this near to a ligand's atom is the ligand itself."""
LONGEST_BOND = 2.2
"""Angstrom: atoms of one small molecule this near are bonded (carbon and iodine 2.1, two sulphurs 2.05)."""


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
        return chain_slices(self.ends)

    def sequences(self) -> tuple[str, ...]:
        """Sequence of each chain."""
        return tuple(self.sequence[part] for part in self.slices())

    def chain_of_each(self) -> list[str]:
        """Name of the chain of each residue."""
        parts = zip(self.chains, self.slices(), strict=True)
        return [name for name, part in parts for _ in range(part.stop - part.start)]

    def label(self, index: int, name: str) -> str:
        """What a residue is called, such as ``A:HIS41``, by its index and its three letters."""
        chain = self.chains[int(np.searchsorted(self.ends, index, side="right"))]
        return f"{chain}:{name}{self.numbers[index]}{self.insertions[index].strip()}"

    def main_chain(self, pocket: NDArray[np.int32]) -> slice:
        """Where the chain with most residues of the pocket lies."""
        return main_chain(self.ends, pocket)


def chain_slices(ends: NDArray[np.int32]) -> list[slice]:
    """Where each chain lies, by where each ends."""
    stops = ends.tolist()
    return [slice(start, stop) for start, stop in pairwise([0, *stops])]


def main_chain(ends: NDArray[np.int32], pocket: NDArray[np.int32]) -> slice:
    """Where the chain with most residues of the pocket lies, by where each chain ends."""

    def of_pocket(part: slice) -> int:
        return int(((pocket >= part.start) & (pocket < part.stop)).sum())

    return max(chain_slices(ends), key=of_pocket)


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
    left_out : tuple of str
        What the structure file has and the receptor has not, a few words each: ``212 waters``.
    """

    residues: Residues
    atoms: Atoms
    pocket: NDArray[np.int32]
    embedding: NDArray[np.float32] | None = None
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        told = describe(self)
        parts = (f"{name} {told[name]}" for name in ("chains", "metals", "cofactors") if told[name] != "none")
        return f"<Receptor: {'; '.join(parts)}; {len(self.atoms):,} heavy atoms>"


def describe(receptor: Receptor) -> dict[str, str]:
    """Say what a receptor has and what it has not, as words for a person."""
    residues, atoms = receptor.residues, receptor.atoms
    chains = [
        f"{name or '(no name)'} ({part.stop - part.start} residues)"
        for name, part in zip(residues.chains, residues.slices(), strict=True)
    ]
    free = atoms.only(atoms.residues < 0)
    metals = Counter(free.residue_names[np.isin(free.elements, METALS)].tolist())
    others = Counter(free.residue_names[~np.isin(free.elements, METALS)].tolist())
    return {
        "chains": ", ".join(chains) or "none",
        "metals": ", ".join(f"{count} {name}" for name, count in sorted(metals.items())) or "none",
        "cofactors": ", ".join(f"{name} ({count} atoms)" for name, count in sorted(others.items())) or "none",
        "left out": "; ".join(receptor.left_out) or "nothing",
    }


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


def in_contact(poses: NDArray[np.float64], atoms: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which poses have at least half of their atoms in contact with a receptor.

    Parameters
    ----------
    poses : array, shape (poses, ligand atoms, 3)
        Heavy atoms, Angstrom.
    atoms : array, shape (receptor atoms, 3)
        Of the receptor, in the same frame.

    Returns
    -------
    array, shape (poses,)
    """
    low, high = poses.min(axis=(0, 1)) - IN_CONTACT, poses.max(axis=(0, 1)) + IN_CONTACT
    near = atoms[((atoms >= low) & (atoms <= high)).all(axis=1)]
    if not len(near):
        return np.zeros(len(poses), np.bool_)
    middle = near.mean(axis=0)
    fixed = (near - middle).astype(np.float32)
    shares = np.array(
        [
            (nearest_squared_distances((pose - middle).astype(np.float32), fixed) <= IN_CONTACT**2).mean()
            for pose in poses
        ]
    )
    found: NDArray[np.bool_] = shares >= LEAST_IN_CONTACT
    return found


def residues_near(receptor: Receptor, xyz: NDArray[np.floating], reach: float = AT_POSE) -> tuple[str, ...]:
    """Names of the residues near points, such as ``A:HIS41``, in the order of the chains.

    Parameters
    ----------
    xyz : array, shape (points, 3)
        Angstrom.
    reach : float
        Angstrom from a point to the nearest heavy atom of a residue.
    """
    return residues_with(receptor, _nearest(receptor.atoms.xyz, np.asarray(xyz, np.float32)) <= reach)


def residues_with(receptor: Receptor, chosen: NDArray[np.bool_]) -> tuple[str, ...]:
    """Names of the residues that have any of the atoms for which `chosen`, shape (atoms,), is true."""
    atoms, residues = receptor.atoms, receptor.residues
    chosen = chosen & (atoms.residues >= 0)
    found = dict(zip(atoms.residues[chosen].tolist(), atoms.residue_names[chosen].tolist(), strict=True))
    return tuple(residues.label(index, found[index]) for index in sorted(found))


def without_side_chain(receptor: Receptor, label: str) -> Receptor:
    """Leave out the side chain of one residue, such as ``A:CYS145``: what is bonded to it does not clash."""
    kept = ~_has_residue(receptor, label) | np.isin(receptor.atoms.names, MAIN_CHAIN)
    return replace(receptor, atoms=receptor.atoms.only(kept))


def _has_residue(receptor: Receptor, label: str) -> NDArray[np.bool_]:
    """Which atoms are of one residue, such as ``A:CYS145``."""
    atoms, residues = receptor.atoms, receptor.residues
    names = dict(zip(atoms.residues.tolist(), atoms.residue_names.tolist(), strict=True))
    found = [index for index, name in names.items() if index >= 0 and residues.label(index, name) == label]
    return np.isin(atoms.residues, found)


def around(receptor: Receptor, ligand: NDArray[np.float64]) -> Receptor:
    """Cut a receptor to the chains near a ligand and what is around it, and list the residues of its pocket.

    Chains stay whole: a pose anywhere on them, in another site or the second copy of a pocket, then has the
    receptor there too.

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
    whole = np.isin(atoms.residues, rows)
    reached = ((distance <= ATOM_REACH) | whole) & ~itself
    near = atoms.only(reached)
    near.residues[:] = new_index[near.residues]
    left_out = (*receptor.left_out, *_left_out(atoms, residues, kept, itself, reached))
    pocket = np.flatnonzero(of_residue[rows] <= POCKET_REACH).astype(np.int32)
    return Receptor(cut, near, pocket, left_out=left_out)


def _of_the_ligand(atoms: Atoms, distance: NDArray[np.float32], residues: int) -> NDArray[np.bool_]:
    """Atoms of molecules that lie where the ligand does, shape (atoms,).

    Small molecules with all that is bonded to the atoms that lie there, so that those placed otherwise go
    too, and a cofactor of the same name stays; residues (the ligand is an amino acid or a peptide) when all
    of their atoms are there.
    """
    free = atoms.residues < 0
    there = free & (distance < ON_LIGAND)
    farthest = np.zeros(residues + 1, np.float32)  # the last for atoms in no chain
    np.maximum.at(farthest, atoms.residues[~free], distance[~free])
    named = free & (distance <= ATOM_REACH) & np.isin(atoms.residue_names, atoms.residue_names[there])
    near = np.flatnonzero(named)
    bonded = np.linalg.norm(atoms.xyz[near, None] - atoms.xyz[None, near], axis=-1) < LONGEST_BOND
    molecule = there[near]
    while (grown := bonded[molecule].any(axis=0)).sum() > molecule.sum():
        molecule = grown
    whole = np.zeros(len(atoms), np.bool_)
    whole[near[molecule]] = True
    return np.where(free, whole, farthest[atoms.residues] < ON_LIGAND)


def _left_out(
    atoms: Atoms, residues: Residues, kept: Iterable[int], itself: NDArray[np.bool_], near: NDArray[np.bool_]
) -> Iterator[str]:
    """Say what of a structure is not around the ligand."""
    lost = [name for chain, name in enumerate(residues.chains) if chain not in set(kept)]
    free = atoms.residues < 0
    if itself.any():
        yield f"the ligand itself ({', '.join(sorted(set(atoms.residue_names[itself].tolist())))})"
    if lost:
        yield f"chains far from the ligand: {', '.join(name or 'without a name' for name in lost)}"
    if far := sorted(set(atoms.residue_names[free & ~near & ~itself].tolist())):
        yield f"beyond {ATOM_REACH:g} A from the ligand: {', '.join(far)}"


def _nearest(atoms: NDArray[np.float32], ligand: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance of each atom to the nearest ligand atom, shape (atoms,); infinite beyond `ATOM_REACH`."""
    distance = np.full(len(atoms), np.inf, np.float32)
    low, high = ligand.min(axis=0) - ATOM_REACH, ligand.max(axis=0) + ATOM_REACH
    near = np.flatnonzero(((atoms >= low) & (atoms <= high)).all(axis=1))
    gaps = atoms[near][:, None, :] - ligand[None, :, :]
    distance[near] = np.sqrt((gaps**2).sum(axis=-1).min(axis=1))
    return distance
