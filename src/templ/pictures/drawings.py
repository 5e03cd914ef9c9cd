"""Two-dimensional drawings of a query and its template, aligned alike, with what they share marked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rdkit import Chem
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D
from rdkit.Geometry import Point2D

from templ.chemistry.molecules import parse_smiles, quiet_rdkit
from templ.errors import InputError

SCALE = 24.0
"""Pixels a bond length: the same in every drawing, so that two can be compared."""

SPOT = 0.36 * SCALE
"""Pixels, radius of a spot: no two overlap by much."""

_INKS = {6: "currentColor", 7: "--nitrogen", 8: "--oxygen", 16: "--sulfur", 15: "--sulfur"}
_INKS |= dict.fromkeys((9, 17, 35, 53), "--halogen")
_CORE = 255
"""The highlight goes through RDKit as a colour like those of the elements; no element has this number."""


def draw_pair(
    query: Chem.Mol, template: Chem.Mol, core: Sequence[tuple[int, int]], *, spots: bool = False
) -> tuple[str, str]:
    """Draw a query and its template, without hydrogens, as SVG.

    The core, atoms of query and template that lie on each other, is drawn alike and marked in both. With
    `spots` each atom has a circle of class ``spot`` around it, not to be seen, that says in ``data-atom``
    which it is.
    """
    with quiet_rdkit():
        query, template = Chem.Mol(query), Chem.Mol(template)
        rdDepictor.Compute2DCoords(template)
        rdDepictor.StraightenDepiction(template)
        flat = template.GetConformer()
        # Pieces that are not bonded to each other may lie otherwise in the two: the largest one decides.
        onto = {atom: Point2D(flat.GetAtomPosition(other)) for atom, other in _largest_piece(query, core)}
        rdDepictor.Compute2DCoords(query, coordMap=onto)
        return _svg(query, [a for a, _ in core], spots=spots), _svg(template, [b for _, b in core])


def draw(mol: Chem.Mol, *, spots: bool = False) -> str:
    """Draw a molecule as SVG; `spots` as in `draw_pair`."""
    with quiet_rdkit():
        mol = Chem.Mol(mol)
        rdDepictor.Compute2DCoords(mol)
        rdDepictor.StraightenDepiction(mol)
        return _svg(mol, [], spots=spots)


def draw_smiles(smiles: str) -> str:
    """Draw a SMILES as SVG; empty where it cannot be read."""
    try:
        return draw(parse_smiles(smiles))
    except InputError:
        return ""


def _largest_piece(mol: Chem.Mol, core: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Atoms of the core that hang together in `mol`: the largest such group."""
    left = dict(core)
    largest: list[tuple[int, int]] = []
    while left:
        piece = [left.popitem()]
        for atom, _ in piece:
            near = [neighbour.GetIdx() for neighbour in mol.GetAtomWithIdx(atom).GetNeighbors()]
            piece += [(other, left.pop(other)) for other in near if other in left]
        largest = max(largest, piece, key=len)
    return largest


def _svg(mol: Chem.Mol, marked: list[int], *, spots: bool = False) -> str:
    drawer = rdMolDraw2D.MolDraw2DSVG(-1, -1)
    options = drawer.drawOptions()
    options.clearBackground = False
    options.scalingFactor = SCALE
    options.fixedFontSize = 13
    options.bondLineWidth = 1.4
    options.padding = 0.04
    options.highlightRadius = 0.32
    options.fillHighlights = True
    options.standardColoursForHighlightedAtoms = True
    options.setHighlightColour(_colour(_CORE))
    options.updateAtomPalette({element: _colour(element) for element in (-1, *_INKS)})
    inside = set(marked)
    bonds = [
        bond.GetIdx() for bond in mol.GetBonds() if {bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()} <= inside
    ]
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, mol, highlightAtoms=marked, highlightBonds=bonds)
    drawer.FinishDrawing()
    svg = _in_page_colours(drawer.GetDrawingText())
    return svg if not spots else svg.replace("</svg>", f"{_spots(drawer, mol)}</svg>")


def _spots(drawer: rdMolDraw2D.MolDraw2DSVG, mol: Chem.Mol) -> str:
    centres = [drawer.GetDrawCoords(atom.GetIdx()) for atom in mol.GetAtoms()]
    return "".join(
        f'<circle class="spot" data-atom="{atom}" cx="{centre.x:.1f}" cy="{centre.y:.1f}" r="{SPOT:g}" '
        'fill="transparent"/>'
        for atom, centre in enumerate(centres)
    )


def _colour(element: int) -> tuple[float, float, float]:
    """Colour by which an element is known until the page gives it its own."""
    return (1 / 255, 2 / 255, max(element, 0) / 255)


def _in_page_colours(svg: str) -> str:
    """Leave the colours to the page, which has them for light, dark and print."""
    svg = svg[svg.index("<svg") :]

    def ink(found: re.Match[str]) -> str:
        name = "--core" if int(found[1], 16) == _CORE else _INKS.get(int(found[1], 16), "currentColor")
        return f"var({name})" if name.startswith("--") else name

    return re.sub("#0102([0-9A-Fa-f]{2})", ink, svg)
