"""What can be said of a query before it is posed: its nearest templates, prior confidence, and warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rdkit.Chem import Mol

from templ.chemistry.receptor_file import read_receptor
from templ.errors import InputError, Refusal
from templ.library.store import Library, open_library
from templ.pictures.drawings import draw, draw_pair
from templ.prediction import Prediction
from templ.records import Target, confidence_in_words
from templ.settings import PredictionSettings
from templ.sources.queries import LONGEST_SMILES, read_queries
from templ.templates.rule import TemplateRule
from templ.templates.screening import Template
from templ.templates.warnings import warnings_of
from templ.web.inline_svg import without_styles

CARDS = 6
"""Templates that are shown."""
MOST_QUERIES = 10_000
"""Molecules of an upload."""
SHOWN = 5
"""Molecules, and faults, of an upload that are told one by one."""


def look_up(smiles: str, library_path: str, group: str = "", receptor_path: str = "") -> dict[str, Any]:
    """Look at a query as the prediction would, up to where poses are made.

    Parameters
    ----------
    smiles : str
    library_path : str
        Of the template library.
    group : str
        Protein whose templates are used; all where empty.
    receptor_path : str
        Structure file that the query binds to; empty where the program chooses.

    Returns
    -------
    dict
        ``drawing``; ``warnings``; ``refusal``, why it would have no pose, or empty; ``prior``, a number or
        None, and ``words``; ``templates``: id, tanimoto, core, drawings of query and template.

    Raises
    ------
    InputError
        When the SMILES cannot be read, or the receptor has no protein.
    """
    if len(smiles) > LONGEST_SMILES:
        raise InputError(f"a SMILES of {len(smiles):,} characters; expected at most {LONGEST_SMILES:,}")
    rule = TemplateRule(groups={group: (group,)} if group else {})
    with open_library(library_path) as library:
        work = Prediction(Target("query", smiles, group), library, PredictionSettings(), rule)
        found: dict[str, Any] = {"refusal": "", "prior": None, "words": "", "templates": [], "receptor": ""}
        try:
            mol = work.molecule = work.isomers()[0]
        except Refusal as refusal:
            return {**found, "refusal": str(refusal), "warnings": [], "drawing": ""}
        found["drawing"] = without_styles(draw(mol))
        if receptor_path:
            work.receptor, work.name = read_receptor(Path(receptor_path)), Path(receptor_path).name
        elif (shared := library.receptor_path(group)) is not None:
            work.receptor = read_receptor(shared)
        form, *_ = work.bonding_forms({})
        told = work.outcome.notes
        try:
            screened = form.screen()
            bond = form.choose_bond(screened)
        except Refusal as refusal:
            return {**found, "refusal": str(refusal), "warnings": [*told, *form.outcome.notes]}
        templates, prior = screened.templates, form.outcome.prior_confidence
        assert prior is not None
        mol = screened.query.mol
        warnings = [*warnings_of(mol, templates, library, screened.frame.receptor, bond)]
        if bond is not None:
            warnings.append(f"posed bonded to {bond.residue.label}, {bond.why}")
        return {
            **found,
            "warnings": list(dict.fromkeys((*told, *form.outcome.notes, *warnings))),
            "prior": round(prior, 2),
            "words": confidence_in_words(prior),
            "receptor": form.outcome.receptor,
            "atoms": mol.GetNumAtoms(),
            "templates": [_card(mol, template, library) for template in _nearest(templates)],
        }


def read_upload(path: str) -> dict[str, Any]:
    """Read a file of queries to its end.

    Returns
    -------
    dict
        ``count``; ``readable``; ``first``, id and SMILES of some; ``faults``, of those that cannot be read.

    Raises
    ------
    InputError
        When the file as a whole cannot be read, or has too many molecules.
    """
    first: list[dict[str, str]] = []
    faults: list[str] = []
    count = broken = 0
    for count, query in enumerate(read_queries(path), 1):
        if count > MOST_QUERIES:
            raise InputError(
                f"more than {MOST_QUERIES:,} molecules: predict them by `templ predict --queries`, and look "
                "at the run with `templ serve --run`"
            )
        try:
            smiles = query.load()
        except InputError as error:
            broken += 1
            if broken <= SHOWN:
                faults.append(str(error).replace(f"{path}, ", ""))
            continue
        if len(first) < SHOWN:
            first.append({"id": query.id, "smiles": smiles})
    if not count:
        raise InputError("the file has no molecule in it")
    return {"count": count, "readable": count - broken, "first": first, "faults": faults}


def read_structure(path: str) -> dict[str, Any]:
    """Read a structure file, and say how many residues and chains it has.

    Raises
    ------
    InputError
        When it cannot be read, or has no protein.
    """
    receptor = read_receptor(Path(path))
    if not len(receptor.residues):
        raise InputError("no protein in it: none of its atoms is an amino acid's C-alpha")
    return {"residues": len(receptor.residues), "chains": len(receptor.residues.chains)}


def warm_up() -> None:
    """Do nothing: whoever calls it in a process has all of this module loaded there."""


def _nearest(templates: list[Template]) -> list[Template]:
    return sorted(templates, key=lambda template: -template.tanimoto)[:CARDS]


def _card(mol: Mol, template: Template, library: Library) -> dict[str, Any]:
    pairs = [] if template.core is None else list(template.core.pairs.items())
    query, other = draw_pair(mol, template.mol, pairs)
    entry = library.entry(template.row)
    return {
        "id": template.id,
        "tanimoto": round(template.tanimoto, 2),
        "core": template.core_size,
        "date": "" if entry.date is None else str(entry.date),
        "group": entry.group,
        "query": without_styles(query),
        "template": without_styles(other),
    }
