"""The core that a query shares with a template: a maximum common edge subgraph, which may be in pieces.

RASCAL (Raymond, Gardiner, Willett, The Computer Journal 45 (2002) 631) takes about 2 ms a pair where RDKit's
FindMCS takes 50 to 400 ms, and it finds cores in several pieces: two halves kept while the linker changed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdRascalMCES

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import alike_bonds, bond_kinds, positions, quiet_rdkit

MIN_CORE = 3
"""Atoms: fewer do not fix a position in space."""
MIN_PIECE = 3
"""Atoms: a smaller separate piece is a coincidence more often than a shared position in the pocket."""
DISTANCE_SLACK = 0.5
"""Angstrom that a template may stretch or squeeze the query's distances between pieces of the core."""
MAX_MAPPINGS = 8
"""Mappings of one core onto one template that are tried: flips of rings, symmetric or repeated groups."""
MAX_MATCHES = 200
"""Matches looked at to find those; symmetric cores have thousands that come to the same."""
MAX_BOND_PAIRS = 5000
"""Pairs of bonds that could match, above which RASCAL gives up: memory and time go by their square."""
MAX_ALIKE = 120
"""Pairs of alike bonds in either molecule, both together, above which pieces are too many to try. Drug-like
molecules have some ten, docosahexaenoic acid 93, PEG-8 120; from 90 to 120 the time grows tenfold."""
UNLIKE, MAX_UNLIKE_PAIRS = 0.2, 350
"""Tanimoto similarity below which, and pairs of bonds that could match above which, they are too many too: of
7,200 pairs of the demo 17, among them all that took more than 0.2 CPU seconds."""
MOST_CPU_S = 10.0
"""CPU seconds, for RASCAL takes no bound of its work but the clock's: a backstop, ten times what the slowest
of 8,793 pairs takes (demo, component dictionary). A pair that takes more shares nothing, since the core found
by then would depend on the machine."""
TIMEOUT_S = 3
"""Wall seconds, which is all that RASCAL can be told, for a first try. On a crowded machine they end before
the CPU seconds do, and the pair is searched again with twice the time."""


@dataclass(frozen=True, slots=True)
class Core:
    """Which query atom lies on which template atom, and the shared substructure, pieces separated by dots."""

    pairs: dict[int, int]
    smarts: str

    def __len__(self) -> int:
        """Atoms shared."""
        return len(self.pairs)


def shared_core(query: PreparedQuery, template: Chem.Mol, tanimoto: float = 1.0) -> Core | None:
    """Find the largest core the two share in chemistry and in space; None when there is none to speak of.

    Rings are matched whole or not at all, aromatic with aromatic: part of a ring says little about where the
    rest lies, and matching such parts is what makes RASCAL slow (seconds a pair). Pieces whose distance in
    the template the query could not reach are left out.
    """
    options = _options()
    if _is_intricate(query, template, tanimoto):
        # Pieces lie as many bonds apart in one as in the other: this leaves next to nothing to search.
        options.maxFragSeparation = 0
    with quiet_rdkit():
        found = _within_cpu_time(query.mol, template, options)
    if found is None or not found.smartsString:
        return None
    core = Core(dict(found.atomMatches()), found.smartsString)
    return _reachable(core, query, template)


def connected_cores(mol: Chem.Mol, other: Chem.Mol) -> list[dict[int, int]]:
    """All ways in which the largest connected core of two molecules lies on both; none where it is too small.

    By chemistry alone: what the two have in common as they are, in no place. Rings are matched as
    `shared_core` matches them.

    Returns
    -------
    list of dict of int to int
        Atom of the first, and of the other; at most `MAX_MATCHES`.
    """
    options = _options()
    options.singleLargestFrag = True
    if alike_bonds(mol) + alike_bonds(other) > MAX_ALIKE:
        options.maxFragSeparation = 0
    with quiet_rdkit():
        found = _within_cpu_time(mol, other, options)
    if found is None or len(found.atomMatches()) < MIN_CORE:
        return []
    pattern = Chem.MolFromSmarts(found.smartsString)
    # RASCAL's own match first: the pattern may also lie elsewhere in the first molecule.
    own = [atom for atom, _ in found.atomMatches()]
    matches = mol.GetSubstructMatches(pattern, uniquify=False, maxMatches=MAX_MATCHES)
    first = next((match for match in matches if set(match) == set(own)), None)
    if first is None:
        return [dict(found.atomMatches())]
    onto = other.GetSubstructMatches(pattern, uniquify=False, maxMatches=MAX_MATCHES)
    return [dict(zip(first, match, strict=True)) for match in onto]


def _options() -> rdRascalMCES.RascalOptions:
    """How cores are searched."""
    options = rdRascalMCES.RascalOptions()
    options.similarityThreshold = 0.1
    options.ringMatchesRingOnly = True
    options.completeAromaticRings = True
    options.completeSmallestRings = True
    options.ignoreAtomAromaticity = False
    options.maxBondMatchPairs = MAX_BOND_PAIRS
    # By default ten thousand equally good cores are kept: 2.5 GB for one pair with a cage (rdkit#8645).
    options.maxBestMCESs = 1
    return options


def _is_intricate(query: PreparedQuery, template: Chem.Mol, tanimoto: float) -> bool:
    """Whether the search for the largest core of any pieces could take minutes."""
    if query.alike_bonds + alike_bonds(template) > MAX_ALIKE:
        return True
    if tanimoto >= UNLIKE:
        return False
    own, its = bond_kinds(query.mol), bond_kinds(template)
    return sum(count * its[kind] for kind, count in own.items()) > MAX_UNLIKE_PAIRS


def _within_cpu_time(
    query: Chem.Mol, template: Chem.Mol, options: rdRascalMCES.RascalOptions
) -> rdRascalMCES.RascalResult | None:
    """Largest common subgraph; None where there is none or it takes too much, however busy the machine."""
    options.timeout = TIMEOUT_S
    while True:
        began, used = time.monotonic(), time.thread_time()
        found = rdRascalMCES.FindMCES(query, template, options)
        if time.thread_time() - used > MOST_CPU_S:
            return None
        timed_out = found[0].timedOut if found else time.monotonic() - began >= options.timeout
        if not timed_out:
            return found[0] if found else None
        options.timeout *= 2


def mappings(core: Core, query: PreparedQuery, template: Chem.Mol) -> Iterator[Core]:
    """Yield the core, then its other mappings that lay the query differently, at most 8 in all."""
    yield core
    pattern = Chem.MolFromSmarts(core.smarts)
    # Only the first: to find one onto other atoms RDKit would look at the millions onto the same.
    own = query.mol.GetSubstructMatch(pattern)
    if not own:
        return
    seen = {_up_to_symmetry(core.pairs, query)}
    for match in template.GetSubstructMatches(pattern, uniquify=False, maxMatches=MAX_MATCHES):
        other = _reachable(Core(dict(zip(own, match, strict=True)), core.smarts), query, template)
        if other is None or _up_to_symmetry(other.pairs, query) in seen:
            continue
        seen.add(_up_to_symmetry(other.pairs, query))
        yield other
        if len(seen) == MAX_MAPPINGS:
            return


def _up_to_symmetry(pairs: dict[int, int], query: PreparedQuery) -> frozenset[tuple[int, int]]:
    """What a mapping comes to once atoms that cannot be told apart are exchanged."""
    return frozenset((query.ranks[atom], onto) for atom, onto in pairs.items())


def _reachable(core: Core, query: PreparedQuery, template: Chem.Mol) -> Core | None:
    """Keep the pieces, largest first, that the query can put where the template has them."""
    xyz = positions(template)
    kept: list[int] = []
    for piece in _pieces(core.pairs, query.mol, template):
        if len(piece) < MIN_PIECE and kept:
            continue
        if all(_fits(a, b, core.pairs, query.bounds, xyz) for a in piece for b in kept):
            kept += piece
    if len(kept) < MIN_CORE:
        return None
    return Core({atom: core.pairs[atom] for atom in sorted(kept)}, core.smarts)


def _fits(
    a: int, b: int, pairs: dict[int, int], bounds: NDArray[np.float64], xyz: NDArray[np.float64]
) -> bool:
    distance = float(((xyz[pairs[a]] - xyz[pairs[b]]) ** 2).sum() ** 0.5)
    low, high = bounds[max(a, b), min(a, b)], bounds[min(a, b), max(a, b)]
    return bool(low - DISTANCE_SLACK <= distance <= high + DISTANCE_SLACK)


def _pieces(pairs: dict[int, int], query: Chem.Mol, template: Chem.Mol) -> list[list[int]]:
    """Query atoms of the core, grouped by the bonds that both molecules have; the largest group first."""
    left, pieces = set(pairs), []
    for start in sorted(pairs):
        if start not in left:
            continue
        left.discard(start)
        piece = [start]
        for atom in piece:
            for neighbour in query.GetAtomWithIdx(atom).GetNeighbors():
                other = neighbour.GetIdx()
                if other in left and template.GetBondBetweenAtoms(pairs[atom], pairs[other]) is not None:
                    left.discard(other)
                    piece.append(other)
        pieces.append(piece)
    return sorted(pieces, key=len, reverse=True)
