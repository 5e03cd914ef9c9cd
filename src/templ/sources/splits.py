"""Which template a target may see, so that none gives the answer away; and the lists of splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from templ.errors import InputError, LeakageError
from templ.sources.files import DAMAGED, check_input, open_input

if TYPE_CHECKING:
    import datetime
    from pathlib import Path

    from templ.records import Target


@dataclass(frozen=True, slots=True)
class TemplateRule:
    """Which templates a target may see. Its own id is never among them; what is unknown is never allowed.

    Attributes
    ----------
    before_date : bool
        Only templates dated strictly before the target; none without a date, none for an undated target.
    exclude_same_ligand : bool
        Only templates of another ligand, by the first block of the InChIKey (charge and stereochemistry do
        not make another ligand); none whose key, or whose target's key, is unknown.
    groups : Mapping[str, tuple of str]
        Template groups for each group of targets; a target of another group sees none. Empty: all see all.
    splits : Mapping[str, tuple of str]
        Template splits for each split of targets, in the same way: ``{"test": ("train", "val")}``.
    ids : tuple of str
        Only these templates. Empty: all.
    max_identity : float
        Only templates whose receptor shares at most this of its sequence with the target's, 0 to 1; where
        each template has a receptor of its own.

    Examples
    --------
    >>> from datetime import date
    >>> from templ.records import Target
    >>> rule = TemplateRule(before_date=True)
    >>> target = Target("x1", "CCO", date=date(2020, 6, 1))
    >>> rule.allows(target, id="x0", group="", date=date(2020, 5, 31), ligand_key="")
    True
    >>> rule.allows(target, id="x2", group="", date=date(2020, 6, 1), ligand_key="")
    False
    """

    before_date: bool = False
    exclude_same_ligand: bool = False
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    max_identity: float = 1.0

    def allows(
        self,
        target: Target,
        *,
        id: str,
        group: str,
        date: datetime.date | None,
        ligand_key: str,
        split: str = "",
        identity: float = 0.0,
    ) -> bool:
        """Tell whether `target` may see the template described by the keywords."""
        return not self._broken(target, id, group, date, ligand_key, split, identity)

    def check(
        self,
        target: Target,
        *,
        id: str,
        group: str,
        date: datetime.date | None,
        ligand_key: str,
        split: str = "",
        identity: float = 0.0,
    ) -> None:
        """Refuse a template that `allows` would not let through.

        Raises
        ------
        LeakageError
            Naming target, template and the clause that is broken.
        """
        clause = self._broken(target, id, group, date, ligand_key, split, identity)
        if clause:
            raise LeakageError(f"template '{id}' is not allowed for target '{target.id}': {clause}")

    def _broken(
        self,
        target: Target,
        id: str,
        group: str,
        date: datetime.date | None,
        ligand_key: str,
        split: str,
        identity: float,
    ) -> str:
        """Name the first clause that is broken; empty when none is."""
        if id == target.id:
            return "own id: it is the target itself"
        if self.groups and group not in self.groups.get(target.group, ()):
            return f"groups: group '{group}' is not for targets of group '{target.group}'"
        if self.splits and split not in self.splits.get(target.split, ()):
            return f"splits: split '{split}' is not for targets of split '{target.split}'"
        if self.ids and id not in self.ids:
            return "ids: it is not one of those named"
        if identity > self.max_identity:
            return f"max_identity: {identity:.0%} of the target's sequence, at most {self.max_identity:.0%}"
        if self.before_date and (date is None or target.date is None or date >= target.date):
            return f"before_date: dated {date}, the target {target.date}"
        if self.exclude_same_ligand and ligand_key in ("", target.ligand_key):
            return f"exclude_same_ligand: ligand '{ligand_key}' is the target's or unknown"
        if self.exclude_same_ligand and not target.ligand_key:
            return "exclude_same_ligand: the target's ligand is unknown"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` takes."""
        return {
            "before_date": self.before_date,
            "exclude_same_ligand": self.exclude_same_ligand,
            "groups": {label: list(groups) for label, groups in self.groups.items()},
            "splits": {label: list(splits) for label, splits in self.splits.items()},
            "ids": list(self.ids),
            "max_identity": self.max_identity,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build a rule from what `to_json` returned; what is left out keeps its default.

        Raises
        ------
        InputError
            When a key is unknown or a value has the wrong type.
        """
        known = [item.name for item in fields(cls)]
        if unknown := sorted(set(data) - set(known)):
            raise InputError(f"template rule: unknown {', '.join(unknown)}, expected {', '.join(known)}")
        for name in ("before_date", "exclude_same_ligand"):
            if not isinstance(data.get(name, False), bool):
                raise InputError(f"template rule: {name} is {data[name]!r}, expected true or false")
        names = {name: data.get(name, {}) for name in ("groups", "splits")}
        for name, lists in names.items():
            if not isinstance(lists, Mapping) or not all(_are_names(value) for value in lists.values()):
                raise InputError(f"template rule: {name} is {lists!r}, expected lists of names by label")
        ids, most = data.get("ids", ()), data.get("max_identity", 1.0)
        if not _are_names(ids):
            raise InputError(f"template rule: ids is {ids!r}, expected a list of ids")
        if isinstance(most, bool) or not isinstance(most, int | float) or not 0 <= most <= 1:
            raise InputError(f"template rule: max_identity is {most!r}, expected a number from 0 to 1")
        return cls(
            before_date=data.get("before_date", False),
            exclude_same_ligand=data.get("exclude_same_ligand", False),
            groups={label: tuple(value) for label, value in names["groups"].items()},
            splits={label: tuple(value) for label, value in names["splits"].items()},
            ids=tuple(ids),
            max_identity=float(most),
        )


def _are_names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


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
