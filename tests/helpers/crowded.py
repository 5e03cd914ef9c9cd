"""Molecules whose atoms run into each other."""

from __future__ import annotations

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import parse_smiles

MOLECULES = ["CCCCCCO", "O=C(Nc1ccccc1)Nc1cccnc1", "CN(C)c1ccc(N(Cc2ccsc2)C(=O)Cn2nnc3ccccc32)cc1"]


def prepared(smiles):
    """A query with four conformers."""
    return PreparedQuery(parse_smiles(smiles), 4, 1)


def squeezed(query, share=0.55):
    """Conformers pressed together until their atoms run into each other."""
    middle = query.conformers.mean(axis=1, keepdims=True)
    return middle + (query.conformers - middle) * share
