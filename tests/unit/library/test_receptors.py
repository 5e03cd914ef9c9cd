from __future__ import annotations

import pickle
import shutil
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from made_receptors import of_sequence

from templ.chemistry.receptor import Atoms, Receptor, Residues
from templ.chemistry.receptor_file import read_receptor
from templ.errors import LibraryError, StorageError
from templ.library import kmer_index, mapped
from templ.library.build import build_library
from templ.library.format import (
    KMER_ENDS,
    KMER_ROWS,
    RECEPTOR_FILES,
    RECEPTORS_TABLE,
    Counts,
    Manifest,
    describe_file,
)
from templ.library.kmer_index import LETTERS, kmers
from templ.library.mapped import MappedTable
from templ.library.receptors import RECEPTORS_PER_BATCH, SCRATCH, MappedReceptors, ReceptorWriter
from templ.library.store import open_library
from templ.records import Entry
from templ.sources.complexes import find_complexes, read_complex
from templ.sources.demo import demo_files
from templ.sources.ledger import Ledger

FLOATS = st.floats(-1e4, 1e4, width=32)
ATOM_NAMES = st.text("CNOSHPZ0123456789'*", min_size=1, max_size=4)
RESIDUE_NAMES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=5)


def words_of(sequence):
    """The definition of `kmers`, letter by letter."""
    found = {sequence[at : at + 3] for at in range(len(sequence) - 2)}
    return {word for word in found if set(word) <= set(LETTERS)}


@st.composite
def receptors(draw):
    size, atoms = draw(st.integers(0, 12)), draw(st.integers(0, 9))
    cuts = sorted(draw(st.sets(st.integers(1, size), max_size=3)) | {size}) if size else []
    names = draw(st.lists(ATOM_NAMES, min_size=atoms, max_size=atoms))
    residue_names = draw(st.lists(RESIDUE_NAMES, min_size=atoms, max_size=atoms))
    return Receptor(
        Residues(
            tuple(draw(st.lists(st.text(max_size=4), min_size=len(cuts), max_size=len(cuts)))),
            np.array(cuts, np.int32),
            draw(st.text("ACDEFGHIKLMNPQRSTVWYX", min_size=size, max_size=size)),
            draw(arrays.arrays(np.int32, size, elements=st.integers(-999, 9999))),
            draw(st.text(" ABZ", min_size=size, max_size=size)),
            draw(arrays.arrays(np.float32, (size, 3), elements=FLOATS)),
        ),
        Atoms(
            draw(arrays.arrays(np.float32, (atoms, 3), elements=FLOATS)),
            draw(arrays.arrays(np.uint8, atoms)),
            draw(arrays.arrays(np.int32, atoms, elements=st.integers(-1, 11))),
            np.array(names, np.str_),
            np.array(residue_names, np.str_),
            draw(arrays.arrays(np.float32, atoms, elements=FLOATS)),
        ),
        np.arange(size // 2, dtype=np.int32),
    )


def same(one, other):
    assert one.residues.chains == other.residues.chains
    assert one.residues.sequence == other.residues.sequence
    assert one.residues.insertions == other.residues.insertions
    np.testing.assert_array_equal(one.pocket, other.pocket)
    for part, names in (
        ("residues", ("ends", "numbers", "ca")),
        ("atoms", ("xyz", "elements", "residues", "names", "residue_names", "b_factors")),
    ):
        for name in names:
            first, second = getattr(getattr(one, part), name), getattr(getattr(other, part), name)
            np.testing.assert_array_equal(first, second, strict=name not in ("names", "residue_names"))


def write(folder, all_of_them):
    all_of_them = list(all_of_them)
    with ReceptorWriter(folder) as writer:
        for receptor in all_of_them:
            writer.add(receptor)
    files = {name: describe_file(folder / name) for name in RECEPTOR_FILES}
    counts = Counts(ligands=len(all_of_them), left_out=0)
    return MappedReceptors(folder, Manifest.model_construct(counts=counts, files=files))


def read_back(stored, row):
    return stored.receptor(row)


@pytest.fixture(scope="module")
def complexes(shared):
    folder = shared / "data" / "complexes"
    if not folder.is_dir():
        pytest.skip("no ../shared/data/complexes beside this checkout")
    return [read_complex(files) for files in list(find_complexes(folder))[::3]]


@pytest.fixture(scope="module")
def path(complexes, tmp_path_factory):
    out = tmp_path_factory.mktemp("complexes") / "x.templ"
    build_library(out, complexes, ledger=Ledger(), complexes=True)
    return out


@given(st.text("ACDEFGHIKLMNPQRSTVWYXUB", max_size=30))
def test_kmers_are_the_words_of_three_letters(sequence):
    found = kmers(sequence)
    assert found.dtype == np.uint16
    assert (np.diff(found.astype(int)) > 0).all()
    assert len(found) == len(words_of(sequence))
    assert set(found.tolist()) == {int(kmers(word)[0]) for word in words_of(sequence)}


def test_every_word_has_a_number_of_its_own():
    numbers = [int(kmers(a + b + c)[0]) for a in LETTERS for b in LETTERS for c in LETTERS]
    assert numbers == list(range(20**3))


@given(st.lists(receptors(), min_size=1, max_size=4))
def test_any_receptor_comes_back(tmp_path_factory, made):
    stored = write(tmp_path_factory.mktemp("any"), made)
    for row, receptor in enumerate(made):
        same(read_back(stored, row), receptor)
        stored.release_pages()


def test_rows_come_back_across_batches(tmp_path):
    made = [of_sequence("ACDEFGHIKL"[: 1 + n % 10]) for n in range(2 * RECEPTORS_PER_BATCH + 3)]
    stored = write(tmp_path, made)
    assert [read_back(stored, row).residues.sequence for row in range(len(made))] == [
        receptor.residues.sequence for receptor in made
    ]


def test_what_posing_needs_comes_back_for_every_real_complex(path, complexes):
    with open_library(path) as library:
        assert library.has_receptors
        for entry in complexes:
            row = library.row_of(entry.id)
            receptor = library.receptor(row)
            same(receptor, entry.receptor)
            residues, pocket = library.residues(row)
            assert residues.sequence == receptor.residues.sequence
            np.testing.assert_array_equal(pocket, receptor.pocket)


def brute_force(sequence, sequences):
    wanted = words_of(sequence)
    found = [words_of(other) for other in sequences]
    return [len(wanted & words) / max(min(len(wanted), len(words)), 1) for words in found]


@given(
    st.lists(st.text("ACDX", max_size=14), min_size=1, max_size=12),
    st.text("ACDX", max_size=14),
    st.integers(1, 12),
    st.integers(1, 5),
    st.randoms(),
)
def test_related_is_a_count_of_shared_words(tmp_path_factory, sequences, sequence, k, block, random):
    stored = write(tmp_path_factory.mktemp("related"), map(of_sequence, sequences))
    mask = np.array([random.random() < 0.7 for _ in sequences])
    expected = np.array(brute_force(sequence, sequences), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped, "BLOCK", block)
        for chosen in (None, mask):
            rows, values = stored.related(sequence, k, chosen)
            order = np.argsort(-expected, kind="stable")
            order = order if chosen is None else order[chosen[order]]
            assert rows.tolist() == order[:k].tolist()
            np.testing.assert_allclose(values, expected[order[:k]], rtol=1e-6)


def test_related_on_real_sequences(path, complexes):
    sequences = [entry.receptor.residues.sequence for entry in complexes]
    with open_library(path) as library, pytest.MonkeyPatch.context() as patch:
        for block in (4096, 50):
            patch.setattr(mapped, "BLOCK", block)
            for sequence in sequences[::25]:
                rows, values = library.related(sequence, len(sequences))
                expected = np.array(brute_force(sequence, sequences), np.float32)
                np.testing.assert_allclose(values, np.sort(expected)[::-1], rtol=1e-6)
                np.testing.assert_allclose(values, expected[rows], rtol=1e-6)


def test_of_a_row_only_the_main_chain_is_read(path, complexes, monkeypatch):
    """What it reads is compared with the checksums, as everything is; the atoms are not looked at."""
    with open_library(path) as library:
        expected = []
        for row in range(len(library)):
            residues, pocket = library.residues(row)
            expected.append(residues.sequence[residues.main_chain(pocket)])
    checked = []
    first = MappedTable.check
    monkeypatch.setattr(MappedTable, "check", lambda self, *ends: checked.append(ends) or first(self, *ends))
    with open_library(path) as library:
        checked.clear()
        assert [library.main_chain(row) for row in range(len(library))] == expected
        read = sum(end - start for start, end in set(checked))
        assert 0 < read < 0.05 * (path / RECEPTORS_TABLE).stat().st_size
        with pytest.raises(LibraryError, match="has no row"):
            library.main_chain(len(library))


def test_a_main_chain_that_was_altered_is_noticed(path, complexes, tmp_path):
    shutil.copytree(path, tmp_path / "copy.templ")
    altered = tmp_path / "copy.templ" / RECEPTORS_TABLE
    data = altered.read_bytes()
    sequence = complexes[0].receptor.residues.sequence.encode()
    at = data.index(sequence)
    altered.write_bytes(data[:at] + b"X" + data[at + 1 :])
    with (
        pytest.raises(LibraryError, match=r"receptors.arrow was altered"),
        open_library(tmp_path / "copy.templ") as library,
    ):
        library.main_chain(0)


def test_the_same_target_is_most_related(path, complexes):
    with open_library(path) as library:
        targets = [id.partition("-")[0] for id in library]
        for row in range(0, len(library), 7):
            others = np.arange(len(library)) != row
            found, _ = library.related(complexes[row].receptor.residues.sequence, 1, others)
            assert targets.count(targets[row]) == 1 or targets[found[0]] == targets[row]


def test_a_search_holds_one_block_and_four_bytes_a_receptor(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "BLOCK", 256)
    random = np.random.default_rng(1)
    sequences = ["".join(random.choice(list(LETTERS), 300)) for _ in range(40)]
    peaks = []
    for size in (512, 4096):
        (tmp_path / str(size)).mkdir()
        stored = write(tmp_path / str(size), (of_sequence(sequences[n % 40]) for n in range(size)))
        stored.related(sequences[0], 10)
        tracemalloc.start()
        stored.related(sequences[0], 10)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 4 * (4096 - 512)


@pytest.mark.parametrize("at_once", [1, 100, 10**6])
def test_the_index_is_written_in_parts_of_any_size(path, complexes, tmp_path, monkeypatch, at_once):
    """In many parts for a large library, in one for a small one: the same bytes, and no scratch file."""
    monkeypatch.setattr(kmer_index, "MOST_SORTED", at_once)
    monkeypatch.setattr(kmer_index, "BLOCK", 7)
    some = complexes[: 20 if at_once == 1 else None]
    write(tmp_path, [entry.receptor for entry in some])
    if len(some) == len(complexes):
        for name in RECEPTOR_FILES:
            assert (tmp_path / name).read_bytes() == (path / name).read_bytes()
    ends, rows = np.load(tmp_path / KMER_ENDS), np.load(tmp_path / KMER_ROWS)
    lists = np.split(rows, ends[:-1].astype(int))
    expected = [[] for _ in lists]
    for row, entry in enumerate(some):
        for kmer in kmers(entry.receptor.residues.sequence):
            expected[kmer].append(row)
    assert [found.tolist() for found in lists] == expected
    assert not (tmp_path / SCRATCH).exists()


@pytest.mark.parametrize("name", RECEPTOR_FILES)
@pytest.mark.parametrize("how", ["torn", "altered", "gone"])
def test_a_damaged_file_is_noticed_when_the_library_is_opened(path, tmp_path, name, how):
    copy = tmp_path / "copy.templ"
    shutil.copytree(path, copy)
    data = (copy / name).read_bytes()
    if how == "gone":
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(data[:-8] if how == "torn" else bytes([data[0] ^ 255]) + data[1:])
    with pytest.raises(LibraryError, match=name):
        open_library(copy)


def test_a_library_can_be_sent_and_pages_release(path, complexes):
    with open_library(path) as library:
        row = library.row_of(complexes[0].id)
        held = library.receptor(row)
        library.release_pages()
        same(held, complexes[0].receptor)  # arrays lie over the file, not over memory that went away
        with pickle.loads(pickle.dumps(library)) as other:
            same(other.receptor(row), held)


def test_a_library_without_receptors_says_so(demo_library):
    assert not demo_library.has_receptors
    for use in (demo_library.receptor, demo_library.residues, lambda row: demo_library.related("ACD", 1)):
        with pytest.raises(
            LibraryError, match="has no receptors; build it with `templ library build --complexes`"
        ):
            use(0)


def test_rows_outside_and_closed_libraries(path):
    library = open_library(path)
    with pytest.raises(LibraryError, match="has no row 126"):
        library.receptor(126)
    library.close()
    with pytest.raises(LibraryError, match="is closed"):
        library.receptor(0)


def test_the_names_of_receptor_files_are_no_receptors_of_groups(path):
    with open_library(path) as library:
        assert library.receptor_path() is None
        library.verify()


def test_entries_without_a_receptor_are_left_out_and_shift_nothing(tmp_path, demo_library):
    mols, receptor = [demo_library.ligand(row) for row in range(3)], read_receptor(demo_files().receptor)
    with_it = [None, receptor, of_sequence("ACDEFG")]
    entries = [
        Entry(f"c{n}", mol, "x", receptor=own) for n, (mol, own) in enumerate(zip(mols, with_it, strict=True))
    ]
    ledger = Ledger()
    build_library(tmp_path / "x.templ", entries, ledger=ledger, complexes=True)
    assert dict(ledger.counts) == {"no receptor": 1}
    with open_library(tmp_path / "x.templ") as library:
        assert library.receptor(library.row_of("c2")).residues.sequence == "ACDEFG"


def test_the_same_receptors_give_the_same_bytes(path, complexes, tmp_path):
    write(tmp_path, [entry.receptor for entry in complexes])
    for name in RECEPTOR_FILES:
        assert (tmp_path / name).read_bytes() == (path / name).read_bytes()


def test_a_disk_that_refuses_is_named(tmp_path):
    with pytest.raises(StorageError, match="absent"), ReceptorWriter(tmp_path / "absent"):
        pass
