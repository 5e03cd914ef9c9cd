"""Alignment of sequences, and which receptors are by it related to the query's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from templ.library.kmer_index import kmers
from templ.library.store import Library

MOST_ALIGNED = 200
"""Receptors sharing most 3-mers with the query that are aligned: 0.2 to 0.6 ms for each that differs."""
ROWS_AT_ONCE = 40
"""Receptors looked at before their pages are released: about 4 MB."""
MOST_ALIGNED_BELOW = 2000
"""Where too close relatives are left out: they would be all of the first."""
MIN_ALIGNED = 0.5
"""Share of the shorter chain that must be aligned: less is a domain or a tag that two proteins share."""

SAME_PROTEIN = 0.9
"""Identity from which two receptors are one protein: point mutants and species that are near."""
MOST_COMPARED = 20
"""Receptors aligned to see whether a library has a protein: the first may only share a peptide with it."""
MIN_SHARED = 0.5
"""Share of 3-mers: ten substitutions in a hundred residues leave seven of ten."""

_THREE = defaultdict(
    lambda: "UNK", {one: gemmi.expand_one_letter(one, gemmi.ResidueKind.AA) for one in "ACDEFGHIKLMNPQRSTVWY"}
)


class Aligner:
    """Aligns sequences and remembers the alignments: crystals of one protein mostly share a sequence."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[NDArray[np.intp], NDArray[np.intp]]] = {}
        self._scoring = gemmi.AlignmentScoring("b")

    def align(self, query: str, template: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return which residues correspond: indices in `query` and in `template`, shape (pairs,) each.

        Needleman and Wunsch with affine gaps and BLOSUM62, as gemmi does it.
        """
        known = self._known.get((query, template))
        if known is None:
            found = gemmi.align_string_sequences(_names(query), _names(template), [], self._scoring)
            known = self._known[query, template] = _pairs(found.cigar_str())
        return known


def related_rows(
    chains: Sequence[str],
    library: Library,
    allowed: NDArray[np.bool_],
    least: float,
    most: float,
    aligner: Aligner,
) -> NDArray[np.bool_]:
    """Rows, of those allowed, whose chain around the ligand is related to one of these chains.

    Parameters
    ----------
    chains : sequence of str
        Sequence of each, one letter a residue.
    allowed : array, shape (ligands,)
        Rows that may be chosen.
    least, most : float
        Share of aligned residues that are the same, 0 to 1: of the best pair of chains it must be at least
        the one and at most the other.

    Returns
    -------
    array, shape (ligands,)
    """
    related = np.zeros(len(library), np.bool_)
    looked_at = MOST_ALIGNED if most >= 1 else MOST_ALIGNED_BELOW
    rows, _ = library.related("".join(chains), looked_at, allowed)
    known: dict[str, bool] = {}
    for number, row in enumerate(rows.tolist()):
        if number % ROWS_AT_ONCE == 0:
            library.release_pages()
        chain = library.main_chain(row)
        if chain not in known:
            known[chain] = least <= max(identity(part, chain, aligner) for part in chains) <= most
        related[row] = known[chain]
    return related


def cluster_sequences(sequences: Sequence[str], least: float = SAME_PROTEIN) -> list[int]:
    """Put sequences into clusters: the longest first, each to the first cluster whose longest is like it.

    Greedy, as W. Li and A. Godzik do it (Bioinformatics 22 (2006) 1658); sequences that share less than half
    of their 3-mers are not aligned.

    Parameters
    ----------
    sequences : sequence of str
        One letter a residue.
    least : float
        Share of aligned residues that are the same, 0 to 1, within a cluster.

    Returns
    -------
    list of int
        For each sequence the first one, in the order given, of its cluster.

    Examples
    --------
    >>> cluster_sequences(["MKTAYIAKQR", "GSHMWWLLVV", "KTAYIAKQR"])
    [0, 1, 0]
    """
    aligner, longest = Aligner(), list[tuple[str, frozenset[int]]]()
    cluster_of: dict[str, int] = {}
    for sequence in sorted(set(sequences), key=lambda sequence: (-len(sequence), sequence)):
        own = frozenset(kmers(sequence).tolist())
        for number, (other, words) in enumerate(longest):
            enough = max(1.0, MIN_SHARED * min(len(own), len(words)))
            if len(own & words) >= enough and identity(sequence, other, aligner) >= least:
                cluster_of[sequence] = number
                break
        else:
            cluster_of[sequence] = len(longest)
            longest.append((sequence, own))
    first: dict[int, int] = {}
    for index, sequence in enumerate(sequences):
        first.setdefault(cluster_of[sequence], index)
    return [first[cluster_of[sequence]] for sequence in sequences]


def group_of_protein(sequence: str, libraries: Sequence[Library]) -> str:
    """Name the group that the protein of a chain has in libraries; empty where they do not have it."""
    aligner = Aligner()
    for library in libraries:
        rows, _ = library.related(sequence, MOST_COMPARED)
        for row in rows.tolist():
            if identity(sequence, library.main_chain(row), aligner) >= SAME_PROTEIN:
                return library.entry(row).group
    return ""


def identity(query: str, template: str, aligner: Aligner) -> float:
    """Share of aligned residues that are the same; 0 when less than half of the shorter chain is aligned."""
    own, other = aligner.align(query, template)
    if len(own) < MIN_ALIGNED * min(len(query), len(template)):
        return 0.0
    first = np.frombuffer(query.encode(), np.uint8)[own]
    second = np.frombuffer(template.encode(), np.uint8)[other]
    return float((first == second).mean())


@lru_cache(maxsize=16)
def _names(sequence: str) -> list[str]:
    return list(map(_THREE.__getitem__, sequence))


def _pairs(cigar: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Aligned positions of two sequences.

    Examples
    --------
    >>> [positions.tolist() for positions in _pairs("1M1I2M1D")]
    [[0, 2, 3], [0, 1, 2]]
    """
    own, other, first, second, digits = [], [], 0, 0, ""
    for sign in cigar:
        if sign.isdigit():
            digits += sign
            continue
        count, digits = int(digits), ""
        if sign == "M":
            own.append(np.arange(first, first + count))
            other.append(np.arange(second, second + count))
        first += count if sign in "MI" else 0
        second += count if sign in "MD" else 0
    empty = np.empty(0, np.intp)
    return np.concatenate([empty, *own]), np.concatenate([empty, *other])
