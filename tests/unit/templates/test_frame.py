from __future__ import annotations

import numpy as np
import pytest
from chains import residues_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from scipy.spatial.transform import Rotation

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import positions
from templ.chemistry.receptor import Atoms, Receptor, around
from templ.chemistry.receptor_file import read_receptor
from templ.errors import InputError, LibraryError, Refusal
from templ.library.build import build_library
from templ.library.store import open_library
from templ.records import Entry, Target
from templ.settings import PredictionSettings
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger
from templ.templates.frame import NEAREST, SITE_REACH, Frame
from templ.templates.rule import TemplateRule
from templ.templates.screening import AllowedTemplates, find_templates

TURN = np.diag([-1.0, -1.0, 1.0])
SHIFT = np.array([0.0, 0.0, 75.0])


def nothing_but(residues, pocket=(), embedding=None):
    """A receptor of these residues, with atoms around each C-alpha, so that there is something to touch."""
    steps = 2.5 * np.concatenate([np.eye(3), -np.eye(3)])
    xyz = (residues.ca[:, None] + steps).reshape(-1, 3).astype(np.float32)
    return Receptor(
        residues,
        Atoms(
            xyz,
            np.full(len(xyz), 6, np.uint8),
            np.repeat(np.arange(len(residues.ca), dtype=np.int32), len(steps)),
            np.full(len(xyz), "CA"),
            np.full(len(xyz), "GLY"),
            np.zeros(len(xyz), np.float32),
        ),
        np.array(pocket, np.int32),
        embedding,
    )


def frame_of(residues, site=None, embedding=None):
    return Frame(nothing_but(residues, embedding=embedding), True, site=site)


class OneReceptor:
    """A library as far as a frame looks at it to bring its template: one chain and its pocket."""

    def __init__(self, residues, pocket):
        self._found = residues, pocket

    def residues(self, row):
        assert row == 0
        return self._found


def bring(frame, mol, residues, pocket):
    return frame.bring(OneReceptor(residues, pocket), 0, mol)


def centre(mol):
    return positions(mol).mean(axis=0)


@pytest.fixture(scope="module")
def mpro(demo_library):
    return around(read_receptor(demo_files().receptor), positions(demo_library.ligand(0)))


@pytest.fixture
def ligand(demo_library):
    return demo_library.ligand(0)


@pytest.fixture(scope="module")
def dimer(mpro):
    """Two copies of the chain, the second turned and 75 A away and a little worse."""
    own = mpro.residues
    noise = np.random.default_rng(3).normal(0, 0.2, own.ca.shape)
    return residues_of((own.sequence, own.ca), (own.sequence, own.ca @ TURN + SHIFT + noise))


@given(st.tuples(*[st.floats(-180, 180)] * 3), st.tuples(*[st.floats(-150, 150)] * 3))
@settings(max_examples=20)
def test_a_template_is_brought_into_any_frame(demo_library, mpro, turn, shift):
    ligand, own = demo_library.ligand(0), mpro.residues
    rotation = Rotation.from_euler("xyz", turn, degrees=True)
    expected = rotation.apply(positions(ligand)) + shift
    frame = frame_of(residues_of((own.sequence, rotation.apply(own.ca) + shift)))
    fit = bring(frame, ligand, own, mpro.pocket)
    np.testing.assert_allclose(positions(ligand), expected, atol=2e-3)
    assert fit.pocket_identity == 1


def test_the_best_copy_is_taken_and_the_others_follow_the_first(dimer, mpro, ligand):
    own = mpro.residues
    frame = frame_of(dimer)
    first = Chem.Mol(ligand)
    bring(frame, first, own, mpro.pocket)
    np.testing.assert_allclose(centre(first), centre(ligand), atol=0.01)
    assert frame.copies == dimer.chains
    # This one fits the second copy better; where its template lies, its pose must not go.
    other, noisy = Chem.Mol(ligand), residues_of((own.sequence, (dimer.ca[len(own) :] - SHIFT) @ TURN.T))
    bring(frame, other, noisy, mpro.pocket)
    assert np.linalg.norm(centre(other) - centre(ligand)) < 0.5
    alone = Chem.Mol(ligand)
    bring(frame_of(dimer), alone, noisy, mpro.pocket)
    np.testing.assert_allclose(centre(alone), centre(ligand) @ TURN + SHIFT, atol=0.05)


def test_a_site_decides_between_the_copies(dimer, mpro, ligand):
    goal = centre(ligand) @ TURN + SHIFT
    moved = Chem.Mol(ligand)
    frame = frame_of(dimer, site=goal + [0, 0, 3])
    assert bring(frame, moved, mpro.residues, mpro.pocket) is not None
    np.testing.assert_allclose(centre(moved), goal, atol=0.5)


@pytest.mark.parametrize(("away", "kept"), [(0.0, True), (SITE_REACH - 0.5, True), (SITE_REACH + 0.5, False)])
def test_of_a_site_what_is_not_near_is_left_out_and_not_moved(mpro, ligand, away, kept):
    before = positions(ligand).copy()
    frame = frame_of(mpro.residues, site=centre(ligand) + [away, 0, 0])
    assert (bring(frame, ligand, mpro.residues, mpro.pocket) is not None) == kept
    np.testing.assert_allclose(positions(ligand), before, atol=1e-3)


def test_what_fits_nowhere_is_not_moved(mpro, ligand):
    before = positions(ligand).copy()
    walk = np.cumsum(np.random.default_rng(1).normal(0, 2, (150, 3)), axis=0)
    frame = frame_of(residues_of(("ACDEFGHIKL" * 15, walk)))
    assert bring(frame, ligand, mpro.residues, mpro.pocket) is None
    np.testing.assert_array_equal(positions(ligand), before)


VECTORS = np.eye(4, dtype=np.float32)
"""Embeddings of the library's four receptors."""


@pytest.fixture(scope="module")
def path(demo_library, mpro, tmp_path_factory):
    """Mpro as it is; with a third, and two thirds, of its letters changed; and something else altogether."""
    own = mpro.residues
    changed = (), (0,), (0, 1)
    sequences = [
        "".join("A" if n % 3 in every and c != "A" else c for n, c in enumerate(own.sequence))
        for every in changed
    ]
    sequences.append("".join(np.random.default_rng(5).choice(list("DEKRW"), len(own))))
    entries = [
        Entry(
            f"c{n}",
            demo_library.ligand(n),
            "x",
            receptor=Receptor(residues_of((sequence, own.ca)), mpro.atoms, mpro.pocket),
        )
        for n, sequence in enumerate(sequences)
    ]
    folder = tmp_path_factory.mktemp("frame")
    ids = np.array([entry.id for entry in entries])
    np.savez(folder / "e.npz", pdb_ids=ids, chain_ids=np.array(["A"] * 4), embeddings=VECTORS)
    build_library(folder / "x.templ", entries, ledger=Ledger(), complexes=True, embeddings=folder / "e.npz")
    return folder / "x.templ"


@pytest.fixture(scope="module")
def library(path):
    with open_library(path) as opened:
        yield opened


def related(library, mpro, by, *, least=0.5, most=1.0, allowed=(1, 1, 1, 1), embedding=None):
    given = np.array(allowed, np.bool_)
    frame = frame_of(mpro.residues, embedding=embedding)
    found = frame.related(library, given, PredictionSettings(by=by, min_identity=least), most)
    assert given.tolist() == [bool(value) for value in allowed]  # the caller's mask stays as it is
    return [int(value) for value in found]


def test_by_sequence(library, mpro):
    assert related(library, mpro, "sequence") == [1, 1, 0, 0]
    assert related(library, mpro, "sequence", least=0.2) == [1, 1, 1, 0]
    assert related(library, mpro, "sequence", least=0.2, most=0.9) == [0, 1, 1, 0]
    assert related(library, mpro, "sequence", allowed=(0, 1, 1, 1)) == [0, 1, 0, 0]


def test_all(library, mpro):
    assert related(library, mpro, "all") == [1, 1, 1, 1]
    assert related(library, mpro, "all", allowed=(0, 1, 0, 1)) == [0, 1, 0, 1]
    assert related(library, mpro, "all", most=0.5) == [0, 0, 1, 1]
    assert related(library, mpro, "all", most=0.5, allowed=(1, 1, 1, 0)) == [0, 0, 1, 0]


def test_by_embedding(library, mpro, monkeypatch):
    asked = VECTORS[2] + 0.1 * VECTORS[0]
    assert related(library, mpro, "embedding", embedding=asked) == [1, 1, 1, 1]
    monkeypatch.setattr("templ.templates.frame.NEAREST", 2)
    assert related(library, mpro, "embedding", embedding=asked) == [1, 0, 1, 0]
    assert related(library, mpro, "embedding", embedding=asked, most=0.9) == [0, 0, 1, 0]
    assert related(library, mpro, "embedding", embedding=asked, allowed=(1, 1, 0, 0))[2:] == [0, 0]
    assert NEAREST > 2


def test_by_embedding_needs_embeddings(library, mpro, demo_library):
    with pytest.raises(InputError, match="has no embedding to find templates by; use --by sequence"):
        related(library, mpro, "embedding")
    with pytest.raises(LibraryError, match="has no embeddings"):
        related(demo_library, mpro, "embedding", embedding=VECTORS[0])


def test_a_second_chain_that_is_too_alike_is_left_out_and_is_no_leak(demo_library, mpro, tmp_path):
    """The ligand lies between two chains: that with most of its pocket is new, the other the target's."""
    own = mpro.residues
    cut, size = 150, len(own)
    new = "".join("A" if n % 2 and c != "A" else c for n, c in enumerate(own.sequence[:cut]))
    pocket = np.concatenate([np.arange(20, 40), np.arange(cut + 20, cut + 35)]).astype(np.int32)
    query = residues_of((own.sequence[:cut], own.ca[:cut]), (own.sequence[cut:], own.ca[cut:]))
    receptor = residues_of((new, own.ca[:cut]), (own.sequence[cut:], own.ca[cut:]))
    assert len(receptor) == size
    mol = demo_library.ligand(0)
    out = tmp_path / "x.templ"
    build_library(
        out, [Entry("c", mol, "x", receptor=nothing_but(receptor, pocket))], ledger=Ledger(), complexes=True
    )
    prepared, target = PreparedQuery(mol, 1, 1), Target("t", Chem.MolToSmiles(mol))
    with open_library(out) as library:
        for most, fits in ((0.6, False), (0.9, True)):
            rule, settings = TemplateRule(max_identity=most), PredictionSettings()
            allowed = AllowedTemplates(target, library, rule)
            frame = frame_of(query)
            assert frame.related(library, allowed.rows, settings, most).tolist() == [True]
            if fits:
                (template,) = find_templates(prepared, library, allowed, settings, frame)
                assert 0.6 < template.fit.identity <= most
            else:
                with pytest.raises(Refusal, match="none of 1 related receptors fits"):
                    find_templates(prepared, library, allowed, settings, frame)


def test_one_frame_for_all_needs_no_receptor_and_brings_nothing(demo_library, mpro):
    allowed = np.ones(len(demo_library), np.bool_)
    for receptor in (None, mpro):
        frame = Frame.of(demo_library, receptor)
        assert frame.receptor is receptor
        assert not frame.brings
        assert frame.related(demo_library, allowed, PredictionSettings(), 0.1) is allowed


def test_templates_with_a_frame_each_need_the_querys_receptor(library, mpro):
    with pytest.raises(InputError, match=r"t7: the templates of x\.templ have a frame each; give the rec"):
        Frame.of(library, None, None, "t7")
    empty = mpro.atoms.only(np.zeros(len(mpro.atoms), np.bool_))
    bare = Receptor(residues_of(("", np.empty((0, 3)))), empty, np.empty(0, np.int32))
    with pytest.raises(InputError, match="no protein in the receptor of t7"):
        Frame.of(library, bare, None, "t7")
    site = np.array([1.0, 2, 3])
    frame = Frame.of(library, mpro, site)
    assert (frame.receptor, frame.brings, frame.site) == (mpro, True, site)
    assert not frame.own_receptor
