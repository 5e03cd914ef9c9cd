"""The ledger: what a source could not read, and why; and what was done to what it took."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from templ.disk import Closing, storage_errors

KEPT_ROWS = 5
ID_SHOWN = 200
"""Junk without line ends can pose as a title of megabytes."""


class LedgerRow(NamedTuple):
    """One thing that could not be read.

    Attributes
    ----------
    file : str
        The file as the user named it.
    record : int
        Number of the record in it, from 1.
    line : int
        Line where the record begins, from 1.
    id : str
        Empty when the record gave none.
    reason : str
        ``class: detail``; the class alone where there is nothing to add.
    kept : str
        "yes" where it was taken all the same, and the reason says what was done to it; else "no".
    """

    file: str
    record: int
    line: int
    id: str
    reason: str
    kept: str = "no"

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else f"record {self.record}"
        return f"{self.file}, {where}{f' ({self.id})' if self.id else ''}: {self.reason}"


class Ledger(Closing):
    """Counts what could not be read, keeps the first few rows, and writes all, and notes, to a CSV file.

    Memory stays the same however many rows are added. The file appears with the first row and replaces
    one of an earlier run; every row is handed to the system before `add` returns.

    Parameters
    ----------
    path : str or Path, optional
        The CSV file; without it rows are only counted.

    Attributes
    ----------
    counts : Counter of str
        Rows by class of reason: the text before its first colon.
    total : int
        All rows.
    first : list of LedgerRow
        The first five, for printing.

    Examples
    --------
    >>> ledger = Ledger()
    >>> ledger.add("a.sdf", 3, 120, "missing M  END: the record is truncated")
    >>> ledger.total, dict(ledger.counts)
    (1, {'missing M  END': 1})
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.counts: Counter[str] = Counter()
        self.total = 0
        self.first: list[LedgerRow] = []
        self._file: io.FileIO | None = None

    def add(self, file: str, record: int, line: int, reason: str, id: str = "") -> None:
        """Note one record that could not be read.

        Raises
        ------
        StorageError
            When the ledger's file cannot be written.
        """
        row = LedgerRow(file, record, line, id[:ID_SHOWN], reason)
        self.counts[reason.partition(":")[0]] += 1
        self.total += 1
        if len(self.first) < KEPT_ROWS:
            self.first.append(row)
        if self.path is not None:
            self._write(self.path, row)

    def note(self, file: str, record: int, line: int, what: str, id: str = "") -> None:
        """Note what was done to a record that was taken; it is not counted.

        Raises
        ------
        StorageError
            When the ledger's file cannot be written.
        """
        if self.path is not None:
            self._write(self.path, LedgerRow(file, record, line, id[:ID_SHOWN], what, "yes"))

    def _write(self, path: Path, row: LedgerRow) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        with storage_errors(path):
            if self._file is None:
                # Unbuffered: after a full disk nothing is left that closing would try to write again.
                self._file = io.FileIO(path, "w")
                writer.writerow(LedgerRow._fields)
            writer.writerow(row)
            data = text.getvalue().encode(errors="backslashreplace")  # names of files can be any bytes
            while data:
                data = data[self._file.write(data) :]

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        if self._file is not None:
            self._file.close()
