from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from rdkit import Chem

from templ.pictures.notebook import picture


def highlighted(svg):
    return {int(atom) for atom in re.findall(r"<ellipse[^>]*class='atom-(\d+)'", svg)}


def test_a_picture_is_whole_and_marks_what_is_asked():
    mol = Chem.AddHs(Chem.MolFromSmiles("c1ccncc1CC(=O)N"))
    svg = picture(mol, [0, 1, 3])
    ET.fromstring(svg)
    assert highlighted(svg) == {0, 1, 3}
    assert highlighted(picture(mol)) == set()


def test_the_molecule_stays_as_it_is(demo_library):
    mol = demo_library[next(iter(demo_library))]
    before = mol.ToBinary()
    picture(mol, [0])
    assert mol.ToBinary() == before
