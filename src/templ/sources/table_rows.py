"""Rows of a table, so that a quote that is opened and not closed costs its own row and no other."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class TableRow(NamedTuple):
    """One row: the line where it begins, from 1; its cells; and what is wrong with it, or nothing."""

    line: int
    cells: list[str]
    fault: str = ""


def read_rows(lines: Iterable[str], delimiter: str) -> Iterator[TableRow]:
    """Read a table row by row; blank lines are none.

    A cell in quotes may hold line breaks. Where the quotes of a row make no sense, as when one is not closed,
    its first line alone is the malformed row: those after it, which the open quote took in, are read again.

    Parameters
    ----------
    lines : iterable of str
        With their line ends.
    delimiter : str
        Between cells.
    """
    source, again = iter(lines), deque[str]()
    taken: list[str] = []
    line = 1

    def give() -> Iterator[str]:
        while again or (text := next(source, None)) is not None:
            taken.append(again.popleft() if again else str(text))
            yield taken[-1]

    def reader() -> Iterator[list[str]]:
        return csv.reader(give(), delimiter=delimiter, strict=True, skipinitialspace=True)

    rows = reader()
    while True:
        cells, fault = None, ""
        try:
            cells = next(rows, None)
        except csv.Error as error:
            fault = f"malformed row: {error}"
            if len(taken) > 1:
                fault += f"; a quote that is opened in it is not closed: read on from line {line + 1}"
            again.extendleft(reversed(taken[1:]))
            del taken[1:]
            rows = reader()
        if not taken:
            return
        if cells or fault:
            yield TableRow(line, cells or [], fault)
        line += len(taken)
        taken.clear()
