from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templ.chemistry.molecules import positions
from templ.chemistry.receptor import Residues, around
from templ.chemistry.receptor_file import read_receptor
from templ.library.build import build_library
from templ.library.store import open_library
from templ.records import Entry
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger
from templ.templates import sequence as module
from templ.templates.sequence import Aligner, cluster_sequences, identity, related_rows

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
SHARES = (1.0, 0.8, 0.6, 0.45, 0.2)
"""Of the sequence that each receptor of the library, in turn, has kept."""


def mutated(sequence, share, seed=1):
    """Other letters at all positions but that share of them."""
    random = np.random.default_rng(seed)
    changed = random.permutation(len(sequence))[round(share * len(sequence)) :]
    letters = list(sequence)
    for index in changed:
        letters[index] = random.choice([letter for letter in LETTERS if letter != letters[index]])
    return "".join(letters)


def with_sequence(receptor, sequence):
    return replace(receptor, residues=replace(receptor.residues, sequence=sequence))


@pytest.fixture(scope="module")
def mpro(demo_library):
    return around(read_receptor(demo_files().receptor), positions(demo_library.ligand(0)))


@pytest.fixture(scope="module")
def library(demo_library, mpro, tmp_path_factory):
    entries = [
        Entry(
            f"c{share:g}",
            demo_library.ligand(row),
            "x",
            receptor=with_sequence(mpro, mutated(mpro.residues.sequence, share)),
        )
        for row, share in enumerate(SHARES)
    ]
    out = tmp_path_factory.mktemp("related") / "x.templ"
    build_library(out, entries, ledger=Ledger(), complexes=True)
    with open_library(out) as opened:
        yield opened


@pytest.fixture
def related(library, mpro):
    def of(least=0.0, most=1.0, allowed=None, query=mpro.residues):
        allowed = np.ones(len(library), np.bool_) if allowed is None else allowed
        return related_rows(query.sequences(), library, allowed, least, most, Aligner()).tolist()

    return of


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [
        (0.0, 1.0, [1, 1, 1, 1, 1]),
        (0.3, 1.0, [1, 1, 1, 1, 0]),
        (0.5, 1.0, [1, 1, 1, 0, 0]),
        (1.0, 1.0, [1, 0, 0, 0, 0]),
        (0.0, 0.9, [0, 1, 1, 1, 1]),
        (0.0, 0.3, [0, 0, 0, 0, 1]),
        (0.3, 0.7, [0, 0, 1, 1, 0]),
        (0.0, 0.05, [0, 0, 0, 0, 0]),
    ],
)
def test_identity_from_the_one_to_the_other(related, least, most, expected):
    assert related(least, most) == expected


@given(st.lists(st.booleans(), min_size=len(SHARES), max_size=len(SHARES)))
@settings(max_examples=15)
def test_only_rows_that_are_allowed(library, mpro, allowed):
    chosen = related_rows(mpro.residues.sequences(), library, np.array(allowed), 0.3, 1.0, Aligner())
    assert chosen.tolist() == [may and share >= 0.3 for may, share in zip(allowed, SHARES, strict=True)]


def test_those_with_most_in_common_are_aligned(related, monkeypatch):
    monkeypatch.setattr(module, "MOST_ALIGNED", 2)
    assert related() == [1, 1, 0, 0, 0]
    assert related(allowed=np.array([False, True, False, True, True])) == [0, 1, 0, 1, 0]


def test_any_chain_of_the_query_will_do(related, mpro):
    own = mpro.residues
    other = Residues(
        ("A", "B"),
        np.array([200, 200 + len(own)], np.int32),
        "".join(np.random.default_rng(2).choice(list(LETTERS), 200)) + own.sequence,
        np.arange(200 + len(own), dtype=np.int32),
        " " * (200 + len(own)),
        np.concatenate([own.ca[:200], own.ca]),
    )
    assert related(least=0.3, query=other) == [1, 1, 1, 1, 0]
    assert related(most=0.9, query=other) == [0, 1, 1, 1, 1]  # the best pair of chains counts


def test_identity_is_symmetric_and_of_what_is_aligned(mpro):
    whole, aligner = mpro.residues.sequence, Aligner()
    assert identity(whole, whole, aligner) == 1
    assert identity(whole, whole[100:], aligner) == identity(whole[100:], whole, aligner) == 1
    assert identity(whole, mutated(whole, 0.7), aligner) == pytest.approx(0.7, abs=0.02)


def test_a_tag_that_two_proteins_share_relates_them_not():
    tag = "GSHMENLYFQGSAMDPEF"
    one, other = tag + "W" * 60, "P" * 60 + tag
    assert identity(one, other, Aligner()) < 0.3


@given(st.text(LETTERS, min_size=1, max_size=30), st.text(LETTERS, min_size=1, max_size=30))
def test_identity_is_a_share(one, other):
    assert 0 <= identity(one, other, Aligner()) <= 1
    assert identity(one, one, Aligner()) == 1


def test_alignments_are_remembered(mpro):
    aligner, sequence = Aligner(), mpro.residues.sequence
    once = aligner.align(sequence, sequence[5:])
    assert aligner.align(sequence, sequence[5:]) is once
    assert once[0].tolist() == list(range(5, len(sequence)))
    assert once[1].tolist() == list(range(len(sequence) - 5))


@given(
    st.text("ACDEFGHIKLMNPQRSTVWYX", min_size=1, max_size=40),
    st.text("ACDEFGHIKLMNPQRSTVWYX", min_size=1, max_size=40),
)
def test_an_alignment_keeps_the_order_and_stays_inside(query, template):
    own, other = Aligner().align(query, template)
    assert len(own) == len(other)
    for rows, size in ((own, len(query)), (other, len(template))):
        assert (np.diff(rows) > 0).all()
        assert len(rows) == 0 or (rows[0] >= 0 and rows[-1] < size)


def test_clusters_are_of_one_protein():
    random = np.random.default_rng(3)
    first, second = ("".join(random.choice(list(LETTERS), 200)) for _ in range(2))
    sequences = [first[20:], mutated(first, 0.95), second, first, mutated(first, 0.8), mutated(second, 0.97)]
    assert cluster_sequences(sequences) == [0, 0, 2, 0, 4, 2]


def test_clusters_of_nothing_and_of_short_sequences():
    assert cluster_sequences([]) == []
    assert cluster_sequences(["", "AC", "AC", ""]) == [0, 1, 1, 0]
