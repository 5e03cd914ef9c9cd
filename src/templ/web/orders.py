"""Turns what a page asks for into an order and the files that belong to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from templ.errors import InputError, first_fault
from templ.sources.queries import LONGEST_SMILES, READERS
from templ.web.web_job import BenchmarkOrder, Order, PredictOrder
from templ.web.workspace import Workspace

STRUCTURES = (".pdb", ".ent", ".cif", ".mmcif")
SUFFIXES = {
    "queries": tuple(suffix + packed for suffix in READERS for packed in ("", ".gz")),
    "receptor": tuple(suffix + packed for suffix in STRUCTURES for packed in ("", ".gz")),
}
"""How the names of files end that can be dropped, by what they are."""
MOST_LINES = 200
"""SMILES that can be pasted; more come in a file."""
MOST_RECEPTORS = 8
LONGEST_TITLE = 80


def suffix_of(name: str, what: str) -> str:
    """Name under which an upload is kept; of the visitor's own it has the suffix, one of those known.

    Raises
    ------
    InputError
        When it ends otherwise.

    Examples
    --------
    >>> suffix_of("../../etc/My Ligands.SDF", "queries")
    'queries.sdf'
    """
    known = SUFFIXES.get(what, ())
    found = next(
        (suffix for suffix in sorted(known, key=len, reverse=True) if name.lower().endswith(suffix)), None
    )
    if found is None:
        expected = ", ".join(suffix for suffix in known if not suffix.endswith(".gz")) or "nothing"
        raise InputError(f"a file that ends in one of {expected} is expected")
    return what + found


def order_of(asked: dict[str, Any], workspace: Workspace) -> tuple[Order, dict[str, Path | bytes]]:
    """Read an order, and find its files.

    Returns
    -------
    order : PredictOrder or BenchmarkOrder
    files : dict of str to Path or bytes
        By the name that the order has for each.

    Raises
    ------
    InputError
        When it asks for what there is not.
    """
    if asked.get("kind") == "benchmark":
        fields = {name: asked[name] for name in ("benchmark", "library", "limit", "seed") if asked.get(name)}
        return _checked(BenchmarkOrder, {**fields, "title": _title(asked)}), {}
    files: dict[str, Path | bytes] = {}
    smiles = str(asked.get("smiles", "")).strip()
    if upload := asked.get("queries"):
        path = workspace.upload(str(upload))
        files[path.name] = path
        queries = path.name
    elif smiles:
        queries = "queries.smi"
        files[queries] = _pasted(smiles)
    else:
        raise InputError("paste a SMILES, or drop a file of them")
    receptors = []
    given = asked.get("receptors") or []
    if not isinstance(given, list) or len(given) > MOST_RECEPTORS:
        raise InputError(f"at most {MOST_RECEPTORS} receptors")
    for number, upload in enumerate(given, 1):
        path = workspace.upload(str(upload))
        name = f"receptor-{number}{''.join(Path(path.name).suffixes)}"
        files[name] = path
        receptors.append(name)
    named = ("group", "states", "covalent", "min_confidence", "seed")
    fields = {name: asked[name] for name in named if asked.get(name)}
    fields |= {
        "title": _title(asked) or smiles.split("\n")[0][:LONGEST_TITLE],
        "library": str(asked.get("library")),
    }
    return _checked(PredictOrder, {**fields, "queries": queries, "receptors": receptors}), files


def _checked(kind: type[Order], fields: dict[str, Any]) -> Order:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InputError(first_fault(error)) from None


def _pasted(smiles: str) -> bytes:
    lines = [line.strip() for line in smiles.splitlines() if line.strip()]
    if len(lines) > MOST_LINES:
        raise InputError(f"at most {MOST_LINES} lines can be pasted: drop a file of them instead")
    if any(len(line) > LONGEST_SMILES for line in lines):
        raise InputError(f"a line has more than {LONGEST_SMILES:,} characters")
    return "\n".join(lines).encode() + b"\n"


def _title(asked: dict[str, Any]) -> str:
    return " ".join(str(asked.get("title", "")).split())[:LONGEST_TITLE]
