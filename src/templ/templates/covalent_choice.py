"""Which atom of a query bonds to which residue: as is named, by its warhead, and by covalent templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from templ.chemistry.covalent import CovalentBond
from templ.chemistry.elements import standard_name
from templ.chemistry.geometry import squared_distances
from templ.chemistry.molecules import positions
from templ.chemistry.reactive_residue import ReactiveResidue, reactive_residues
from templ.chemistry.receptor import Receptor
from templ.chemistry.rotors import AMIDE
from templ.chemistry.warheads import BONDED, LENGTHS, WARHEADS
from templ.library.store import Library
from templ.templates.covalent_reaction import find_reactions
from templ.templates.residue_choice import AUTO, NONE, REACH, find_residues
from templ.templates.screening import Template

MEANT_REACH = 12.0
"""Angstrom: the same, for one that the query was made to bond to."""
BOND, ACROSS = 2.2, 3.25
"""Angstrom from a template's atom to a reactive atom, wherever that turns, and to the atom before it, where
the two are bonded; without a bond the latter is at least 3.4."""
LIKELY = 0.6
"""Share of the templates with an atom in the same surroundings that are bonded by it, from which on a query
is taken to be so."""
SULPHUR = 16
WIDE = 2
"""Bonds around an atom that its surroundings reach."""
_MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=WIDE, includeRedundantEnvironments=True)


@dataclass(frozen=True, slots=True)
class ChosenBond:
    """A bond that a query is posed with.

    Attributes
    ----------
    atom : int
        Of the query.
    residue : ReactiveResidue
    why : str
        What tells it, a few words.
    others : tuple of int
        Atoms that could be it as well.
    """

    atom: int
    residue: ReactiveResidue
    why: str
    others: tuple[int, ...] = ()


def doubts(bond: ChosenBond, templates: Sequence[Template]) -> Iterator[str]:
    """Say what a user should know of a bond that was chosen."""
    residue, label = bond.residue, bond.residue.label
    if bond.others:
        atoms = ", ".join(str(atom + 1) for atom in bond.others)
        yield (
            f"atom {bond.atom + 1} bonds, and others could as well (atoms {atoms} of the poses): the query "
            "as it is before it bonds would tell"
        )
    if residue.held_by:
        yield f"{label} is bonded to {residue.held_by} in the receptor, which the poses take no notice of"
    site = np.concatenate([positions(template.mol) for template in templates])
    gap = float(np.sqrt(squared_distances(residue.reactive, site).min()))
    if gap > REACH:
        yield f"{label} is {gap:.0f} A from the templates, which tell little of poses that are bonded to it"


def choose_bond(
    mol: Chem.Mol,
    templates: Sequence[Template],
    library: Library,
    receptor: Receptor,
    wanted: str,
    meant: str = "",
) -> ChosenBond | None:
    """Choose the bond that a query, as it is once bonded, is posed with; None for none.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Heavy atoms; where a reaction made it, the atom that bonds has the property `BONDED`.
    templates : sequence of Template
        In the frame of the receptor.
    wanted : str
        ``auto``, ``none``, or the name of a residue.
    meant : str
        Residue that the reaction was done for: it comes before others that are as able.

    Raises
    ------
    Refusal
        When the residue that is named is not in the receptor.
    """
    if wanted == NONE or not templates:
        return None
    residues = find_residues(receptor, templates, wanted)
    made = next((atom for atom in mol.GetAtoms() if atom.HasProp(BONDED)), None)
    if made is not None:
        warhead = next(each for each in WARHEADS if each.name == made.GetProp(BONDED))
        able = [residue for _, residue in find_reactions([warhead], residues, wanted)]
        if meant:
            site = np.concatenate([positions(template.mol) for template in templates])
            named = reactive_residues(receptor, site, MEANT_REACH, called=meant)
            able = [*(residue for residue in named if residue.kind in warhead.residues), *able]
        return ChosenBond(made.GetIdx(), able[0], f"by its {warhead.name}") if able else None
    said = said_bonds(templates, library)
    for residue in residues:
        bonded = bonded_atoms(templates, said, residue)
        if shown := _shown_by_templates(mol, templates, bonded, residue, wanted):
            return shown
        if wanted != AUTO and (known := _known_adduct(mol, residue)):
            return known
    return None


def _shown_by_templates(
    mol: Chem.Mol,
    templates: Sequence[Template],
    bonded: Mapping[str, int],
    residue: ReactiveResidue,
    wanted: str,
) -> ChosenBond | None:
    """The atom that is, in its surroundings or by the table of warheads, as that of covalent templates."""
    if not bonded:
        return None
    ordinary = {warhead.name for warhead in WARHEADS if warhead.ordinary}
    plain = {atom for atom, name in _adducts(mol).items() if name in ordinary}
    for kinds in (_surroundings, _adducts):
        own, having, bonding = kinds(mol), Counter[int | str](), dict[int | str, list[str]]()
        for template in templates:
            theirs, atom = kinds(template.mol), bonded.get(template.id, -1)
            having.update(set(theirs.values()))
            if atom in theirs:
                bonding.setdefault(theirs[atom], []).append(template.id)
        share = {kind: len(ids) / having[kind] for kind, ids in bonding.items()}
        shown = [atom for atom in sorted(own) if own[atom] in share]
        if wanted == AUTO:  # an acetamide near a cysteine is mostly just that
            shown = [atom for atom in shown if atom not in plain and share[own[atom]] >= LIKELY]
        atom = max(shown, key=lambda atom: share[own[atom]], default=-1)
        if shown:
            first, *others = bonding[own[atom]]
            more = f" and {len(others)} more" if others else ""
            alike = [other for other in shown if share[own[other]] == share[own[atom]]]
            if wanted != AUTO:  # what is known of the others is their kind alone
                alike += [other for other, _ in _known_adducts(mol, residue)]
            return ChosenBond(
                atom, residue, f"as {first}{more} of the templates", _distinct_from(atom, alike, mol)
            )
    return None


def said_bonds(templates: Sequence[Template], library: Library) -> list[CovalentBond | None] | None:
    """Bond of each template to its own receptor, as the library has it; None where it has no receptors."""
    if not library.has_receptors:
        return None
    return [library.entry(template.row).covalent for template in templates]


def bonded_atoms(
    templates: Sequence[Template], said: Sequence[CovalentBond | None] | None, residue: ReactiveResidue
) -> dict[str, int]:
    """The atom of each covalent template that is bonded to a residue, by id; `said` by `said_bonds`.

    A library with receptors was told of the bond or measured it; else how the template lies tells.
    """
    found = dict[str, int]()
    if said is not None:
        for template, bond in zip(templates, said, strict=True):
            if bond is not None and standard_name(bond.residue) == residue.kind:
                atom = positions(template.mol)[[bond.ligand_atom]]
                near = squared_distances(atom, residue.before).min() <= REACH**2
                if near and can_bond(template.mol.GetAtomWithIdx(bond.ligand_atom), residue):
                    found[template.id] = bond.ligand_atom
        return found
    own = [positions(template.mol) for template in templates]
    middle = residue.before[0]
    xyz = np.concatenate(own) - middle
    across = squared_distances(xyz, residue.before - middle)
    if across.min() > ACROSS**2:
        return found
    # Contacts of ligands with an oxygen or nitrogen that could turn are common; a sulphur's are bonds.
    known_at = slice(None) if residue.element == SULPHUR else slice(1)
    gaps = squared_distances(xyz, (residue.reactive - middle)[known_at])
    gaps[across[:, known_at] > ACROSS**2] = np.inf
    parts = np.split(gaps.min(axis=1), np.cumsum([len(each) for each in own])[:-1])
    for template, gap in zip(templates, parts, strict=True):
        near = np.flatnonzero(gap <= BOND**2).tolist()
        if not near:
            continue
        atoms = map(template.mol.GetAtomWithIdx, near)
        amides = {match[0] for match in template.mol.GetSubstructMatches(AMIDE)}  # near, and bonded already
        able = [atom.GetIdx() for atom in atoms if can_bond(atom, residue) and atom.GetIdx() not in amides]
        # Of neighbours that lie as near, that which chemistry names.
        adducts = _adducts(template.mol)
        known = [atom for atom in able if atom in adducts]
        if able:
            found[template.id] = min(known or able, key=lambda atom: float(gap[atom]))
    return found


def can_bond(atom: Chem.Atom, residue: ReactiveResidue) -> bool:
    """Whether there is a bond between such elements in the table of lengths."""
    return (atom.GetAtomicNum(), residue.element) in LENGTHS


def _known_adduct(mol: Chem.Mol, residue: ReactiveResidue) -> ChosenBond | None:
    """The atom by which a query is the adduct of a warhead of the table, the narrowest pattern first."""
    found = _known_adducts(mol, residue)
    if not found:
        return None
    atom, name = found[0]
    others = _distinct_from(atom, [other for other, _ in found], mol)
    return ChosenBond(atom, residue, f"what becomes of {name}", others)


def _known_adducts(mol: Chem.Mol, residue: ReactiveResidue) -> list[tuple[int, str]]:
    """Atoms by which a query may be the adduct of a warhead that a residue takes, and which warhead."""
    return [
        (atom, warhead.name)
        for warhead in WARHEADS
        if residue.kind in warhead.residues
        for atom in warhead.bonded_atoms(mol)
    ]


def _distinct_from(atom: int, others: Iterable[int], mol: Chem.Mol) -> tuple[int, ...]:
    """Those of some atoms that are not as an atom is, by symmetry; one of each kind."""
    ranks = Chem.CanonicalRankAtoms(mol, breakTies=False)
    kinds = {ranks[other]: other for other in sorted(others, reverse=True) if ranks[other] != ranks[atom]}
    return tuple(sorted(kinds.values()))


def _adducts(mol: Chem.Mol) -> dict[int, str]:
    """Atoms by which a molecule may be the adduct of a warhead of the table, and which."""
    found = dict[int, str]()
    for warhead in WARHEADS:
        for atom in warhead.bonded_atoms(mol):
            found.setdefault(atom, warhead.name)
    return found


def _surroundings(mol: Chem.Mol) -> dict[int, int]:
    """For each atom a number that tells what is at most `WIDE` bonds away, as in a Morgan fingerprint."""
    more = rdFingerprintGenerator.AdditionalOutput()
    more.AllocateBitInfoMap()
    _MORGAN.GetSparseCountFingerprint(mol, additionalOutput=more)
    return {
        atom: bit for bit, atoms in more.GetBitInfoMap().items() for atom, radius in atoms if radius == WIDE
    }
