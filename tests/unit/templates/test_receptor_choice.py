"""Without a receptor the program takes one of a crystal whose ligand is like the query."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from templ import pipeline
from templ.chemistry.molecules import positions
from templ.errors import Refusal
from templ.library.build import build_library
from templ.library.store import open_library
from templ.pipeline import predict
from templ.records import Entry
from templ.settings import PredictionSettings
from templ.templates.receptor_choice import choose_receptors
from templ.templates.rule import TemplateRule

FAST = PredictionSettings(conformers=5, minimised=10, rounds=0, top=1)


def everything(library):
    return np.ones(len(library), np.bool_)


def mirrored(library, row):
    """A crystal of another protein: the same chain the other way round."""
    receptor = library.receptor(row)
    residues = replace(receptor.residues, sequence=receptor.residues.sequence[::-1])
    return replace(receptor, residues=residues)


@pytest.fixture(scope="module")
def two_proteins(kinase_library, tmp_path_factory):
    """CDK2, and a protein of another sequence that binds the same ligands."""
    entries = [
        Entry(f"{protein}-{id}", kinase_library.ligand(row), "x", group=protein, receptor=receptor)
        for protein in ("CDK2", "mirror")
        for row, id in enumerate(kinase_library)
        if (
            receptor := mirrored(kinase_library, row) if protein == "mirror" else kinase_library.receptor(row)
        )
    ]
    path = tmp_path_factory.mktemp("two") / "two.templ"
    build_library(path, entries, complexes=True)
    with open_library(path) as library:
        yield library


def test_the_crystal_with_the_most_similar_ligand_is_taken(kinase_library):
    for row in range(len(kinase_library)):
        query = kinase_library.ligand(row)
        others = everything(kinase_library)
        chosen = choose_receptors(query, kinase_library, others, least=0.3)
        assert (chosen.rows[0], chosen.note) == (row, "")
        others[row] = False
        nearest, _ = kinase_library.most_similar(query, 1, others)
        assert choose_receptors(query, kinase_library, others, least=0.3).rows == (nearest[0],)
        several, _ = kinase_library.most_similar(query, 3, others)
        assert choose_receptors(query, kinase_library, others, count=3, least=0.3).rows == tuple(several)


def test_the_protein_decides_before_the_ligand(two_proteins):
    """The most similar ligand is that of another protein, if that is allowed and none was named."""
    names = list(two_proteins)
    row = names.index("mirror-" + names[0].removeprefix("CDK2-"))
    query = two_proteins.ligand(row)
    kinase = two_proteins.residues(0)[0].sequences()
    mirror = two_proteins.residues(row)[0].sequences()
    all_ = everything(two_proteins)
    assert choose_receptors(query, two_proteins, all_, kinase, least=0.3).rows[0] == 0
    assert choose_receptors(query, two_proteins, all_, mirror, least=0.3).rows[0] == row
    without = all_.copy()
    without[0] = False
    assert choose_receptors(query, two_proteins, without, kinase, least=0.3).rows[0] != row


def test_proteins_that_are_as_likely_are_named(two_proteins):
    chosen = choose_receptors(two_proteins.ligand(0), two_proteins, everything(two_proteins), least=0.3)
    assert chosen.rows[0] == 0
    assert chosen.note.startswith("posed in CDK2, whose ligand is most like the query (Tanimoto 1.00)")
    assert "mirror (1.00)" in chosen.note
    assert "--group or --sequence" in chosen.note


def test_where_no_crystal_is_related_it_is_refused(two_proteins):
    query, all_ = two_proteins.ligand(0), everything(two_proteins)
    with pytest.raises(Refusal, match="no crystal that the rule allows has a receptor related"):
        choose_receptors(query, two_proteins, all_, ["GS" * 60], least=0.3)
    with pytest.raises(Refusal, match="the rule of the split allows no template"):
        choose_receptors(query, two_proteins, ~all_, least=0.3)
    kinase = two_proteins.residues(0)[0].sequences()
    with pytest.raises(Refusal, match="related"):  # all crystals of the protein are too much like it
        choose_receptors(query, two_proteins, all_, kinase, least=0.3, most=0.9)


def test_a_prediction_without_a_receptor_names_the_one_it_chose(kinase_library):
    id = list(kinase_library)[1]
    query = kinase_library.entry(1).smiles
    outcome = predict(query, kinase_library, FAST)
    assert (outcome.status, outcome.receptor) == ("posed", id)
    given = predict(query, kinase_library, FAST, receptor=kinase_library.receptor(1))
    assert given.receptor == ""
    # Of a receptor that is given it is not known that it is that crystal: its contacts count a bit otherwise.
    pose, same = (positions(each.poses[0].mol) for each in (outcome, given))
    assert np.abs(pose - same).max() < 0.5


def test_a_second_crystal_is_tried_until_one_is_sure(kinase_library, monkeypatch):
    """Of those that were tried the surest is named, with what the others came to."""
    query = kinase_library.entry(1).smiles
    rule = TemplateRule(ids=tuple(id for id in kinase_library if id != list(kinase_library)[1]))
    allowed = everything(kinase_library)
    allowed[1] = False
    rows = choose_receptors(kinase_library.ligand(1), kinase_library, allowed, count=3, least=0.3).rows
    names = [kinase_library.entry(row).id for row in rows]

    def posed_in(sure, receptors):
        monkeypatch.setattr(pipeline, "SURE", sure)
        settings = FAST.model_copy(update={"receptors": receptors})
        return predict(query, kinase_library, settings, rule=rule)

    one, all_three = posed_in(2, 1), posed_in(2, 3)
    assert (one.receptor, one.notes) == (names[0], ())
    said = all_three.notes[-1].partition(": ")[2]
    tried = {part.split(" (")[0]: float(part.split(" (")[1].rstrip(")")) for part in said.split(", ")}
    assert list(tried) == names
    assert tried[names[0]] == pytest.approx(one.poses[0].confidence, abs=0.005)
    assert all_three.receptor == max(tried, key=tried.get)
    assert all_three.poses[0].confidence == pytest.approx(max(tried.values()), abs=0.005)
    at_once = posed_in(0, 3)
    assert (at_once.receptor, at_once.notes) == (names[0], ())


def test_the_group_decides_the_protein(two_proteins):
    query = two_proteins.entry(0).smiles
    rule = TemplateRule(groups={"": ("mirror",)})
    assert predict(query, two_proteins, FAST, rule=rule).receptor.startswith("mirror-")


def test_only_a_benchmark_says_that_a_receptor_is_the_querys_own(kinase_library):
    """Its contacts count in full; another crystal's do not."""
    query, receptor = kinase_library.entry(2).smiles, kinase_library.receptor(2)
    own, other = (
        predict(query, kinase_library, FAST, receptor=receptor, own_receptor=whose).poses[0].terms["contact"]
        for whose in (True, False)
    )
    assert own < 1.5 * other < 0
