"""The sources of poses, all through one interface: query and templates in, placements out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from templ.chemistry.conformers import PreparedQuery
from templ.chemistry.molecules import heavy, positions, skeleton
from templ.chemistry.rotors import saturated_rings
from templ.chemistry.warheads import bonded_forms, is_made_by_bonding
from templ.sampling.core_copying import copied_torsion, copy_core
from templ.sampling.overlay import overlay_whole
from templ.sampling.placement import Placement, as_placed
from templ.settings import PredictionSettings
from templ.templates.mcs import mappings
from templ.templates.screening import Template

SMALL_CORE = 0.5
"""Share of the query below which a core does not tell where the rest lies."""
OVERLAID, POSES_AN_OVERLAY = 3, 15
"""Templates that whole molecules then are laid onto, and poses kept of each."""
UNLIKE = 0.3
"""Tanimoto of the nearest template below which templates say little: the pocket is searched (docking) and the
network asked. With a closer one neither gains (130 complexes); in an empty receptor both lose (Polaris)."""
CONFORMERS = (8, 12, 24)
"""Conformers made where none, one or two bonds and rings have a shape that no template shows."""
POSES_A_MAPPING = 40
"""Poses kept of each mapping of the query onto one template."""


def place_query(
    query: PreparedQuery,
    templates: Sequence[Template],
    settings: PredictionSettings,
    *,
    has_receptor: bool,
    extra: Sequence[Chem.Mol] = (),
) -> tuple[list[Placement], list[str]]:
    """Ask each source that has something to say; there is always at least one placement.

    Parameters
    ----------
    templates : sequence of Template
        Best first.
    has_receptor : bool
        Whether poses will be judged in a receptor, which tells good overlays from bad ones.
    extra : sequence of rdkit.Chem.Mol
        Poses that another program made, in the templates' frame.

    Returns
    -------
    placements : list of Placement
    notes : list of str
        What the user should know of how poses were made.
    """
    copied = templates[: settings.templates]
    query.make_at_most(conformers_needed(query, copied, settings.conformers))
    placements, notes = list(copied_cores(query, copied)), list[str]()
    theirs, left_out = extra_poses(query, extra)
    if left_out:
        notes.append(f"{left_out} of {len(extra)} extra poses left out: of another molecule than the query")
    others = [as_placed(templates[0], theirs, "extra")] if len(theirs) else []
    if not placements:
        notes.append("no template shares a core with the query: whole molecules were overlaid")
        placements = [overlay_whole(query, template, POSES_A_MAPPING) for template in copied]
        return placements + others, notes
    largest = max(template.core_size for template in copied)
    if has_receptor and largest < SMALL_CORE * query.mol.GetNumAtoms():
        # Too little is copied to tell where the rest lies; of whole molecules the pocket will tell.
        alike = sorted(
            templates[: settings.consensus],
            key=lambda template: -template.tanimoto * template.pocket_similarity,
        )
        placements += [overlay_whole(query, template, POSES_AN_OVERLAY) for template in alike[:OVERLAID]]
    return placements + others, notes


def conformers_needed(query: PreparedQuery, copied: Sequence[Template], most: int) -> int:
    """How many conformers the poses need, at most `most`, by what the largest core leaves open.

    Open are bonds that can turn and are not copied, and saturated rings, whose shape is never copied.
    """
    core = max((template.core for template in copied if template.core), key=len, default=None)
    if core is None or len(core) < SMALL_CORE * query.mol.GetNumAtoms():
        return most
    left_open = saturated_rings(query.mol) + sum(
        copied_torsion(query.mol, rotor.b, rotor.c, core.pairs) is None for rotor in query.free_rotors
    )
    return min(CONFORMERS[left_open], most) if left_open < len(CONFORMERS) else most


def extra_poses(query: PreparedQuery, extra: Sequence[Chem.Mol]) -> tuple[NDArray[np.float64], int]:
    """Coordinates of poses that another program made, in the order of the query's atoms.

    Returns
    -------
    xyz : array, shape (poses, atoms, 3)
        Angstrom.
    left_out : int
        Those whose heavy atoms are not bonded as the query's; bond orders and charges may differ, and a free
        molecule's pose is one of what it becomes as it bonds.
    """
    found = []
    pattern = skeleton(query.mol)
    made = is_made_by_bonding(query.mol)
    for pose in extra:
        mol = heavy(pose)
        for form in (mol, *(bonded_forms(mol) if made else ())):
            match = skeleton(form).GetSubstructMatch(pattern)
            if match and form.GetNumAtoms() == query.mol.GetNumAtoms():
                found.append(positions(form)[list(match)])
                break
    return np.array(found).reshape(-1, query.mol.GetNumAtoms(), 3), len(extra) - len(found)


def copied_cores(query: PreparedQuery, templates: Sequence[Template]) -> Iterator[Placement]:
    """Copy the core of each template, by every mapping that lays the query differently."""
    for template in templates:
        if template.core is not None:
            for core in mappings(template.core, query, template.mol):
                yield copy_core(query, template, core, POSES_A_MAPPING)
