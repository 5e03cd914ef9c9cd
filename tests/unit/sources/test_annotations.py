from __future__ import annotations

import datetime
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from templ.errors import InputError
from templ.records import Target
from templ.sources.annotations import Annotation, read_annotations
from templ.templates.rule import Candidate, TemplateRule

INDEX = """\
# ==============================================================================
# List of protein-ligand complexes
# PDB code, resolution, release year, -logKd/Ki, Kd/Ki, reference, ligand name
# ==============================================================================
3ZZF  2.20  2012  0.40  Ki=400mM // 3zzf.pdf (NLG)
1y3g  NMR   2005  4.59  Ki=26uM  // 1y3g.pdf (3PR) complex structure

4dmp  1.7   1999  5.22  Kd<=6uM // 4dmp.pdf (6-mer)
"""


@pytest.fixture
def read(tmp_path):
    def of(text, name="index.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_annotations(path)

    return of


def test_pdbbind_index(read):
    found = read(INDEX, "INDEX_refined_data.2020")
    assert {id: found[id].date.year for id in found} == {"3zzf": 2012, "1y3g": 2005, "4dmp": 1999}
    assert {annotation.group for annotation in found.values()} == {""}


def test_a_year_means_its_last_day(read):
    """A template of the same year is not known before the target; one of the year before is."""
    found = read("1aaa 2.0 2018 5 x\n2bbb 2.0 2018 5 x\n3ccc 2.0 2019 5 x\n", "INDEX")
    assert found["1aaa"].date == datetime.date(2018, 12, 31)
    rule = TemplateRule(before_date=True)
    for target, template, allowed in [
        ("2bbb", "1aaa", False),
        ("3ccc", "1aaa", True),
        ("1aaa", "3ccc", False),
    ]:
        asked = Target(target, "CCO", date=found[target].date)
        assert rule.allows(asked, Candidate(template, date=found[template].date)) == allowed


@pytest.mark.parametrize(
    "row",
    [
        "1abc",
        "1abc 2.0",
        "1abc 2.0 18 x",
        "1abc 2018 P29994 INOSITOL",
        "1abc 2.0 0000 5 x",
        "1abcd 2.0 2018 5 x",
    ],
)
def test_rows_that_are_none_of_an_index(read, row):
    with pytest.raises(InputError, match="INDEX, line 2: expected a PDB code, resolution and year"):
        read(f"# comment\n{row}\n", "INDEX")


def test_csv(read):
    found = read(
        "\ufeffid,date,group,cluster\r\n1ABC,2020-02-29,kinase,c1\r\n2abc,,,c2\r\n3abc,2021-01-01\r\n"
    )
    assert found == {
        "1abc": Annotation(datetime.date(2020, 2, 29), "kinase"),
        "2abc": Annotation(None, "c2"),
        "3abc": Annotation(datetime.date(2021, 1, 1), ""),
    }


def test_columns_may_stand_in_any_order_and_others_are_passed_over(read):
    assert read('note,cluster,id\n"a, b",c1,1abc\n') == {"1abc": Annotation(None, "c1")}


def test_gzip(read):
    assert read(gzip.compress(INDEX.encode()), "INDEX.gz") == read(INDEX, "INDEX")
    assert read(gzip.compress(b"id,group\n1abc,g\n"), "INDEX.CSV.gz") == {"1abc": Annotation(None, "g")}


@pytest.mark.parametrize("date", ["2020", "20200101", "01/02/2020", "2020-02-30", "2020-1-1", "soon"])
def test_wrong_dates(read, date):
    with pytest.raises(InputError, match=r"index\.csv, line 3: not a date: .*, expected YYYY-MM-DD"):
        read(f"id,date\n1abc,2020-01-01\n2abc,{date}\n")


def test_an_id_may_be_annotated_twice_but_not_otherwise(read):
    assert len(read("id,group\n1abc,g\n1ABC,g\n")) == 1
    assert len(read("1abc 2.0 2018 5 x\n1abc 1.5 2018 6 x\n", "INDEX")) == 1
    with pytest.raises(InputError, match=r"index\.csv, line 3: '1abc' was annotated otherwise before"):
        read("id,group\n1abc,g\n1ABC,h\n")
    with pytest.raises(InputError, match="INDEX, line 2: '1abc' was annotated otherwise before"):
        read("1abc 2.0 2018 5 x\n1abc 2.0 2012 5 x\n", "INDEX")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "x.csv",
            b"pdb,date\n1abc,2020-01-01\n",
            "columns pdb, date; expected id and one of date, group, cluster",
        ),
        ("x.csv", b"id,note\n1abc,x\n", "columns id, note; expected id"),
        ("x.csv", b"id,date\n", "annotates no complex"),
        ("x.csv", b'id,group\n1abc,"' + b"x" * 200_000 + b'"\n', "is not CSV that can be read"),
        ("INDEX", b"# nothing\n", "annotates no complex"),
        ("a.csv", b"id,group\n1abc,\xb5\n", "is not UTF-8"),
        ("INDEX", b"", "is empty, expected an index of complexes"),
        ("INDEX.gz", gzip.compress(INDEX.encode(), mtime=0)[:-12], "is not text that can be read"),
    ],
)
def test_what_is_no_index_is_named(read, name, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read(content, name)
    assert name in str(caught.value)


def test_an_absent_file(tmp_path):
    with pytest.raises(InputError, match="INDEX does not exist"):
        read_annotations(tmp_path / "INDEX")


ids = st.from_regex(r"[1-9][A-Za-z0-9]{3}", fullmatch=True)


@given(st.dictionaries(ids.map(str.lower), st.integers(1970, 2030), min_size=1), st.randoms())
def test_any_index_comes_back(tmp_path_factory, years, random):
    path = tmp_path_factory.mktemp("index") / "INDEX"
    lines = [
        f"{random.choice([id, id.upper()])}  {random.choice(['NMR', '2.10'])}  {years[id]}  5.0 x"
        for id in years
    ]
    path.write_text("\n".join(["# head", *lines, ""]))
    assert {id: found.date for id, found in read_annotations(path).items()} == {
        id: datetime.date(year, 12, 31) for id, year in years.items()
    }


@pytest.mark.parametrize("resolution", ["EM", "N/A", "n/a", "NMR", "2.10"])
def test_resolutions_that_are_none(read, resolution):
    assert read(f"1abc  {resolution}  2012  0.40  Ki=400mM // x\n", "INDEX")["1abc"].date.year == 2012


def test_a_byte_of_latin_1_in_an_index_does_no_harm(read):
    text = "# compiled by Müller\n1abc 2.0 2012 5 Kd=5\N{MICRO SIGN}M (\N{GREEK SMALL LETTER BETA})\n"
    found = read(text.encode("latin-1", errors="replace"), "INDEX")
    assert list(found) == ["1abc"]


@pytest.mark.parametrize(
    "text", ["id;date;group\n1abc;2012-01-31;kin\n", "ID\tDate\tGROUP\n1abc\t2012-01-31\tkin\n"]
)
def test_tables_of_other_separators_and_cases(read, text):
    assert read(text) == {"1abc": Annotation(datetime.date(2012, 1, 31), "kin")}
