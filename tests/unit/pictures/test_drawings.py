from __future__ import annotations

import re

from rdkit import Chem
from rdkit.Chem import AllChem

from templ.pictures.drawings import draw, draw_pair


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


def marked(svg):
    """Atoms that are highlighted in a drawing."""
    return {int(atom) for atom in re.findall(r"<ellipse[^>]* class='atom-(\d+)'[^>]*var\(--core\)", svg)}


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
    core = [(0, 2), (1, 1), (2, 0), (5, 3), (6, 6)]
    drawn, other = draw_pair(query, template, core)
    assert marked(drawn) == {0, 1, 2, 5, 6}
    assert marked(other) == {0, 1, 2, 3, 6}
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
