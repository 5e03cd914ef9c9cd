"""Small drawings of molecules, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable

from rdkit.Chem import Mol, rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from templ.chemistry.molecules import heavy, quiet_rdkit

WIDTH, HEIGHT = 320, 200
"""Pixels."""


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
