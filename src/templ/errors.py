"""The errors a user can meet: one small tree, each with the exit code the command line ends with.

A message is one sentence that names the file, line or id, says what was expected, and how to mend it.
"""

from __future__ import annotations

import difflib
import reprlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


class TemplError(Exception):
    """Root of every error TEMPL raises on purpose; exit code 3 (an internal fault) unless one says else."""

    exit_code = 3


class InputError(TemplError):
    """Something the user gave cannot be used: a molecule, a file, an option."""

    exit_code = 2


class LibraryError(InputError):
    """A template library is absent, torn, altered, closed, or of a newer format."""


class EmptyLibraryError(LibraryError):
    """A library would hold nothing: none of what was read could be kept."""


class RunError(InputError):
    """A run folder cannot be used: not a run, other settings, or held by another process."""


class StorageError(InputError):
    """The disk refused a write (full, read-only, no permission); what was written before stays good."""


class BudgetError(InputError):
    """The memory that a run may take is less than it needs at all."""


class LeakageError(TemplError):
    """A template would have given its target's result away; the message names both."""


class Refusal(TemplError):
    """Policy says no pose for this query; becomes an outcome with this reason, never a crash.

    Parameters
    ----------
    reason : str
        Short machine-readable word, such as ``no-template``.
    detail : str
        One sentence for a person.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def first_fault(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Say what pydantic found wrong first: name of the field, its value, and what was expected.

    With the `model` that was to be made, also which field may have been meant by one that it has not.
    """
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"{name} is missing"
    if first["type"] == "extra_forbidden":
        return f"unknown {name}{_meant(first['loc'], model)}"
    if first["type"] == "value_error":  # of a validator of ours, whose sentence says all
        return ": ".join(filter(None, (name, first["msg"].removeprefix("Value error, "))))
    value = first["input"]
    # A number of a command line is still text here.
    shown = value if isinstance(value, str) and _is_number(value) else reprlib.repr(value)
    return f"{name} is {shown}: {first['msg']}"


def _meant(path: tuple[int | str, ...], model: Any) -> str:  # noqa: ANN401  any annotation of a field
    """Which field may have been meant by an unknown one, or which there are."""
    *inside, name = map(str, path)
    for part in inside:
        field = getattr(model, "model_fields", {}).get(part)
        model = None if field is None else field.annotation
    fields = list(getattr(model, "model_fields", ()))
    near = difflib.get_close_matches(name, fields, 1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; expected {', '.join(fields)}" if fields else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
