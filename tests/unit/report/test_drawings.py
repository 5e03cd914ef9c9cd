from __future__ import annotations

import re

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from templ.report.drawings import draw, draw_pair, shared_atoms


def mol3d(smiles, shift=0.0):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=7)
    mol = Chem.RemoveHs(mol)
    conformer = mol.GetConformer()
    conformer.SetPositions(conformer.GetPositions() + shift)
    return mol


def points_of(svg, atom):
    """Where the bonds of an atom begin and end in a drawing."""
    paths = re.findall(rf"class='bond-\d+ [^']*atom-{atom}\b[^']*' d='M ([\d.,]+)", svg)
    return [tuple(map(float, path.split(","))) for path in paths]


def test_colours_are_left_to_the_page():
    svg = draw(Chem.MolFromSmiles("CNOS(=O)(=O)CCl"))
    assert svg.startswith("<svg")
    assert {"var(--nitrogen)", "var(--oxygen)", "var(--sulfur)", "var(--halogen)"} <= set(
        re.findall(r"var\(--\w+\)", svg)
    )
    assert "currentColor" in svg
    assert not re.findall("#[0-9A-Fa-f]{6}", svg)


def test_the_core_is_marked_in_both_and_nothing_else():
    query, template = Chem.MolFromSmiles("c1ccncc1CC(=O)N"), Chem.MolFromSmiles("c1ccncc1CO")
    core = [(atom, atom) for atom in range(7)]
    for svg in draw_pair(query, template, core):
        assert svg.count("var(--core)") >= 7
    assert "var(--core)" not in draw(query)
    assert "var(--core)" not in "".join(draw_pair(query, template, []))


def test_the_core_lies_alike():
    """A drawing is cut to what is drawn, so that the core may be shifted, but neither turned nor flipped."""
    query, template = Chem.MolFromSmiles("OCCCCCc1ccncc1"), Chem.MolFromSmiles("c1ccncc1C(=O)NC")
    ring = [6, 7, 8, 9, 10, 11]
    match = template.GetSubstructMatch(Chem.MolFromSmarts("c1ccncc1"))
    onto = query.GetSubstructMatch(Chem.MolFromSmarts("c1ccncc1"))
    assert sorted(onto) == ring
    drawn, other = draw_pair(query, template, list(zip(onto, match, strict=True)))
    steps = []
    for svg, atoms in ((drawn, onto), (other, match)):
        xy = [points_of(svg, atom)[0] for atom in atoms]
        steps.append([(x - xy[0][0], y - xy[0][1]) for x, y in xy])
    # Ends of bonds are cut back at letters: half a bond length of 24 pixels is the other way round.
    assert all(
        abs(a - b) < 12 for one, two in zip(*steps, strict=True) for a, b in zip(one, two, strict=True)
    )


def test_a_drawing_does_not_change_its_molecule():
    query = mol3d("c1ccncc1CC")
    before = query.GetConformer().GetPositions()
    draw_pair(query, query, [(0, 0)])
    draw(query)
    assert (query.GetConformer().GetPositions() == before).all()


def test_of_two_ways_the_nearer_is_shared():
    """Para-xylene lies on itself in four ways; after half a turn its first methyl is the other's second."""
    query, template = mol3d("Cc1ccc(C)cc1"), mol3d("Cc1ccc(C)cc1")
    assert dict(shared_atoms(query, template, "Cc1ccc(C)cc1", 8))[0] == 0
    xyz = template.GetConformer()
    order = [5, 4, 6, 7, 1, 0, 2, 3]
    xyz.SetPositions(xyz.GetPositions()[order])
    assert dict(shared_atoms(query, template, "Cc1ccc(C)cc1", 8))[0] == 5


def test_a_piece_that_was_not_used_is_not_shared():
    query, template = mol3d("c1ccncc1.OCC"), mol3d("c1ccncc1.OCC")
    xyz = template.GetConformer().GetPositions()
    xyz[6:] += 9.0
    template.GetConformer().SetPositions(xyz)
    shared = shared_atoms(query, template, "c1ccncc1.OCC", 6)
    assert sorted(atom for atom, _ in shared) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("smarts", ["", "[#92]"])
def test_nothing_is_shared(smarts):
    assert shared_atoms(mol3d("CCO"), mol3d("CCO"), smarts, 3) == []
