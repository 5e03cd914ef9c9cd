"""The layout of a library folder: file names, columns, manifest, and the checks that keep it honest.

A library is a folder ``NAME.templ`` that any Arrow and NumPy reader can open without TEMPL:

``manifest.json``
    What the library holds, what built it, and a checksum of every other file.
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
``receptors.arrow``, ``kmers.npy``, ``kmer_ends.npy``
    Optional, when every ligand has a receptor and frame of its own: one row for each row of
    ``ligands.arrow``, and the 3-mers of its sequence (uint16, all rows one after the other; where each ends).
``embeddings.npy``
    Optional; float16, shape (ligands, dimensions): unit vectors of the receptors, zeros where there is none.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Final, Literal
from urllib.parse import quote

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from templ.errors import LibraryError

FORMAT_NAME: Final = "templ-library"
FORMAT_VERSION: Final = 1

MANIFEST = "manifest.json"
LIGANDS = "ligands.arrow"
FINGERPRINTS = "fingerprints.npy"
IDS = "ids.npy"
REFERENCES = "references.npy"
RECEPTORS = "receptors"
EMBEDDINGS = "embeddings.npy"
DATA_FILES = (LIGANDS, FINGERPRINTS, IDS)

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
    ]
)

BLOCK = 4096
BLOCKS_BETWEEN = 16


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
    sample : str
        SHA-256 of a few blocks spread over the file; `check_file` compares it.
    """

    bytes: NonNegativeInt
    sha256: str
    sample: str


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
    version: Literal[1]
    created: str
    built_by: str
    rdkit: str
    fingerprint: FingerprintParameters
    counts: Counts
    groups: tuple[str, ...]
    sources: tuple[str, ...]
    source_paths: tuple[str, ...] = ()
    files: dict[str, FileRecord]

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


def describe_file(path: Path) -> FileRecord:
    """Read a whole file once and record its size and checksums."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(bytes=path.stat().st_size, sha256=sha256, sample=_sample(path))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a library.

    Raises
    ------
    LibraryError
        When `folder` is no library, its manifest is damaged, or a newer TEMPL wrote it.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise LibraryError(f"{folder} {what}: a TEMPL library is a folder made by `templ library build`")
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LibraryError(
            f"{folder} is not a TEMPL library: it has no {MANIFEST}; make one with `templ library build`"
        ) from None
    except OSError as error:
        raise LibraryError(f"{folder / MANIFEST} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        raise LibraryError(f"{folder / MANIFEST} is damaged (no JSON): build the library again") from None

    if not isinstance(data, dict) or data.get("format") != FORMAT_NAME:
        raise LibraryError(
            f"{folder} is not a TEMPL library: its {MANIFEST} does not say format '{FORMAT_NAME}'"
        )
    # Before the strict schema, which would call the unknown keys of a newer manifest damage.
    version = data.get("version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise LibraryError(
            f"{folder} was written by a newer TEMPL (format {version}; "
            f"this one reads up to {FORMAT_VERSION}): upgrade with pip install -U templ-pose"
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise LibraryError(
            f"{folder / MANIFEST} is damaged ({where}: {first['msg']}): build the library again"
        ) from None


def check_file(folder: Path, name: str, manifest: Manifest) -> None:
    """Compare a file's size and a sample of its blocks with the manifest: milliseconds, whatever its size.

    Raises
    ------
    LibraryError
        When the file is missing, torn, or altered in a sampled block.
    """
    path = folder / name
    expected = manifest.files.get(name)
    if expected is None:
        raise LibraryError(f"{folder / MANIFEST} is damaged (no entry for {name}): build the library again")
    try:
        size = path.stat().st_size
        if size != expected.bytes:
            raise LibraryError(
                f"{path} is torn: it has {size} bytes instead of {expected.bytes}; "
                "copy or build the library again"
            )
        sample = _sample(path)
    except OSError as error:
        raise LibraryError(
            f"{path} cannot be read ({error.strerror}): copy or build the library again"
        ) from error
    if sample != expected.sample:
        raise _altered(path)


def verify_file(folder: Path, name: str, manifest: Manifest) -> None:
    """Compare a whole file with the manifest.

    Raises
    ------
    LibraryError
        When the file is missing, torn, or altered anywhere.
    """
    check_file(folder, name, manifest)
    path = folder / name
    try:
        record = describe_file(path)
    except OSError as error:
        raise LibraryError(f"{path} cannot be read ({error.strerror})") from error
    if record != manifest.files[name]:
        raise _altered(path)


def _altered(path: Path) -> LibraryError:
    return LibraryError(
        f"{path} was altered: its checksum is not the manifest's; copy or build the library again"
    )


def _sample(path: Path) -> str:
    """SHA-256 of the first and the last block and of those spread evenly between them."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        last, parts = max(0, path.stat().st_size - BLOCK), BLOCKS_BETWEEN + 1
        for part in range(parts + 1):
            file.seek(last * part // parts)
            digest.update(file.read(BLOCK))
    return digest.hexdigest()
