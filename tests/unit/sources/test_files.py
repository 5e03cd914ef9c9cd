from __future__ import annotations

import gzip
import os

import pytest

from templ.errors import InputError
from templ.sources.files import check_input, open_input


def test_open_input_names_what_is_wrong(tmp_path, as_nobody):
    locked = tmp_path / "locked.sdf"
    locked.write_text("x")
    locked.chmod(0)
    with pytest.raises(InputError, match=r"gone\.sdf does not exist"), open_input(tmp_path / "gone.sdf"):
        pass
    with pytest.raises(InputError, match="is a directory"), open_input(tmp_path):
        pass
    with as_nobody(), pytest.raises(InputError, match=r"locked\.sdf cannot be read"), open_input(locked):
        pass


def test_check_input_refuses_what_is_not_text(tmp_path):
    files = {
        "empty.sdf": (b"", "is empty, expected an SDF file"),
        "blank.sdf": (b"\n \n", "is empty"),
        "junk.sdf": (b"\x7fELF\0\0", "is not an SDF file"),
        "plain.sdf.gz": (b"not compressed at all", "is not a gzip file"),
        "cut.sdf.gz": (gzip.compress(b"some text")[:10], "is a damaged gzip file"),
        "nothing.sdf.gz": (gzip.compress(b""), "is empty"),
    }
    for name, (content, message) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} {message}"):
            check_input(tmp_path / name, "an SDF file")


def test_what_can_be_read_once_is_refused_and_not_waited_for(tmp_path):
    """A list is read to be counted, to be told from others, and for its molecules."""
    os.mkfifo(tmp_path / "a.smi")
    (tmp_path / "b.smi").symlink_to("/dev/zero")
    for name in ("a.smi", "b.smi"):
        with pytest.raises(InputError, match=r"\.smi is a pipe or device, which is read only once: save it"):
            check_input(tmp_path / name, "a list of SMILES")
