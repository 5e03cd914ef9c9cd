"""The table of warheads: each reacts as its paper says, and is known again once it has."""

from __future__ import annotations

import pytest
from rdkit import Chem

from templ.chemistry.reactive_residue import SIDE_CHAINS
from templ.chemistry.warheads import AT_RESIDUE, BONDED, LENGTHS, WARHEADS, bond_length, is_made_by_bonding

NAMED = {warhead.name: warhead for warhead in WARHEADS}
REACTIONS = [
    # name, free, adducts, elements of their bonded atoms
    ("acrylamide", "C=CC(=O)Nc1ccccc1", ["CCC(=O)Nc1ccccc1"]),
    ("acrylamide", "CN(C)C/C=C/C(=O)Nc1ccccc1", ["CN(C)CCCC(=O)Nc1ccccc1"]),
    ("substituted acrylamide", "C=C(C)C(=O)Nc1ccccc1", ["CC(C)C(=O)Nc1ccccc1"]),
    ("substituted acrylamide", "O=C(/C=C/c1ccccc1)NC", ["CNC(=O)CCc1ccccc1"]),
    ("enone or acrylate", "C=CC(=O)OC", ["CCC(=O)OC"]),
    ("enone or acrylate", "C=CC(=O)c1ccccc1", ["CCC(=O)c1ccccc1"]),
    ("chloroacetamide", "ClCC(=O)Nc1ccccc1", ["CC(=O)Nc1ccccc1"]),
    ("aldehyde", "O=C[C@H](CC1CCNC1=O)NC(C)=O", ["CC(=O)N[C@H](CO)CC1CCNC1=O"]),
    ("ketoamide", "CC(=O)C(=O)NCc1ccccc1", ["CC(O)C(=O)NCc1ccccc1"]),
    ("ketoamide", "O=C1Nc2ccccc2C1=O", ["O=C1Nc2ccccc2C1O"]),
    ("hydroxymethyl ketone", "CC(C)C(=O)CO", ["CC(C)C(O)CO"]),
    ("activated ketone", "CC(=O)C(F)(F)F", ["CC(O)C(F)(F)F"]),
    ("activated ketone", "CC(=O)c1nc2ccccc2s1", ["CC(O)c1nc2ccccc2s1"]),
    ("nitrile", "CC(NC(=O)c1ccccc1)C#N", ["CC(C=N)NC(=O)c1ccccc1"]),
    ("cyanamide", "CN(C#N)C", ["CN(C)C=N"]),
    ("boronic acid", "OB(O)c1ccccc1", ["O[BH-](O)c1ccccc1"]),
    ("boronate", "O[B-](O)(O)c1ccccc1", ["O[BH-](O)c1ccccc1"]),
    ("vinyl sulfone", "C=CS(=O)(=O)c1ccccc1", ["CCS(=O)(=O)c1ccccc1"]),
    ("epoxide", "c1ccccc1OCC1CO1", ["CC(O)COc1ccccc1", "OCCCOc1ccccc1"]),
    ("alkyne", "C#CCNc1ccccc1", ["C=CCNc1ccccc1"]),
    ("propiolamide", "CC#CC(=O)Nc1ccccc1", ["CC=CC(=O)Nc1ccccc1"]),
    ("aziridine", "c1ccccc1C1CN1", ["CC(N)c1ccccc1", "NCCc1ccccc1"]),
    ("disulfide", "CSSc1ccccc1", ["CS", "Sc1ccccc1"]),
    ("beta-lactam", "O=C1CCN1c1ccccc1", ["O=CCCNc1ccccc1"]),
    ("sulfonyl fluoride", "O=S(=O)(F)c1ccccc1", ["O=[SH](=O)c1ccccc1"]),
]
HARMLESS = [
    "ONC(=O)/C=C/c1ccccc1",  # a hydroxamic acid is no Michael acceptor to speak of
    "CC(=O)Nc1cnccc1C",
    "N#Cc1ccccc1",
    "CCS(=O)(=O)c1ccccc1",
    "CC(=O)c1ccccc1",
    "C1COCCN1c1ccccc1",
    "OC(=O)/C=C/c1ccccc1",  # nor is a carboxylic acid
    "OC(=O)CCCCC1CCSS1",  # lipoic acid: its halves stay one molecule
]


def canonical(smiles):
    return Chem.CanonSmiles(smiles)


def bonded(mol):
    return [atom.GetIdx() for atom in mol.GetAtoms() if atom.HasProp(BONDED)]


def test_every_warhead_has_an_example():
    assert {name for name, *_ in REACTIONS} == set(NAMED)


@pytest.mark.parametrize(("name", "free", "adducts"), REACTIONS, ids=[row[1] for row in REACTIONS])
def test_a_warhead_becomes_what_its_paper_says(name, free, adducts):
    mol = Chem.MolFromSmiles(free)
    assert NAMED[name].is_free_in(mol)
    assert [other.name for other in WARHEADS if other.is_free_in(mol)] == [name]
    found = list(NAMED[name].adducts(mol))
    assert sorted(Chem.MolToSmiles(each) for each in found) == sorted(map(canonical, adducts))
    for each in found:
        [atom] = bonded(each)
        assert is_made_by_bonding(each)
        assert not is_made_by_bonding(mol)
        element = each.GetAtomWithIdx(atom).GetAtomicNum()
        assert any((element, other) in LENGTHS for other in AT_RESIDUE)
        assert each.GetAtomWithIdx(atom).GetTotalNumHs() >= 1, "where the residue goes"


@pytest.mark.parametrize(
    ("name", "free"), [row[:2] for row in REACTIONS if NAMED[row[0]].adduct], ids=lambda text: text
)
def test_an_adduct_is_known_by_its_own_pattern(name, free):
    for adduct in NAMED[name].adducts(Chem.MolFromSmiles(free)):
        if name == "acrylamide" and "CCCC" in Chem.MolToSmiles(adduct):
            continue  # a butyramide: nothing tells it from others
        assert set(bonded(adduct)) <= set(NAMED[name].bonded_atoms(adduct)), Chem.MolToSmiles(adduct)


def test_nothing_is_found_in_harmless_molecules():
    for smiles in HARMLESS:
        assert not any(warhead.is_free_in(Chem.MolFromSmiles(smiles)) for warhead in WARHEADS), smiles


def test_stereocentres_elsewhere_stay_and_those_of_the_bond_are_open():
    [adduct] = NAMED["ketoamide"].adducts(Chem.MolFromSmiles("C[C@H](N)C(=O)C(=O)NC"))
    assert Chem.FindMolChiralCenters(adduct, includeUnassigned=True) == [(0, "S"), (1, "?")]


def test_each_residue_that_a_warhead_takes_is_one_that_the_program_can_turn():
    for warhead in WARHEADS:
        assert set(warhead.residues) <= set(SIDE_CHAINS)
        assert warhead.source


def test_what_becomes_has_no_radical_however_the_query_is_written():
    """Atoms in brackets, as with atom maps, would keep their number of hydrogens."""
    for free in ("[CH2]=[CH]C(=O)Nc1ccccc1", "[CH2:7]=[CH:8][C:1](=O)Nc1ccccc1"):
        [adduct] = NAMED["acrylamide"].adducts(Chem.MolFromSmiles(free))
        assert not any(atom.GetNumRadicalElectrons() for atom in adduct.GetAtoms())
        for atom in adduct.GetAtoms():
            atom.SetAtomMapNum(0)
        assert Chem.MolToSmiles(adduct) == canonical("CCC(=O)Nc1ccccc1")


def test_the_centre_that_bonds_is_open_though_the_epoxide_has_one():
    """The residue comes from the side away from the oxygen, and is not drawn."""
    mol = Chem.MolFromSmiles("C[C@]1(c2ccccc2)O[C@H]1C")
    for adduct in NAMED["epoxide"].adducts(mol):
        [atom] = bonded(adduct)
        assert adduct.GetAtomWithIdx(atom).GetChiralTag() == Chem.ChiralType.CHI_UNSPECIFIED


@pytest.mark.parametrize("adduct", ["CC([O-])C(=O)NCc1ccccc1", "CC([O-])C(F)(F)F", "[O-]Cc1ccccc1"])
def test_an_alkoxide_is_an_adduct_as_well(adduct):
    mol = Chem.MolFromSmiles(adduct)
    assert {atom for warhead in WARHEADS for atom in warhead.bonded_atoms(mol)}


@pytest.mark.parametrize(
    ("name", "free", "element", "length"),
    [
        ("beta-lactam", "O=C1CCN1c1ccccc1", 8, 1.34),  # an ester
        ("nitrile", "CC(NC(=O)c1ccccc1)C#N", 16, 1.76),  # a thioimidate
        ("alkyne", "C#CCNc1ccccc1", 16, 1.76),  # a vinyl sulfide
        ("acrylamide", "C=CC(=O)Nc1ccccc1", 16, 1.81),
        ("aldehyde", "O=Cc1ccccc1", 8, 1.43),
        ("boronic acid", "OB(O)c1ccccc1", 8, 1.48),
    ],
)
def test_a_flat_atom_has_a_shorter_bond(name, free, element, length):
    [adduct] = NAMED[name].adducts(Chem.MolFromSmiles(free))
    [atom] = bonded(adduct)
    assert bond_length(adduct.GetAtomWithIdx(atom), element) == length
