from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.errors import InputError
from templ.sources import queries as module
from templ.sources.queries import QueryReference, TableColumns, count_queries, queries_table, read_queries


def loaded(reference):
    """SMILES of a query, or why there is none."""
    try:
        return reference.load()
    except InputError as error:
        return str(error)


def read(path):
    """Id, line, and SMILES or fault of each query."""
    references = list(read_queries(path))
    assert [reference.index for reference in references] == list(range(len(references)))
    assert {reference.file for reference in references} <= {str(path)}
    assert count_queries(path) == len(references)
    return [(reference.id, reference.line, loaded(reference)) for reference in references]


NO_SMILES = "is not a SMILES that can be read (a name or code is not looked up)"


def test_smiles_lines(tmp_path):
    path = tmp_path / "list.smi"
    path.write_text(
        "\ufeffCCO ethyl alcohol\textra\n# a comment\n\nCCN\nC1CC ring\n  CCS\tthiol\r\n", "utf-8"
    )
    assert list(read_queries(path)) == [
        QueryReference(0, "ethyl alcohol", "CCO", str(path), 1),
        QueryReference(1, "list-2", "CCN", str(path), 4),
        QueryReference(2, "ring", "C1CC", str(path), 5),
        QueryReference(3, "thiol", "CCS", str(path), 6),
    ]
    assert [smiles for _, _, smiles in read(path)] == [
        "CCO",
        "CCN",
        f"{path}, line 5: 'C1CC' {NO_SMILES}",
        "CCS",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", '\ufeffName,SMILES\n"x, 1",CCO\n\n,CCN\n'),
        ("a.tsv", "id\tSmiles\tname\nx, 1\tCCO\tother\n\n\tCCN\n"),
        ("a.csv", 'Catalog ID,Structure\n"x, 1",CCO\n\n,CCN\n'),
        ("a.csv.gz", 'smiles,id\r\nCCO,"x, 1"\r\n\r\nCCN\r\n'),
    ],
)
def test_tables(tmp_path, name, text):
    path = tmp_path / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert read(path) == [("x, 1", 2, "CCO"), ("a-2", 4, "CCN")]


@pytest.mark.parametrize("name", ["a.sdf", "a.sdf.gz"])
def test_structures_become_smiles_without_hydrogens(tmp_path, sdf_record, name):
    path = tmp_path / name
    text = sdf_record("x", "[H]C([H])([H])C[C@H](N)O") + sdf_record("", "CCN")
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert [(id, smiles) for id, _, smiles in read(path)] == [("x", "CC[C@H](N)O"), ("a-2", "CCN")]
    first, second = read_queries(path)
    if name == "a.sdf":  # where it begins, and nothing of the molecule: its worker reads it
        assert (first.smiles, first.offset, second.offset) == ("", 0, len(text.split("$$$$\n")[0]) + 5)
    else:
        assert second.line == text.split("$$$$\n")[0].count("\n") + 2


def test_a_reference_is_small_and_reaches_another_process_unchanged(tmp_path, sdf_record):
    path = tmp_path / "a.sdf"
    path.write_text(sdf_record("x") * 3)
    *_, last = read_queries(path)
    assert QueryReference.from_json(last.to_json()) == last
    assert len(last.to_json()) < 300
    assert json.loads(last.to_json())["offset"] == last.offset


def test_a_single_query_is_read_and_no_other(tmp_path, sdf_record):
    """Its record is found by offset, whatever became of those before it."""
    path = tmp_path / "a.sdf"
    first = sdf_record("x")
    path.write_text(first + sdf_record("y", "CCN"))
    _, second = read_queries(path)
    path.write_bytes(b"\0" * len(first.encode()) + path.read_bytes()[len(first.encode()) :])
    assert second.load() == "CCN"


def test_a_file_that_was_cut_under_its_references_is_named(tmp_path, sdf_record):
    path = tmp_path / "a.sdf"
    path.write_text(sdf_record("x") + sdf_record("y"))
    _, second = read_queries(path)
    path.write_text(sdf_record("x"))
    with pytest.raises(InputError, match=f"{path}, record 2: the file ends before it; it was changed"):
        second.load()
    path.unlink()
    with pytest.raises(InputError, match="does not exist"):
        second.load()


def test_records_that_cannot_be_read_each_have_their_place(tmp_path, sdf_record):
    path = tmp_path / "a.sdf"
    good = sdf_record("x")
    path.write_text(
        good + good.replace("M  END", "M  ENT").replace("x\n", "bad\n", 1) + "$$$$\n" + good[:200]
    )
    found = read(path)
    assert [id for id, _, _ in found] == ["x", "bad", "a-3", "x"]
    assert found[0][2] == "CC(=O)Nc1ccccc1"
    assert found[1][2].startswith(f"{path}, record 2: missing M  END")
    assert found[2][2].startswith(f"{path}, record 3: ")
    assert found[3][2] == f"{path}, record 4: duplicate id: 'x' was read before"


@pytest.mark.parametrize("tail", ["", "\n", "\n\n  \n"])
def test_blank_lines_at_the_end_are_no_record(tmp_path, sdf_record, tail):
    path = tmp_path / "a.sdf"
    path.write_text(sdf_record("x") + tail)
    assert [id for id, _, _ in read(path)] == ["x"]


def test_the_later_of_two_equal_ids_is_a_fault(tmp_path):
    path = tmp_path / "a.smi"
    path.write_text("CCO x\nCCN x\nC1CC y\nCCS y\n")
    assert read(path) == [
        ("x", 1, "CCO"),
        ("x", 2, f"{path}, line 2: duplicate id: 'x' was read before"),
        ("y", 3, f"{path}, line 3: 'C1CC' {NO_SMILES}"),
        ("y", 4, f"{path}, line 4: duplicate id: 'y' was read before"),
    ]


def test_duplicates_are_found_however_far_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECENT", 3)
    path = tmp_path / "a.smi"
    path.write_text("".join(f"C q{number % 10}\n" for number in range(13)))
    faults = [bool(reference.fault) for reference in read_queries(path)]
    assert faults == [False] * 10 + [True] * 3


def test_bad_rows_of_a_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,smiles\na,CCO\nb\n"c"x,CCN\n\xff,CCN\nd,CCS\ne,"CCO\nf,CCO\n')
    found = read(path)
    assert [(id, line) for id, line, _ in found] == [
        ("a", 2),
        ("b", 3),
        ("a-3", 4),
        ("\N{REPLACEMENT CHARACTER}", 5),
        ("d", 6),
        ("a-6", 7),
        ("f", 8),
    ]
    assert (found[0][2], found[4][2], found[6][2]) == ("CCO", "CCS", "CCO")
    for number, fault in ((1, "no SMILES in this row"), (2, "malformed row: "), (3, "not UTF-8: save"),
                          (5, "malformed row: unexpected end of data")):  # fmt: skip
        assert found[number][2].startswith(f"{path}, line {found[number][1]}: {fault}")


def test_a_row_of_more_cells_than_the_header_is_no_query(tmp_path):
    """A name with a comma shifts what follows: another molecule would be predicted under that name."""
    path = tmp_path / "a.csv"
    path.write_text("id,smiles\n1,2-diol,CCO\nb,CCN,,\n")
    (shifted, _, fault), good = read(path)
    assert (shifted, good) == ("1", ("b", 3, "CCN"))
    assert fault == (
        f"{path}, line 2: 3 cells, expected 2 as in the header; put quotes around what has a comma in it"
    )


def test_a_smiles_of_two_lines_is_no_smiles(tmp_path):
    """RDKit reads the first line of it alone."""
    path = tmp_path / "a.csv"
    path.write_text('id,smiles\na,"CCO\nb,CCN"\nc,CCS\n')
    (_, line, fault), good = read(path)
    assert (line, good) == (2, ("c", 4, "CCS"))
    assert "line 2: a line break in its SMILES: is a quote not closed?" in fault


@pytest.mark.parametrize("name", ["a.sdf", "a.sdf.gz"])
def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path, sdf_record, name):
    path = tmp_path / name
    data = ("\ufeff" + sdf_record("first") + sdf_record("second")).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert [id for id, _, _ in read(path)] == ["first", "second"]


@pytest.mark.parametrize(("name", "head"), [("cut.smi.gz", ""), ("cut.tsv.gz", "smiles\tid\n")])
def test_a_truncated_gzip_gives_what_is_whole_and_a_fault(tmp_path, name, head):
    path = tmp_path / name
    space = "\t" if head else " "
    text = head + "".join(f"{'C' * n}{space}c{n}\n" for n in range(1, 200))
    path.write_bytes(gzip.compress(text.encode(), 1)[:-20])
    *whole, (_, _, fault) = read(path)
    assert 0 < len(whole) < 199
    assert [smiles for _, _, smiles in whole] == ["C" * n for n in range(1, len(whole) + 1)]
    assert ": file truncated: " in fault


def test_a_truncated_gzip_of_structures_gives_what_is_whole_and_a_fault(tmp_path, sdf_record):
    path = tmp_path / "cut.sdf.gz"
    text = "".join(sdf_record(f"m{number}", "C" * (number + 2)) for number in range(9))
    path.write_bytes(gzip.compress(text.encode(), 1)[:-200])
    *whole, (_, _, fault) = read(path)
    assert 0 < len(whole) < 9
    assert [smiles for _, _, smiles in whole] == ["C" * (number + 2) for number in range(len(whole))]
    assert fault.startswith(f"{path}, line ")
    assert "truncated" in fault


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xyz", "CCO", r"a\.xyz has suffix '\.xyz', expected one of \.smi, "),
        ("a", "CCO", r"a has suffix '', expected one of \.smi, "),
        ("a.xlsx", "PK", r"save a spreadsheet as CSV"),
        ("a.csv", "mol,id\nCCO,x\n", r"no column 'smiles', only mol, id; rename the one with SMILES"),
        ("a.csv", "CC(=O)Nc1cnccc1C,x\nCCO,y\n", r"a\.csv: its first line has a SMILES where names of "),
        ("a.csv", '"id,smiles\nx,CCO\n', r"a\.csv has a malformed header"),
        ("a.smi", "", r"a\.smi is empty, expected a list of SMILES"),
    ],
)
def test_files_that_are_no_query_list(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


def test_what_is_absent_or_a_folder_has_no_wrong_suffix(tmp_path):
    with pytest.raises(InputError, match=r"aspirin does not exist"):
        read_queries(tmp_path / "aspirin")
    with pytest.raises(InputError, match=r"is a directory, expected a file"):
        read_queries(tmp_path)


def test_a_list_may_begin_with_the_names_of_its_columns(tmp_path):
    path = tmp_path / "zinc.smi"
    path.write_text("# made by a vendor\nSMILES zinc_id\nCCO ZINC1\n")
    assert read(path) == [("ZINC1", 3, "CCO")]


@given(
    data=st.binary(min_size=1, max_size=200) | st.text("$ab\n \r", min_size=1).map(str.encode),
    suffix=st.sampled_from(["smi", "csv", "tsv", "sdf", "mol", "sdf.gz", "smi.gz"]),
)
def test_junk_is_refused_or_a_fault_of_its_row(tmp_path_factory, data, suffix):
    path = tmp_path_factory.mktemp("junk") / f"a.{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    try:
        references = list(read_queries(path))
    except InputError as error:
        assert str(path) in str(error)
        return
    sound = [reference.id for reference in references if not reference.fault]
    assert len(set(sound)) == len(sound)
    for reference in references:
        try:
            assert reference.load()
        except InputError as error:
            assert str(path) in str(error)


@given(st.text("$ab\n \r", min_size=1))
def test_plain_and_compressed_structures_are_cut_alike(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("cut")
    (folder / "a.sdf").write_bytes(text.encode())
    (folder / "a.sdf.gz").write_bytes(gzip.compress(text.encode()))
    try:
        packed = list(read_queries(folder / "a.sdf.gz"))
    except InputError:
        with pytest.raises(InputError):
            list(read_queries(folder / "a.sdf"))
    else:
        assert [reference.id for reference in read_queries(folder / "a.sdf")] == [q.id for q in packed]


def test_a_table_of_queries_reads_back(tmp_path):
    queries = [("x, 1", "CCO"), ('a "b"', "CCN"), ("two\nlines", "CCS")]
    (tmp_path / "q.csv").write_bytes(queries_table(queries))
    found = [(reference.id, reference.smiles) for reference in read_queries(tmp_path / "q.csv")]
    assert found == [*queries[:2], ("two lines", "CCS")]  # a line break would break SDF titles


def test_a_path_may_be_text(tmp_path):
    (tmp_path / "q.smi").write_text("CCO\n")
    assert [reference.id for reference in read_queries(str(tmp_path / "q.smi"))] == ["q-1"]


@pytest.mark.parametrize(
    ("smiles", "id", "says"),
    [
        ("C" * 20_001, "x", "a SMILES of 20,001 characters; expected at most 20,000"),
        ("CCO", "y" * 1001, "an id of 1,001 characters; expected at most 1000"),
    ],
)
def test_what_is_absurdly_long_is_refused_where_it_is_read(tmp_path, smiles, id, says):
    (tmp_path / "q.smi").write_text(f"CCO a\n{smiles} {id}\nCCN b\n")
    references = list(read_queries(tmp_path / "q.smi"))
    assert [bool(reference.fault) for reference in references] == [False, True, False]
    assert says in references[1].fault
    assert len(references[1].to_json()) < 30_000
    with pytest.raises(InputError, match=r"q\.smi, line 2: "):
        references[1].load()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "smiles;name\nCCO;x\nCCN;y, z\n"),
        ("a.csv", "SMILES\tID\nCCO\tx\nCCN\ty, z\n"),
        ("a.tsv", "Smiles\tMolecule Name\nCCO\tx\nCCN\ty, z\n"),
        ("a.csv", '"SMILES","Compound ID"\n"CCO","x"\n"CCN","y, z"\n'),
        ("a.csv", "Canonical SMILES;molecule_chembl_id\nCCO;x\nCCN;y, z\n"),
        ("a.csv", 'id,"rdkit smiles, cleaned"\nx,CCO\n"y, z",CCN\n'),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_as_spreadsheets_and_vendors_write_them(tmp_path, name, text, encoding):
    (tmp_path / name).write_text(text, encoding)
    assert [(id, smiles) for id, _, smiles in read(tmp_path / name)] == [("x", "CCO"), ("y, z", "CCN")]


def test_columns_that_are_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("smiles,Parent,nr\nCCO.Cl,CCO,1\n")
    [query] = read_queries(path, TableColumns("parent", "nr"))
    assert (query.smiles, query.id) == ("CCO", "1")
    with pytest.raises(InputError, match=r"no column 'mol' \(--smiles-column\), only smiles, Parent, nr"):
        list(read_queries(path, TableColumns("mol")))
    path.write_text("a smiles,b smiles\nCCO,CCN\n")
    with pytest.raises(InputError, match="rename the one with SMILES, or name it by --smiles-column"):
        list(read_queries(path))
    (tmp_path / "a.smi").write_text("CCO x\n")
    with pytest.raises(InputError, match="is no table"):
        read_queries(tmp_path / "a.smi", TableColumns("smiles"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(tmp_path, end):
    path = tmp_path / "a.smi"
    path.write_bytes(end.join(["CCO eth", "CCCO prop", "CCN am", ""]).encode())
    assert [id for id, _, _ in read(path)] == ["eth", "prop", "am"]


@pytest.mark.parametrize(
    ("line", "id", "smiles"),
    [
        ("C[C@H](N)O |&1:1| name1", "name1", "C[C@H](N)O |&1:1|"),
        ("CCO |$;;R1$|\tname 2", "name 2", "CCO |$;;R1$|"),
        ("C[CH2] |^1:1|", "a-1", "C[CH2] |^1:1|"),
        ("CCO name|with bars", "name|with bars", "CCO"),
    ],
)
def test_extensions_of_cxsmiles_are_no_names(tmp_path, line, id, smiles):
    path = tmp_path / "a.smi"
    path.write_text(line + "\n")
    assert read(path) == [(id, 1, smiles)]


@pytest.mark.parametrize("name", ["a.sdf", "a.sdf.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ids_of_vendors_are_properties(tmp_path, sdf_record, name, end):
    def ids(*records, columns=TableColumns()):  # noqa: B008
        data = "".join(records).replace("\n", end).encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return [query.id for query in read_queries(tmp_path / name, columns)]

    blank, titled = (sdf_record(title, "CCO", **{"Catalog ID": "Z1"}) for title in ("", "mine"))
    other = sdf_record("", "CCN", MW="46")
    assert ids(blank, titled, other) == ["Z1", "mine", "a-3"]
    named = TableColumns(id="catalog id")
    assert ids(titled, other, columns=named) == ["Z1", "a-2"]
    with pytest.raises(InputError, match=r"no column 'code' \(--id-column\), only Catalog ID"):
        ids(titled, columns=TableColumns(id="code"))
    with pytest.raises(InputError, match=r"--smiles-column is for \.csv"):
        ids(titled, columns=TableColumns(smiles="s"))
