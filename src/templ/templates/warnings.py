"""What a user should know of a query before its poses are believed: told in the notes, never refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.elements import standard_name
from templ.chemistry.molecules import first_block, ligand_key, positions
from templ.chemistry.receptor import METALS, ON_LIGAND

if TYPE_CHECKING:
    from templ.chemistry.receptor import Receptor
    from templ.library.store import Library
    from templ.templates.screening import Template

SAME = 0.999
"""Tanimoto similarity from which two ligands may be one."""
REACH = 6.0
"""Angstrom from the templates' atoms within which a residue can be bonded to."""
LEAST_ATOMS = 6
"""Heavy atoms of a molecule that can be a ligand."""
ON_TEMPLATES = 0.5
"""Share of a molecule's atoms that lie on atoms of templates where it is a ligand in their place."""
REACTIVE_ATOMS = {"CYS": "SG", "SER": "OG", "THR": "OG1", "LYS": "NZ", "TYR": "OH"}
WARHEADS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("acrylamide", "[CX3;!R]=[CX3;!R]C(=O)[NX3]", ("CYS",)),
    ("propiolamide", "C#CC(=O)[NX3]", ("CYS",)),
    ("haloacetamide", "[Cl,Br,I][CX4]C(=O)[NX3]", ("CYS",)),
    ("vinyl sulfone", "[CX3]=[CX3]S(=O)=O", ("CYS",)),
    ("aldehyde", "[CX3H1](=O)[#6]", ("CYS", "SER", "THR", "LYS")),
    ("ketoamide", "[#6]C(=O)C(=O)[NX3]", ("CYS", "SER", "THR")),
    ("nitrile", "[$([CX4][NX3]),$([c;$(c:n)]),$([NX3])]C#N", ("CYS", "SER", "THR")),
    ("epoxide", "C1OC1", ("CYS", "SER", "THR")),
    ("aziridine", "C1NC1", ("CYS",)),
    ("boronic acid", "[BX3]([OX2,OX1])[OX2,OX1]", ("SER", "THR", "CYS")),
    ("beta-lactam", "O=C1CCN1", ("SER", "CYS")),
    ("sulfonyl fluoride", "S(=O)(=O)F", ("SER", "TYR", "LYS", "THR")),
)
"""Name, pattern, and the residues that it is known to bond to: after the covalent ligands in J. Singh et al.,
Nat. Rev. Drug Discov. 10 (2011) 307 and F. Sutanto et al., RSC Med. Chem. 11 (2020) 876."""
_PATTERNS = [(name, Chem.MolFromSmarts(smarts), residues) for name, smarts, residues in WARHEADS]


def warnings_of(
    query: Chem.Mol, templates: list[Template], library: Library, receptor: Receptor | None
) -> Iterator[str]:
    """Say that a query is in the library itself, may bond to the protein, or shares its site with a ligand.

    Parameters
    ----------
    query : rdkit.Chem.Mol
        Heavy atoms.
    templates : list of Template
        Most similar first.
    library : Library
        That they are of.
    receptor : Receptor or None
        What the query binds to, in the templates' frame.
    """
    own = [
        template.id
        for template in templates
        if template.tanimoto > SAME and first_block(library.entry(template.row).inchikey) == ligand_key(query)
    ]
    if own:
        yield f"the library has this ligand itself: {', '.join(own)}"
    if receptor is None or not templates:
        return
    site = np.concatenate([positions(template.mol) for template in templates])
    for name in molecules_in_site(receptor, site):
        yield (
            f"{name} lies where the templates do, as part of the receptor; if it is a ligand: --site {name}"
        )
    for name, pattern, residues in _PATTERNS:
        if not query.HasSubstructMatch(pattern):
            continue
        near = reactive_residues(receptor, site, residues)
        if near:
            article = "an" if name[0] in "aeiou" else "a"
            yield f"{article} {name} near {', '.join(near)}: it may bond to it, and the poses do not"


def molecules_in_site(receptor: Receptor, xyz: NDArray[np.float64]) -> list[str]:
    """Name the small molecules of a receptor of which half lies on points, shape (points, 3)."""
    atoms = receptor.atoms
    free = np.flatnonzero((atoms.residues < 0) & ~np.isin(atoms.elements, METALS))
    gaps = np.linalg.norm(xyz[:, None] - atoms.xyz[free][None], axis=-1).min(axis=0, initial=np.inf)
    names = atoms.residue_names[free]
    return [
        str(name)
        for name in np.unique(names)
        if (names == name).sum() >= LEAST_ATOMS and (gaps[names == name] < ON_LIGAND).mean() >= ON_TEMPLATES
    ]


def reactive_residues(receptor: Receptor, xyz: NDArray[np.float64], wanted: tuple[str, ...]) -> list[str]:
    """Name the residues of some kinds whose reactive atom is within `REACH` of points, shape (points, 3)."""
    atoms, found = receptor.atoms, []
    for index in np.flatnonzero(atoms.residues >= 0):
        residue = standard_name(str(atoms.residue_names[index]))
        if residue in wanted and atoms.names[index] == REACTIVE_ATOMS[residue]:
            gaps = xyz - atoms.xyz[index]
            if ((gaps**2).sum(axis=1) < REACH**2).any():
                found.append(f"{residue} {receptor.residues.numbers[atoms.residues[index]]}")
    return found
