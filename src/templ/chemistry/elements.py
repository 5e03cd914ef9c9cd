"""The element of an atom, decided by its residue and name, for files whose columns are missing or wrong.

Left-aligned names turn C-alpha into calcium and C-delta into cadmium; writers that guess elements write
them down so. The names of amino acids and nucleotides leave no doubt; elsewhere a metal that has a neighbour
as near as a bond between light atoms is the light element that its name begins with.
"""

from __future__ import annotations

from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

LIGHT_BOND = 1.87
"""Angstrom: bonds of carbon, nitrogen and oxygen are shorter (to sulphur 1.82); those of metals longer, but
for metals whose names begin with no light element (V=O, Mo=O, W=O) and those below."""
SHORT_BONDS = {"Co": 1.7, "Cu": 1.7, "Ni": 1.7, "Fe": 1.45}
"""Angstrom: metals of cofactors have nearer neighbours (cobalamin 1.87 A, oxo-iron 1.65 A)."""

COVALENT_RADII = np.array([0.0] + [gemmi.Element(number).covalent_r for number in range(1, 119)])
"""Angstrom, by atomic number (B. Cordero et al., Dalton Trans. 2008, 2832, as gemmi has them)."""

SAME_AS = {
    "HID": "HIS", "HIE": "HIS", "HIP": "HIS", "HSD": "HIS", "HSE": "HIS", "HSP": "HIS", "CYX": "CYS",
    "CYM": "CYS", "ASH": "ASP", "GLH": "GLU", "LYN": "LYS", "MSE": "MET",
}  # fmt: skip
"""Residue names that force fields give to protonation states, which no structure dictionary knows; and
selenomethionine."""

IONS = {
    "SOD": "Na", "CLA": "Cl", "POT": "K", "CAL": "Ca", "CES": "Cs", "LIT": "Li", "RUB": "Rb", "CAD": "Cd",
    "BAR": "Ba", "IOD": "I", "CHL": "Cl", "CIO": "Cs", "CIM": "Cl", "CIP": "Na", "IB": "Br", "3CO": "Co",
    "3NI": "Ni", "4MO": "Mo", "ZN2": "Zn", "FE2": "Fe", "FE3": "Fe", "CU1": "Cu", "MN3": "Mn", "MG2": "Mg",
}  # fmt: skip
"""Single atoms under names that are no element: of CHARMM, of Amber, and of the component dictionary."""

WITH_SELENIUM = ("MSE", "SEC", "CSE")
_TERMINI = "NC"
_LIGHT = frozenset("CNOHSPBFD")


@lru_cache(maxsize=4096)
def standard_name(residue: str) -> str:
    """Name of a residue without what force fields add: protonation states, Amber's ends of a chain.

    Examples
    --------
    >>> standard_name("HIE"), standard_name("NALA"), standard_name("CHID"), standard_name("NAP")
    ('HIS', 'ALA', 'HIS', 'NAP')
    """
    if len(residue) == 4 and residue[0] in _TERMINI:
        inner = SAME_AS.get(residue[1:], residue[1:])
        if gemmi.find_tabulated_residue(inner).is_amino_acid():
            return inner
    return SAME_AS.get(residue, residue)


def atomic_numbers(
    names: NDArray[np.str_],
    residue_names: NDArray[np.str_],
    given: NDArray[np.str_],
    named_in_column_14: NDArray[np.bool_],
    residues: NDArray[np.intp],
    xyz: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """Decide the elements of atoms.

    Parameters
    ----------
    names, residue_names, given : arrays, shape (atoms,), str
        Of the atoms; `given` the element in the file, or empty.
    named_in_column_14 : array, shape (atoms,), bool
        See `templ.chemistry.structure_file.AtomTable`.
    residues : array, shape (atoms,)
        Index of each atom's residue.
    xyz : array, shape (atoms, 3)
        Angstrom.

    Returns
    -------
    array, shape (atoms,), uint8
        Atomic numbers; 0 for what is no element, such as the charge of a four-point water.
    """
    alone = np.bincount(residues)[residues] == 1 if len(residues) else np.empty(0, np.bool_)
    columns = (names, residue_names, given, named_in_column_14, alone)
    keys = list(zip(*(column.tolist() for column in columns), strict=True))
    known = {key: _symbol(*key) for key in set(keys)}
    symbols = [known[key] for key in keys]
    for index, symbol in enumerate(symbols):
        if not alone[index] and _is_doubtful(symbol):
            others = xyz[residues == residues[index]]
            nearest = np.sort(np.linalg.norm(others - xyz[index], axis=1))[1]
            if nearest < SHORT_BONDS.get(symbol, LIGHT_BOND):
                symbols[index] = symbol[0]
    numbers = {symbol: gemmi.Element(symbol).atomic_number for symbol in set(symbols)}
    return np.array([numbers[symbol] for symbol in symbols], np.uint8)


def _symbol(name: str, residue: str, given: str, in_column_14: bool, alone: bool) -> str:
    """Symbol by name; "X" where there is none. A metal's is not yet compared with the distances."""
    letters = "".join(letter for letter in name.upper() if letter.isalpha())
    given = given.capitalize() if given.isalpha() and _is_element(given) else ""
    if _has_plain_names(residue):
        if letters == "SE" and residue in WITH_SELENIUM:
            return "Se"
        return letters[0] if letters and letters[0] in "CNOSHDP" else given or "X"
    if alone:
        return _single(letters, residue, given)
    if given:
        return given
    if in_column_14 and letters and _is_element(letters[0]):
        return letters[0]
    two = letters[:2].capitalize()
    if two in ("Cl", "Br", "Si", "Se") or (_is_element(two) and gemmi.Element(two).is_metal):
        return two
    return letters[0] if letters and _is_element(letters[0]) else "X"


def _has_plain_names(residue: str) -> bool:
    """Tell the standard amino acids and nucleotides: their elements are the first letters of their names."""
    standard = gemmi.find_tabulated_residue(standard_name(residue)).is_standard()
    return is_polymer(residue) and (standard or residue in WITH_SELENIUM)


@lru_cache(maxsize=4096)
def is_polymer(residue: str) -> bool:
    """Tell whether a dictionary knows the residue as an amino acid or a nucleotide."""
    found = gemmi.find_tabulated_residue(standard_name(residue))
    return bool(found.is_amino_acid() or found.is_nucleic_acid())


def _single(letters: str, residue: str, given: str) -> str:
    """Element of the only atom of a residue: an ion says what it is with both of its names."""
    of_residue = "".join(letter for letter in residue.upper() if letter.isalpha())
    if residue.upper() in IONS:
        return IONS[residue.upper()]
    if of_residue == letters and _is_element(letters):
        return letters.capitalize()
    if given:
        return given
    if _is_element(letters) and gemmi.Element(letters).is_metal:
        return letters.capitalize()
    return letters[0] if letters and _is_element(letters[0]) else "X"


@lru_cache(maxsize=256)
def _is_doubtful(symbol: str) -> bool:
    """Tell metals and noble gases that may be a light element: calcium, cadmium, neon, mercury."""
    heavy = gemmi.Element(symbol).is_metal or symbol in ("He", "Ne")
    return heavy and len(symbol) == 2 and symbol[0].upper() in _LIGHT


@lru_cache(maxsize=256)
def _is_element(text: str) -> bool:
    return 1 <= len(text) <= 2 and gemmi.Element(text).atomic_number > 0
