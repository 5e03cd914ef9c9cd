"""Writes a receptor, in its own frame, as PDB; and as what gemmi writes in other formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from string import ascii_lowercase, ascii_uppercase, digits

import gemmi

from templ.chemistry.receptor import Receptor

IN_NO_CHAIN = "free"
"""Chain of what belongs to none (metals, cofactors); written with the next letter that no chain has."""


def to_pdb(receptor: Receptor) -> str:
    """Write the atoms of a receptor as PDB.

    Chains and residues keep their names and numbers; of chains with one name the further ones get others, for
    else they could not be told apart. What is in no chain is written as HETATM, numbered anew.
    """
    structure = to_structure(receptor)
    structure.shorten_chain_names()
    return structure.make_minimal_pdb()


def to_structure(receptor: Receptor) -> gemmi.Structure:
    """Make a receptor a structure of gemmi's; see `to_pdb`."""
    model = gemmi.Model(1)
    names = distinct_names(receptor.residues.chains)
    chains = {name: gemmi.Chain(name) for name in (*names, IN_NO_CHAIN)}
    chain_of = replace(receptor.residues, chains=names).chain_of_each()
    atoms = receptor.atoms
    current, residue = None, gemmi.Residue()
    for i in range(len(atoms)):
        index, name = int(atoms.residues[i]), str(atoms.residue_names[i])
        atom = gemmi.Atom()
        atom.name = str(atoms.names[i])
        atom.element = gemmi.Element(int(atoms.elements[i]))
        atom.pos = gemmi.Position(*map(float, atoms.xyz[i]))
        atom.b_iso = float(atoms.b_factors[i])
        # Atoms in no chain have no number: a molecule ends where another name, or the same atom, begins.
        if (index, name) != current or (index < 0 and residue.find_atom(atom.name, "*") is not None):
            chain = chains[chain_of[index] if index >= 0 else IN_NO_CHAIN]
            residue = chain.add_residue(_residue(receptor, index, name, len(chain) + 1))
            current = index, name
        residue.add_atom(atom)
    for chain in chains.values():
        model.add_chain(chain)
    structure = gemmi.Structure()
    structure.add_model(model)
    structure.remove_empty_chains()
    return structure


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of chains, each that came before replaced by the first letter that is no name.

    Examples
    --------
    >>> distinct_names(["A", "B", "A", "", ""])
    ('A', 'B', 'C', '', 'D')
    """
    found: list[str] = []
    free = (letter for letter in ascii_uppercase + ascii_lowercase + digits if letter not in names)
    for name in names:
        found.append(next(free, f"{name}{len(found)}") if name in found else name)
    return tuple(found)


def _residue(receptor: Receptor, index: int, name: str, number: int) -> gemmi.Residue:
    """Start a residue: the one at `index`, or number `number` of those in no chain."""
    residue = gemmi.Residue()
    residue.name = name
    residue.het_flag = "A" if index >= 0 else "H"
    if index >= 0:
        number = int(receptor.residues.numbers[index])
    residue.seqid = gemmi.SeqId(number, receptor.residues.insertions[index] if index >= 0 else " ")
    return residue
