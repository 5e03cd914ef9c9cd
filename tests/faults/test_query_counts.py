"""Every query of a list is counted everywhere: in records, tables, messages, the report and exports."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import subprocess
import sys

import pytest
from rdkit import Chem

from templ.evaluation.run import load_run

SMILES = "CC(=O)Nc1cnccc1C"
QUERIES = [
    ("fine", SMILES),
    ("ring", "C1CC"),
    ("fine", f"{SMILES}C"),
    ("iron", "[Fe]OCCO"),
    ("broken", f"{SMILES}O"),
    ("", f"C{SMILES}"),
]
"""Posed, unreadable, of an id that was there, refused, failing in its worker, and posed without an id."""
UNREADABLE, REFUSED = "failed: unreadable", "refused: unsupported-element"
ENDINGS = ["posed", UNREADABLE, UNREADABLE, REFUSED, "failed: error", "posed"]


def sdf(queries):
    """Drawings; that of the ring lacks its end."""
    for id, smiles in queries:
        block = Chem.MolToMolBlock(Chem.MolFromSmiles(smiles)) if id != "ring" else "\n\n\nnothing\n"
        yield id + block[block.index("\n") :]


LISTS = {
    "q.smi": lambda queries: "\n".join(f"{smiles} {id}" for id, smiles in queries).encode(),
    "q.csv": lambda queries: "".join(f"{i},{s}\n" for i, s in [("id", "smiles"), *queries]).encode(),
    "q.sdf": lambda queries: "$$$$\n".join(sdf(queries)).encode(),
    "q.sdf.gz": lambda queries: gzip.compress("$$$$\n".join(sdf(queries)).encode()),
}


@pytest.mark.parametrize(
    "name",
    [name if name == "q.smi" else pytest.param(name, marks=pytest.mark.slow) for name in LISTS],
)
def test_every_query_is_counted_everywhere(demo_path, tmp_path, helpers, name):
    def run(*words, check=0):
        command = [sys.executable, helpers / "faulty_templ.py", *map(str, words)]
        environment = os.environ | {"FAULTS": json.dumps({"broken": "fail money"})}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == check, done.stderr
        return done.stderr

    def heads(path):
        """Id, ending and detail of each query in a table: of several rows the first."""
        with (tmp_path / path).open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["rank"] in ("", "1")]
        return [
            (row["id"], ": ".join(filter(None, (row["status"], row["reason"]))), row["detail"])
            for row in rows
        ]

    count = len(QUERIES)
    (tmp_path / name).write_bytes(LISTS[name](QUERIES))
    told = run("predict", "-l", demo_path, "-q", name, "-o", "p.sdf", "--top", "2", check=1)
    records = list(load_run(tmp_path / "p.sdf"))
    assert [record.index for record in records] == list(range(count))
    assert [record.ending for record in records] == ENDINGS
    assert [record.id for record in records] == [id or "q-6" for id, _ in QUERIES]
    assert "2 posed, 1 refused, 3 failed; written" in told
    said = [(record.id, record.ending, record.detail) for record in records]
    assert heads("p.csv") == said
    assert all(detail for _, ending, detail in said if ending != "posed")

    run("report", "p.sdf")
    page = (tmp_path / "p.html").read_text()
    assert f"<strong>2</strong> of {count} queries have poses" in page
    outcomes = re.findall(r'data-outcome="([^"]+)">[^<]*</a> <span class="quiet">(\d+)</span>', page)
    assert {outcome: int(number) for outcome, number in outcomes} == {
        "posed": 2,
        UNREADABLE: 2,
        "failed: error": 1,
        REFUSED: 1,
    }
    assert "<dt>queries</dt><dd>6</dd>" in page
    assert not re.search(r"targets (ended|have)|<h2[^>]*>Targets", page)

    for format, table in (("csv", "predictions.csv"), ("polaris", "predictions.csv")):
        told = run("export", "p.run", "-f", format, "-o", f"{name}-{format}")
        assert "4 of 6 queries have no pose" in told
        assert "poses of 2 queries; written" in told
        if format == "csv":
            assert heads(f"{name}-csv/{table}") == said
        else:
            with (tmp_path / f"{name}-polaris" / table).open(newline="") as file:
                assert [row["id"] for row in csv.DictReader(file)] == [id for id, _, _ in said]
