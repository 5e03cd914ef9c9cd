"""What a user should know of a query before its poses are believed: told in the notes, never refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.molecules import first_block, ligand_key, positions
from templ.chemistry.receptor import METALS, ON_LIGAND
from templ.chemistry.warheads import WARHEADS
from templ.templates.covalent_choice import ChosenBond
from templ.templates.residue_choice import AUTO, find_residues

if TYPE_CHECKING:
    from templ.chemistry.receptor import Receptor
    from templ.library.store import Library
    from templ.templates.screening import Template

SAME = 0.999
"""Tanimoto similarity from which two ligands may be one."""
SAME_PROTEIN = 0.95
"""Identity from which two receptors are of one protein, mutations apart."""
LACKING = 0.15
"""Share of a pocket, absent or changed, that is said: of 636 receptors of three sets none lacks as much."""
LEAST_ATOMS = 6
"""Heavy atoms of a molecule that can be a ligand."""
ON_TEMPLATES = 0.5
"""Share of a molecule's atoms that lie on atoms of templates where it is a ligand in their place."""


def warnings_of(
    query: Chem.Mol,
    templates: list[Template],
    library: Library,
    receptor: Receptor | None,
    bond: ChosenBond | None = None,
) -> Iterator[str]:
    """Say what is doubtful: of the query, of the receptor, and of what else is in the site.

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
    bond : ChosenBond or None
        That it is posed with.
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
    if lacking := _lacking(templates):
        yield lacking
    site = np.concatenate([positions(template.mol) for template in templates])
    for name in molecules_in_site(receptor, site):
        yield (
            f"{name} lies where the templates do, as part of the receptor; if it is a ligand: --site {name}"
        )
    if bond is None:
        yield from _unused_warheads(query, templates, receptor)


def _lacking(templates: list[Template]) -> str:
    """Say that the receptor lacks a part of the pocket that other crystals of its protein have; else nothing.

    A loop that was not seen in the crystal, or a receptor that was cut: poses do not feel what is not there.
    """
    fits = [template.fit for template in templates if template.fit is not None]
    found = [fit.pocket_identity for fit in fits if fit.identity >= SAME_PROTEIN]
    lacking = 1 - float(np.median(found)) if found else 0.0
    if lacking < LACKING:
        return ""
    return (
        f"{lacking:.0%} of the pocket's residues, as other crystals of this protein have it, are not in the "
        "receptor or differ: poses do not feel what is missing, and are less sure than is said"
    )


def _unused_warheads(query: Chem.Mol, templates: list[Template], receptor: Receptor) -> Iterator[str]:
    """Say which groups of a query that is posed without a bond could bond to residues near its templates."""
    free = [warhead for warhead in WARHEADS if warhead.is_free_in(query)]
    if not free:
        return
    residues = find_residues(receptor, templates, AUTO)
    for warhead in free:
        near = [residue.label for residue in residues if residue.kind in warhead.residues]
        if near:
            article = "an" if warhead.name[0] in "aeiou" else "a"
            first = near[0].partition(":")[2]
            yield (
                f"{article} {warhead.name} near {', '.join(near)}: it may bond to it, and the poses do not; "
                f"--covalent {first} poses it so"
            )


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
