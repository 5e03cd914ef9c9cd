"""The rule which template a target may see, so that no template gives the answer away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from templ.errors import InputError, LeakageError

if TYPE_CHECKING:
    import datetime

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

    def allows(
        self, target: Target, *, id: str, group: str, date: datetime.date | None, ligand_key: str
    ) -> bool:
        """Tell whether `target` may see the template described by the keywords."""
        return not self._broken(target, id, group, date, ligand_key)

    def check(
        self, target: Target, *, id: str, group: str, date: datetime.date | None, ligand_key: str
    ) -> None:
        """Refuse a template that `allows` would not let through.

        Raises
        ------
        LeakageError
            Naming target, template and the clause that is broken.
        """
        clause = self._broken(target, id, group, date, ligand_key)
        if clause:
            raise LeakageError(f"template '{id}' is not allowed for target '{target.id}': {clause}")

    def _broken(
        self, target: Target, id: str, group: str, date: datetime.date | None, ligand_key: str
    ) -> str:
        """Name the first clause that is broken; empty when none is."""
        if id == target.id:
            return "own id: it is the target itself"
        if self.groups and group not in self.groups.get(target.group, ()):
            return f"groups: group '{group}' is not for targets of group '{target.group}'"
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
        groups = data.get("groups", {})
        if not isinstance(groups, Mapping) or not all(_are_names(names) for names in groups.values()):
            raise InputError(f"template rule: groups is {groups!r}, expected lists of group names by label")
        return cls(
            before_date=data.get("before_date", False),
            exclude_same_ligand=data.get("exclude_same_ligand", False),
            groups={label: tuple(names) for label, names in groups.items()},
        )


def _are_names(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
