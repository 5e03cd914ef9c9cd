"""Small helpers over RDKit molecules that every part needs: parse with a reason, strip, compare.

RDKit reports why it refused a molecule only through its log; these functions turn that into an exception.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from templ.errors import InputError

FLAT_TOLERANCE = 1e-4
"""A conformer thinner than this (Angstrom) in z, or in every direction, is a drawing and no structure."""


@contextmanager
def quiet_rdkit() -> Iterator[None]:
    """Keep RDKit's log off the user's terminal while the block runs."""
    block = rdBase.BlockLogs()
    try:
        yield
    finally:
        del block


def parse_smiles(smiles: str) -> Chem.Mol:
    """Read a SMILES.

    Raises
    ------
    InputError
        When it is empty or RDKit refuses it; what is wrong with its chemistry is said in RDKit's words.

    Examples
    --------
    >>> parse_smiles("c1ccccc1O").GetNumAtoms()
    7
    >>> parse_smiles("C1CC")
    Traceback (most recent call last):
    ...
    templ.errors.InputError: 'C1CC' is not a SMILES that can be read (a name or code is not looked up)
    """
    shown = smiles if len(smiles) <= 80 else smiles[:77] + "..."
    with quiet_rdkit():
        mol = Chem.MolFromSmiles(smiles, sanitize=False) if smiles.strip() else None
        if mol is None or mol.GetNumAtoms() == 0:
            raise InputError(f"'{shown}' is not a SMILES that can be read (a name or code is not looked up)")
        sanitise(mol, f"'{shown}'")
        Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
        return mol


def to_smiles(mol: Chem.Mol) -> str:
    """SMILES of a molecule that somebody else made, hydrogens left out.

    Raises
    ------
    InputError
        When it has no atoms, or its chemistry does not add up.
    """
    if mol.GetNumAtoms() == 0:
        raise InputError("the molecule has no atoms")
    copy = Chem.Mol(mol)
    with quiet_rdkit():
        sanitise(copy, "the molecule")
    return str(Chem.MolToSmiles(heavy(copy)))


def sanitise(mol: Chem.Mol, what: str) -> None:
    """Sanitise in place.

    Raises
    ------
    InputError
        With RDKit's reason (valence, kekulisation), prefixed by `what`.
    """
    try:
        Chem.SanitizeMol(mol)
    except (Chem.MolSanitizeException, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{what} is not a valid molecule ({reason})") from None


def has_3d(mol: Chem.Mol) -> bool:
    """Tell whether the molecule carries one real 3D conformer: finite, neither flat in z nor one point.

    A single atom or a diatomic counts as 3D as soon as it is off the origin.
    """
    if mol.GetNumConformers() == 0:
        return False
    xyz = mol.GetConformer().GetPositions()
    if not np.isfinite(xyz).all():
        return False
    if len(xyz) <= 2:
        return bool(np.abs(xyz).max() > FLAT_TOLERANCE)
    extent = np.ptp(xyz, axis=0)
    return bool(np.abs(xyz[:, 2]).max() > FLAT_TOLERANCE and extent.max() > FLAT_TOLERANCE)


def largest_fragment(mol: Chem.Mol) -> tuple[Chem.Mol, str]:
    """Keep the fragment with most heavy atoms (then most atoms, then first); say what was dropped.

    Returns
    -------
    mol : rdkit.Chem.Mol
        The fragment, with its coordinates; the same object when there was only one.
    note : str
        Empty, or a sentence naming the SMILES of what was left out.
    """
    if len(Chem.GetMolFrags(mol)) == 1:
        return mol, ""
    fragments = Chem.GetMolFrags(mol, asMols=True, sanitizeFrags=True)
    largest, *others = sorted(fragments, key=lambda part: (-part.GetNumHeavyAtoms(), -part.GetNumAtoms()))
    dropped = ".".join(Chem.MolToSmiles(Chem.RemoveHs(part)) for part in others)
    return largest, f"largest fragment kept, left out: {dropped}"


def heavy(mol: Chem.Mol) -> Chem.Mol:
    """Return a copy without hydrogens (those that carry meaning, as in [H][H], stay), coordinates kept."""
    with quiet_rdkit():
        return Chem.RemoveHs(mol)


def positions(mol: Chem.Mol) -> NDArray[np.float64]:
    """Coordinates of the only conformer, shape (atoms, 3), Angstrom."""
    return np.asarray(mol.GetConformer().GetPositions())


def with_coordinates(mol: Chem.Mol, xyz: NDArray[np.float64]) -> Chem.Mol:
    """Copy of a molecule with one conformer, coordinates of shape (atoms, 3) in Angstrom."""
    copy = Chem.Mol(mol)
    copy.RemoveAllConformers()
    conformer = Chem.Conformer(mol.GetNumAtoms())
    conformer.Set3D(True)
    conformer.SetPositions(np.ascontiguousarray(xyz, np.float64))
    copy.AddConformer(conformer)
    return copy


def skeleton(mol: Chem.Mol) -> Chem.Mol:
    """Copy that keeps elements and connectivity only, so that protonation and tautomers do not matter."""
    skeleton = Chem.RWMol(mol)
    for atom in skeleton.GetAtoms():
        skeleton.ReplaceAtom(atom.GetIdx(), Chem.Atom(atom.GetAtomicNum()))
    for bond in skeleton.GetBonds():
        bond.SetBondType(Chem.BondType.SINGLE)
    return skeleton


def bond_kinds(mol: Chem.Mol) -> Counter[tuple[object, ...]]:
    """How many bonds there are of each kind: by order, ends (element, aromatic or not), in a ring or not."""
    ends = [(atom.GetAtomicNum(), atom.GetIsAromatic()) for atom in mol.GetAtoms()]
    return Counter(
        (
            bond.GetBondType(),
            bond.IsInRing(),
            *sorted((ends[bond.GetBeginAtomIdx()], ends[bond.GetEndAtomIdx()])),
        )
        for bond in mol.GetBonds()
    )


def alike_bonds(mol: Chem.Mol) -> int:
    """Count the pairs of bonds outside rings that are alike in order and ends (element, degree, ring).

    Examples
    --------
    >>> [alike_bonds(Chem.MolFromSmiles(smiles)) for smiles in ("CC(=O)Nc1ccccc1", "CCCCCCCC", "OCCOCCOCCO")]
    [0, 11, 10]
    """
    ends = [
        (atom.GetAtomicNum(), atom.GetDegree(), atom.IsInRing(), atom.GetIsAromatic())
        for atom in mol.GetAtoms()
    ]
    kinds = Counter(
        (bond.GetBondType(), *sorted((ends[bond.GetBeginAtomIdx()], ends[bond.GetEndAtomIdx()])))
        for bond in mol.GetBonds()
        if not bond.IsInRing()
    )
    return sum(count * (count - 1) // 2 for count in kinds.values())


def ligand_key(mol: Chem.Mol) -> str:
    """First block of the InChIKey: equal for the same skeleton whatever its charge and stereochemistry.

    Falls back to the canonical SMILES without stereochemistry where InChI gives no key.
    """
    return first_block(inchikey(mol))


def first_block(key: str) -> str:
    """Part of an `inchikey` that stands for the skeleton alone.

    Examples
    --------
    >>> first_block("LFQSCWFLJHTTHZ-UHFFFAOYSA-N")
    'LFQSCWFLJHTTHZ'
    >>> first_block("SMILES:*CC[O-]")
    'SMILES:*CC[O-]'
    """
    return key if key.startswith("SMILES:") else key.split("-")[0]


def inchikey(mol: Chem.Mol) -> str:
    """InChIKey, or ``SMILES:<canonical SMILES>`` where InChI gives none (some metal complexes)."""
    with quiet_rdkit():
        key = Chem.MolToInchiKey(mol)
    return str(key) if key else "SMILES:" + Chem.MolToSmiles(mol, isomericSmiles=False)
