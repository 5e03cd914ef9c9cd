"""Whole pieces or nothing, old content or new."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from templ.disk import GrowingFile, make_folder, replacing
from templ.errors import StorageError


def test_pieces_follow_each_other_also_after_reopening(tmp_path):
    path = tmp_path / "grows"
    with GrowingFile(path) as file:
        assert [file.append(b"one"), file.append(b"four")] == [0, 3]
    with GrowingFile(path) as file:
        assert file.append(b"!", durable=False) == 7
        file.sync()
    assert path.read_bytes() == b"onefour!"


def test_cut_makes_the_next_piece_start_there(tmp_path):
    with GrowingFile(tmp_path / "grows") as file:
        file.append(b"keep, lose")
        file.cut(4)
        file.append(b"!")
    assert (tmp_path / "grows").read_bytes() == b"keep!"


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:2], at))
    with GrowingFile(tmp_path / "grows") as file:
        file.append(b"abc")
        file.append(b"defgh")
    assert (tmp_path / "grows").read_bytes() == b"abcdefgh"


@pytest.mark.parametrize("failing", ["pwrite", "fsync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_refused_piece_leaves_no_trace(tmp_path, monkeypatch, failing, code):
    path = tmp_path / "grows"
    real = os.pwrite

    def refuse(fd, data=b"", at=0):
        if data:
            real(fd, data[:3], at)
        raise OSError(code, os.strerror(code))

    with GrowingFile(path) as file:
        file.append(b"whole")
        with monkeypatch.context() as patch:
            patch.setattr(os, failing, refuse)
            with pytest.raises(StorageError, match=f"{path} cannot be written .{os.strerror(code)}"):
                file.append(b"torn piece")
        assert path.read_bytes() == b"whole"
        file.append(b"!")
    assert path.read_bytes() == b"whole!"


def test_a_torn_piece_that_cannot_be_removed_is_covered_by_the_next(tmp_path, monkeypatch):
    real = os.pwrite

    def refuse(fd, data, at):
        real(fd, data[:3], at)
        raise OSError(errno.EIO, "broken")

    def refuse_cut(fd, end):
        raise OSError(errno.EIO, "broken")

    with GrowingFile(tmp_path / "grows") as file:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", refuse)
            patch.setattr(os, "ftruncate", refuse_cut)
            with pytest.raises(StorageError):
                file.append(b"torn")
        file.append(b"whole")
    assert (tmp_path / "grows").read_bytes() == b"whole"


@pytest.mark.parametrize("change", ["deleted", "moved", "replaced"])
def test_what_nobody_would_find_is_not_written(tmp_path, change):
    """A folder that is cleaned up under a run: to go on for hours and then say so would lose it all."""
    path = tmp_path / "run" / "grows"
    path.parent.mkdir()
    with GrowingFile(path) as file:
        file.append(b"whole")
        path.parent.rename(tmp_path / "elsewhere")
        if change == "replaced":
            path.parent.mkdir()
            path.write_bytes(b"other")
        if change == "deleted":
            (tmp_path / "elsewhere" / "grows").unlink()
        with pytest.raises(StorageError, match=f"{path} is not there any more"):
            file.append(b"lost")
        if change == "moved":
            (tmp_path / "elsewhere").rename(path.parent)
            file.append(b"!")
            assert path.read_bytes() == b"whole!"


def test_as_many_files_may_be_open_as_the_system_allows():
    code = (
        "import resource as r; from templ.disk import allow_open_files;"
        "r.setrlimit(r.RLIMIT_NOFILE, (64, 300)); allow_open_files();"
        "print(r.getrlimit(r.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(300, 300)\n"


def test_replacing_shows_the_new_content_only_when_it_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_keeps_the_old_content_when_the_block_fails(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"half" * (1 // 0))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_refused_replacement_names_the_file(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    path = tmp_path / "file"
    with pytest.raises(StorageError, match=f"{path} cannot be written .Read-only"), replacing(path) as file:
        file.write(b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=f"{tmp_path / 'file'} cannot be written"):
        make_folder(tmp_path / "file")
