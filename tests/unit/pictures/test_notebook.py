from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ET

from rdkit import Chem
from rdkit.Chem import AllChem

from templ.pictures import notebook, viewer_script
from templ.pictures.notebook import picture, view


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


def embedded(smiles):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    mol.SetProp("_Name", "</script><script>alert(1)</script>")
    return mol


def test_a_view_has_all_poses_in_it_and_asks_no_host():
    frame = view([embedded("CCO"), embedded("CCN")])
    page = html.unescape(ET.fromstring(frame).get("srcdoc"))
    given = json.loads(re.search(r"of (\[.*\])\) \{", page)[1])
    mols = [Chem.MolFromMolBlock(pose["block"]) for pose in given]
    assert [Chem.MolToSmiles(mol) for mol in mols] == ["CCO", "CCN"]
    assert given[0]["radius"] > given[1]["radius"]
    assert page.count("<script") == 1
    assert "http" not in page
    assert 100_000 < len(frame) < 300_000


def test_without_the_viewer_there_is_none(monkeypatch):
    monkeypatch.setattr(viewer_script, "PACKAGE", "no_such_package")
    for remembered in (viewer_script.read_viewer, notebook._packed_viewer):
        remembered.cache_clear()
    assert view([embedded("CCO")]) == ""
    monkeypatch.undo()
    viewer_script.read_viewer.cache_clear()
    assert view([embedded("CCO")]) != ""
    assert view([]) == ""
