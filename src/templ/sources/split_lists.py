"""Lists of ids: the parts of a split, and plain lists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from templ.errors import InputError, LeakageError
from templ.sources.files import DAMAGED, check_input, open_input

SPLIT_NAMES = ("train", "val", "test")
SPLIT_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "test": ("train", "val"),
    "val": ("train",),
    "train": ("train",),
}
"""Which splits a target of each may take templates from."""


def read_split_lists(folder: Path) -> dict[str, list[str]]:
    """Read the id lists of a split: a file for each of train, val and test, whose name ends with it.

    Parameters
    ----------
    folder : Path
        Holds ``timesplit_train``, ``timesplit_val`` and ``timesplit_test``, one id a line; files with other
        endings are not read.

    Returns
    -------
    dict of str to list of str
        Ids by split, in the order of the file.

    Raises
    ------
    InputError
        When a list is missing or empty, or names an id twice.
    LeakageError
        When two lists name the same id.
    """
    lists = {name: _read_list(folder, name) for name in SPLIT_NAMES}
    split_of: dict[str, str] = {}
    for name, ids in lists.items():
        for id in ids:
            first = split_of.setdefault(id, name)
            if first != name:
                raise LeakageError(f"{folder}: '{id}' is in both lists {first} and {name}; remove one")
    return lists


def _read_list(folder: Path, name: str) -> list[str]:
    found = [path for path in sorted(folder.glob(f"*_{name}*")) if path.stem.endswith(f"_{name}")]
    if len(found) != 1:
        what = f"{len(found)} files end with _{name}" if found else f"no file ends with _{name}"
        raise InputError(f"{folder}: {what}; expected one list of ids for each of {', '.join(SPLIT_NAMES)}")
    ids = read_ids(found[0])
    seen: set[str] = set()
    for id in ids:
        if id in seen:
            raise InputError(f"{found[0]} names '{id}' twice; remove one")
        seen.add(id)
    return ids


def read_ids(path: Path) -> list[str]:
    """Read ids, one a line; blank lines and those beginning with # are skipped.

    Raises
    ------
    InputError
        When the file cannot be read, is not text, or holds no id.
    """
    check_input(path, "a list of ids")
    with open_input(path) as stream:
        try:
            lines = [line.strip() for line in stream.read().decode("utf-8-sig").splitlines()]
        except (UnicodeDecodeError, *DAMAGED) as error:
            raise InputError(f"{path} is not UTF-8 text ({error}); expected one id a line") from None
    ids = [line for line in lines if line and not line.startswith("#")]
    if not ids:
        raise InputError(f"{path} holds no ids; expected one id a line")
    return ids
