from __future__ import annotations

import gzip
from itertools import combinations

import pytest

from templ.errors import InputError, LeakageError
from templ.records import Target
from templ.sources.split_lists import SPLIT_TEMPLATES, read_ids, read_split_lists
from templ.templates.rule import Candidate, TemplateRule

LISTS = {"train": ["1aaa", "2aaa"], "val": ["3aaa"], "test": ["4aaa", "5aaa"]}


@pytest.fixture
def folder(tmp_path):
    for name, ids in LISTS.items():
        (tmp_path / f"timesplit_{name}").write_text("\n".join(ids) + "\n")
    return tmp_path


def test_lists_are_read_in_order(folder):
    (folder / "timesplit_test").write_text("# newest first\n5aaa\n\n  4aaa  \n")
    assert read_split_lists(folder) == {**LISTS, "test": ["5aaa", "4aaa"]}


def test_files_with_other_endings_are_not_read(folder):
    (folder / "timesplit_test_no_rec_overlap").write_text("4aaa\n")
    (folder / "train_notes.txt").write_text("none\n")
    assert read_split_lists(folder) == LISTS


def test_names_may_have_a_suffix(folder):
    (folder / "timesplit_val").rename(folder / "mine_val.txt")
    assert read_split_lists(folder) == LISTS


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_missing_doubled_or_empty(folder, name):
    path = folder / f"timesplit_{name}"
    (folder / f"other_{name}").write_text("9zzz\n")
    with pytest.raises(InputError, match=f"2 files end with _{name}; expected one list"):
        read_split_lists(folder)
    (folder / f"other_{name}").unlink()
    path.write_text("# nothing\n")
    with pytest.raises(InputError, match=f"{path} holds no ids"):
        read_split_lists(folder)
    path.unlink()
    with pytest.raises(InputError, match=f"no file ends with _{name}"):
        read_split_lists(folder)


@pytest.mark.parametrize("name", LISTS)
def test_an_id_named_twice_in_a_list(folder, name):
    with (folder / f"timesplit_{name}").open("a") as file:
        file.write(f"{LISTS[name][0]}\n")
    with pytest.raises(InputError, match=f"timesplit_{name} names '{LISTS[name][0]}' twice"):
        read_split_lists(folder)


@pytest.mark.parametrize(("one", "other"), list(combinations(LISTS, 2)))
def test_an_id_in_two_lists_is_a_leak(folder, one, other):
    id = LISTS[one][0]
    with (folder / f"timesplit_{other}").open("a") as file:
        file.write(f"{id}\n")
    with pytest.raises(LeakageError, match=f"'{id}' is in both lists {one} and {other}"):
        read_split_lists(folder)


def test_a_mark_of_byte_order_is_no_part_of_the_first_id(tmp_path):
    (tmp_path / "ids").write_bytes(b"\xef\xbb\xbf10gs\r\n11gs\r\n")
    assert read_ids(tmp_path / "ids") == ["10gs", "11gs"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids", b"\xff\xfe1abc\n"),
        ("ids", b""),
        ("ids.gz", b"1abc\n"),
        ("ids.gz", gzip.compress(b"1abc\n" * 9, mtime=0)[:-9]),
    ],
)
def test_lists_that_cannot_be_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} is "):
        read_ids(tmp_path / name)
    with pytest.raises(InputError, match="absent does not exist"):
        read_ids(tmp_path / "absent")


def test_who_may_learn_from_whom():
    """A test target from train and val, a val target from train, a train target from the rest of train."""
    rule = TemplateRule(splits=SPLIT_TEMPLATES)
    seen = {
        split: [
            other
            for other in ("train", "val", "test", "")
            if rule.allows(Target("t", "CCO", split=split), Candidate("x", split=other))
        ]
        for split in ("train", "val", "test", "")
    }
    assert seen == {"train": ["train"], "val": ["train"], "test": ["train", "val"], "": []}


def test_the_real_lists(shared):
    lists = read_split_lists(shared / "data" / "splits")
    assert sum(map(len, lists.values())) > 17_000
    assert len(set().union(*lists.values())) == sum(map(len, lists.values()))
    assert all(len(id) == 4 and id == id.lower() for ids in lists.values() for id in ids)
