"""Every atom and every record of the shared inputs and data is read, or said to be left out."""

from __future__ import annotations

import gzip
import re

import gemmi
import pytest

from templ.chemistry.receptor_file import ADDITIVES, SALT, WATERS, read_receptor
from templ.errors import InputError
from templ.sources.ledger import Ledger
from templ.sources.queries import count_queries, read_queries
from templ.sources.sdf import read_records

ATOMS = ("hydrogen", "atom of other alternate locations", "atom of no element")
"""Of what is counted by the atom, one."""


def files_of(shared, folder, *endings):
    root = shared / folder
    if not root.is_dir():
        pytest.skip(f"no {root}")
    return sorted(path for path in root.rglob("*") if path.name.endswith(endings))


def text_of(path):
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode(errors="replace")


def liquid_atoms(text):
    """Atoms of waters, of the crystallisation liquid and of its ions, by the names in the file."""
    residues = {}
    for line in text.splitlines():
        if line.startswith(("ATOM", "HETATM")):
            key = (line[17:20].strip(), line[20:27])
            residues.setdefault(key, []).append(line)
    atoms = 0
    for (name, _), lines in residues.items():
        element = gemmi.Element(lines[0].ljust(80)[76:78].strip() or lines[0][12:16].strip())
        if name in WATERS | ADDITIVES or (len(lines) == 1 and element.atomic_number in SALT):
            atoms += len(lines)
    return atoms


def account(path):
    """Atoms of a file, and those that are read or said to be left out."""
    text, receptor = text_of(path), read_receptor(path)
    said = dict.fromkeys(ATOMS, 0)
    for sentence in receptor.left_out:
        count, what = re.fullmatch(r"([\d,]+) (.*)", sentence).groups()
        what = what if count == "1" else re.sub(r"s\b", "", what, count=1)
        if what in said:
            said[what] = int(count.replace(",", ""))
    in_file = sum(line.startswith(("ATOM", "HETATM")) for line in text.splitlines())
    return in_file, len(receptor.atoms) + sum(said.values()) + liquid_atoms(text)


@pytest.mark.parametrize("folder", ["inputs", pytest.param("data", marks=pytest.mark.slow)])
def test_every_atom_of_a_structure(shared, folder):
    found = files_of(shared, folder, ".pdb", ".pdb.gz")
    assert found
    for path in found:
        in_file, accounted = account(path)
        assert in_file == accounted, path


@pytest.mark.parametrize("folder", ["inputs", "data"])
def test_every_record_of_an_sdf_file(shared, folder):
    for path in files_of(shared, folder, ".sdf", ".sdf.gz"):
        records, ledger = text_of(path).count("$$$$\n"), Ledger()
        assert sum(1 for _ in read_records(path, ledger)) + ledger.total == max(records, 1), path


def test_every_row_of_a_list(shared):
    """A table's row is a record of CSV, which may hold line breaks."""
    rows = {"old_mac.smi": 3, "cxsmiles.smi": 2, "cell_with_newline.csv": 3}
    for path in files_of(shared, "inputs", ".smi", ".csv"):
        assert count_queries(path) == rows[path.name]
        for query in read_queries(path):
            try:
                query.load()
            except InputError as error:
                pytest.fail(f"{path}: {error}")


def test_every_row_of_the_large_table(shared):
    [path] = files_of(shared, "data", "queries.csv.gz")
    assert count_queries(path) == len(text_of(path).splitlines()) - 1
