"""Opening and writing files so that every fault of the disk or of the file becomes an error that names it."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from templ.disk import mend_of
from templ.errors import InputError

DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading raises where gzip data end early (EOFError) or are broken."""

DELIMITERS = (",", ";", "\t")
"""Of tables: spreadsheets write the one of the country that they are in."""
QUOTED = re.compile(r'"[^"]*"')
STRUCTURE = "a structure, PDB or mmCIF"
"""What `check_input` calls one."""
HEAD_BYTES = 4096
"""Binary junk shows itself by a NUL byte among this many."""


def delimiter_of(header: str) -> str:
    """Separator of a table by its first line; what is quoted does not count.

    Examples
    --------
    >>> delimiter_of('id;"a, b, or c"')
    ';'
    """
    plain = QUOTED.sub("", header)
    return max(DELIMITERS, key=plain.count)


def file_stem(path: str | Path) -> str:
    """Name of a file without its suffix and without ``.gz``.

    Examples
    --------
    >>> file_stem("data/mpro.ligands.sdf.gz")
    'mpro.ligands'
    """
    return Path(Path(path).name.removesuffix(".gz")).stem


def exists(path: str | Path) -> bool:
    """Whether there is such a file or folder; a word too long to be a path, or with a NUL in it, is none.

    Examples
    --------
    >>> exists("C" * 1000)
    False
    """
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


@contextmanager
def open_input(path: str | Path) -> Iterator[gzip.GzipFile | io.BufferedReader]:
    """Open a file for reading bytes, through gzip when its name ends in ``.gz``.

    Raises
    ------
    InputError
        When the file is absent, a directory, unreadable, or fails while it is read.
    """
    try:
        with gzip.open(path) if Path(path).suffix == ".gz" else Path(path).open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a directory, expected a file") from None
    except gzip.BadGzipFile:
        raise InputError(
            f"{path} is not a gzip file; rename it without .gz if it is not compressed"
        ) from None
    except OSError as error:
        mend = mend_of(error, "check its permissions")
        raise InputError(f"{path} cannot be read: {error.strerror or error}; {mend}") from None


UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def open_text(path: str | Path) -> Iterator[io.TextIOWrapper]:
    """Open a file for reading text, lines ended by LF, CR LF or CR alone.

    UTF-8, or UTF-16 where a byte order mark says so; what is neither is read as U+FFFD.

    Raises
    ------
    InputError
        As `open_input`.
    """
    with open_input(path) as stream:
        encoding = "utf-16" if stream.peek(2)[:2] in UTF_16 else "utf-8-sig"
        yield io.TextIOWrapper(stream, encoding, errors="replace")


def read_text(path: str | Path, kind: str) -> str:
    """Read a whole text file (`open_text`) of a `kind` that `check_input` takes.

    Raises
    ------
    InputError
        As these two; also when it is a gzip file that is damaged.
    """
    check_input(path, kind)
    with open_text(path) as stream:
        try:
            return stream.read()
        except DAMAGED as error:
            raise InputError(f"{path} is not text that can be read ({error})") from None


def file_digest(path: Path, kind: str) -> str:
    """SHA-256 of a file of a `kind` that `check_input` takes, in hexadecimal."""
    check_input(path, kind)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_input(path: str | Path, kind: str) -> None:
    """Look at the first bytes, so that a file that is no `kind` at all is refused before anything is read.

    Parameters
    ----------
    path : str or Path
        The file.
    kind : str
        What it should be, with its article: ``an SDF file``.

    Raises
    ------
    InputError
        As `open_input`; also when it is a pipe, is empty or binary, or is a gzip file cut within its first
        bytes.
    """
    with suppress(OSError):  # which opening it tells better
        mode = Path(path).stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise InputError(f"{path} is a pipe or device, which is read only once: save it as a file")
    with open_input(path) as stream:
        try:
            head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
        except (EOFError, zlib.error):
            raise InputError(f"{path} is a damaged gzip file: nothing can be read; fetch it again") from None
    if not head.strip():
        raise InputError(f"{path} is empty, expected {kind}")
    if b"\0" in head and not head.startswith(UTF_16):
        raise InputError(f"{path} is not {kind}: it is binary; check that the name fits the content")
