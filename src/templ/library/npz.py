"""Reads the members of an ``.npz`` file block by block; it is not trusted, so no pickle in it is run."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import tokenize
import zipfile
import zlib
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from templ.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

LONGEST_STRING = 256
"""Characters; it bounds what a damaged header can make the reader allocate."""
BLOCK_BYTES = 1 << 20

# What NumPy, zipfile and pickle raise for damaged bytes, by their documentation and by fuzzing.
_DAMAGE = (
    *(OSError, EOFError, RuntimeError, SyntaxError, ValueError),
    *(struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
_PICKLE_DAMAGE = (
    *(ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, TypeError),
    pickle.UnpicklingError,
)
_ARRAY_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


@contextmanager
def open_members(npz: Path, names: tuple[str, ...]) -> Iterator[list[Member]]:
    """Open the members of the file, and close them all whatever happens."""
    with ExitStack() as files:
        with _reading(npz, "the file"):
            archive = files.enter_context(zipfile.ZipFile(npz))
        members = []
        for name in names:
            if f"{name}.npy" not in archive.namelist():
                raise InputError(
                    f"{npz}: {name} is missing; expected {', '.join(names)}: make the file again"
                )
            with _reading(npz, name):
                file = files.enter_context(archive.open(f"{name}.npy"))
            members.append(Member(npz, name, file))
        yield members


@contextmanager
def _reading(npz: Path, what: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise InputError(
            f"{npz}: {what} cannot be read ({error}); expected a file of numpy.savez: copy or make it again"
        ) from error


class Member:
    """An array inside an ``.npz`` file, of which the header has been read."""

    def __init__(self, npz: Path, name: str, file: IO[bytes]) -> None:
        self._npz, self._name, self.file = npz, name, file
        with _reading(npz, name):
            version = np.lib.format.read_magic(self.file)
            readers = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            if version not in readers:
                raise self.error(f"is a .npy file of version {version}", "version 1.0 or 2.0")
            self.shape, self.columns_first, self.dtype = readers[version](self.file)

    def error(self, found: str, expected: str) -> InputError:
        """Make an error that says what was found and expected; to be raised."""
        return InputError(
            f"{self._npz}: {self._name} {found}; expected {expected}: make the file again with numpy.savez"
        )

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield the array, some rows at a time."""
        row_bytes = self.dtype.itemsize * int(np.prod(self.shape[1:]))
        at_once = max(1, BLOCK_BYTES // row_bytes)
        for start in range(0, self.shape[0], at_once):
            rows = min(at_once, self.shape[0] - start)
            with _reading(self._npz, self._name):
                data = self.file.read(rows * row_bytes)
            if len(data) < rows * row_bytes:
                raise self.error("ends too early", f"{self.shape[0]} rows, as its header says")
            yield np.frombuffer(data, self.dtype).reshape(rows, *self.shape[1:])

    def check_end(self) -> None:
        """Make sure that all has been read, which also checks the zip checksum."""
        with _reading(self._npz, self._name):
            rest = self.file.read(1)
        if rest:
            raise self.error("goes on after its last row", f"{self.shape[0]} rows, as its header says")

    def unpickle(self) -> object:
        """Read a pickled array as a `_Pickled`; nothing in the pickle is run."""
        with _reading(self._npz, self._name):
            data = io.BytesIO(self.file.read(4096 + self.shape[0] * 5 * LONGEST_STRING))
            try:
                # The unpickler makes room for as many objects as a number in the pickle says.
                for code, number, _ in pickletools.genops(data):
                    if code.name in ("PUT", "LONG_BINPUT") and (number or 0) > data.getbuffer().nbytes:
                        raise pickle.UnpicklingError(f"it asks for room for {number} objects")
                if data.read(1):
                    raise pickle.UnpicklingError("it goes on after its end")
                data.seek(0)
                return _Unpickler(data).load()
            except _PICKLE_DAMAGE as error:
                raise self.error(f"cannot be unpickled ({error})", "a NumPy array of strings") from error


class _Pickled:
    """Stands for any NumPy object of a pickle, as NumPy's own may read stray memory for a damaged state."""

    def __init__(self, *_: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    """Builds nothing but strings, numbers, containers and `_Pickled`."""

    def find_class(self, module: str, name: str) -> type[_Pickled]:
        if (module, name) not in _ARRAY_NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")
        return _Pickled


def strings(member: Member, length: int) -> Iterator[str]:
    """Yield an array of strings, stored as text or as a pickle of Python strings."""
    if member.dtype.kind == "U":
        for block in member.blocks():
            try:
                yield from block.tolist()
            except (SystemError, ValueError) as error:
                raise member.error(f"holds what is no text ({error})", f"{length} strings") from error
        return
    match member.unpickle():
        case _Pickled(state=(_, _, _, _, list(strings))) if len(strings) == length:
            if all(isinstance(string, str) for string in strings):
                yield from strings
                return
    raise member.error("is a pickle of something else", f"an array of {length} strings")
