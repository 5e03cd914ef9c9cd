"""Rot in any file of a library: what is read is what was written, or a LibraryError; nothing else, ever."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import shutil
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program import run_templ
from rdkit import Chem

from templ.checksums import with_checksum
from templ.chemistry.receptor import Atoms, Receptor, Residues
from templ.errors import LibraryError
from templ.library import build, format, ligands, mapped, receptors
from templ.library.build import build_library
from templ.library.format import (
    DATA_FILES,
    EMBEDDINGS,
    FINGERPRINTS,
    IDS,
    KMER_COUNTS,
    KMER_ENDS,
    KMER_ROWS,
    LIGANDS,
    MANIFEST,
    RECEPTOR_FILES,
    RECEPTORS_TABLE,
    REFERENCES,
    SCHEMA,
    Counts,
    describe_file,
    read_manifest,
    receptor_file,
    write_manifest,
)
from templ.library.store import open_library
from templ.sources.demo import DEMO_DATE_PROPERTY, demo_files
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf

ROWS, DIMENSIONS = 20, 8
ONE_FRAME = ("one-frame", (MANIFEST, *DATA_FILES, REFERENCES, receptor_file("")))
WITH_RECEPTORS = ("complexes", (MANIFEST, *DATA_FILES, *RECEPTOR_FILES, EMBEDDINGS))
FILES = [(kind, name) for kind, names in (ONE_FRAME, WITH_RECEPTORS) for name in names]


def demo_entries():
    return read_sdf(demo_files().ligands, Ledger(), date_property=DEMO_DATE_PROPERTY)


def made_receptor(random):
    size, atoms = random.integers(4, 30), random.integers(1, 20)
    return Receptor(
        Residues(
            ("A",),
            np.array([size], np.int32),
            "".join(random.choice(list("ACDEF"), size)),
            np.arange(size, dtype=np.int32),
            " " * size,
            random.normal(size=(size, 3)).astype(np.float32),
        ),
        Atoms(
            random.normal(size=(atoms, 3)).astype(np.float32),
            np.full(atoms, 6, np.uint8),
            np.zeros(atoms, np.int32),
            np.full(atoms, "CA"),
            np.full(atoms, "ALA"),
            np.ones(atoms, np.float32),
        ),
        np.arange(3, dtype=np.int32),
    )


@pytest.fixture(scope="module", autouse=True)
def _many_blocks_and_batches():
    """Small blocks and batches, so that small libraries have many: the ends alone are checked at opening."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (format, mapped):
            patch.setattr(module, "CHECKSUM_BLOCK", 1024)
        for module in (build, ligands):
            patch.setattr(module, "ROWS_PER_BATCH", 8)
        patch.setattr(receptors, "RECEPTORS_PER_BATCH", 8)
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory, _many_blocks_and_batches):
    """A library of each kind, by name."""
    folder, random = tmp_path_factory.mktemp("sound"), np.random.default_rng(1)
    site = folder / "site.pdb"
    site.write_bytes(b"\n".join(gzip.decompress(demo_files().receptor.read_bytes()).splitlines()[:99]))
    build_library(folder / "one-frame", islice(demo_entries(), ROWS), receptors={"": site})
    chosen = [
        dataclasses.replace(entry, group="ab"[n % 2], reference=None, receptor=made_receptor(random))
        for n, entry in enumerate(islice(demo_entries(), ROWS))
    ]
    npz = folder / "embeddings.npz"
    ids = np.array([entry.id for entry in chosen[1:]])
    np.savez(npz, pdb_ids=ids, embeddings=random.normal(size=(len(ids), DIMENSIONS)))
    build_library(folder / "complexes", chosen, complexes=True, embeddings=npz)
    return {kind: folder / kind for kind, _ in (ONE_FRAME, WITH_RECEPTORS)}


@pytest.fixture
def copy(sound, tmp_path):
    return {kind: shutil.copytree(path, tmp_path / f"{kind}.templ") for kind, path in sound.items()}


def plain(value):
    """A value as something that can be compared."""
    if isinstance(value, Chem.Mol):
        return value.GetProp("_Name"), Chem.MolToSmiles(value), value.GetConformer().GetPositions().tobytes()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, pa.ChunkedArray):
        return value.to_pylist()
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    if isinstance(value, Receptor | Residues | Atoms):
        return [plain(getattr(value, field.name)) for field in dataclasses.fields(value)]
    return value


def looks(library, ids):
    """Everything that can be asked of a library, by name."""
    near = np.ones(DIMENSIONS)
    yield "ids", lambda: list(library)
    for row, id in enumerate(ids):
        for look in (library.ligand, library.row, library.entry, library.residues, library.receptor):
            if row % 3 and look not in (library.ligand, library.row):
                continue  # what `row` reads, most of it
            yield f"{look.__name__} {row}", lambda look=look, row=row: look(row)
        for look in (library.row_of, library.reference):
            yield f"{look.__name__} {id}", lambda look=look, id=id: look(id)
        yield f"vector {row}", lambda row=row: library.embeddings.vector(row)
    for name in SCHEMA.names:
        yield f"column {name}", lambda name=name: library.columns[name]
    yield "get", lambda: library.get(ids[5])
    yield "contains", lambda: ids[6] in library
    yield "fingerprints", lambda: library.fingerprints
    yield "groups_equal", lambda: library.groups_equal(["a"])
    yield "dated_before", lambda: library.dated_before(demo_date())
    yield "same_ligand", lambda: library.same_ligand("A" * 14)
    yield "most_similar", lambda: library.most_similar("CC(=O)Nc1cnccc1C", 9)
    yield "nearest", lambda: library.nearest("CC(=O)Nc1cnccc1C", 9)
    yield "related", lambda: library.related("ACDEFACDEFACDAAAA", 9)
    yield "nearest embeddings", lambda: library.embeddings.nearest(near, 9)
    yield "receptor_path", lambda: (path := library.receptor_path()) and path.read_bytes()
    yield "describe", library.describe
    yield "manifest", lambda: library.manifest
    yield "digest", lambda: library.digest
    yield "verify", library.verify


def demo_date():
    from templ.sources.demo import DEMO_FIRST_TARGET_DATE

    return DEMO_FIRST_TARGET_DATE


def sweep(path, ids):
    """What a library says to everything; its message where it is a LibraryError."""
    try:
        with open_library(path) as library:
            said = {}
            for name, look in looks(library, ids):
                try:
                    said[name] = plain(look())
                except LibraryError as error:
                    said[name] = error
            return said
    except LibraryError as error:
        return {"open": error}


@pytest.fixture(scope="module")
def expected(sound):
    """What the sound libraries say, with the ids of their rows."""
    found = {}
    for kind, path in sound.items():
        with open_library(path) as library:
            ids = list(library)
        found[kind] = ids, sweep(path, ids)
        assert found[kind][1]["verify"] is None
        wrong = [name for name, value in found[kind][1].items() if isinstance(value, LibraryError)]
        without = {"one-frame": r"residues|receptor \d|vector|related|nearest emb", "complexes": "reference"}
        assert {name for name in wrong if not re.match(without[kind], name)} == set()
    return found


def same_or_error(said, expected, path):
    """Whether all values are those of the sound library, or errors that name the file and the mend."""
    for name, value in said.items():
        if isinstance(value, LibraryError):
            if isinstance(expected.get(name), LibraryError):
                continue
            assert str(path) in str(value)
            assert "build the library again" in str(value) or "is not a TEMPL library" in str(value)
        else:
            assert value == expected[name], name


def put(path, data):
    """Write a file anew, not into the pages that somebody may still map."""
    path.unlink()
    path.write_bytes(data)


FUZZ = settings(
    max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.parametrize(("kind", "name"), FILES, ids=lambda part: part)
def test_damaged_bytes_never_give_another_value(copy, expected, kind, name):
    path, (ids, values) = copy[kind], expected[kind]
    data = (path / name).read_bytes()

    @FUZZ
    @given(damaged(data))
    def check(found):
        put(path / name, found)
        said = sweep(path, ids)
        same_or_error(said, values, path)
        if found != data and name != MANIFEST:  # of which some bytes are blanks
            error = said.get("open", said.get("verify"))
            assert f"{path / name} " in str(error)

    check()


@pytest.mark.parametrize(("kind", "name"), [("one-frame", LIGANDS), ("complexes", RECEPTORS_TABLE)])
def test_the_footer_of_a_table_is_checked_before_arrow_reads_it(copy, kind, name):
    path = copy[kind] / name
    data = path.read_bytes()
    start = len(data) - 10 - int.from_bytes(data[-10:-6], "little")
    for at in range(start, len(data), 100):
        put(path, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(LibraryError, match=rf"{name} was altered"):
            open_library(copy[kind])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
DEEP = json.loads("[" * 900 + "]" * 900)


@st.composite
def other_json(draw, content):
    """A JSON object of which something anywhere was replaced, removed or added."""
    content = json.loads(json.dumps(content))
    inside = content
    while True:
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        key = draw(st.sampled_from(keys)) if keys else None
        if key is None or not isinstance(inside[key], dict | list) or draw(st.booleans()):
            break
        inside = inside[key]
    how = draw(st.sampled_from(["replace", "remove", "add"]))
    if how == "add" or key is None:
        if isinstance(inside, dict):
            inside[draw(st.text(max_size=30))] = draw(JSON)
        else:
            inside.append(draw(JSON))
    elif how == "remove":
        del inside[key]
    else:
        inside[key] = draw(JSON | st.just(DEEP))
    return content


@pytest.mark.parametrize("kind", ["one-frame", "complexes"])
@pytest.mark.parametrize("forged", [False, True])
def test_other_json_in_the_manifest_is_an_error_or_changes_nothing(copy, expected, kind, forged):
    """With a checksum that was made for it, it may say something else, but never break anything."""
    path, (ids, values) = copy[kind], expected[kind]
    content = json.loads((path / MANIFEST).read_bytes())

    @FUZZ
    @given(other_json(content))
    def check(changed):
        try:
            put(path / MANIFEST, json.dumps(with_checksum(changed) if forged else changed).encode())
        except RecursionError:
            return
        said = sweep(path, ids)
        if not forged:
            same_or_error(said, values, path)
            assert changed == content or "open" in said

    check()


def forge(path, **changes):
    """Write a manifest whose checksums agree with whatever the files are now."""
    manifest = read_manifest(path)
    files = {name: describe_file(path / name) for name in manifest.files}
    write_manifest(path, manifest.model_copy(update={"files": files} | changes))


@pytest.mark.parametrize("kind", ["one-frame", "complexes"])
@pytest.mark.parametrize("off", [-1, 1, 10**6, -20])
def test_a_count_that_is_not_that_of_the_data_does_not_open(copy, kind, off):
    count = read_manifest(copy[kind]).counts.ligands + off
    forge(copy[kind], counts=Counts(ligands=count, left_out=0))
    with pytest.raises(LibraryError, match="copy or build the library again"):
        open_library(copy[kind])


def without_last_row(array):
    return array[:-1]


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("one-frame", FINGERPRINTS, without_last_row),
        ("one-frame", FINGERPRINTS, lambda array: array.astype(">u8")),
        ("one-frame", FINGERPRINTS, np.asfortranarray),
        ("one-frame", FINGERPRINTS, lambda array: array.reshape(-1)),
        ("one-frame", IDS, lambda array: array[:, 1:]),
        ("one-frame", REFERENCES, without_last_row),
        ("complexes", KMER_ENDS, without_last_row),
        ("complexes", KMER_COUNTS, without_last_row),
        ("complexes", EMBEDDINGS, without_last_row),
        ("complexes", EMBEDDINGS, lambda array: array.astype("<f4")),
    ],
)
def test_an_array_of_another_shape_does_not_open(copy, kind, name, change):
    path = copy[kind]
    np.save(path / name, change(np.load(path / name)), allow_pickle=False)
    forge(path)
    with pytest.raises(LibraryError, match=rf"{name} does not .*; copy or build the library again"):
        open_library(path)


def test_3_mers_that_end_early_do_not_open(copy):
    path = copy["complexes"]
    np.save(path / KMER_ROWS, np.load(path / KMER_ROWS)[:-1])
    forge(path)
    with pytest.raises(LibraryError, match=r"kmer_ends\.npy does not end where kmer_rows\.npy does; copy"):
        open_library(path)


def swap(array):
    array[..., [1, 3]] = array[..., [3, 1]]


def point_nowhere(array):
    array[5, 0] = 9


def twice(array):
    array[2] = array[3]


def next_row(array):
    array[0] += 1


def forget(array):
    array[2] = 0


@pytest.mark.parametrize(
    ("kind", "name", "change", "message"),
    [
        ("one-frame", IDS, lambda array: swap(array[1:]), "is not the index of the ids"),
        ("one-frame", IDS, swap, "is not the index of the ids"),
        ("one-frame", IDS, lambda array: twice(array[1]), "is not the index of the ids"),
        ("one-frame", REFERENCES, point_nowhere, "names file 9, but there are 1"),
        ("complexes", KMER_ROWS, next_row, r"has other rows for 3-mer \d+ from row 0 on"),
        ("complexes", KMER_COUNTS, swap, "counts other 3-mers in rows from 0 on"),
        ("complexes", EMBEDDINGS, forget, "has 18 embeddings, not 19"),
    ],
)
def test_numbers_that_do_not_fit_are_found_by_verify(copy, kind, name, change, message):
    path = copy[kind]
    array = np.load(path / name)
    change(array)
    np.save(path / name, array, allow_pickle=False)
    forge(path)
    with open_library(path) as library, pytest.raises(LibraryError, match=rf"{name}.* {message}"):
        library.verify()


def test_a_reference_to_no_file_is_an_error(copy):
    path = copy["one-frame"]
    array = np.load(path / REFERENCES)
    point_nowhere(array)
    np.save(path / REFERENCES, array)
    forge(path)
    with open_library(path) as library:
        id = library.entry(5).id
        with pytest.raises(LibraryError, match=r"references\.npy names file 9, but there are 1"):
            library.reference(id)


def test_groups_that_are_not_those_of_the_ligands_are_found_by_verify(copy):
    forge(copy["complexes"], groups=("a",))
    message = r"manifest\.json names other groups than ligands\.arrow has"
    with open_library(copy["complexes"]) as library, pytest.raises(LibraryError, match=message):
        library.verify()


def rewrite(path, change):
    """Write an Arrow file with its record batches changed."""
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        batches = change([reader.get_batch(number) for number in range(reader.num_record_batches)])
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_file(buffer, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    put(path, buffer.getvalue().to_pybytes())


def less(batches):
    return [batches[0].slice(1), *batches[1:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda batches: batches[:-1], r"\d record batches, not those of \d\d ligands"),
        (lambda batches: [batch.drop_columns(batch.schema.names[-1]) for batch in batches], "other columns"),
    ],
)
@pytest.mark.parametrize(("kind", "name"), [("one-frame", LIGANDS), ("complexes", RECEPTORS_TABLE)])
def test_a_table_of_other_columns_or_length_does_not_open(copy, kind, name, change, message):
    rewrite(copy[kind] / name, change)
    forge(copy[kind])
    with pytest.raises(LibraryError, match=rf"{name} has {message}.*; copy or build"):
        open_library(copy[kind])


@pytest.mark.parametrize(("kind", "name"), [("one-frame", LIGANDS), ("complexes", RECEPTORS_TABLE)])
@pytest.mark.parametrize(
    ("change", "message"),
    [(less, "rows in record batch 0"), (lambda batches: [spoilt(batches[0]), *batches[1:]], "Invalid UTF8")],
)
def test_a_record_batch_that_does_not_fit_is_never_used(copy, kind, name, change, message):
    rewrite(copy[kind] / name, change)
    forge(copy[kind])
    with open_library(copy[kind]) as library:
        for look in (library.verify, lambda: library.row(0)):
            with pytest.raises(LibraryError, match=rf"{name} .*{message}"):
                look()
        library.row(len(library) - 1)


def spoilt(batch):
    """The same with text that is none: half a character in the first column of text."""
    at = next(n for n, field in enumerate(batch.schema) if field.type == pa.string())
    text = batch.column(at)
    size = len(text.buffers()[2])
    bad = pa.Array.from_buffers(
        pa.string(), len(text), [None, text.buffers()[1], pa.py_buffer(b"\xff" * size)]
    )
    return batch.set_column(at, batch.schema.field(at), bad)


@pytest.mark.parametrize("name", [LIGANDS, FINGERPRINTS, receptor_file(""), MANIFEST])
def test_a_symbolic_link_that_leads_out_is_not_followed(copy, tmp_path, name):
    path, outside = copy["one-frame"], tmp_path / "outside"
    (path / name).rename(outside)
    (path / name).symlink_to(outside)
    with pytest.raises(LibraryError, match=rf"{name} leads out of the library"):
        open_library(path).receptor_path()


def test_a_symbolic_link_of_links_is_an_error(copy):
    path = copy["one-frame"]
    (path / IDS).unlink()
    (path / IDS).symlink_to(IDS)
    with pytest.raises(LibraryError, match=r"ids\.npy cannot be read"):
        open_library(path)


def test_a_library_may_be_reached_by_a_symbolic_link(copy, tmp_path):
    (tmp_path / "link.templ").symlink_to(copy["one-frame"])
    with open_library(tmp_path / "link.templ") as library:
        library.verify()
        assert library.receptor_path() is not None


def test_no_other_file_is_handed_out_as_a_receptor(copy):
    path = copy["one-frame"]
    manifest = read_manifest(path)
    for name in ("receptors/../../../../etc/hostname", "/etc/hostname", "receptors/../ids.npy"):
        files = {file: record for file, record in manifest.files.items() if "receptors" not in file}
        record = manifest.files[receptor_file("")]
        write_manifest(path, manifest.model_copy(update={"files": files | {name: record}}))
        with pytest.raises(LibraryError, match=r"manifest\.json is damaged"):
            open_library(path)


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """A library of more than two blocks of the real size."""
    out = tmp_path_factory.mktemp("larger") / "mpro.templ"
    with pytest.MonkeyPatch.context() as patch:
        for module in (format, mapped):
            patch.setattr(module, "CHECKSUM_BLOCK", 1 << 16)
        for module in (build, ligands):
            patch.setattr(module, "ROWS_PER_BATCH", 1024)
        copies = (
            dataclasses.replace(entry, id=f"{entry.id}-{number}")
            for number in range(3)
            for entry in demo_entries()
        )
        build_library(out, copies, receptors={"": demo_files().receptor})
    return out


@pytest.mark.parametrize(("command", "name"), [("benchmark", FINGERPRINTS), ("predict", LIGANDS)])
def test_a_flipped_bit_ends_a_run_before_it_begins(larger, tmp_path, command, name):
    library = shutil.copytree(larger, tmp_path / "mpro.templ")
    data = bytearray((library / name).read_bytes())
    assert len(data) > 2 << 16
    data[len(data) // 2] ^= 4  # in neither the first block nor the last
    put(library / name, bytes(data))
    arguments = {
        "benchmark": ["benchmark", "run", "loo", "--library", library, "-o", tmp_path / "run"],
        "predict": ["predict", "-s", "CC(=O)Nc1cnccc1C", "--library", library, "-o", tmp_path / "poses.sdf"],
    }[command]
    done = run_templ(*arguments)
    assert done.returncode == 2, done.stderr
    words = " ".join(done.stderr.split())
    assert f"{name} was altered" in words
    assert "copy or build the library again" in words
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("results.jsonl"))
    assert not list(tmp_path.rglob("poses*"))
