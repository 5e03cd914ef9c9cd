from __future__ import annotations

import numpy as np
import pytest

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.geometry import rmsd
from templ.chemistry.molecules import parse_smiles, positions, with_coordinates
from templ.sampling.core_copying import SAME_POSE
from templ.sampling.overlay import overlay_whole
from templ.scoring.shape import Shape, shape_similarity
from templ.templates.screening import Template


def prepared(smiles, conformers=30):
    return PreparedQuery(parse_smiles(smiles), conformers, 1)


def template_of(mol):
    return Template(0, "template", mol, 0.5, None)


def test_without_a_core_whole_molecules_are_overlaid(demo_library):
    template, query = demo_library["Mpro-x10019"], prepared("C1C2CC3CC1CC(C2)C3")
    placed = overlay_whole(query, template_of(template), 5)
    assert (placed.method, placed.pairs, placed.smarts) == ("overlay", {}, "")
    assert np.linalg.norm(placed.xyz[0].mean(axis=0) - positions(template).mean(axis=0)) < 5


def test_poses_come_best_first_and_differ(demo_library):
    template = demo_library["Mpro-x10019"]
    query = PreparedQuery(template, 30, 1)
    placed = overlay_whole(query, template_of(template), 30)
    similarity = shape_similarity(placed.xyz, query.features, [Shape.of(template)])[0]
    assert len(placed.xyz) > 10
    assert np.corrcoef(similarity, np.arange(len(similarity)))[0, 1] < -0.8
    assert similarity[0] > similarity[-1] + 0.1
    gaps = [rmsd(placed.xyz[:row], placed.xyz[row]).min() for row in range(1, len(placed.xyz))]
    assert min(gaps) >= SAME_POSE


@pytest.mark.parametrize("smiles", ["C[Zn]C", "[Fe]OCC", "N[Pt]Cl", "C[Si](C)C", "CB(O)O", "C[Se]C"])
def test_a_template_with_a_metal_can_be_overlaid(smiles):
    """RDKit's shapes know no radius for metals and raise ValueError."""
    mol = parse_smiles(smiles)
    xyz = np.random.default_rng(1).normal(size=(mol.GetNumAtoms(), 3)) * 2
    template = with_coordinates(mol, xyz)
    placed = overlay_whole(prepared("C1C2CC3CC1CC(C2)C3", 3), template_of(template), 2)
    assert np.isfinite(placed.xyz).all()
    assert parse_smiles(smiles).HasSubstructMatch(template)  # which is left as it was
