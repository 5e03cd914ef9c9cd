"""The terms of the score, one file each: a module here with a `TERM` is a term (docs/extending.md)."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from templ.scoring.score_term import Term

TERMS: tuple[Term, ...] = tuple(
    import_module(f"{__name__}.{module.name}").TERM
    for module in sorted(iter_modules(__path__), key=lambda module: module.name)
)
"""All of them, by name."""
