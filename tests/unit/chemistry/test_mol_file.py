"""MOL blocks as real programs write them: the same molecule, or a reason."""

from __future__ import annotations

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from templ.chemistry.mol_file import MENDED, parse_mol_block, without_dummies
from templ.chemistry.molecules import heavy
from templ.errors import InputError

DRUGS = [
    "CC(=O)Nc1ccccc1",
    "C[C@H](N)C(=O)[O-]",
    "O=C(/C=C/c1ccccc1)N1CCC[C@@H]1C#N",
    "C[N+](C)(C)CC[C@H](O)c1c[nH]c2ccc(Br)cc12",
    "CS(=O)(=O)c1ccc(Cl)cc1[N+](=O)[O-]",
]


def with_hydrogens(smiles):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(mol, randomSeed=7) == 0
    return mol


def block(atoms, bonds, extra=""):
    """A V2000 block; an atom is its symbol, or that and its hydrogen count; a bond two atoms and an order."""
    lines = ["", "  made", "", f"{len(atoms):3}{len(bonds):3}  0  0  0  0  0  0  0  0999 V2000"]
    for i, atom in enumerate(atoms):
        symbol, hydrogens = atom if isinstance(atom, tuple) else (atom, 0)
        x, y, z = 1.4 * i, 0.4 * (i % 2), 0.3 * (i % 3)
        lines.append(f"{x:10.4f}{y:10.4f}{z:10.4f} {symbol:<3} 0  0  0{hydrogens:3}  0  0  0  0  0  0  0  0")
    lines += [f"{a:3}{b:3}{order:3}  0" for a, b, order in bonds]
    return "\n".join([*lines, *extra.splitlines(), "M  END", ""])


def smiles_of(text):
    return Chem.MolToSmiles(heavy(parse_mol_block(text)))


@pytest.mark.parametrize("smiles", DRUGS)
def test_hydrogen_counts_of_a_query_are_no_part_of_a_molecule(smiles):
    """PDBbind's files, written by X-TOOL, give each atom its hydrogens plus one, as a query does."""
    mol = with_hydrogens(smiles)
    lines = Chem.MolToMolBlock(mol, kekulize=True).splitlines()
    for i, atom in enumerate(mol.GetAtoms(), 4):
        hydrogens = sum(neighbour.GetAtomicNum() == 1 for neighbour in atom.GetNeighbors())
        lines[i] = f"{lines[i][:42]}{hydrogens + 1:3}{lines[i][45:]}"
    read = parse_mol_block("\n".join([*lines, ""]))
    assert not any(atom.HasQuery() for atom in read.GetAtoms())
    assert heavy(read).GetNumAtoms() == mol.GetNumHeavyAtoms()
    assert Chem.MolToSmiles(heavy(read)) == Chem.CanonSmiles(smiles)


@pytest.mark.parametrize(
    "extra",
    ["M  SUB  1   2   2", "M  RBC  1   2   2", "M  UNS  1   1   1", "M  SUB  1   1  -1\nM  RBC  1   3  -2"],
)
def test_restrictions_of_a_query_say_nothing(extra):
    assert smiles_of(block(["C", "N", "O"], [(1, 2, 1), (2, 3, 1)], extra)) == "CNO"


def test_restrictions_of_a_query_say_nothing_in_v3000():
    text = Chem.MolToMolBlock(with_hydrogens("CCO"), forceV3000=True)
    first = next(line for line in text.splitlines() if line.startswith("M  V30 1 C"))
    for restriction in ("HCOUNT=3", "SUBST=1", "UNSAT=1", "RBCNT=-1"):
        assert smiles_of(text.replace(first, f"{first} {restriction}")) == "CCO"


def test_a_bond_that_must_be_in_a_ring_is_a_bond():
    text = block(["C", "N", "O"], [(1, 2, 1), (2, 3, 1)]).replace("  1  2  1  0", "  1  2  1  0  0  1")
    assert smiles_of(text) == "CNO"


@pytest.mark.parametrize(
    ("atoms", "extra"),
    [
        (["C", "L", "O"], "M  ALS   2  2 F C   N   "),
        (["C", "A", "O"], ""),
        (["C", "Q", "O"], ""),
        (["C", "X", "O"], ""),
        (["C", "M", "O"], ""),
    ],
)
def test_an_atom_that_may_be_several_is_refused(atoms, extra):
    with pytest.raises(InputError, match="atom 2 is a pattern that fits several elements"):
        parse_mol_block(block(atoms, [(1, 2, 1), (2, 3, 1)], extra))


@pytest.mark.parametrize("order", [5, 6, 7])
def test_a_bond_that_may_be_several_is_refused(order):
    with pytest.raises(InputError, match="between atoms 1 and 2 may be of several orders"):
        parse_mol_block(block(["C", "N", "O"], [(1, 2, order), (2, 3, 1)]))


@pytest.mark.parametrize("order", [0, 8, 10, 14])
def test_a_bond_of_no_order_that_holds_a_molecule_together_is_refused(order):
    with pytest.raises(InputError, match="between atoms 1 and 2 has no order"):
        parse_mol_block(block(["C", "N", "O"], [(1, 2, order), (2, 3, 1)]))


@pytest.mark.parametrize("order", [0, 8, 10, 14])
def test_a_bond_of_no_order_to_a_metal_or_across_space_is_none(order):
    assert smiles_of(block(["C", "N", "Zn"], [(1, 2, 1), (2, 3, order)])) == "CN.[Zn]"
    assert smiles_of(block(["C", "N", "O", "C"], [(1, 2, 1), (3, 4, 1), (1, 4, order)])) == "CN.CO"


@pytest.mark.parametrize("symbol", ["*", "R", "R#", "LP"])
def test_dummy_atoms_are_left_out_and_counted(symbol):
    mol = parse_mol_block(block(["C", "C", "O", symbol], [(1, 2, 1), (2, 3, 1), (3, 4, 1)]))
    rest, note = without_dummies(mol)
    assert (Chem.MolToSmiles(rest), note) == ("CCO", "dummy atoms left out: 1")
    assert without_dummies(rest) == (rest, "")


@pytest.mark.parametrize("stereo", [0, 1, 4, 6])
def test_of_a_wavy_bond_the_coordinates_know(stereo):
    mol = Chem.RemoveHs(with_hydrogens("C[C@H](N)C(=O)O"))
    lines = Chem.MolToMolBlock(mol).splitlines()
    bonds = range(4 + mol.GetNumAtoms(), 4 + mol.GetNumAtoms() + mol.GetNumBonds())
    for i in bonds:
        if lines[i][:6] in ("  2  1", "  2  3"):
            lines[i] = f"{lines[i][:9]}{stereo:3}"
    assert smiles_of("\n".join([*lines, ""])) == "C[C@H](N)C(=O)O"


@pytest.mark.parametrize(
    ("atoms", "bonds", "smiles", "mended"),
    [
        (list("NCCCC"), [(1, n, 1) for n in (2, 3, 4, 5)], "C[N+](C)(C)C", "charge +1 given to N 1"),
        (
            list("NCOO"),
            [(1, 2, 1), (1, 3, 2), (1, 4, 1)],
            "C[N+](=O)[O-]",
            "charge +1 given to N 1; charge -1 given to O 4",
        ),
        (list("OCCC"), [(1, n, 1) for n in (2, 3, 4)], "C[O+](C)C", "charge +1 given to O 1"),
        (list("BCCCC"), [(1, n, 1) for n in (2, 3, 4, 5)], "C[B-](C)(C)C", "charge -1 given to B 1"),
        (
            list("NCCCC"),
            [(n, n % 5 + 1, 4) for n in range(1, 6)],
            "c1cc[nH]c1",
            "hydrogen given to aromatic N 1",
        ),
    ],
)
def test_what_the_bonds_ask_for_is_given_and_said(atoms, bonds, smiles, mended):
    mol = parse_mol_block(block(atoms, bonds))
    assert Chem.MolToSmiles(heavy(mol)) == smiles
    assert mol.GetProp(MENDED) == mended


def test_five_bonds_of_carbon_are_not_mended():
    with pytest.raises(InputError, match="valence"):
        parse_mol_block(block(list("CCCCCC"), [(1, n, 1) for n in range(2, 7)]))
