"""Writes poses with the receptor that they are in, as PDB and as mmCIF, for any viewer or program."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import gemmi
import numpy as np
from rdkit import Chem

from templ.chemistry.reactive_residue import turned_side_chain
from templ.chemistry.receptor import Receptor
from templ.disk import make_folder, replacing
from templ.errors import InputError
from templ.evaluation.run import Run
from templ.export.pdb import to_structure
from templ.export.run_export import file_name
from templ.poses.pose_file import read_bond
from templ.records import PoseBond
from templ.runs.run_libraries import find_receptors
from templ.templates.target_receptor import TargetReceptors

LIGAND = "LIG"
"""Residue name of the pose."""
SUFFIXES = (".pdb", ".cif")
_PDB = gemmi.PdbWriteOptions(minimal=True, link_records=True)
ANY_ALTERNATIVE = "\0"
"""How gemmi calls the only position of an atom."""
ORDERS = {"SINGLE": "SING", "DOUBLE": "DOUB", "TRIPLE": "TRIP"}
"""Bond orders, as mmCIF writes RDKit's."""


def write_complexes(run: Run, folder: str | Path, *, libraries: Sequence[Path] = ()) -> int:
    """Write the first pose of each molecule of a run with its receptor: ``ID.pdb`` and ``ID.cif``.

    Parameters
    ----------
    run : Run
    folder : str or Path
        Made if need be.
    libraries : sequence of Path
        Where the library of the run is, should it have been moved.

    Returns
    -------
    int
        Molecules written.

    Raises
    ------
    InputError
        When poses have no receptor.
    StorageError
        When the disk refuses.
    """
    folder, count = Path(folder), 0
    with ExitStack() as stack:
        templates = stack.enter_context(run.templates(libraries))
        targets = stack.enter_context(run.targets(libraries)) if run.manifest.identity.truth else None
        files = find_receptors(run.path, run.manifest, templates.path)
        receptors = TargetReceptors(templates, targets, files)
        for record in run:
            if record.address is None:
                continue
            receptor = receptors.of(record.id, record.receptor)
            if receptor is None:
                raise InputError(
                    f"{templates.path} has no receptor for {record.id!r}: there is no complex to write, only "
                    "the SDF of the poses"
                )
            make_folder(folder)
            pose = run.poses(record)[0]
            for suffix in SUFFIXES:
                with replacing(folder / f"{file_name(record.id)}{suffix}") as out:
                    out.write(complex_text(receptor, pose, suffix).encode())
            count += 1
    return count


def complex_text(receptor: Receptor, pose: Chem.Mol, suffix: str) -> str:
    """Write receptor and pose as the text of a file of one of `SUFFIXES`."""
    if (bond := read_bond(pose)) is not None:
        pose = without_capping_hydrogen(pose, bond)
    structure = complex_structure(receptor, pose)
    return _pdb(structure, pose) if suffix == ".pdb" else _mmcif(structure, pose)


def complex_structure(receptor: Receptor, pose: Chem.Mol) -> gemmi.Structure:
    """Receptor and pose as one structure, the pose as residue ``LIG`` of a chain of its own.

    Parameters
    ----------
    pose : rdkit.Chem.Mol
        With a conformer in the receptor's frame, Angstrom.
    """
    bond = read_bond(pose)
    if bond is not None:
        receptor = turned_side_chain(receptor, bond.residue, bond.position)
    structure = to_structure(receptor)
    names = {chain.name for chain in structure[0]}
    chain = gemmi.Chain(next(name for name in "LXYZWVUTSRQPONMKJIHGFEDCBA0123456789" if name not in names))
    residue = gemmi.Residue()
    residue.name, residue.seqid, residue.het_flag = LIGAND, gemmi.SeqId(1, " "), "H"
    xyz = pose.GetConformer().GetPositions()
    for name, atom, position in zip(atom_names(pose), pose.GetAtoms(), xyz, strict=True):
        new = gemmi.Atom()
        new.name, new.element = name, gemmi.Element(atom.GetAtomicNum())
        new.charge = atom.GetFormalCharge()
        new.pos = gemmi.Position(*map(float, position))
        residue.add_atom(new)
    chain.add_residue(residue)
    structure[0].add_chain(chain)
    structure.setup_entities()
    if bond is not None:
        structure.connections.append(_link(structure, bond, chain.name, atom_names(pose)[bond.atom]))
    return structure


def without_capping_hydrogen(pose: Chem.Mol, bond: PoseBond) -> Chem.Mol:
    """Pose without the hydrogen that stands where the protein is bonded to it."""
    xyz = pose.GetConformer().GetPositions()
    own = [
        atom.GetIdx() for atom in pose.GetAtomWithIdx(bond.atom).GetNeighbors() if atom.GetAtomicNum() == 1
    ]
    if not own:
        return pose
    cut = Chem.RWMol(pose)
    cut.RemoveAtom(min(own, key=lambda atom: float(np.linalg.norm(xyz[atom] - bond.position))))
    return cut.GetMol()


def _link(structure: gemmi.Structure, bond: PoseBond, chain: str, atom: str) -> gemmi.Connection:
    """Say that a residue is bonded to an atom of the pose, which is in a chain of its own."""
    # By where it is, not by its name: gemmi reads insertion codes as small letters.
    position = gemmi.Position(*bond.position)
    its = min(
        (each for each in structure[0].all() if each.atom.name == bond.residue_atom),
        key=lambda each: float(each.atom.pos.dist(position)),
    )
    connection = gemmi.Connection()
    connection.name, connection.type = "covale1", gemmi.ConnectionType.Covale
    connection.partner1 = gemmi.AtomAddress(
        its.chain.name, its.residue.seqid, its.residue.name, bond.residue_atom, ANY_ALTERNATIVE
    )
    connection.partner2 = gemmi.AtomAddress(chain, gemmi.SeqId(1, " "), LIGAND, atom, ANY_ALTERNATIVE)
    connection.reported_distance = bond.length
    return connection


def atom_names(mol: Chem.Mol) -> list[str]:
    """Name each atom by its element and a number.

    Examples
    --------
    >>> atom_names(Chem.MolFromSmiles("CCO"))
    ['C1', 'C2', 'O1']
    """
    counts, names = dict[str, int](), []
    for atom in mol.GetAtoms():
        symbol = atom.GetSymbol().upper()
        counts[symbol] = counts.get(symbol, 0) + 1
        names.append(f"{symbol}{counts[symbol]}")
    return names


def _pdb(structure: gemmi.Structure, pose: Chem.Mol) -> str:
    """PDB with the bonds of the pose: a CONECT for each, two for a double one, as viewers read them."""
    copy = structure.clone()
    copy.shorten_chain_names()
    lines: list[str] = copy.make_pdb_string(_PDB).splitlines()
    # The pose comes last, also where the receptor has a residue of this name.
    numbers = [line[6:11] for line in lines if line.startswith("HETATM")][-pose.GetNumAtoms() :]
    bonds = []
    for atom, number in zip(_kekulised(pose).GetAtoms(), numbers, strict=True):
        others = [
            numbers[bond.GetOtherAtomIdx(atom.GetIdx())]
            for bond in atom.GetBonds()
            for _ in range(int(bond.GetBondTypeAsDouble()))
        ]
        bonds += [f"CONECT{number}{''.join(others[start : start + 4])}" for start in range(0, len(others), 4)]
    return "\n".join([*(line for line in lines if line.strip() != "END"), *bonds, "END", ""])


def _mmcif(structure: gemmi.Structure, pose: Chem.Mol) -> str:
    """MmCIF with the bonds of the pose, so that nobody need guess them."""
    block = structure.make_mmcif_document().sole_block()
    loop = block.init_loop("_chem_comp_bond.", ["comp_id", "atom_id_1", "atom_id_2", "value_order"])
    mol = _kekulised(pose)
    names = atom_names(mol)
    for bond in mol.GetBonds():
        first, second = names[bond.GetBeginAtomIdx()], names[bond.GetEndAtomIdx()]
        loop.add_row([LIGAND, first, second, ORDERS.get(str(bond.GetBondType()), "SING")])
    return str(block.as_string())


def _kekulised(mol: Chem.Mol) -> Chem.Mol:
    """A copy with single and double bonds instead of aromatic ones."""
    copy = Chem.Mol(mol)
    Chem.Kekulize(copy, clearAromaticFlags=True)
    return copy
