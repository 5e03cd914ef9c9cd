"""The journal of a run: ``results.jsonl``, one line a target, on disk before the target counts as done."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from templ.disk import GrowingFile
from templ.errors import RunError, TemplError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

JOURNAL_NAME = "results.jsonl"


class Line(NamedTuple):
    """One whole line of a journal: the bytes from `start` to `end`, and the record they hold."""

    start: int
    end: int
    record: dict[str, Any]


class Journal:
    """Append-only results of a run, held open by its only writer; make one with `Journal.open`.

    Attributes
    ----------
    done : collections.abc.Set of str
        Ids of the targets that have a record.
    """

    def __init__(self, file: GrowingFile, done: set[str]) -> None:
        self._file = file
        self._done = done

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open or create a journal, and cut off the line that a killed writer left half-written.

        Raises
        ------
        RunError
            When a line before the last is broken, or an id has two records.
        StorageError
            When the file cannot be written.
        """
        file = GrowingFile(path)
        try:
            done, end = _done_so_far(path)
            file.cut(end)
            if end and not _ends_a_line(path):
                file.append(b"\n")
        except BaseException:
            file.close()
            raise
        return cls(file, done)

    @property
    def done(self) -> AbstractSet[str]:
        """Ids of the targets that have a record."""
        return self._done

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record; when this returns, it is on disk.

        Raises
        ------
        RunError
            When its target has a record already.
        StorageError
            When the disk refuses; the journal then is as it was before, and can be appended to again.
        TemplError
            When the record holds something that is no JSON (NaN, an array).
        """
        target: str = record["id"]
        if target in self._done:
            raise RunError(f"{self._file.path}: {target!r} has a record already; a target is recorded once")
        self._file.append(encode_record(record))
        self._done.add(target)

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encode_record(record: Mapping[str, Any]) -> bytes:
    r"""Write a record as one line of compact JSON, the same bytes for equal records.

    Raises
    ------
    TemplError
        When it holds something that is no JSON (NaN, an array).

    Examples
    --------
    >>> encode_record({"rmsd": [0.5], "id": "x0397"})
    b'{"id":"x0397","rmsd":[0.5]}\n'
    """
    try:
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TemplError(f"the record of {record['id']!r} cannot be written as JSON ({error})") from error
    return text.encode("ascii") + b"\n"


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a journal one at a time; a torn last line is left out.

    Raises
    ------
    RunError
        When there is no such file, or a line before the last is broken.
    """
    return (line.record for line in read_lines(path))


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the whole lines of a journal with their place in the file; a torn last line is left out.

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
            record = _parse(text)
            if record is None:
                if file.read(1):
                    raise RunError(
                        f"{path}, line {number}: expected a JSON object with an id; "
                        "remove the line and start the run again to redo its target"
                    )
                return  # the writer was killed here, before this target counted as done
            yield Line(start, start + len(text), record)
            start += len(text)


def _done_so_far(path: Path) -> tuple[set[str], int]:
    """Return the ids that have a record, and the offset where the last whole line ends."""
    done: set[str] = set()
    end = 0
    for number, line in enumerate(read_lines(path), 1):
        target = line.record["id"]
        if target in done:
            raise RunError(f"{path}, line {number}: a second record of {target!r}; remove one of the two")
        done.add(target)
        end = line.end
    return done, end


def _parse(text: bytes) -> dict[str, Any] | None:
    """Return the record, or None when `text` is not a whole one."""
    try:
        record = json.loads(text)
    except ValueError:  # bad JSON and bad UTF-8 alike
        return None
    return record if isinstance(record, dict) and isinstance(record.get("id"), str) else None


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
