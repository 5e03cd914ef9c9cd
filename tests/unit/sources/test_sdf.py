from __future__ import annotations

import datetime
import gzip
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from templ.chemistry.molecules import positions
from templ.errors import InputError
from templ.sources import sdf
from templ.sources.demo import demo_files
from templ.sources.files import HEAD_BYTES
from templ.sources.ledger import Ledger
from templ.sources.sdf import MoleculeReference, parse_date, read_records, read_sdf, split_records

TEXT_LINES = st.lists(
    st.sampled_from([b"", b"$$$$", b"M  END", b"$$$$ end", b" $$$$", b"> <a>", b"title", b"  1  0 V2000"]),
    max_size=30,
)


def read(path, **options):
    ledger = Ledger()
    return list(read_sdf(path, ledger, **options)), ledger


@given(lines=TEXT_LINES, line_end=st.sampled_from([b"\n", b"\r\n"]), ended=st.booleans())
def test_the_pieces_are_the_file(lines, line_end, ended):
    data = line_end.join(lines) + (line_end if ended else b"")
    records = list(split_records(io.BytesIO(data)))
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    for record in records:
        assert data[record.offset :].startswith(b"".join(record.lines))
        assert data[: record.offset].count(b"\n") == record.line - 1
    ends = sum(line.startswith(b"$$$$") for line in lines)
    assert len(records) in (ends, ends + 1)


@given(junk=st.binary(max_size=300))
def test_junk_inside_a_record_never_stops_the_reading(tmp_path_factory, sdf_record, junk):
    path = tmp_path_factory.mktemp("junk") / "a.sdf"
    good = sdf_record("good").encode()
    middle = good[: len(good) // 2] + junk.replace(b"$$$$", b"") + b"\n$$$$\n"
    before = 1 + HEAD_BYTES // len(good)  # a NUL byte among the first would refuse the file
    path.write_bytes(good * before + middle + good)
    entries, ledger = read(path)
    whole = [entry.source for entry in entries if entry.source != f"a.sdf#{before + 1}"]
    assert whole == [f"a.sdf#{number}" for number in (*range(1, before + 1), before + 2)]
    assert len(entries) + ledger.total == before + 2


FLAGGED = "Mpro-x11894"
"""Its file says of a double bond that cis or trans is not known."""


def test_the_demo_reads_as_rdkit_reads_it():
    path = demo_files().ligands
    entries, ledger = read(path, date_property="date", group="mpro")
    with gzip.open(path) as stream:
        expected = list(Chem.ForwardSDMolSupplier(stream, removeHs=False))
    assert ledger.total == 0
    assert len(entries) == len(expected) == 235
    for number, (entry, mol) in enumerate(zip(entries, expected, strict=True), start=1):
        assert (entry.id, entry.name) == (mol.GetProp("_Name"),) * 2
        if entry.id == FLAGGED:  # RDKit believes the flag, we the coordinates
            assert "/C(=C/" in Chem.MolToSmiles(entry.mol)
        else:
            assert Chem.MolToSmiles(entry.mol) == Chem.MolToSmiles(mol)
        assert np.array_equal(positions(entry.mol), positions(mol))
        assert str(entry.date) == (mol.GetProp("date") if mol.HasProp("date") else "None")
        assert (entry.source, entry.group) == (f"mpro_ligands.sdf.gz#{number}", "mpro")


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_line_ends_a_missing_last_mark_and_blank_lines(tmp_path, sdf_record, line_end):
    text = sdf_record("", date="2020-06-01") + sdf_record("b").replace("$$$$\n", "\n\n")
    path = tmp_path / "two.sdf.gz"
    path.write_bytes(gzip.compress(text.replace("\n", line_end).encode()))
    entries, ledger = read(path, date_property="date")
    assert [(entry.id, entry.name) for entry in entries] == [("two-1", ""), ("b", "b")]
    assert [entry.date for entry in entries] == [datetime.date(2020, 6, 1), None]
    assert ledger.total == 0


def test_data_items(tmp_path, sdf_record):
    path = tmp_path / "a.sdf"
    items = ">  <date>  (12) \n2020\n\n> 5 <a>b> DT3\none\ntwo\n\n> <last>\nµ\n$$$$\n"
    path.write_text(sdf_record("a").replace("$$$$\n", items), encoding="utf-8")
    (record,) = read_records(path, Ledger())
    assert record.properties == {"date": "2020", "a>b": "one\ntwo", "last": "µ"}


def test_each_fault_goes_to_the_ledger_with_its_line(tmp_path, sdf_record, monkeypatch):
    monkeypatch.setattr(sdf, "MAX_RECORD_BYTES", 5_000)
    good = sdf_record("good", date="2020-06-01")
    faults = {
        "unreadable molecule": good.replace(" N  ", " Qq "),
        "missing M  END": good.replace("M  END\n", ""),
        "two MOL blocks in one record": good.replace("$$$$\n", "") + good,
        "not a date": good.replace("2020-06-01", "20200601"),
        "record over 0 MB": good.replace("2020-06-01", "x" * 9_000),
    }
    cut_off = good[: good.index("M  END")] + good
    texts = [*faults.values(), cut_off]
    path = tmp_path / "bad.sdf"
    path.write_text("".join(text + good for text in texts))
    entries, ledger = read(path, date_property="date")
    assert len(entries) == len(texts)
    assert dict(ledger.counts) == {**dict.fromkeys(faults, 1), "two MOL blocks in one record": 2}
    row = ledger.first[1]
    assert (row.file, row.record, row.id) == (str(path), 3, "good")
    assert row.line == 1 + texts[0].count("\n") + good.count("\n")


def test_a_long_record_is_not_kept_in_memory(monkeypatch):
    monkeypatch.setattr(sdf, "MAX_RECORD_BYTES", 100)
    (long, after) = split_records(io.BytesIO(b"title\n" + b"y" * 10_000 + b"\n$$$$\nnext\n$$$$\n"))
    assert long.fault
    assert sum(map(len, long.lines)) <= 100
    assert (after.lines, after.line) == ([b"next\n"], 4)


def test_a_truncated_gzip_gives_what_is_whole(tmp_path, sdf_record):
    smiles = ["C" * n for n in range(1, 60)]
    data = gzip.compress("".join(sdf_record(s, s) for s in smiles).encode())
    path = tmp_path / "cut.sdf.gz"
    path.write_bytes(data[: len(data) // 2])
    entries, ledger = read(path)
    assert 0 < len(entries) < len(smiles)
    assert [entry.id for entry in entries] == smiles[: len(entries)]
    assert dict(ledger.counts) == {"file truncated": 1}
    assert ledger.first[0].record == len(entries) + 1


def test_a_corrupt_gzip_is_said_so(tmp_path, sdf_record):
    data = bytearray(gzip.compress(sdf_record("a").encode()))
    data[-6] ^= 0xFF  # the checksum
    path = tmp_path / "corrupt.sdf.gz"
    path.write_bytes(data)
    entries, ledger = read(path)
    assert len(entries) == 1
    assert dict(ledger.counts) == {"file damaged": 1}


@pytest.mark.parametrize("suffix", [".sdf", ".sdf.gz"])
def test_a_reference_loads_its_own_record(tmp_path, sdf_record, suffix):
    texts = [sdf_record("a", "CCO"), sdf_record("b", "CCN"), sdf_record("c", "CCS")]
    path = tmp_path / f"three{suffix}"
    data = "".join(texts).encode()
    path.write_bytes(gzip.compress(data) if suffix == ".sdf.gz" else data)
    entries, _ = read(path)
    record = MoleculeReference(path, len(texts[0]), "second").load()
    assert (record.title, Chem.MolToSmiles(record.mol)) == ("b", "CCN")
    assert (record.number, record.line) == (0, 0)
    for entry, text, data in zip(entries, texts, read_records(path), strict=True):
        assert entry.reference.file == path
        assert entry.reference.id == entry.id == text.partition("\n")[0]
        loaded = entry.reference.load()
        assert Chem.MolToMolBlock(loaded.mol) == Chem.MolToMolBlock(entry.mol)
        assert (loaded.offset, loaded.checksum, loaded.properties) == (
            data.offset,
            data.checksum,
            data.properties,
        )


def test_a_reference_into_a_changed_file_is_refused(tmp_path, sdf_record):
    path = tmp_path / "a.sdf"
    path.write_text(sdf_record("a"))
    with pytest.raises(
        InputError, match=r"a\.sdf was changed: put the file back as it was when 'b' was read"
    ):
        MoleculeReference(path, 100_000, "b").load()
    with pytest.raises(InputError, match=r"a\.sdf, byte 300 \(a\): "):
        MoleculeReference(path, 300, "a").load()
    (entry,) = read_sdf(str(path))
    assert entry.reference.load().title == "a"
    path.write_text(sdf_record("a", "CCN"))
    with pytest.raises(InputError, match=r"a\.sdf was changed: put the file back .*or read it again"):
        entry.reference.load()
    path.unlink()
    with pytest.raises(InputError, match=r"a\.sdf is gone: put the file back .* 'a' was read"):
        entry.reference.load()


def test_a_reference_into_a_damaged_gzip_is_refused(tmp_path, sdf_record):
    path = tmp_path / "a.sdf.gz"
    data = gzip.compress("".join(sdf_record(str(n), "C" * (n % 9 + 1)) for n in range(200)).encode())
    path.write_bytes(data)
    last = list(read_sdf(path))[-1].reference
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"a\.sdf\.gz is damaged before byte \d+: put the file back"):
        last.load()


@given(date=st.dates())
def test_parse_date_reads_iso(date):
    assert parse_date(f" {date.isoformat()} ") == date


@pytest.mark.parametrize("text", ["20200601", "2020-W23-1", "01.06.2020", "2020-02-30", "2020-6-1", "soon"])
def test_parse_date_refuses_the_rest(text):
    with pytest.raises(InputError, match="not a date: "):
        parse_date(text)


@pytest.mark.parametrize("blank", [1, 2, 5])
def test_blank_lines_before_a_record_are_none_of_its_lines(tmp_path, sdf_record, blank):
    path = tmp_path / "a.sdf"
    path.write_text(sdf_record("one") + "\n" * blank + sdf_record("two", "CCN"))
    first, second = read_records(path)
    assert (first.title, second.title) == ("one", "two")
    assert Chem.MolToSmiles(second.mol) == "CCN"


def test_a_header_that_lacks_a_line_is_understood(tmp_path, sdf_record):
    text = sdf_record("one")
    title, _, comment, rest = text.split("\n", 3)
    path = tmp_path / "a.sdf"
    path.write_text(f"{title}\n{comment}\n{rest}")
    [record] = read_records(path)
    assert (record.title, Chem.MolToSmiles(record.mol)) == ("one", "CC(=O)Nc1ccccc1")
