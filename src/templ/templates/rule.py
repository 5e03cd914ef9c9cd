"""Which templates a target may see, so that none gives the result away."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from templ.errors import InputError, LeakageError, first_fault
from templ.records import Target


@dataclass(frozen=True, slots=True)
class Candidate:
    """A template as a rule sees it, with the fields of a `templ.Target`.

    `identity` is the share of its receptor's sequence that is the target's; 0 where all share one frame.
    """

    id: str
    group: str = ""
    date: datetime.date | None = None
    ligand_key: str = ""
    split: str = ""
    identity: float = 0.0


class TemplateRule(BaseModel):
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
    >>> rule.allows(target, Candidate("x0", date=date(2020, 5, 31)))
    True
    >>> rule.allows(target, Candidate("x2", date=date(2020, 6, 1)))
    False
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    before_date: StrictBool = False
    exclude_same_ligand: StrictBool = False
    groups: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    splits: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    ids: tuple[str, ...] = ()
    max_identity: float = Field(default=1.0, ge=0, le=1, strict=True)

    def allows(self, target: Target, template: Candidate) -> bool:
        """Tell whether `target` may see a template."""
        return not self._broken(target, template)

    def check(self, target: Target, template: Candidate) -> None:
        """Refuse a template that `allows` would not let through.

        Raises
        ------
        LeakageError
            Naming target, template and the clause that is broken.
        """
        clause = self._broken(target, template)
        if clause:
            raise LeakageError(f"template '{template.id}' is not allowed for target '{target.id}': {clause}")

    def _broken(self, target: Target, template: Candidate) -> str:
        """Name the first clause that is broken; empty when none is."""
        if template.id == target.id:
            return "own id: it is the target itself"
        if self.groups and template.group not in self.groups.get(target.group, ()):
            return f"groups: group '{template.group}' is not for targets of group '{target.group}'"
        if self.splits and template.split not in self.splits.get(target.split, ()):
            return f"splits: split '{template.split}' is not for targets of split '{target.split}'"
        if self.ids and template.id not in self.ids:
            return "ids: it is not one of those named"
        if template.identity > self.max_identity:
            return (
                f"max_identity: {template.identity:.0%} of the target's sequence, "
                f"at most {self.max_identity:.0%}"
            )
        if self.before_date and (
            template.date is None or target.date is None or template.date >= target.date
        ):
            return f"before_date: dated {template.date}, the target {target.date}"
        if self.exclude_same_ligand and template.ligand_key in ("", target.ligand_key):
            return f"exclude_same_ligand: ligand '{template.ligand_key}' is the target's or unknown"
        if self.exclude_same_ligand and not target.ligand_key:
            return "exclude_same_ligand: the target's ligand is unknown"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` takes."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build a rule from what `to_json` returned; what is left out keeps its default.

        Raises
        ------
        InputError
            When a key is unknown or a value has the wrong type.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            keys = ", ".join(cls.model_fields)
            raise InputError(f"template rule: {first_fault(error)}; its keys are {keys}") from None


NO_RULE = TemplateRule()
"""Every template but the target itself."""
