from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from templ.library import index, writer
from templ.library.format import FINGERPRINTS, IDS, LIGANDS
from templ.library.writer import LigandWriter


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


def write(folder, ids, size, monkeypatch):
    monkeypatch.setattr(writer, "ROWS_PER_BATCH", size)
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
            patch.setattr(index, "id_hash", lambda id: np.uint64(len(id)))
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
