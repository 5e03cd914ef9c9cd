"""Molecules as a notebook shows them: drawn, and in 3D where the viewer is installed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from rdkit import Chem
from rdkit.Chem import Mol, rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from templ.chemistry.molecules import heavy, quiet_rdkit
from templ.errors import InputError
from templ.pictures.viewer_script import pack, read_viewer

WIDTH, HEIGHT = 320, 200
"""Pixels, of a drawing."""
VIEW_HEIGHT = 320
"""Pixels, of a 3D view, which is as wide as the notebook lets it."""
FIRST, OTHERS = {"color": "#0072b2", "radius": 0.2}, {"color": "#8fbcd9", "radius": 0.06}
"""Carbons and sticks, Angstrom, of the first pose and of those after it, as in the web app."""


def picture(mol: Mol, marked: Iterable[int] = ()) -> str:
    """Draw a molecule in two dimensions as SVG, without hydrogens, some heavy atoms marked."""
    with quiet_rdkit():
        flat = heavy(mol)
        rdDepictor.Compute2DCoords(flat)
        drawer = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT)
        rdMolDraw2D.PrepareAndDrawMolecule(drawer, flat, highlightAtoms=list(marked))
        drawer.FinishDrawing()
    text: str = drawer.GetDrawingText()
    return text[text.index("<svg") :]


def view(poses: Sequence[Mol]) -> str:
    """Show poses in 3D, the first one thick, as an HTML frame that has all in it: some 0.2 MB.

    Returns
    -------
    str
        Empty where there is nothing to show, or the viewer is not installed (extra ``report`` or ``web``).
    """
    try:
        viewer = _packed_viewer()
    except InputError:
        return ""
    if not poses:
        return ""
    shown = [
        {"block": Chem.MolToMolBlock(heavy(pose)), **(OTHERS if number else FIRST)}
        for number, pose in enumerate(poses)
    ]
    # In a script "<" would be the beginning of whatever the name of a molecule says.
    page = (files("templ.pictures") / "notebook_view.html").read_text(encoding="utf-8")
    page = page.replace("@VIEWER@", viewer).replace("@POSES@", json.dumps(shown).replace("<", "\\u003c"))
    return (
        f'<iframe srcdoc="{escape(page)}" title="poses in 3D" sandbox="allow-scripts" '
        f'style="width: 100%; max-width: 42rem; height: {VIEW_HEIGHT}px; border: 1px solid #888"></iframe>'
    )


@cache
def _packed_viewer() -> str:
    return pack(read_viewer())
