"""The layout of a library folder: file names, columns, manifest, and the checks that keep it honest.

A library is a folder ``NAME.templ`` that any Arrow and NumPy reader can open without TEMPL:

``manifest.json``
    What the library holds, what built it, the checksums of every other file, and one of its own content.
``ligands.arrow``
    Arrow IPC file, uncompressed, one row a ligand, `ROWS_PER_BATCH` rows a record batch.
``fingerprints.npy``
    uint64, shape (ligands, 32): packed 2048-bit Morgan fingerprints of radius 2.
``ids.npy``
    uint64, shape (2, ligands): sorted hashes of the ids, and the row of each.
``references.npy``
    Optional; uint64, shape (ligands, 3): where the record of each ligand is: number of its file in the
    manifest's `source_paths`, from 1 (0: none); offset in bytes of the uncompressed file; checksum.
``receptors/GROUP.pdb.gz``
    Optional, when all ligands of a group share one frame; ``receptors/receptor.pdb.gz`` serves every group
    without its own.
``receptors.arrow``, ``kmer_rows.npy``, ``kmer_ends.npy``, ``kmer_counts.npy``
    Optional, when every ligand has a receptor and frame of its own: one row for each row of
    ``ligands.arrow``; the rows whose sequence has each 3-mer (uint32, ascending, one 3-mer after the other),
    where those of each end (uint64), and how many different ones each row has (uint16).
``embeddings.npy``
    Optional; float16, shape (ligands, dimensions): unit vectors of the receptors, zeros where there is none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, Literal, Self
from urllib.parse import quote, unquote

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError, model_validator

from templ.checksums import CHECKSUM, checksum, checksum_agrees, with_checksum
from templ.disk import sync_file
from templ.errors import LibraryError, first_fault

FORMAT_NAME: Final = "templ-library"
FORMAT_VERSION: Final = 5

MANIFEST = "manifest.json"
LIGANDS = "ligands.arrow"
FINGERPRINTS = "fingerprints.npy"
IDS = "ids.npy"
REFERENCES = "references.npy"
RECEPTORS = "receptors"
RECEPTORS_TABLE = "receptors.arrow"
KMER_ROWS, KMER_ENDS, KMER_COUNTS = "kmer_rows.npy", "kmer_ends.npy", "kmer_counts.npy"
EMBEDDINGS = "embeddings.npy"
DATA_FILES = (LIGANDS, FINGERPRINTS, IDS)
RECEPTOR_FILES = (RECEPTORS_TABLE, KMER_ROWS, KMER_ENDS, KMER_COUNTS)

ROWS_PER_BATCH = 1024
"""Rows of every record batch but the last, so that the batch of a row is a division."""

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("smiles", pa.string(), nullable=False),
        pa.field("xyz", pa.list_(pa.field("item", pa.float32(), nullable=False)), nullable=False),
        pa.field("heavy_atoms", pa.uint16(), nullable=False),
        pa.field("inchikey", pa.string(), nullable=False),
        pa.field("date", pa.date32()),
        pa.field("group", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("note", pa.string(), nullable=False),
        pa.field("resolution", pa.float32()),
        pa.field(
            "covalent",
            pa.struct(
                [
                    pa.field("residue", pa.string(), nullable=False),
                    pa.field("chain", pa.string(), nullable=False),
                    pa.field("number", pa.int32(), nullable=False),
                    pa.field("insertion", pa.string(), nullable=False),
                    pa.field("atom", pa.string(), nullable=False),
                    pa.field("ligand_atom", pa.uint16(), nullable=False),
                    pa.field("length", pa.float32(), nullable=False),
                ]
            ),
        ),
    ]
)

CHECKSUM_BLOCK = 1 << 16
"""Bytes of a file that share a checksum: what is read at least before a byte of it is used."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(_Frozen):
    """Size and checksums of one file of a library.

    Attributes
    ----------
    bytes : int
        Size.
    sha256 : str
        Of the whole file; `verify_file` compares it.
    blocks : str
        CRC-32 of each `CHECKSUM_BLOCK` bytes, eight hexadecimal digits each, one after the other; each is
        compared when its block is read for the first time.
    """

    bytes: NonNegativeInt
    sha256: str
    blocks: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.blocks) != 8 * -(-self.bytes // CHECKSUM_BLOCK):
            raise ValueError("another number of checksums than of blocks")
        return self


class FingerprintParameters(_Frozen):
    """The fingerprint of ``fingerprints.npy``; another one would need another format version."""

    kind: Literal["morgan"] = "morgan"
    radius: Literal[2] = 2
    bits: Literal[2048] = 2048


class Counts(_Frozen):
    """How many ligands the library holds, how many were left out, and how many have an embedding."""

    ligands: NonNegativeInt
    left_out: NonNegativeInt
    embeddings: NonNegativeInt = 0


class Manifest(_Frozen):
    """What ``manifest.json`` says about a library.

    `source_paths` are the files that the references of ligands lie in; empty where there are none.
    """

    format: Literal["templ-library"]
    version: Literal[5]
    created: str
    built_by: str
    rdkit: str
    fingerprint: FingerprintParameters
    counts: Counts
    groups: tuple[str, ...]
    sources: tuple[str, ...]
    source_paths: tuple[str, ...] = ()
    files: dict[str, FileRecord]

    @model_validator(mode="after")
    def _check(self) -> Self:
        wanted = {*DATA_FILES, *((REFERENCES,) if self.source_paths else ())}
        wanted |= set(RECEPTOR_FILES if RECEPTORS_TABLE in self.files else ())
        others = self.files.keys() - wanted - {EMBEDDINGS}
        if not wanted <= self.files.keys() or any(name != _receptor_name(name) for name in others):
            raise ValueError("its files are not those of a library")
        if self.counts.embeddings > (self.counts.ligands if EMBEDDINGS in self.files else 0):
            raise ValueError("it counts more embeddings than there are")
        return self

    @property
    def digest(self) -> str:
        """Identity of the content (hexadecimal SHA-256): the same wherever and whenever it was built.

        References are left out of it: they say where a ligand was read, not what it is.
        """
        digest = hashlib.sha256(f"{self.format} {self.version}\n".encode())
        for name, record in sorted(self.files.items()):
            if name != REFERENCES:
                digest.update(f"{name} {record.sha256}\n".encode())
        return digest.hexdigest()


def receptor_file(group: str) -> str:
    """Name, inside the library, of the receptor of a group; the empty group is the default receptor.

    Examples
    --------
    >>> receptor_file(""), receptor_file("MERS/aligned")
    ('receptors/receptor.pdb.gz', 'receptors/MERS%2Faligned.pdb.gz')
    """
    return str(PurePosixPath(RECEPTORS, quote(group or "receptor", safe=" ") + ".pdb.gz"))


def receptor_for(group: str, names: Collection[str]) -> str | None:
    """Name, of those of a library's receptors, of the one that a group has: its own, else the default one.

    With the empty group and no default, the only receptor there is.
    """
    wanted = [receptor_file(group), receptor_file("")]
    if not group and len(names) == 1:
        wanted += names
    return next((name for name in wanted if name in names), None)


def _receptor_name(name: str) -> str:
    """Name of the receptor that a file has to be of, if it is one of a receptor."""
    return receptor_file(unquote(name.removeprefix(f"{RECEPTORS}/").removesuffix(".pdb.gz")))


def describe_file(path: Path) -> FileRecord:
    """Read a whole file once and record its size and checksums."""
    size, digest, blocks = 0, hashlib.sha256(), []
    with path.open("rb") as file:
        while block := file.read(CHECKSUM_BLOCK):
            size += len(block)
            digest.update(block)
            blocks.append(checksum(block))
    return FileRecord(bytes=size, sha256=digest.hexdigest(), blocks="".join(blocks))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a library, on the disk when this returns."""
    with (folder / MANIFEST).open("wb") as file:
        file.write(json.dumps(with_checksum(manifest.model_dump(mode="json")), indent=1).encode())
        sync_file(file)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a library.

    Raises
    ------
    LibraryError
        When `folder` is no library, its manifest is damaged or altered, or another version of TEMPL wrote it.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise LibraryError(f"{folder} {what}: a TEMPL library is a folder made by `templ library build`")
    path = path_inside(folder, MANIFEST)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        sound = isinstance(data, dict) and checksum_agrees(data)
    except FileNotFoundError:
        raise LibraryError(
            f"{folder} is not a TEMPL library: it has no {MANIFEST}; make one with `templ library build`"
        ) from None
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError):
        raise damaged(path, "is damaged (no JSON)") from None

    if not isinstance(data, dict) or data.get("format") != FORMAT_NAME:
        raise LibraryError(
            f"{folder} is not a TEMPL library: its {MANIFEST} does not say format '{FORMAT_NAME}'"
        )
    # Before the strict schema, which would call the unknown keys of a newer manifest damage.
    version = data.get("version")
    if isinstance(version, int) and version != FORMAT_VERSION and (sound or CHECKSUM not in data):
        writer, mend = "an older", "build it again with `templ library build`"
        if version > FORMAT_VERSION:
            writer, mend = "a newer", "upgrade with pip install -U templ-pose"
        raise LibraryError(
            f"{folder} was written by {writer} TEMPL (format {version}; "
            f"this one reads {FORMAT_VERSION}): {mend}"
        )
    if not sound:
        raise damaged(path, "was altered: its checksum is not that of its content")
    del data[CHECKSUM]
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        raise damaged(path, f"is damaged ({first_fault(error)})") from None


def damaged(path: Path, what: str) -> LibraryError:
    """Say what is wrong with a file of a library, and how to mend it."""
    return LibraryError(f"{path} {what}; copy or build the library again")


def altered(path: Path) -> LibraryError:
    """Say that a file is not what it was when the library was built."""
    return damaged(path, "was altered: its checksum is not the manifest's")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the system says against reading a file, or mapping an empty one, into a LibraryError."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise damaged(path, f"cannot be read ({getattr(error, 'strerror', error)})") from error


def path_inside(folder: Path, name: str, record: FileRecord | None = None) -> Path:
    """Path of a file of a library, once it is known to lie there and, with a record, to have its size.

    Raises
    ------
    LibraryError
        When the file is missing or torn, or a symbolic link leads out of the folder.
    """
    path = folder / name
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise damaged(path, "leads out of the library")
    if record is not None:
        with reading(path):
            size = path.stat().st_size
        if size != record.bytes:
            raise damaged(path, f"is torn: it has {size} bytes instead of {record.bytes}")
    return path


def verify_file(folder: Path, name: str, manifest: Manifest) -> Path:
    """Compare a whole file with the manifest, and return its path.

    Raises
    ------
    LibraryError
        When the file is missing, torn, altered anywhere, or not in the folder.
    """
    record = manifest.files[name]
    path = path_inside(folder, name, record)
    with reading(path):
        found = describe_file(path)
    if found != record:
        raise altered(path)
    return path
