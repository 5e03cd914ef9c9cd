"""The sources of poses, all through one interface: query and templates in, placements out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from templ.chemistry.conformers import PreparedQuery
from templ.sampling.core_copying import copy_core
from templ.sampling.overlay import overlay_whole
from templ.sampling.placement import Placement
from templ.settings import PredictionSettings
from templ.templates.mcs import mappings
from templ.templates.screening import Template

SMALL_CORE = 0.5
"""Share of the query below which a core does not tell where the rest lies."""
OVERLAID, POSES_AN_OVERLAY = 3, 15
"""Templates that whole molecules then are laid onto, and poses kept of each."""
POSES_A_MAPPING = 40
"""Poses kept of each mapping of the query onto one template."""


def place_query(
    query: PreparedQuery, templates: Sequence[Template], settings: PredictionSettings, *, has_receptor: bool
) -> tuple[list[Placement], list[str]]:
    """Ask each source that has something to say; there is always at least one placement.

    Parameters
    ----------
    templates : sequence of Template
        Best first.
    has_receptor : bool
        Whether poses will be judged in a receptor, which tells good overlays from bad ones.

    Returns
    -------
    placements : list of Placement
    notes : list of str
        What the user should know of how poses were made.
    """
    copied = templates[: settings.templates]
    placements = list(copied_cores(query, copied))
    if not placements:
        note = "no template shares a core with the query: whole molecules were overlaid"
        return [overlay_whole(query, template, POSES_A_MAPPING) for template in copied], [note]
    largest = max(template.core_size for template in copied)
    if has_receptor and largest < SMALL_CORE * query.mol.GetNumAtoms():
        # Too little is copied to tell where the rest lies; of whole molecules the pocket will tell.
        alike = sorted(
            templates[: settings.consensus],
            key=lambda template: -template.tanimoto * template.pocket_similarity,
        )
        placements += [overlay_whole(query, template, POSES_AN_OVERLAY) for template in alike[:OVERLAID]]
    return placements, []


def copied_cores(query: PreparedQuery, templates: Sequence[Template]) -> Iterator[Placement]:
    """Copy the core of each template, by every mapping that lays the query differently."""
    for template in templates:
        if template.core is not None:
            for core in mappings(template.core, query, template.mol):
                yield copy_core(query, template, core, POSES_A_MAPPING)
