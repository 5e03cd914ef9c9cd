"""The journal of a run: ``results.jsonl``, one record a line, on disk before its molecule counts as done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from templ.disk import Closing, GrowingFile, replacing
from templ.errors import RunError
from templ.runs.record import Record

JOURNAL_NAME = "results.jsonl"
ATTEMPTS_NAME = "attempts.jsonl"


_PIECE = 1 << 20


class Line(NamedTuple):
    """One line of a journal: the bytes from `start` to `end`, and the record; None where it is damaged."""

    start: int
    end: int
    record: Record | None


class Indices:
    """A set of small numbers, a byte each: a million molecules must not take a set of objects."""

    def __init__(self) -> None:
        self._there = bytearray()
        self._count = 0

    def add(self, index: int) -> None:
        """Add a number."""
        if index >= len(self._there):
            self._there.extend(bytes(index + 1 - len(self._there)))
        self._count += not self._there[index]
        self._there[index] = 1

    def __contains__(self, index: int) -> bool:
        return index < len(self._there) and bool(self._there[index])

    def __len__(self) -> int:
        return self._count


class Journal(Closing):
    """Append-only records of a run, held open by its only writer; make one with `Journal.open`.

    Attributes
    ----------
    path : Path
        ``results.jsonl``.
    done : Indices
        Positions of the molecules that have a record.
    damaged : int
        Lines that were left out when it was opened.
    """

    def __init__(self, file: GrowingFile, done: Indices, damaged: int) -> None:
        self._file = file
        self.path = file.path
        self.done = done
        self.damaged = damaged

    @classmethod
    def open(cls, path: Path, sort_out: Callable[[Record], Record | None] = lambda record: record) -> Journal:
        """Open or create a journal, and throw out what does not stand: its molecules have no record then.

        The line that a killed writer left half-written goes, and those that are damaged. Records that are
        sorted out go to ``attempts.jsonl`` beside it, the history of the run.

        Parameters
        ----------
        path : Path
            ``results.jsonl``.
        sort_out : callable
            Told each record; returns it, or what is to take its place, or None.

        Raises
        ------
        RunError
            When another version wrote the journal, or a molecule has two records.
        StorageError
            When the file cannot be written.
        """
        done, damaged, end = Indices(), 0, 0
        changed: list[tuple[Line, Record | None]] = []
        for number, line in enumerate(all_lines(path) if path.exists() else (), 1):
            kept = None if line.record is None else sort_out(line.record)
            end, damaged = line.end, damaged + (line.record is None)
            if kept is None or kept is not line.record:
                changed.append((line, kept))
            if kept is not None:
                if kept.index in done:
                    raise RunError(
                        f"{path}, line {number}: a second record of {kept.id!r}; remove one of the two"
                    )
                done.add(kept.index)
        if changed:
            _add_to_history(path, [line.record for line, kept in changed if line.record and kept is None])
            _rewrite(path, changed, end)
        file = GrowingFile(path)
        try:
            if not changed:
                file.cut(end)
            if file.end and not _ends_a_line(path):
                file.append(b"\n")
        except BaseException:
            file.close()
            raise
        return cls(file, done, damaged)

    def append(self, record: Record) -> None:
        """Write one record; when this returns, it is on disk.

        Raises
        ------
        RunError
            When its molecule has a record already.
        StorageError
            When the disk refuses; the journal then is as it was before, and can be appended to again.
        TemplError
            When the record holds a number that is not finite.
        """
        if record.index in self.done:
            raise RunError(f"{self.path}: {record.id!r} has a record already; it is recorded once")
        self._file.append(record.to_line())
        self.done.add(record.index)

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a journal one at a time; a torn last line is left out.

    Raises
    ------
    RunError
        When there is no such file, or a line is damaged or of another version.
    """
    return (record for _, record in read_lines(path))


def read_lines(path: Path) -> Iterator[tuple[int, Record]]:
    """Yield the records of a journal, and the offset of each; a torn last line is left out.

    Raises
    ------
    RunError
        When there is no such file, or a line is damaged or of another version.
    """
    for number, line in enumerate(all_lines(path), 1):
        if line.record is None:
            raise RunError(
                f"{path}, line {number}: not the record that was written, its checksum differs; "
                "start the command of the run again: what is damaged is done again"
            )
        yield line.start, line.record


def all_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a journal, damaged ones too, but not the one that a killed writer left torn.

    Raises
    ------
    RunError
        When there is no such file, or another version wrote a line.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}): name the folder of a run") from error
    with file:
        start = 0
        for number, text in enumerate(file, 1):
            try:
                record = Record.from_line(text)
            except RunError as error:
                raise RunError(f"{path}, line {number}: {error}") from None
            if record is not None or text.endswith(b"\n"):
                yield Line(start, start + len(text), record)
            start += len(text)


def count_records(run: Path) -> int:
    """Count the lines of a run's journal, of whatever version; none where there is no journal."""
    try:
        with (run / JOURNAL_NAME).open("rb") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0


def _add_to_history(journal: Path, records: list[Record]) -> None:
    """Keep records in ``attempts.jsonl``, once: a start that was killed does the same again."""
    lines = b"".join(record.to_line() for record in records)
    if not lines:
        return
    with GrowingFile(journal.with_name(ATTEMPTS_NAME)) as history:
        start = max(history.end - len(lines), 0)
        with history.path.open("rb") as old:
            old.seek(start)
            if old.read() != lines:
                history.append(lines)


def _rewrite(path: Path, changed: list[tuple[Line, Record | None]], end: int) -> None:
    """Replace lines of a journal, or leave them out, up to the offset where its last whole line ends."""
    with path.open("rb") as old, replacing(path) as new:
        for line, record in [*changed, (Line(end, end, None), None)]:
            while piece := old.read(min(_PIECE, line.start - old.tell())):
                new.write(piece)
            new.write(b"" if record is None else record.to_line())
            old.seek(line.end)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
