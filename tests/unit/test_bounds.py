"""Molecules that would take minutes or hours: the work of each step is bounded, not by the clock."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from rdkit.Chem import rdDistGeom, rdRascalMCES

from templ.chemistry import conformers
from templ.chemistry.conformers import MOST_ATTEMPTS, PreparedQuery
from templ.chemistry.molecules import alike_bonds, parse_smiles, positions, with_coordinates
from templ.errors import Refusal
from templ.pipeline import predict
from templ.poses import stereo
from templ.poses.stereo import keeps_stereo
from templ.settings import PredictionSettings
from templ.templates import screening
from templ.templates.mcs import MAX_ALIKE, UNLIKE, mappings, shared_core


def dendrimer(depth):
    return f"COCC({dendrimer(depth - 1)})({dendrimer(depth - 1)}){dendrimer(depth - 1)}" if depth else "O"


FULLERENE = (
    "c12c3c4c5c1c1c6c7c2c2c8c3c3c9c4c4c%10c5c5c1c1c6c6c%11c7c2c2c7c8c3c3c8c9c4c4c9c%10c5c5c1c1c6c6c%11c2c2c7c3"
    "c3c8c4c4c9c5c1c1c6c2c3c41"
)
TBU = "C(C)(C)(C)"
REPETITIVE = {
    "PEG-8": "O" + "CCO" * 8,
    "PEG-12": "O" + "CCO" * 12,
    "C30H62": "C" * 30,
    "C14F30": "FC(F)(F)" + "C(F)(F)" * 12 + "C(F)(F)F",
    "polyene": "C/C=C/" + "C=C/" * 15 + "C",
    "dendrimer": f"C({dendrimer(1)})({dendrimer(1)})({dendrimer(1)}){dendrimer(1)}",
    "tert-butyls": f"{TBU}c1cc({TBU})cc(C(c2cc({TBU})cc({TBU})c2)c2cc({TBU})cc({TBU})c2)c1",
    "lysines": "NC(CCCCN)C(=O)" * 5 + "O",
    "stereocentres": "C" + "[C@H](O)[C@H](F)" * 8 + "C",
    "siloxane": "C[Si](C)(C)" + "O[Si](C)(C)" * 8 + "C",
}
OTHERS = {
    "coronene": "c1cc2ccc3ccc4ccc5ccc6ccc1c1c2c3c4c5c61",
    "adamantane": "C1C2CC3CC1CC(C2)C3",
    "hexaphenylbenzene": "c1ccccc1-c1c(-c2ccccc2)c(-c2ccccc2)c(-c2ccccc2)c(-c2ccccc2)c1-c1ccccc1",
    "crown ether": "C1CO" + "CCO" * 8 + "CCO1",
    "many salts": ".".join(["CC(=O)Nc1cnccc1C", *["[Na+]", "[Cl-]", "OC(=O)C(F)(F)F"] * 100]),
}
REFUSED = {
    "PEG-60": ("O" + "CCO" * 60, "too-many-atoms", "181 heavy atoms; at most 120 are tried"),
    "C60": (FULLERENE, "no-conformer", "in 27 attempts; at most 27 are made at 60 heavy atoms"),
    "lysines": ("NC(CCCCN)C(=O)" * 9 + "O", "peptide", "a peptide of 9 residues; at most 8 are tried"),
    "cisplatin": ("N[Pt](N)(Cl)Cl", "unsupported-element", "contains Pt"),
}
QUICK = PredictionSettings(conformers=2, screened=10, templates=2, minimised=5, rounds=0, min_tanimoto=0)


@pytest.mark.parametrize("smiles", (REPETITIVE | OTHERS).values(), ids=REPETITIVE | OTHERS)
def test_what_can_be_predicted_is(demo_library, smiles):
    """Without bounds PEG-8 took minutes, and many others hours."""
    found = predict(smiles, demo_library, QUICK)
    assert (found.status, found.reason) == ("posed", "")


@pytest.mark.parametrize(("smiles", "reason", "detail"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_says_which_bound_it_was(demo_library, monkeypatch, smiles, reason, detail):
    monkeypatch.setattr(conformers, "MOST_ATTEMPTS", MOST_ATTEMPTS // 10)
    found = predict(smiles, demo_library, QUICK)
    assert (found.status, found.reason) == ("refused", reason)
    assert detail in found.detail


@pytest.fixture
def asked(monkeypatch):
    """What conformers RDKit was asked for: how many, from how many starts each, and of how many atoms."""
    calls = []
    first = rdDistGeom.EmbedMultipleConfs

    def embed(mol, count, parameters):
        calls.append((count, parameters.maxIterations, mol.GetNumAtoms()))
        return first(mol, count, parameters)

    monkeypatch.setattr(rdDistGeom, "EmbedMultipleConfs", embed)
    return calls


@pytest.mark.parametrize("most", [1, 7, 30, 300])
def test_attempts_at_conformers_are_bounded_whatever_is_asked_for(monkeypatch, asked, most):
    monkeypatch.setattr(conformers, "MOST_ATTEMPTS", most * 7**3)
    with pytest.raises(Refusal, match=f"at most {most} are made at 7 heavy atoms"):
        _ = PreparedQuery(parse_smiles("[C@]12(F)C[C@](F)(C1)C2"), 1000, 1).conformers
    # Not counted: those that had no coordinates to begin with.
    assert sum(count * starts for count, starts, _ in asked) <= most + 5
    assert len(asked) <= 6


def test_the_bound_on_attempts_leaves_molecules_of_the_usual_size_alone(asked):
    """All that is wanted is asked for at once; so conformers are those that they were without a bound."""
    for smiles in ("CCO", "CC(=O)Nc1cnccc1C", "CC(=O)N" * 12):
        asked.clear()
        assert len(PreparedQuery(parse_smiles(smiles), 40, 1).conformers)
        assert asked[0][:2] == (40, 5)
        assert [starts for _, starts, _ in asked].count(5) == 1


def test_easy_molecules_get_all_conformers_even_where_few_attempts_are_allowed(monkeypatch, asked):
    """The first few show that all can be afforded, as for a chain of 100 atoms; and come again."""
    mol = parse_smiles("CC(=O)Nc1cnccc1C")
    free = PreparedQuery(mol, 12, 1).conformers
    monkeypatch.setattr(conformers, "MOST_ATTEMPTS", 15 * 11**3)
    asked.clear()
    assert np.array_equal(PreparedQuery(mol, 12, 1).conformers, free)
    assert [count for count, _, _ in asked] == [3, 12]


@pytest.fixture
def searches(monkeypatch):
    """The searches for a core: the most that pieces may differ in distance, and whether they timed out."""
    calls = []
    first = rdRascalMCES.FindMCES

    def find(one, other, options):
        found = first(one, other, options)
        calls.append((options.maxFragSeparation, bool(found and found[0].timedOut)))
        return found

    monkeypatch.setattr(rdRascalMCES, "FindMCES", find)
    return calls


def laid_flat(smiles):
    mol = parse_smiles(smiles)
    return with_coordinates(mol, np.random.default_rng(1).normal(size=(mol.GetNumAtoms(), 3)) * 5)


@pytest.mark.parametrize("smiles", REPETITIVE.values(), ids=REPETITIVE)
def test_pieces_of_repetitive_molecules_are_not_combined_in_every_way(searches, demo_library, smiles):
    query = PreparedQuery(parse_smiles(smiles), 1, 1)
    assert query.alike_bonds >= MAX_ALIKE
    for template in (laid_flat(smiles), laid_flat("OCCOCCOCCOCCOc1ccccc1"), demo_library["Mpro-7c8r"]):
        core = shared_core(query, template)
        assert core is None or len(list(mappings(core, query, template))) >= 1
    assert set(searches) == {(0, False)}


def test_pieces_of_unlike_molecules_are_not_combined_either_where_many_bonds_match(searches):
    """Digoxin with a peptide, 600 pairs of bonds: seven CPU seconds."""
    digoxin = (
        "CC1OC(CC(O)C1O)OC1C(O)CC(OC1C)OC1C(O)CC(OC1C)OC1CCC2(C)C(C1)CCC1C2CC(O)C2(C)C(CCC12O)C1=CC(=O)OC1"
    )
    peptide = "CCCC(NC(=O)C1C2CCCC2CN1C(=O)C(NC(=O)C(NC(=O)c1cnccn1)C1CCCCC1)C(C)(C)C)C(O)C(=O)NC1CC1"
    query = PreparedQuery(parse_smiles(digoxin), 1, 1)
    assert query.alike_bonds <= MAX_ALIKE
    shared_core(query, laid_flat(peptide), UNLIKE - 0.01)
    shared_core(query, laid_flat("OCC1OC(O)C(O)C(O)C1O"), UNLIKE - 0.01)
    shared_core(query, laid_flat(digoxin), UNLIKE)
    assert searches == [(0, False), (-1, False), (-1, False)]


def test_how_alike_query_and_template_are_reaches_the_search(demo_library, monkeypatch):
    seen = []
    first = screening.shared_core

    def search(query, template, tanimoto):
        seen.append(tanimoto)
        return first(query, template, tanimoto)

    monkeypatch.setattr(screening, "shared_core", search)
    found = predict("CC(=O)Nc1cnccc1C", demo_library, QUICK)
    assert len(seen) == QUICK.screened
    assert max(seen) == found.best_tanimoto


SILANE = """
import resource
from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles, with_coordinates
from templ.templates.mcs import mappings, shared_core

resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
part = "[Si]([Si](C)(C)C)([Si](C)(C)C)[Si](C)(C)C"
query = PreparedQuery(parse_smiles(f"[Si]({part})({part})({part}){part}"), 1, 1)
template = with_coordinates(query.mol, query.conformers[0])
core = shared_core(query, template)
print(len(core), len(list(mappings(core, query, template))))
"""


def test_a_core_is_found_in_the_query_without_a_look_at_all_ways():
    """Thirty-six like methyls: 10^15 ways, all onto the same atoms; the limit ends what would take years."""
    assert subprocess.check_output([sys.executable, "-c", SILANE], text=True) == "53 1\n"


def test_molecules_of_the_demo_are_compared_as_before(searches, demo_library):
    for row in range(0, len(demo_library), 12):
        assert alike_bonds(demo_library.ligand(row)) < MAX_ALIKE / 2
        shared_core(PreparedQuery(demo_library.ligand(row), 1, 1), demo_library.ligand(234 - row))
    assert set(searches) == {(-1, False)}


def mirrored(smiles):
    """A molecule, and a pose of it with all stereocentres wrong."""
    query = PreparedQuery(parse_smiles(smiles), 1, 1)
    return with_coordinates(query.mol, query.conformers[0] * [1, 1, -1]), query.mol


def test_exchanges_of_like_atoms_are_bounded(monkeypatch):
    """Mirrored meso-tartrate is right by its second mapping; 28 pairs of methyls have 270 million."""
    pose, query = mirrored("O[C@H](C(=O)O)[C@@H](O)C(=O)O")
    assert keeps_stereo(pose, query)
    monkeypatch.setattr(stereo, "MOST_MAPPINGS", 1)
    assert not keeps_stereo(pose, query)
    monkeypatch.setattr(stereo, "MOST_MAPPINGS", 1000)
    pose, query = mirrored("F[C@H](Cl)" + "C(C)(C)" * 28 + "C")
    assert not keeps_stereo(pose, query)
    assert keeps_stereo(with_coordinates(query, positions(pose) * [1, 1, -1]), query)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("smiles", "status"),
    [
        ("O" + "CCO" * 39, "posed"),
        ("C" * 120, "posed"),
        ("NC(CC(C)C)C(=O)" * 8 + "O", "posed"),
        ("N[C@@H](Cc1c[nH]c2ccccc12)C(=O)" * 8 + "O", "refused"),
        (FULLERENE, "refused"),
        ("O" + "CCO" * 30, "posed"),
        ("FC(F)(F)" + "C(F)(F)" * 37 + "C(F)(F)F", "posed"),
        *[(smiles, "posed") for smiles in REPETITIVE.values()],
    ],
)
def test_the_worst_molecules_end_by_default_settings(demo_library, smiles, status):
    assert predict(smiles, demo_library).status == status
