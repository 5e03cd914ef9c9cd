"""An open library: ligands, receptors and embeddings behind one object, mapped and never loaded."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from rdkit.Chem import Mol

from templ.chemistry.molecules import parse_smiles
from templ.chemistry.receptor import Receptor, Residues
from templ.chemistry.receptor_file import read_receptor
from templ.disk import Closing
from templ.errors import LibraryError
from templ.library.embeddings import Embeddings
from templ.library.fingerprints import Best, fingerprint, tanimoto
from templ.library.format import (
    EMBEDDINGS,
    RECEPTORS,
    RECEPTORS_TABLE,
    Manifest,
    read_manifest,
    receptor_for,
    verify_file,
)
from templ.library.ligands import Columns, LigandRecord, LigandWriter, MappedLigands
from templ.library.receptors import MappedReceptors, ReceptorWriter
from templ.sources.sdf import MoleculeReference

IDS_LOOKED_AT, SUGGESTED = 100_000, 3
"""Ids that are searched for one that was meant, and how many of them are named."""


@dataclass(frozen=True, slots=True)
class _Mapped:
    manifest: Manifest
    ligands: MappedLigands
    receptors: MappedReceptors | None
    embeddings: Embeddings | None


class Library(Closing):
    """An open library; made by `open_library`, closed by `close` or at the end of a ``with`` block.

    It can be sent to another process (the path travels, the receiver opens it again) and used on both
    sides of a fork.

    Attributes
    ----------
    path : Path
        The absolute path of the folder.

    Raises
    ------
    LibraryError
        From any method: the library is closed; it has no such id or row, no receptors, no embeddings or no
        references, where these are asked for; or a file of it is missing, torn or altered.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        manifest = read_manifest(self.path)
        self._open: _Mapped | None = _Mapped(
            manifest,
            MappedLigands(self.path, manifest),
            MappedReceptors(self.path, manifest) if RECEPTORS_TABLE in manifest.files else None,
            Embeddings(self.path, manifest) if EMBEDDINGS in manifest.files else None,
        )

    def close(self) -> None:
        """Unmap the files; closing twice does nothing."""
        self._open = None

    def __reduce__(self) -> tuple[Callable[[Path], Library], tuple[Path]]:
        self._mapped()
        return open_library, (self.path,)

    def __repr__(self) -> str:
        state = "closed" if self._open is None else f"{len(self)} ligands"
        return f"<Library {self.path} ({state})>"

    def _repr_html_(self) -> str:
        if self._open is None:
            return escape(repr(self))
        rows = "".join(f"<tr><th>{name}</th><td>{escape(v)}</td></tr>" for name, v in self.describe().items())
        return f"<table><caption>{escape(self.path.name)}</caption>{rows}</table>"

    def describe(self) -> dict[str, str]:
        """Say how many ligands it holds, and their groups, dates and receptors, as words for a person."""
        ends = pc.min_max(self.columns["date"]).as_py()
        stored = self.stored_receptors
        return {
            "ligands": str(len(self)),
            "groups": ", ".join(name or "(none)" for name in self.manifest.groups),
            "dates": "none" if ends["min"] is None else f"{ends['min']} to {ends['max']}",
            "receptors": "one for each ligand" if self.has_receptors else ", ".join(stored) or "none",
        }

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
        return self._ligands.fingerprints.array

    @property
    def columns(self) -> Columns:
        """Arrow columns by name, for scans without decoding a molecule."""
        self._mapped()
        return Columns(lambda name: self._ligands.chunks(name))

    def __len__(self) -> int:
        return len(self._ligands)

    def __iter__(self) -> Iterator[str]:
        for chunk in self._ligands.chunks("id"):
            yield from chunk.to_pylist()

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and self._ligands.find(id) is not None

    def __getitem__(self, id: str) -> Mol:
        return self.ligand(self.row_of(id))

    def get(self, id: str) -> Mol:
        """Rebuild the ligand with this id: the same as ``library[id]``."""
        return self[id]

    def row_of(self, id: str) -> int:
        """Row of an id."""
        row = self._ligands.find(str(id))  # a number is no id, and says so
        if row is None:
            meant = f"did you mean {' or '.join(alike)}? " if (alike := self._ids_with(id)) else ""
            raise LibraryError(
                f"{self.path} has no ligand '{id}'; {meant}`templ library export` lists the "
                f"{len(self)} it has"
            )
        return row

    def _ids_with(self, part: str) -> list[str]:
        """First ids that a part of an id may stand for, in any case."""
        ids = islice(self, IDS_LOOKED_AT)
        return list(islice((id for id in ids if str(part).lower() in id.lower()), SUGGESTED))

    def ligand(self, row: int) -> Mol:
        """Rebuild the ligand of a row, without hydrogens, its conformer in Angstrom, its id as name."""
        return self._ligands.molecule(row)

    @property
    def id_index(self) -> NDArray[np.uint64]:
        """Hashes of the ids (`templ.library.ids`), ascending, and the row of each, shape (2, ligands)."""
        return self._ligands.id_index

    def entry(self, row: int) -> LigandRecord:
        """Everything about the ligand of a row but its molecule."""
        return self._ligands.record(row)

    def reference(self, id: str) -> MoleculeReference:
        """Where a ligand was read; its `load` gives the original record: hydrogens, data items and all."""
        reference = self._ligands.reference(self.row_of(id))
        if reference is None:
            raise LibraryError(
                f"{self.path} does not say where '{id}' was read: only libraries built from SDF files, "
                "by this TEMPL or a later one, do; build it again with `templ library build --ligands`"
            )
        return reference

    def row(
        self, row: int
    ) -> tuple[dict[str, Any], NDArray[np.uint64], Receptor | None, MoleculeReference | None]:
        """Everything stored of a row: columns, fingerprint, receptor and reference, where it has them."""
        values, receptor = self._ligands.values(row), self.receptor(row) if self.has_receptors else None
        fingerprint = self._ligands.fingerprints.rows(row, row + 1)[0]
        return values, fingerprint, receptor, self._ligands.reference(row)

    def copy_to(self, ligands: LigandWriter, receptors: ReceptorWriter | None) -> None:
        """Hand all rows, as they are stored, to the writers of another library."""
        ligands.copy(self._ligands, self.manifest.source_paths)
        if receptors is not None:
            receptors.copy(self._receptors)

    def groups_equal(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Tell which rows belong to one of these groups, shape (ligands,)."""
        wanted = pa.array(names, pa.string())
        return self._ligands.mask("group", lambda chunk: pc.is_in(chunk, value_set=wanted))

    def dated_before(self, date: datetime.date) -> NDArray[np.bool_]:
        """Tell which rows became known before a day, shape (ligands,); undated ones never did."""
        day = pa.scalar(date, pa.date32())
        return self._ligands.mask("date", lambda chunk: pc.fill_null(pc.less(chunk, day), False))

    def same_ligand(self, inchikey_first_block: str) -> NDArray[np.bool_]:
        """Tell which rows are this ligand, shape (ligands,), by its `ligand_key`."""
        key = inchikey_first_block
        return self._ligands.mask(
            "inchikey", lambda chunk: pc.or_(pc.equal(chunk, key), pc.starts_with(chunk, key + "-"))
        )

    def most_similar(
        self, mol: Mol | str, k: int, mask: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Find the ligands most similar to a molecule; the memory it takes does not grow with the library.

        Parameters
        ----------
        mol : rdkit.Chem.Mol or str
            A molecule, of which hydrogens do not count, or a SMILES.
        k : int
            How many at most.
        mask : numpy.ndarray, shape (ligands,), bool, optional
            Rows that may be chosen.

        Returns
        -------
        rows, similarities : numpy.ndarray, shape (found,)
            Rows and Tanimoto similarities, most similar first; equal ones in the order of the library.

        Raises
        ------
        InputError
            When the SMILES cannot be read.
        """
        query, best = fingerprint(parse_smiles(mol) if isinstance(mol, str) else mol), Best(k)
        for start, block in self._ligands.fingerprints.blocks():
            allowed = None if mask is None else mask[start : start + len(block)]
            best.add(start, tanimoto(query, block), allowed)
        return best.rows, best.values

    def nearest(
        self, mol: Mol | str, k: int = 10, mask: NDArray[np.bool_] | None = None
    ) -> list[tuple[str, float]]:
        """`most_similar`, with ids instead of rows."""
        rows, similarities = self.most_similar(mol, k, mask)
        ids = map(self._ligands.id, rows.tolist())
        return list(zip(ids, similarities.tolist(), strict=True))

    @property
    def has_receptors(self) -> bool:
        """Whether every ligand comes with its own receptor, in a frame of its own."""
        return self._mapped().receptors is not None

    def residues(self, row: int) -> tuple[Residues, NDArray[np.int32]]:
        """Chains near the ligand of a row, and which of their residues make its pocket."""
        self._ligands.check_row(row)
        return self._receptors.residues(row)

    def main_chain(self, row: int) -> str:
        """Sequence of the chain of a row's receptor that has most residues of its pocket."""
        self._ligands.check_row(row)
        return self._receptors.main_chain(row)

    def receptor(self, row: int) -> Receptor:
        """Receptor around the ligand of a row; its arrays lie over the mapped file."""
        self._ligands.check_row(row)
        return self._receptors.receptor(row)

    def receptor_of(self, id: str) -> Receptor:
        """Receptor that a ligand has: its own, or the one of its group.

        Raises
        ------
        LibraryError
            When there is no such ligand, or no receptor.
        """
        row = self.row_of(id)
        if self.has_receptors:
            return self.receptor(row)
        path = self.receptor_path(self.entry(row).group)
        if path is None:
            raise LibraryError(f"{self.path} has no receptor; give one with `templ library build --receptor`")
        return read_receptor(path)

    def related(
        self, sequence: str, k: int, mask: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Find the rows whose receptors share most 3-mers with a sequence (see `MappedReceptors.related`)."""
        return self._receptors.related(sequence, k, mask)

    @property
    def has_embeddings(self) -> bool:
        """Whether there are embeddings of the receptors."""
        return self._mapped().embeddings is not None

    @property
    def embeddings(self) -> Embeddings:
        """Embeddings of the receptors, mapped."""
        embeddings = self._mapped().embeddings
        if embeddings is None:
            raise LibraryError(
                f"{self.path} has no embeddings; build it with `templ library build --embeddings`"
            )
        return embeddings

    def release_pages(self) -> None:
        """Give the pages that were looked at back to the page cache; nothing else changes."""
        mapped = self._mapped()
        mapped.ligands.release_pages()
        if mapped.receptors is not None:
            mapped.receptors.release_pages()

    def receptor_path(self, group: str = "") -> Path | None:
        """Gzipped PDB file of a group's receptor, or else the default one, or None.

        With the empty group and no default, the only receptor there is.
        """
        name = receptor_for(group, self.stored_receptors)
        return None if name is None else verify_file(self.path, name, self.manifest)

    @property
    def stored_receptors(self) -> list[str]:
        """Names of the files of receptors that whole groups have."""
        return [name for name in sorted(self.manifest.files) if name.startswith(f"{RECEPTORS}/")]

    def verify(self) -> None:
        """Compare every byte of the library with its checksums, and what its files say with each other."""
        mapped = self._mapped()
        for name in mapped.manifest.files:
            verify_file(self.path, name, mapped.manifest)
        mapped.ligands.verify()
        if mapped.receptors is not None:
            mapped.receptors.verify()
        if mapped.embeddings is not None:
            mapped.embeddings.verify(mapped.manifest.counts.embeddings)
        self.release_pages()

    def _mapped(self) -> _Mapped:
        if self._open is None:
            raise LibraryError(f"{self.path}: the library is closed; open it again with open_library")
        return self._open

    @property
    def _ligands(self) -> MappedLigands:
        return self._mapped().ligands

    @property
    def _receptors(self) -> MappedReceptors:
        receptors = self._mapped().receptors
        if receptors is None:
            raise LibraryError(
                f"{self.path} has no receptors; build it with `templ library build --complexes`"
            )
        return receptors


def open_library(path: str | Path) -> Library:
    """Open a library: reads its manifest, and the first and the last block of each file, nothing else.

    Raises
    ------
    LibraryError
        When `path` is no library, was written by another version of TEMPL, or is torn or altered there.
    """
    return Library(path)


def open_same_library(path: str | Path, digest: str) -> Library:
    """Open the library with which a run was started, in a worker: maybe later, maybe on another machine.

    Raises
    ------
    LibraryError
        When it is another one, or `open_library` refuses it.
    """
    library = open_library(path)
    if library.digest != digest:
        library.close()
        raise LibraryError(
            f"{path} on {platform.node()} is not the library that the run was started with: it was replaced "
            "meanwhile, or this machine has another; put the right one there"
        )
    return library


def is_sound(path: str | Path) -> bool:
    """Tell whether a library is there and agrees with all its checksums; for those that can be made again."""
    try:
        with open_library(path) as library:
            library.verify()
    except LibraryError:
        return False
    return True
