"""What every source promises, whatever it reads."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import GeneratorType

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from templ.errors import InputError
from templ.records import Entry
from templ.sources.ledger import Ledger
from templ.sources.polaris import PolarisFiles, read_targets, read_templates
from templ.sources.queries import QueryReference, read_queries
from templ.sources.sdf import read_sdf


@cache
def mol_block() -> str:
    mol = Chem.AddHs(Chem.MolFromSmiles("CC(=O)Nc1ccccc1"))
    AllChem.EmbedMolecule(mol, randomSeed=7)
    return Chem.MolToMolBlock(mol).split("\n", 1)[1]


def sdf_record(id: str, good: bool) -> str:
    block = mol_block() if good else mol_block().replace(" N  ", " Qq ")
    return f"{id}\n{block}> <Protein_Label>\nSARS-CoV-2 MPro\n\n$$$$\n"


def smiles_line(id: str, good: bool) -> str:
    return f"{'CCO' if good else 'C1CC'} {id}\n"


def table_row(id: str, good: bool) -> str:
    return f"{'CCO' if good else 'C1CC'},{id}\n"


def polaris(path: Path) -> PolarisFiles:
    return PolarisFiles(path, path, path, path, None, None)


def loaded(path: Path, ledger: Ledger) -> Iterator[QueryReference]:
    """References to queries whose molecule could be read; what a run makes records of goes to the ledger."""
    for reference in read_queries(path):
        try:
            reference.load()
        except InputError as error:
            ledger.add(str(path), reference.index + 1, reference.line, str(error), reference.id)
        else:
            yield reference


@dataclass(frozen=True)
class Source:
    """How a kind of file is written and read; `repeats` is how often the reader goes through it."""

    suffix: str
    record: Callable[[str, bool], str]
    read: Callable[[Path, Ledger], Iterator[Entry] | Iterator[QueryReference]]
    header: str = ""
    repeats: int = 1

    def write(self, folder: Path, good: list[bool]) -> Path:
        text = self.header + "".join(self.record(f"m{i}", ok) for i, ok in enumerate(good, start=1))
        path = folder / f"a{self.suffix}"
        path.write_bytes(gzip.compress(text.encode(), 1) if path.suffix == ".gz" else text.encode())
        return path


SOURCES = {
    "sdf": Source(".sdf", sdf_record, read_sdf),
    "sdf.gz": Source(".sdf.gz", sdf_record, read_sdf),
    "mol": Source(".mol", sdf_record, read_sdf),
    "polaris-templates": Source(
        ".sdf", sdf_record, lambda path, ledger: read_templates(polaris(path), ledger), repeats=3
    ),
    "polaris-targets": Source(".sdf", sdf_record, lambda path, ledger: read_targets(polaris(path), ledger)),
    "queries-smi": Source(".smi", smiles_line, loaded),
    "queries-csv": Source(".csv", table_row, loaded, header="smiles,id\n"),
    "queries-sdf.gz": Source(".sdf.gz", sdf_record, loaded),
}


@pytest.fixture(params=SOURCES.values(), ids=SOURCES.keys())
def source(request) -> Source:
    return request.param


def bytes_read_of(path: Path) -> int:
    """How far this process stands in the file it holds open."""
    for descriptor in Path("/proc/self/fd").iterdir():
        if descriptor.exists() and descriptor.samefile(path):
            return os.lseek(int(descriptor.name), 0, os.SEEK_CUR)
    raise AssertionError(f"{path} is not open")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux to look at open files")
def test_the_first_item_comes_before_the_file_is_read(source, tmp_path):
    path = source.write(tmp_path, [True] * 20_000)
    items = source.read(path, Ledger())
    assert isinstance(items, GeneratorType)
    next(items)
    assert 0 < bytes_read_of(path) < path.stat().st_size / 2
    items.close()


def test_a_reader_left_halfway_closes_its_file(source, tmp_path):
    path = source.write(tmp_path, [True] * 3)
    items = source.read(path, Ledger())
    next(items)
    items.close()
    del items
    with pytest.raises(AssertionError, match="is not open"):
        bytes_read_of(path)


def test_bad_records_go_to_the_ledger_and_reading_goes_on(source, tmp_path):
    path = source.write(tmp_path, [False, True, False, True, True, False])
    ledger = Ledger()
    items = list(source.read(path, ledger))
    assert len(items) == 3 * source.repeats
    assert ledger.total == 3 * source.repeats
    assert [(row.file, row.record, row.id) for row in ledger.first[:3]] == [
        (str(path), 1, "m1"),
        (str(path), 3, "m3"),
        (str(path), 6, "m6"),
    ]
    lines = path.read_bytes() if path.suffix != ".gz" else gzip.decompress(path.read_bytes())
    for row in ledger.first[:3]:
        assert row.id in lines.decode().splitlines()[row.line - 1]


def test_ids_are_unique(source, tmp_path):
    items = list(source.read(source.write(tmp_path, [True] * 5), Ledger()))
    assert len({item.id for item in items}) == len(items) == 5 * source.repeats


def test_records_without_an_id_get_one(source, tmp_path):
    path = source.write(tmp_path, [True, True])
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    nameless = text.replace(b"m1\n", b"\n").replace(b"m2\n", b"\n")
    path.write_bytes(gzip.compress(nameless) if path.suffix == ".gz" else nameless)
    items = list(source.read(path, Ledger()))
    assert len({item.id for item in items} - {""}) == 2 * source.repeats


@pytest.mark.parametrize("trouble", ["absent", "directory", "empty", "binary"])
def test_trouble_with_the_whole_file_names_it(source, tmp_path, trouble):
    path = tmp_path / f"a{source.suffix}"
    if trouble == "directory":
        path.mkdir()
    elif trouble != "absent":
        content = b"" if trouble == "empty" else bytes(range(256))
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    ledger = Ledger()
    with pytest.raises(InputError, match=str(path)):
        next(source.read(path, ledger))
    assert ledger.total == 0
