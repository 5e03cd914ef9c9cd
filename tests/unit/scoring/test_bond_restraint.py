"""Springs of a covalent bond: their slope, and the geometry of what comes to rest on each kind of residue."""

from __future__ import annotations

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import heavy, parse_smiles
from templ.chemistry.reactive_residue import reactive_residues
from templ.chemistry.receptor_file import read_receptor
from templ.chemistry.warheads import AT_RESIDUE, BONDED, WARHEADS, bond_length
from templ.poses.clash_removal import remove_clashes
from templ.sampling.bonded_starts import bonded_starts
from templ.sampling.minimise import minimise
from templ.scoring.bond_restraint import ANGLE_SLACK, LENGTH_SLACK, BondRestraint
from templ.scoring.terms.intramolecular_clash import clash_energy
from templ.sources.demo import demo_files

# Ligands of the PDB that are bonded to such a residue, or close kin of them, as they are before.
LIGANDS = {
    "CYS": {
        "nirmatrelvir (7rfw)": (
            "nitrile",
            "CC1(C)[C@@H]2[C@H]1CN([C@@H]2C(=O)N[C@@H](C[C@@H]1CCNC1=O)C#N)C(=O)C(NC(=O)C(F)(F)F)C(C)(C)C",
        ),
        "13b (6y2f)": ("ketoamide", "O=C(NCc1ccccc1)C(=O)[C@H](C[C@@H]1CCNC1=O)NC(=O)CC1CC1"),
        "GC373 (6wtk)": ("aldehyde", "CC(C)C[C@H](NC(=O)OCc1ccccc1)C(=O)N[C@H](C=O)C[C@@H]1CCNC1=O"),
        "ibrutinib (5p9j)": ("acrylamide", "C=CC(=O)N1CCC[C@H](C1)n1nc(-c2ccc(Oc3ccccc3)cc2)c2c(N)ncnc21"),
    },
    "SER": {
        "boceprevir (3lox)": ("ketoamide", "CC(C)(C)NC(=O)N[C@H](C(=O)NC(CC1CCC1)C(=O)C(N)=O)C(C)(C)C"),
        "vaborbactam (4xux)": ("boronic acid", "OC(=O)CC1CCC(NC(=O)Cc2cccs2)B(O)O1"),
        "penicillin G (1fxv)": ("beta-lactam", "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O"),
        "leupeptin (1jrt)": ("aldehyde", "CC(C)C[C@H](NC(C)=O)C(=O)N[C@H](C=O)CCCNC(N)=[NH2+]"),
    },
    "THR": {
        "bortezomib (2f16)": ("boronic acid", "CC(C)C[C@H](NC(=O)[C@H](Cc1ccccc1)NC(=O)c1cnccn1)B(O)O"),
        "ixazomib (5lf7)": ("boronic acid", "CC(C)C[C@H](NC(=O)CNC(=O)c1cc(Cl)ccc1Cl)B(O)O"),
        "MG-132 (4nnn)": (
            "aldehyde",
            "CC(C)C[C@H](NC(=O)OCc1ccccc1)C(=O)N[C@@H](CC(C)C)C(=O)N[C@H](C=O)CC(C)C",
        ),
        "a sulfonyl fluoride (5lf6)": ("sulfonyl fluoride", "CC(C)C[C@H](NC(C)=O)CCS(=O)(=O)F"),
        "epoxyketone's epoxide (2zcy)": ("epoxide", "CC(C)C[C@H](NC(C)=O)C(=O)[C@@]1(C)CO1"),
    },
    "LYS": {
        "a sulfonyl fluoride (5an8)": ("sulfonyl fluoride", "Cc1cc(NC(=O)c2ccc(cc2)S(=O)(=O)F)n[nH]1"),
        "vanillin": ("aldehyde", "COc1cc(C=O)ccc1O"),
        "an acrylamide of PI3K": ("acrylamide", "C=CC(=O)Nc1cccc(-c2cnc3[nH]ccc3c2)c1"),
        "voxelotor (5e83)": ("aldehyde", "CC(C)n1nccc1-c1ncccc1COc1cccc(O)c1C=O"),
    },
    "TYR": {"a sulfonyl fluoride": ("sulfonyl fluoride", "O=C(Nc1ccccc1)c1ccc(cc1)S(=O)(=O)F")},
}
NAMED = {warhead.name: warhead for warhead in WARHEADS}
CASES = [(kind, name) for kind, ligands in LIGANDS.items() for name in ligands]


@pytest.fixture(scope="module")
def receptor():
    return read_receptor(demo_files().receptor)


@pytest.fixture(scope="module")
def residues(receptor):
    """One of each kind; those on the surface, where a ligand has room."""
    atoms = receptor.atoms.xyz.astype(np.float64)
    crowd = {}
    for residue in reactive_residues(receptor, atoms):
        around = (np.linalg.norm(atoms - residue.reactive[0], axis=1) < 10).sum()
        if residue.kind not in crowd or around < crowd[residue.kind][0]:
            crowd[residue.kind] = around, residue
    return {kind: residue for kind, (_, residue) in crowd.items()}


def restraint(residue, kind, name):
    warhead, smiles = LIGANDS[kind][name]
    assert kind in NAMED[warhead].residues
    adduct = next(NAMED[warhead].adducts(heavy(parse_smiles(smiles))))
    [atom] = [each.GetIdx() for each in adduct.GetAtoms() if each.HasProp(BONDED)]
    query = PreparedQuery(adduct, 5, 1)
    return query, BondRestraint.of(adduct, query.conformers[0], atom, residue)


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}: {name}" for kind, name in CASES])
def test_what_comes_to_rest_has_the_table_s_length_and_angles(receptor, residues, kind, name):
    query, bond = restraint(residues[kind], kind, name)
    starts = bonded_starts(query, bond, 20, np.random.default_rng(1))
    poses = minimise(query, starts, lambda xyz: clash_energy(query, xyz), bond)
    free = receptor.atoms.only(~np.isin(np.arange(len(receptor.atoms)), residues[kind].side_chain))
    poses, clear = remove_clashes(query, poses, free, bond)
    assert clear.sum() >= 3
    found = bond.geometry(poses[clear])
    length = bond_length(query.mol.GetAtomWithIdx(bond.atom), residues[kind].element)
    assert np.abs(found.length - length).max() <= LENGTH_SLACK
    assert np.abs(found.at_residue - AT_RESIDUE[residues[kind].element]).max() <= ANGLE_SLACK
    assert np.abs(found.at_ligand - bond.angles[1]).max() <= ANGLE_SLACK
    assert found.sound.all()


def test_starts_are_bonded_already(residues):
    query, bond = restraint(residues["CYS"], "CYS", "13b (6y2f)")
    found = bond.geometry(bonded_starts(query, bond, 30, np.random.default_rng(2)))
    np.testing.assert_allclose(found.length, bond.length, atol=1e-3)
    np.testing.assert_allclose(found.at_residue, bond.angles[0], atol=0.1)
    assert np.abs(found.at_ligand - bond.angles[1]).max() < ANGLE_SLACK


def test_the_gradient_is_that_of_the_energy(residues):
    query, bond = restraint(residues["CYS"], "CYS", "GC373 (6wtk)")
    random = np.random.default_rng(3)
    poses = bonded_starts(query, bond, 4, random) + random.normal(scale=0.05, size=(4, 1, 3))
    _, slope = bond(poses)
    step = 1e-4
    for atom in (bond.atom, int(bond.neighbours[0]), 0):
        for axis in range(3):
            ahead, behind = poses.copy(), poses.copy()
            ahead[:, atom, axis] += step
            behind[:, atom, axis] -= step
            found = (bond(ahead)[0] - bond(behind)[0]) / (2 * step)
            np.testing.assert_allclose(found, slope[:, atom, axis], rtol=2e-2, atol=0.05)


def test_a_long_bond_and_a_bent_one_are_not_sound(residues):
    query, bond = restraint(residues["CYS"], "CYS", "13b (6y2f)")
    [pose] = bonded_starts(query, bond, 1, np.random.default_rng(5))
    outward = pose[bond.atom] - bond.geometry(pose[None]).reactive[0]
    longer = pose + 0.8 * outward / np.linalg.norm(outward)
    assert bond.geometry(pose[None]).sound.all()
    assert not bond.geometry(longer[None]).sound.any()
