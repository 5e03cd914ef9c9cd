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
TRIED_AGAIN = frozenset({"timeout", "out-of-memory", "crash"})
"""Reasons of failures that may lie in the machine, not in the molecule."""


class Line(NamedTuple):
    """One whole line of a journal: the bytes from `start` to `end`, and the record they hold."""

    start: int
    end: int
    record: Record


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
    done : Indices
        Positions of the molecules that have a record.
    """

    def __init__(self, file: GrowingFile, done: Indices) -> None:
        self._file = file
        self.done = done

    @classmethod
    def open(cls, path: Path, on_record: Callable[[Record], object] = lambda record: None) -> Journal:
        """Open or create a journal, and cut off the line that a killed writer left half-written.

        Parameters
        ----------
        path : Path
            ``results.jsonl``.
        on_record : callable
            Told each record that is there: reading a million of them once takes long enough.

        Raises
        ------
        RunError
            When a line before the last is broken, or a molecule has two records.
        StorageError
            When the file cannot be written.
        """
        file = GrowingFile(path)
        try:
            done, end = _done_so_far(path, on_record)
            file.cut(end)
            if end and not _ends_a_line(path):
                file.append(b"\n")
        except BaseException:
            file.close()
            raise
        return cls(file, done)

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
            raise RunError(f"{self._file.path}: {record.id!r} has a record already; it is recorded once")
        self._file.append(record.to_line())
        self.done.add(record.index)

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()


def set_aside_failures(run: Path) -> int:
    """Take failures that a crowded or broken machine can cause out of the journal, to be tried again.

    They stay in ``attempts.jsonl``, the history of the run; returns how many there were.
    """
    journal = run / JOURNAL_NAME
    if not journal.exists():
        return 0
    failed = [line.record for line in read_lines(journal) if line.record.reason in TRIED_AGAIN]
    if not failed:
        return 0
    with GrowingFile(run / ATTEMPTS_NAME) as history:
        history.append(b"".join(record.to_line() for record in failed))
    again = {record.index for record in failed}
    with journal.open("rb") as old, replacing(journal) as new:
        for line in read_lines(journal):
            if line.record.index not in again:
                old.seek(line.start)
                new.write(old.read(line.end - line.start))
    return len(failed)


def read_records(path: Path) -> Iterator[Record]:
    """Yield the records of a journal one at a time; a torn last line is left out.

    Raises
    ------
    RunError
        When there is no such file, or a line before the last is broken.
    """
    return (line.record for line in read_lines(path))


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the whole lines of a journal with their position in the file; a torn last line is left out.

    Raises
    ------
    RunError
        When there is no such file, or a line before the last is broken.
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
            if record is None:
                if file.read(1):
                    raise RunError(
                        f"{path}, line {number}: expected a record in JSON; "
                        "remove the line and start the run again to redo its molecule"
                    )
                return  # the writer was killed here, before this molecule counted as done
            yield Line(start, start + len(text), record)
            start += len(text)


def _done_so_far(path: Path, on_record: Callable[[Record], object]) -> tuple[Indices, int]:
    """Return the positions that have a record, and the offset where the last whole line ends."""
    done, end = Indices(), 0
    for number, line in enumerate(read_lines(path), 1):
        if line.record.index in done:
            raise RunError(
                f"{path}, line {number}: a second record of {line.record.id!r}; remove one of the two"
            )
        done.add(line.record.index)
        on_record(line.record)
        end = line.end
    return done, end


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
