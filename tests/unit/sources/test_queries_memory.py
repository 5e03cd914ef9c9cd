"""A long list of queries does not fill the memory of the process that reads it."""

from __future__ import annotations

from templ.engine.probe import uss_bytes
from templ.sources.queries import count_queries, read_queries

RECORDS, RECORD_BYTES = 1000, 100_000


def test_pages_that_were_looked_at_are_given_back(tmp_path):
    path = tmp_path / "long.sdf"
    with path.open("wb") as file:
        for number in range(RECORDS):
            file.write(b"%d\n" % number + b"x" * RECORD_BYTES + b"\n$$$$\n")
    before = uss_bytes()
    most = max(uss_bytes() - before for query in read_queries(path) if query.index % 50 == 0)
    assert most < 0.4 * path.stat().st_size
    assert count_queries(path) == RECORDS
