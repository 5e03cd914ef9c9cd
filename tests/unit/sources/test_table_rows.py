"""Rows of tables whose quotes are as people leave them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.sources.table_rows import read_rows


def rows(text):
    return list(read_rows(text.splitlines(keepends=True), ","))


def test_lines_and_cells():
    assert rows('a, b\n\n"c\nd",e\n\n"f, ""g"""\n') == [
        (1, ["a", "b"], ""),
        (3, ["c\nd", "e"], ""),
        (6, ['f, "g"'], ""),
    ]


@pytest.mark.parametrize(
    "text",
    [
        'a,b\nc,"d\ne,f\ng,h\n',  # to the end of the file
        'a,b\nc,"d\ne,"f"\ng,h\n',  # to the next quote
        'a,b\nc,"d\n' + "e,f\n" * 40_000 + "g,h\n",  # beyond the longest cell that Python reads
    ],
)
def test_an_open_quote_costs_its_own_row(text):
    found = rows(text)
    assert found[0] == (1, ["a", "b"], "")
    assert found[1][:2] == (2, [])
    assert found[1].fault.startswith("malformed row: ")
    assert found[1].fault.endswith("; a quote that is opened in it is not closed: read on from line 3")
    lines = text.splitlines()
    assert [(row.line, row.cells) for row in found[2:]] == [
        (number, line.replace('"', "").split(",")) for number, line in enumerate(lines[2:], 3)
    ]


@given(st.text('a,"\n', max_size=60))
def test_every_line_that_is_not_blank_is_in_a_row(text):
    found, lines = rows(text), text.splitlines()
    begins = [*(row.line for row in found), len(lines) + 1]
    assert begins == sorted(set(begins))
    assert not any(lines[: begins[0] - 1])
    for row, end in zip(found, begins[1:], strict=True):
        own = lines[row.line - 1 : end - 1]
        if row.fault:
            assert not any(own[1:])
        else:
            assert "".join(row.cells).count("a") == "".join(own).count("a")
