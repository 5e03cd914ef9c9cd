"""Other crystals of a protein show which atoms of a receptor stay where they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, positions
from templ.records import Target
from templ.scoring.pocket import FIRM, MOVING, OTHER_CRYSTAL, Pocket, stays
from templ.settings import PredictionSettings
from templ.templates.frame import Frame
from templ.templates.other_crystals import REACH, other_crystals
from templ.templates.rule import TemplateRule
from templ.templates.screening import AllowedTemplates, find_templates


@pytest.fixture(scope="module")
def found(kinase_library):
    """Templates in the receptor of the first crystal, and that frame."""
    frame = Frame.of(kinase_library, kinase_library.receptor(0), row=0)
    query = PreparedQuery(parse_smiles(kinase_library.entry(0).smiles), 1, 1)
    allowed = AllowedTemplates(Target("q", ""), kinase_library, TemplateRule())
    return query, find_templates(query, kinase_library, allowed, PredictionSettings(), frame), frame


def test_each_other_crystal_is_moved_onto_the_receptor(found, kinase_library):
    _, templates, frame = found
    others = list(other_crystals(templates, kinase_library, frame))
    assert len(others) == len(kinase_library) - 1  # not the one whose receptor it is
    own = {
        (int(residue), str(name)): xyz
        for residue, name, xyz in zip(
            frame.receptor.residues.numbers[frame.atoms.residues],
            frame.atoms.names,
            frame.atoms.xyz,
            strict=True,
        )
    }
    assert own
    for atoms in others:
        ca = atoms.xyz[(atoms.names == "CA") & (atoms.residues >= 0)]
        gaps = np.linalg.norm(ca[:, None] - frame.receptor.residues.ca[None], axis=-1).min(axis=1)
        assert np.median(gaps) < 1
        assert np.linalg.norm(ca.mean(axis=0) - positions(templates[0].mol).mean(axis=0)) < REACH


def test_the_querys_own_receptor_needs_no_witness(found, kinase_library):
    _, templates, frame = found
    assert list(other_crystals(templates, kinase_library, replace(frame, own_receptor=True))) == []
    assert list(other_crystals(templates, kinase_library, replace(frame, templates_only=True))) == []


def test_an_atom_that_lies_elsewhere_in_another_crystal_stays_less(found):
    _, templates, frame = found
    ligands = [positions(template.mol) for template in templates]
    same = stays(frame.atoms, ligands, frame.atoms)
    assert same == pytest.approx(1)
    near = int(np.linalg.norm(frame.atoms.xyz - ligands[0].mean(axis=0), axis=1).argmin())
    xyz = frame.atoms.xyz.copy()
    xyz[near] += [1.2, 0, 0]
    moved = stays(frame.atoms, ligands, replace(frame.atoms, xyz=xyz))
    assert moved[near] == pytest.approx(np.exp(-1), abs=0.02)
    assert np.delete(moved, near) == pytest.approx(1)
    absent = frame.atoms.only(np.arange(len(frame.atoms)) != near)
    assert stays(frame.atoms, ligands, absent)[near] < 0.4


def test_contacts_count_by_what_other_crystals_show(found, kinase_library):
    query, templates, frame = found
    alone = Pocket.of(query.mol, templates, 12, frame)
    assert alone.atom_weights.max() == pytest.approx(OTHER_CRYSTAL)
    firm = Pocket.of(query.mol, templates, 12, frame, [frame.atoms])
    assert firm.atom_weights.max() == pytest.approx(FIRM)
    away = replace(frame.atoms, xyz=frame.atoms.xyz + 50)
    moving = Pocket.of(query.mol, templates, 12, frame, [away])
    near = np.linalg.norm(frame.atoms.xyz - positions(templates[0].mol).mean(axis=0), axis=1) < 5
    assert moving.atom_weights[near].max() <= MOVING + 1e-6
    own = Pocket.of(query.mol, templates, 12, replace(frame, own_receptor=True), [away])
    assert own.atom_weights == pytest.approx(1)
