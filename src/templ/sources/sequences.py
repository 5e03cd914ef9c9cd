"""Reads the sequence of a protein as a user gives it: letters, or a FASTA file."""

from __future__ import annotations

from pathlib import Path

import gemmi

from templ.errors import InputError
from templ.sources.files import exists, read_text

AMINO_ACIDS = frozenset("ACDEFGHIKLMNOPQRSTUVWXY")
"""Letters of the twenty, of selenocysteine and pyrrolysine, and X for one that is not known."""
SHORTEST = 20
"""Residues: of fewer no relative can be told."""


def read_sequences(source: str | Path) -> list[str]:
    """Read the chains of a protein.

    Parameters
    ----------
    source : str or Path
        Letters of one chain, or a FASTA file with one or several.

    Returns
    -------
    list of str
        One letter a residue, in capitals.

    Raises
    ------
    InputError
        When it is neither, or a chain is too short to find relatives by.

    Examples
    --------
    >>> read_sequences("MENFQKVEKIGEGTYGVVYKARNKLTG")
    ['MENFQKVEKIGEGTYGVVYKARNKLTG']
    """
    text = str(source)
    letters = "".join(text.split()).rstrip("*")
    if not (letters.isascii() and letters.isalpha() and len(letters) >= SHORTEST):
        if not exists(text):
            raise InputError(
                f"{text} is neither a FASTA file nor a sequence; expected {SHORTEST} letters or more, one a "
                "residue"
            )
        content = read_text(text, "a FASTA file")
        if not content.lstrip().startswith(">"):
            raise InputError(f"{text}: expected a FASTA file, whose first line begins with >")
        try:
            chains = [record.seq for record in gemmi.read_pir_or_fasta(content)]
        except RuntimeError as error:
            raise InputError(f"{text}: {error}; expected a FASTA file") from None
        what = text
    else:
        chains, what = [letters], "--sequence"
    found = ["".join(chain.split()).rstrip("*").upper() for chain in chains]
    for chain in found:
        if wrong := sorted(set(chain) - AMINO_ACIDS):
            raise InputError(
                f"{what}: {wrong[0]!r} is no amino acid; expected one letter a residue, or a FASTA file"
            )
        if len(chain) < SHORTEST:
            raise InputError(f"{what}: a chain of {len(chain)} residues; expected at least {SHORTEST}")
    if not found:
        raise InputError(f"{what}: no sequence in it")
    return found
