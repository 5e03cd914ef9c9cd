"""Reads a library: everything is mapped, nothing is loaded until it is asked for."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from templ.errors import LibraryError
from templ.library.codec import decode as decode_ligand
from templ.library.embeddings import Embeddings, open_embeddings
from templ.library.format import (
    DATA_FILES,
    EMBEDDINGS,
    FINGERPRINTS,
    IDS,
    LIGANDS,
    ROWS_PER_BATCH,
    SCHEMA,
    Manifest,
    check_file,
    read_manifest,
    receptor_file,
    verify_file,
)
from templ.library.index import candidate_rows
from templ.library.mapped import BLOCK, MappedArray, MappedTable
from templ.library.neighbours import Best, fingerprint, tanimoto
from templ.library.receptors import (
    RECEPTOR_FILES,
    RECEPTORS_TABLE,
    MappedReceptors,
    decode,
    decode_residues,
)

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray
    from rdkit.Chem import Mol

    from templ.receptor import Receptor, Residues


@dataclass(frozen=True, slots=True)
class LigandRecord:
    """What a library says about one ligand, without its molecule.

    Attributes
    ----------
    row : int
        Its place in the library, from 0.
    id, name, smiles, heavy_atoms, inchikey, date, group, source, note
        The columns of ``ligands.arrow``; `note` says what preparation changed, empty when nothing.
    """

    row: int
    id: str
    name: str
    smiles: str
    heavy_atoms: int
    inchikey: str
    date: datetime.date | None
    group: str
    source: str
    note: str


_RECORD_COLUMNS = tuple(name for name in SCHEMA.names if name != "xyz")


@dataclass(frozen=True, slots=True)
class _Mapped:
    manifest: Manifest
    ligands: MappedTable
    fingerprints: MappedArray
    ids: MappedArray
    receptors: MappedReceptors | None
    embeddings: Embeddings | None


class Columns(Mapping[str, pa.ChunkedArray]):
    """The columns of an open library by name, each an Arrow array over the mapped file."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        return pa.chunked_array(list(self._library._chunks(name)), type=SCHEMA.field(name).type)

    def __iter__(self) -> Iterator[str]:
        return iter(SCHEMA.names)

    def __len__(self) -> int:
        return len(SCHEMA.names)


class Library:
    """An open library; made by `open_library`, closed by `close` or at the end of a ``with`` block.

    It can be sent to another process (the path travels, the receiver opens it again) and used on both
    sides of a fork. After `close` every use but `path` raises LibraryError.

    Attributes
    ----------
    path : Path
        The absolute path of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        manifest = read_manifest(self.path)
        optional = (name for name in (*RECEPTOR_FILES, EMBEDDINGS) if name in manifest.files)
        for name in (*DATA_FILES, *optional):
            check_file(self.path, name, manifest)
        try:
            self._open: _Mapped | None = _Mapped(
                manifest,
                MappedTable(self.path / LIGANDS, ROWS_PER_BATCH),
                MappedArray(self.path / FINGERPRINTS),
                MappedArray(self.path / IDS),
                MappedReceptors(self.path) if RECEPTORS_TABLE in manifest.files else None,
                open_embeddings(self.path / EMBEDDINGS) if EMBEDDINGS in manifest.files else None,
            )
        except (OSError, ValueError) as error:
            raise LibraryError(f"{self.path} cannot be mapped ({error}): build the library again") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the mapped files go; closing twice does nothing."""
        self._open = None

    def __reduce__(self) -> tuple[Callable[[Path], Library], tuple[Path]]:
        self._mapped()
        return open_library, (self.path,)

    def __repr__(self) -> str:
        state = "closed" if self._open is None else f"{len(self)} ligands"
        return f"<Library {self.path} ({state})>"

    @property
    def manifest(self) -> Manifest:
        """What built the library, and what it holds."""
        return self._mapped().manifest

    @property
    def digest(self) -> str:
        """Identity of the content, whatever the path and the day it was built."""
        return self.manifest.digest

    @property
    def fingerprints(self) -> NDArray[np.uint64]:
        """The mapped fingerprints, shape (ligands, 32)."""
        return self._mapped().fingerprints.array

    @property
    def columns(self) -> Columns:
        """Arrow columns by name, for scans without decoding a molecule."""
        self._mapped()
        return Columns(self)

    def __len__(self) -> int:
        return self.manifest.counts.ligands

    def __iter__(self) -> Iterator[str]:
        for chunk in self._chunks("id"):
            yield from chunk.to_pylist()

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and self._find(id) is not None

    def __getitem__(self, id: str) -> Mol:
        return self.ligand(self.row_of(id))

    def get(self, id: str) -> Mol:
        """Rebuild the ligand with this id: the same as ``library[id]``.

        Raises
        ------
        LibraryError
            When there is none.
        """
        return self[id]

    def row_of(self, id: str) -> int:
        """Row of an id.

        Raises
        ------
        LibraryError
            When the library has no such id.
        """
        row = self._find(id)
        if row is None:
            raise LibraryError(
                f"{self.path} has no ligand '{id}'; `templ library export` lists the {len(self)} it has"
            )
        return row

    def ligand(self, row: int) -> Mol:
        """Rebuild the ligand of a row, without hydrogens, with its conformer (Angstrom) and its id as name.

        Raises
        ------
        LibraryError
            When the row is outside the library or its data are damaged.
        """
        batch, place = self._locate(row)
        mol = decode_ligand(
            batch.column("smiles")[place].as_py(), batch.column("xyz")[place].values.to_numpy()
        )
        if mol is None:
            raise LibraryError(
                f"{self.path}: row {row} does not read back as a molecule; "
                "run `templ library verify` and build the library again"
            )
        mol.SetProp("_Name", batch.column("id")[place].as_py())
        return mol

    def entry(self, row: int) -> LigandRecord:
        """Everything about the ligand of a row but its molecule.

        Raises
        ------
        LibraryError
            When the row is outside the library.
        """
        batch, place = self._locate(row)
        values: dict[str, Any] = {name: batch.column(name)[place].as_py() for name in _RECORD_COLUMNS}
        return LigandRecord(row=row, **values)

    def row(self, row: int) -> tuple[dict[str, Any], NDArray[np.uint64], Receptor | None]:
        """Everything that is stored of a row: its columns, its fingerprint, and its receptor if it has one.

        Raises
        ------
        LibraryError
            When the row is outside the library.
        """
        batch, place = self._locate(row)
        values = {name: batch.column(name)[place].as_py() for name in SCHEMA.names}
        return values, self.fingerprints[row], self.receptor(row) if self.has_receptors else None

    def groups_equal(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Tell which rows belong to one of these groups, shape (ligands,)."""
        wanted = pa.array(names, pa.string())
        return self._mask("group", lambda chunk: pc.is_in(chunk, value_set=wanted))

    def dated_before(self, date: datetime.date) -> NDArray[np.bool_]:
        """Tell which rows became known before a day, shape (ligands,); undated ones never did."""
        day = pa.scalar(date, pa.date32())
        return self._mask("date", lambda chunk: pc.fill_null(pc.less(chunk, day), False))

    def same_ligand(self, inchikey_first_block: str) -> NDArray[np.bool_]:
        """Tell which rows are this ligand, shape (ligands,), as `templ.molecules.ligand_key` names it."""
        key = inchikey_first_block
        return self._mask(
            "inchikey", lambda chunk: pc.or_(pc.equal(chunk, key), pc.starts_with(chunk, key + "-"))
        )

    def most_similar(
        self, mol: Mol, k: int, mask: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Find the ligands most similar to a molecule; what is held meanwhile does not grow with the library.

        Parameters
        ----------
        mol : rdkit.Chem.Mol
            Hydrogens do not count.
        k : int
            How many at most.
        mask : numpy.ndarray, shape (ligands,), bool, optional
            Rows that may be chosen.

        Returns
        -------
        rows, similarities : numpy.ndarray, shape (found,)
            Rows and Tanimoto similarities, most similar first; equal ones in the order of the library.
        """
        query, best = fingerprint(mol), Best(k)
        for start, block in self._mapped().fingerprints.blocks():
            allowed = None if mask is None else mask[start : start + len(block)]
            best.add(start, tanimoto(query, block), allowed)
        return best.rows, best.values

    def nearest(
        self, mol: Mol, k: int = 10, mask: NDArray[np.bool_] | None = None
    ) -> list[tuple[str, float]]:
        """`most_similar`, with the id in place of the row."""
        rows, similarities = self.most_similar(mol, k, mask)
        return [
            (self._id(row), value) for row, value in zip(rows.tolist(), similarities.tolist(), strict=True)
        ]

    @property
    def has_receptors(self) -> bool:
        """Whether every ligand comes with its own receptor, in a frame of its own."""
        return self._mapped().receptors is not None

    def residues(self, row: int) -> tuple[Residues, NDArray[np.int32]]:
        """Chains near the ligand of a row, and which of their residues make its pocket.

        Raises
        ------
        LibraryError
            When the library has no receptors or no such row.
        """
        return decode_residues(*self._locate_receptor(row))

    def receptor(self, row: int) -> Receptor:
        """Receptor around the ligand of a row; its arrays lie over the mapped file.

        Raises
        ------
        LibraryError
            When the library has no receptors or no such row.
        """
        return decode(*self._locate_receptor(row))

    def related(
        self, sequence: str, k: int, mask: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Find the rows whose receptors share most 3-mers with a sequence (see `MappedReceptors.related`).

        Raises
        ------
        LibraryError
            When the library has no receptors.
        """
        return self._receptors().related(sequence, k, mask)

    @property
    def embeddings(self) -> Embeddings:
        """Embeddings of the receptors, mapped.

        Raises
        ------
        LibraryError
            When the library has none.
        """
        embeddings = self._mapped().embeddings
        if embeddings is None:
            raise LibraryError(
                f"{self.path} has no embeddings; build it with `templ library build --embeddings`"
            )
        return embeddings

    def _receptors(self) -> MappedReceptors:
        receptors = self._mapped().receptors
        if receptors is None:
            raise LibraryError(
                f"{self.path} has no receptors; build it with `templ library build --complexes`"
            )
        return receptors

    def _locate_receptor(self, row: int) -> tuple[pa.RecordBatch, int]:
        self._locate(row)
        return self._receptors().table.row(row)

    def let_go(self) -> None:
        """Give the pages that were looked at back to the page cache; nothing else changes."""
        mapped = self._mapped()
        for part in (mapped.ligands, mapped.fingerprints, mapped.ids, mapped.receptors):
            if part is not None:
                part.let_go()

    def receptor_path(self, group: str = "") -> Path | None:
        """Gzipped PDB file of a group's receptor, or else the default one, or None.

        With the empty group and no default, the only receptor there is.

        Raises
        ------
        LibraryError
            When the file is missing, torn or altered.
        """
        files = self.manifest.files
        stored = sorted(files.keys() - {*DATA_FILES, *RECEPTOR_FILES, EMBEDDINGS})
        wanted = [receptor_file(group), receptor_file("")]
        if not group and len(stored) == 1:
            wanted += stored
        name = next((name for name in wanted if name in files), None)
        if name is None:
            return None
        check_file(self.path, name, self.manifest)
        return self.path / name

    def verify(self) -> None:
        """Compare every byte of the library with its checksums.

        Raises
        ------
        LibraryError
            Naming the first file that is missing, torn or altered.
        """
        for name in self.manifest.files:
            verify_file(self.path, name, self.manifest)

    def _mapped(self) -> _Mapped:
        if self._open is None:
            raise LibraryError(f"{self.path}: the library is closed; open it again with open_library")
        return self._open

    def _find(self, id: str) -> int | None:
        return next(
            (row for row in candidate_rows(self._mapped().ids.array, id) if self._id(row) == id), None
        )

    def _id(self, row: int) -> str:
        batch, place = self._locate(row)
        return str(batch.column("id")[place].as_py())

    def _locate(self, row: int) -> tuple[pa.RecordBatch, int]:
        if not 0 <= row < len(self):
            raise LibraryError(f"{self.path} has no row {row}: its rows are 0 to {len(self) - 1}")
        return self._mapped().ligands.row(row)

    def _chunks(self, name: str) -> Iterator[pa.Array]:
        yield from self._mapped().ligands.chunks(name)

    def _mask(self, name: str, test: Callable[[pa.Array], pa.BooleanArray]) -> NDArray[np.bool_]:
        mask = np.empty(len(self), dtype=np.bool_)
        for number, chunk in enumerate(self._chunks(name)):
            start = number * ROWS_PER_BATCH
            mask[start : start + len(chunk)] = test(chunk).to_numpy(zero_copy_only=False)
            if start % BLOCK == 0:
                self._mapped().ligands.let_go()
        return mask


def open_library(path: Path | str) -> Library:
    """Open a library: reads its manifest and a few blocks of each file, nothing else.

    Raises
    ------
    LibraryError
        When `path` is no library, was written by a newer TEMPL, or is torn or altered.
    """
    return Library(Path(path))
