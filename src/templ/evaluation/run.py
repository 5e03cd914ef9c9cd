"""A run on disk as a Python object: its records, poses and summary, one at a time and never all in memory."""

from __future__ import annotations

import html
from array import array
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from templ.errors import InputError, RunError
from templ.evaluation.run_table import SCHEMA, rows_of
from templ.evaluation.summary import Summary, summarise
from templ.library.ids import id_hash
from templ.runs.journal import JOURNAL_NAME, all_lines, read_lines, read_records
from templ.runs.manifest import RunManifest, read_manifest
from templ.runs.memory_log import read_samples
from templ.runs.parts import latest_attempts
from templ.runs.pose_shards import read_poses
from templ.runs.record import Record
from templ.runs.run_folder import run_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas
    import pyarrow as pa
    from numpy.typing import NDArray
    from rdkit.Chem import Mol

    from templ.library.store import Library

ROWS_A_BATCH = 10_000
ROWS_SHOWN = 10
"""Molecules that a notebook shows of a run."""


class Run:
    """A run, finished or not; made by `load_run`.

    Attributes
    ----------
    path : Path
        Its folder.
    manifest : RunManifest
        What it computes, and with what.

    Examples
    --------
    >>> import templ
    >>> run = templ.load_run("runs/demo")                          # doctest: +SKIP
    >>> [record.id for record in run if record.status != "posed"]  # doctest: +SKIP
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest: RunManifest = read_manifest(path)

    def __len__(self) -> int:
        """Records on disk."""
        journal = self.path / JOURNAL_NAME
        if not journal.exists():
            return 0
        count, line = 0, b"\n"
        with journal.open("rb") as file:
            for line in file:
                count += line.endswith(b"\n")
        return count + (not line.endswith(b"\n") and Record.from_line(line) is not None)

    def __iter__(self) -> Iterator[Record]:
        """Records one at a time, in the order of the journal; of a finished run, that of its list."""
        self._must_have_journal()
        return self._records()

    def _must_have_journal(self) -> None:
        if (self.path / JOURNAL_NAME).exists():
            return
        if latest_attempts(self.path):
            raise RunError(
                f"{self.path} is done by processes that join: results are in their parts until all is done "
                "(`templ benchmark status` counts them); start the same command with --join to go on"
            )
        raise RunError(f"{self.path} has no results yet; start the same command again to go on")

    def _records(self) -> Iterator[Record]:
        count = 0
        for count, record in enumerate(read_records(self.path / JOURNAL_NAME), 1):  # noqa: B007
            yield record
        if self.manifest.finished and count != self.manifest.targets:
            raise RunError(
                f"{self.path / JOURNAL_NAME}: {count} records, but the run was finished with "
                f"{self.manifest.targets}; start its command again: what is missing is done again"
            )

    def damage(self) -> Iterator[str]:
        """Compare records and poses with their checksums; yield a sentence for all that is damaged."""
        self._must_have_journal()
        number = 0
        for number, line in enumerate(all_lines(self.path / JOURNAL_NAME), 1):
            if line.record is None:
                yield f"{JOURNAL_NAME}, line {number}: not the record that was written"
                continue
            try:
                self._read_poses(line.record)
            except RunError as error:
                yield f"{line.record.id}: {error}"
        if missing := self.manifest.finished and self.manifest.targets - number:
            yield f"{JOURNAL_NAME}: {missing} records of a finished run are missing"

    def __getitem__(self, id: str) -> Record:
        """Record of a molecule.

        Raises
        ------
        RunError
            When the run has none of that id.
        """
        hashes, starts = self._index
        first, last = (np.searchsorted(hashes, id_hash(str(id)), side) for side in ("left", "right"))
        with (self.path / JOURNAL_NAME).open("rb") as file:
            for start in sorted(starts[first:last].tolist()):
                file.seek(start)
                record = Record.from_line(file.readline())
                if record is not None and record.id == id:
                    return record
        raise RunError(f"{self.path} has no record of {id!r}")

    def __contains__(self, id: object) -> bool:
        try:
            return isinstance(id, str) and bool(self[id])
        except RunError:
            return False

    def poses(self, molecule: str | Record) -> list[Mol]:
        """Poses of a molecule, by id or record: best first, with hydrogens, Angstrom; none where it has none.

        Raises
        ------
        RunError
            When there is no such molecule, or its poses are gone or damaged.
        """
        from rdkit import Chem

        from templ.chemistry.molecules import quiet_rdkit

        record = self[molecule] if isinstance(molecule, str) else molecule
        if not (sdf := self._read_poses(record)):
            return []
        supplier = Chem.SDMolSupplier()
        with quiet_rdkit():
            supplier.SetData(sdf, removeHs=False)
            poses = list(supplier)
        if None in poses or len(poses) != len(record.poses):
            raise RunError(f"{self.path}: the poses of {record.id!r} do not read back as molecules")
        return poses

    @property
    def summary(self) -> Summary:
        """What the run has achieved so far, in one pass over its records and their poses.

        Raises
        ------
        RunError
            When a record is missing, or a record or its poses are damaged.
        """
        return summarise(self._checked(), missing=len(self.manifest.missing))

    def samples(self) -> list[dict[str, Any]]:
        """Return the memory log (`templ.runs.memory_log.read_samples`)."""
        return read_samples(self.path)

    def templates(self, libraries: Sequence[Path] = ()) -> Library:
        """Open the template library of the run, wherever it is now (`templ.runs.run_libraries`)."""
        from templ.runs.run_libraries import open_templates

        return open_templates(self.path, self.manifest, libraries)

    def targets(self, libraries: Sequence[Path] = ()) -> Library:
        """Open the library with the targets' crystal poses (`templ.runs.run_libraries`)."""
        from templ.runs.run_libraries import open_targets

        return open_targets(self.path, self.manifest, libraries)

    def to_arrow(self) -> pa.Table:
        """Every number of the run as an Arrow table, a row a pose (`templ.evaluation.run_table`)."""
        import pyarrow as pa

        batches, waiting = [], []
        for record in self:
            waiting += rows_of(record)
            if len(waiting) >= ROWS_A_BATCH:
                batches.append(pa.RecordBatch.from_pylist(waiting, SCHEMA))
                waiting = []
        return pa.Table.from_batches([*batches, pa.RecordBatch.from_pylist(waiting, SCHEMA)], SCHEMA)

    def to_pandas(self) -> pandas.DataFrame:
        """The same as a pandas data frame.

        Raises
        ------
        InputError
            When pandas is not installed.
        """
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise InputError(
                "to_pandas needs pandas, which is not installed; to_arrow needs nothing"
            ) from None
        return self.to_arrow().to_pandas()

    def __repr__(self) -> str:
        state = "finished" if self.manifest.finished else "not finished"
        return f"<Run {self.path} ({self.manifest.name}): {len(self)} of {self.manifest.targets}, {state}>"

    def _repr_html_(self) -> str:
        counts = self.summary.overall
        rates = [f"{rate.rate:.1%} within {rate.threshold:g} A" for rate in counts.first_of_all]
        cells = [f"{counts.attempted} of {self.manifest.targets} done", f"{counts.posed} posed", *rates]
        rows = []
        for record in islice(self, ROWS_SHOWN):
            first = record.first
            values = ("", "") if first is None else (f"{first.confidence:.2f}", first.template)
            told = (record.id, record.ending, *values)
            rows.append(f"<tr>{''.join(f'<td>{html.escape(value)}</td>' for value in told)}</tr>")
        names = ("molecule", "ending", "confidence", "template")
        head = "".join(f"<th>{name}</th>" for name in names)
        return (
            f"<b>{html.escape(self.manifest.name)}</b>: {', '.join(cells)}"
            f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{self._first_view()}"
        )

    def _first_view(self) -> str:
        """Poses of the first molecule that has some, in 3D."""
        from templ.pictures.notebook import view

        record = next((record for record in islice(self, ROWS_SHOWN) if record.address is not None), None)
        if record is None or not (shown := view(self.poses(record))):
            return ""
        return f"<div>{html.escape(record.id)}, the first that has poses:</div>{shown}"

    def _checked(self) -> Iterator[Record]:
        for record in self:
            self._read_poses(record)
            yield record

    def _read_poses(self, record: Record) -> str:
        return "" if record.address is None else read_poses(self.path, record.address)

    @cached_property
    def _index(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """Hashes of the ids, sorted, and where the line of each begins: 16 bytes a record."""
        hashes, starts = array("Q"), array("q")
        for start, record in read_lines(self.path / JOURNAL_NAME):
            hashes.append(int(id_hash(record.id)))
            starts.append(start)
        found = np.array(hashes, np.uint64)
        order = np.argsort(found, kind="stable")
        return found[order], np.array(starts, np.int64)[order]


def load_run(path: str | Path) -> Run:
    """Open the folder of a run, or the run behind the poses that `templ predict` wrote.

    Parameters
    ----------
    path : str or Path
        A run folder, or a file such as ``poses.sdf`` with its run ``poses.run`` beside it.

    Raises
    ------
    RunError
        When it is neither, or the run is damaged.
    """
    return Run(folder_of_run(path))


def folder_of_run(path: str | Path) -> Path:
    """Folder of a run that is named by itself, or by the poses that `templ predict` wrote beside it.

    Raises
    ------
    RunError
        When there are poses, and no run beside them.
    """
    path = Path(path)
    if path.suffix.lower() != ".sdf":
        return path
    folder = run_of(path)
    if not folder.is_dir():
        raise RunError(f"{folder} is missing: it belongs beside the poses of `templ predict`; predict again")
    return folder
