from __future__ import annotations

import numpy as np
import pytest
from chains import residues_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from templ.chemistry.molecules import positions
from templ.chemistry.receptor import around
from templ.chemistry.receptor_file import read_receptor
from templ.sources.complexes import find_complexes, read_complex
from templ.sources.demo import demo_files
from templ.templates.sequence import Aligner
from templ.templates.superposition import SUPERPOSITION, superpose

ALIGNER = Aligner()
POCKET_DOMAIN, OTHER_DOMAIN = np.arange(3, 181), np.arange(201, 298)
"""Of Mpro: the substrate lies in the first two of its domains; the third lies beside them."""

angles = st.floats(-180, 180)
motions = st.tuples(angles, angles, angles, *[st.floats(-200, 200)] * 3)


def part(residues, rows):
    return "".join(residues.sequence[row] for row in rows), residues.ca[rows]


def moved(xyz, motion):
    return Rotation.from_euler("xyz", motion[:3], degrees=True).apply(xyz) + motion[3:]


@pytest.fixture(scope="module")
def mpro(demo_library):
    """Chain of Mpro, and the residues around one of its ligands."""
    cut = around(read_receptor(demo_files().receptor), positions(demo_library.ligand(0)))
    assert len(cut.residues.chains) == 1
    return cut.residues, cut.pocket


@given(motions)
def test_a_copy_that_was_moved_is_carried_back(mpro, motion):
    template, pocket = mpro
    query = residues_of((template.sequence, moved(template.ca, motion)))
    (fit,) = superpose(query, template, pocket, ALIGNER)
    np.testing.assert_allclose(fit.move(template.ca), query.ca, atol=1e-3)
    np.testing.assert_allclose(fit.rotation @ fit.rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(fit.rotation) == pytest.approx(1)
    assert fit.numbers() == {
        "identity": 1,
        "pocket_identity": 1,
        "pocket_rmsd": pytest.approx(0, abs=1e-3),
        "pairs": len(template),
    }
    assert tuple(fit.numbers()) == SUPERPOSITION
    assert fit.pocket_found == 1


@settings(max_examples=30)
@given(motions, st.integers(0, 25), st.integers(0, 12), st.integers(60, 90), st.integers(0, 25))
def test_ends_gaps_and_insertions_do_not_shift_the_pairs(mpro, motion, cut, gap, at, inserted):
    """Never residue by residue in the order of the files: nearly all would be the wrong ones here."""
    template, pocket = mpro
    rows = np.r_[cut:at, at + gap : len(template)]
    letters, xyz = part(template, rows)
    xyz = moved(xyz, motion)
    tag = np.linspace(xyz[0] + 90, xyz[0] + 5, inserted).reshape(-1, 3)
    query = residues_of((("GSHMENLYFQ" * 3)[:inserted] + letters, np.concatenate([tag, xyz])))
    fits = superpose(query, template, pocket, ALIGNER)
    assert len(fits) == 1
    error = np.linalg.norm(fits[0].move(template.ca[rows]) - xyz, axis=1)
    assert error.max() < 0.05
    assert fits[0].identity > 0.9


def test_mutations_lower_the_identity_alone(mpro):
    template, pocket = mpro
    letters = list(template.sequence)
    outside = [row for row in range(len(template)) if row not in set(pocket.tolist())][::10]
    for row in [*pocket[:3].tolist(), *outside]:
        letters[row] = "A" if letters[row] != "A" else "G"
    (fit,) = superpose(residues_of(("".join(letters), template.ca)), template, pocket, ALIGNER)
    assert fit.identity == pytest.approx(1 - (3 + len(outside)) / len(template))
    assert fit.pocket_identity == pytest.approx(1 - 3 / len(pocket))
    assert fit.pocket_rmsd < 1e-4


def test_a_domain_that_moved_is_left_out(mpro):
    template, pocket = mpro
    xyz = template.ca.astype(np.float64).copy()
    hinge = xyz[OTHER_DOMAIN[0]]
    xyz[OTHER_DOMAIN] = hinge + Rotation.from_euler("y", 40, degrees=True).apply(xyz[OTHER_DOMAIN] - hinge)
    (fit,) = superpose(residues_of((template.sequence, xyz)), template, pocket, ALIGNER)
    assert np.linalg.norm(fit.move(template.ca[POCKET_DOMAIN]) - xyz[POCKET_DOMAIN], axis=1).max() < 0.02
    assert len(POCKET_DOMAIN) <= fit.pairs < len(template) - len(OTHER_DOMAIN) / 2
    assert fit.identity == 1


def test_a_loop_of_the_pocket_that_moved_is_left_out(mpro):
    template, pocket = mpro
    xyz = template.ca.copy()
    loop = np.arange(pocket[2] - 2, pocket[2] + 3)
    xyz[loop] += [0, 0, 9]
    (fit,) = superpose(residues_of((template.sequence, xyz)), template, pocket, ALIGNER)
    still = np.setdiff1d(np.arange(len(template)), loop)
    assert np.linalg.norm(fit.move(template.ca[still]) - xyz[still], axis=1).max() < 0.02
    assert fit.pocket_rmsd < 0.02
    assert fit.pocket_found == pytest.approx(1 - np.isin(pocket, loop).sum() / len(pocket))


@pytest.fixture(scope="module")
def interface(mpro):
    """Two domains as two chains, and a pocket between them."""
    template, _ = mpro
    both = residues_of(part(template, POCKET_DOMAIN), part(template, OTHER_DOMAIN))
    gaps = np.linalg.norm(both.ca[: len(POCKET_DOMAIN), None] - both.ca[None, len(POCKET_DOMAIN) :], axis=-1)
    own = np.argsort(gaps.min(axis=1))[:12]
    other = np.argsort(gaps.min(axis=0))[:8] + len(POCKET_DOMAIN)
    return both, np.sort(np.concatenate([own, other])).astype(np.int32)


@pytest.mark.parametrize("swapped", [False, True])
@given(motion=motions)
@settings(max_examples=15)
def test_chains_pair_whatever_their_order(interface, swapped, motion):
    template, pocket = interface
    parts = [(template.sequence[s], moved(template.ca[s], motion)) for s in template.slices()]
    (fit,) = superpose(residues_of(*(parts[::-1] if swapped else parts)), template, pocket, ALIGNER)
    assert fit.pairs == len(template)
    assert fit.pocket_found == fit.pocket_identity == 1
    np.testing.assert_allclose(fit.move(template.ca), np.concatenate([xyz for _, xyz in parts]), atol=1e-3)


def test_a_second_chain_that_lies_elsewhere_is_not_paired(interface):
    template, pocket = interface
    first, second = [(template.sequence[s], template.ca[s]) for s in template.slices()]
    other = second[0][:40] + "A" * (len(second[0]) - 40)
    query = residues_of((other, second[1] + np.float32(5)), first)
    (fit,) = superpose(query, template, pocket, ALIGNER)
    assert fit.identity == 1
    assert fit.pairs == len(POCKET_DOMAIN)
    assert fit.pocket_found == pytest.approx(12 / 20)
    np.testing.assert_allclose(fit.move(first[1]), first[1], atol=1e-3)


@given(motions)
@settings(max_examples=15)
def test_every_copy_in_the_query_gets_its_fit(mpro, motion):
    template, pocket = mpro
    first, second = moved(template.ca, motion), moved(template.ca, motion) * [-1, -1, 1] + [0, 0, 70]
    fits = superpose(
        residues_of((template.sequence, first), (template.sequence, second)), template, pocket, ALIGNER
    )
    assert len(fits) == 2
    for goal in (first, second):
        assert min(np.abs(fit.move(template.ca) - goal).max() for fit in fits) < 1e-3


def test_a_copy_that_fits_badly_is_left_out(mpro):
    template, pocket = mpro
    broken = template.ca.copy()
    broken[pocket] += np.random.default_rng(1).normal(0, 9, (len(pocket), 3)).astype(np.float32)
    query = residues_of((template.sequence, broken), (template.sequence, template.ca + np.float32(50)))
    (fit,) = superpose(query, template, pocket, ALIGNER)
    np.testing.assert_allclose(fit.move(template.ca), template.ca + np.float32(50), atol=1e-3)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_a_protein_whose_residues_come_in_another_order_does_not_fit(mpro, seed):
    """Its atoms all lie where they did: only who corresponds to whom is lost."""
    template, pocket = mpro
    query = residues_of(part(template, np.random.default_rng(seed).permutation(len(template))))
    assert superpose(query, template, pocket, ALIGNER) == []


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_nothing_in_common_does_not_fit(mpro, seed):
    template, pocket = mpro
    random = np.random.default_rng(seed)
    letters = "".join(random.choice(list("ACDEFGHIKLMNPQRSTVWY"), len(template)))
    walk = np.cumsum(random.normal(0, 2.2, (len(template), 3)), axis=0)
    assert superpose(residues_of((letters, walk)), template, pocket, ALIGNER) == []


@pytest.mark.parametrize(("size", "fits"), [(1, 0), (4, 0), (7, 0), (8, 1), (20, 1)])
def test_a_few_residues_say_nothing(mpro, size, fits):
    stretch = np.arange(100, 100 + size, dtype=np.int32)
    assert len(superpose(residues_of(part(mpro[0], stretch)), mpro[0], stretch, ALIGNER)) == fits


def test_other_proteins_do_not_fit(shared):
    """Of 19 proteins, only kinases fit onto other kinases and bromodomains onto other bromodomains."""
    folder = shared / "data" / "complexes"
    if not folder.is_dir():
        pytest.skip("no ../shared/data/complexes beside this checkout")
    files = {files.id.split("-")[0]: files for files in find_complexes(folder)}
    first = {target: read_complex(found) for target, found in files.items()}
    kinases = {"cdk2", "gsk3b", "jak1", "map2k1", "mapk14", "pdpk1", "pik3cg", "ripk2"}
    bromo = {"brd4", "crebbp"}
    for one, query in first.items():
        for other, template in first.items():
            fits = superpose(
                query.receptor.residues, template.receptor.residues, template.receptor.pocket, ALIGNER
            )
            if one == other:
                assert np.allclose(fits[0].move(np.eye(3)), np.eye(3), atol=1e-4)
            elif fits:
                assert {one, other} <= kinases or {one, other} <= bromo
                assert fits[0].pocket_rmsd < 3
