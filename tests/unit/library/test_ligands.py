from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from templ.library import ids as id_index
from templ.library import ligands as module
from templ.library.format import FINGERPRINTS, IDS, LIGANDS, REFERENCES, Counts, Manifest, describe_file
from templ.library.ligands import LigandWriter, MappedLigands
from templ.sources.sdf import MoleculeReference


def row(id):
    return {
        "id": id,
        "name": "",
        "smiles": "C",
        "xyz": np.zeros(3, dtype=np.float32),
        "heavy_atoms": 1,
        "inchikey": "",
        "date": None,
        "group": "",
        "source": "",
        "note": "",
    }


def read(folder, count, source_paths=()):
    names = (LIGANDS, FINGERPRINTS, IDS, *((REFERENCES,) if source_paths else ()))
    files = {name: describe_file(folder / name) for name in names}
    counts = Counts(ligands=count, left_out=0)
    return MappedLigands(
        folder, Manifest.model_construct(counts=counts, files=files, source_paths=tuple(source_paths))
    )


def write(folder, ids, size, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_BATCH", size)
    with LigandWriter(folder) as ligands:
        for number, id in enumerate(ids):
            if id not in ligands:
                ligands.add(row(id), np.full(32, number, dtype=np.uint64))
    return ligands


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(st.text(max_size=3), max_size=30), size=st.integers(1, 4), clash=st.booleans())
def test_files_hold_every_id_once_in_order(tmp_path, ids, size, clash):
    with pytest.MonkeyPatch.context() as patch:
        if clash:
            patch.setattr(id_index, "id_hash", lambda id: np.uint64(len(id)))
        ligands = write(tmp_path, ids, size, patch)
    unique = list(dict.fromkeys(ids))
    assert len(ligands) == len(unique)
    with pa.OSFile(str(tmp_path / LIGANDS)) as file:
        reader = pa.ipc.open_file(file)
        assert reader.read_all()["id"].to_pylist() == unique
        batches = [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
    assert all(rows == size for rows in batches[:-1])
    fingerprints = np.load(tmp_path / FINGERPRINTS, allow_pickle=False)
    assert fingerprints.shape == (len(unique), 32)
    assert fingerprints[:, 0].tolist() == [ids.index(id) for id in unique]
    hashes, rows = np.load(tmp_path / IDS, allow_pickle=False)
    assert np.all(hashes[1:] >= hashes[:-1])
    assert sorted(rows.tolist()) == list(range(len(unique)))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_references_come_back_and_rows_without_one_are_none(tmp_path, monkeypatch, size):
    monkeypatch.setattr(module, "ROWS_PER_BATCH", size)
    where = [
        MoleculeReference(tmp_path / "a.sdf", 0, "0", 2**64 - 1),
        None,
        MoleculeReference(tmp_path / "b.sdf", 2**40, "2", 5),
        MoleculeReference(tmp_path / "a.sdf", 7, "3"),
    ]
    with LigandWriter(tmp_path) as ligands:
        for number, reference in enumerate(where):
            ligands.add(row(str(number)), np.zeros(32, np.uint64), reference)
    assert list(ligands.source_paths) == [str(tmp_path / "a.sdf"), str(tmp_path / "b.sdf")]
    stored = read(tmp_path, 4, ligands.source_paths)
    assert [stored.reference(number) for number in range(4)] == where
    stored.release_pages()
    assert stored.reference(2) == where[2]


def test_without_references_there_is_no_file_of_them(tmp_path, monkeypatch):
    write(tmp_path, ["a", "b"], 1, monkeypatch)
    assert not (tmp_path / REFERENCES).exists()
    assert read(tmp_path, 2).reference(1) is None
