from __future__ import annotations

import numpy as np
import pytest

from templ.errors import StorageError
from templ.library import writing
from templ.library.writing import FilesWriter


class Numbers(FilesWriter):
    def __init__(self, folder):
        super().__init__(folder)
        self.numbers = self.array("numbers.npy", "<u2", (2,))


@pytest.mark.parametrize("sizes", [[], [0], [1], [3, 0, 9], [9999, 90_001]])
def test_an_array_that_grew_is_what_numpy_saves_at_once(tmp_path, sizes):
    whole = np.arange(2 * sum(sizes)).astype(np.uint16).reshape(-1, 2)
    with Numbers(tmp_path) as writer:
        for part in np.split(whole, np.cumsum(sizes)):
            writer.numbers.add(part.astype(np.int64))
    np.save(tmp_path / "expected.npy", whole)
    assert (tmp_path / "numbers.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()
    assert writer.numbers.rows == len(whole)


def test_files_are_synced_and_closed_only_after_a_clean_exit(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(writing, "sync_file", lambda file: synced.append(file.name))
    with Numbers(tmp_path) as writer:
        assert synced == []
    assert synced == [str(tmp_path / "numbers.npy")]
    assert all(file.closed for file in writer._files)


def test_an_error_inside_passes_and_nothing_is_finished(tmp_path, monkeypatch):
    monkeypatch.setattr(Numbers, "finish", lambda self: pytest.fail("finished"))
    with pytest.raises(ValueError, match="inside"), Numbers(tmp_path) as writer:
        raise ValueError("inside")
    assert all(file.closed for file in writer._files)


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="absent cannot be written"), Numbers(tmp_path / "absent"):
        pass
