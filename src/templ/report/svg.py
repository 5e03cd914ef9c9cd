"""Figures of matplotlib as SVG that takes its colours and its type from the page."""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALL = (5.0, 3.5)
WIDTH = 5.8
"""Inches: of a plot that shares its line with another, and of one that has it."""

INK, GOOD, OTHER, BAD, QUIET = "#000101", "#000102", "#000103", "#000104", "#000105"
"""What is drawn with; the page says which colours these are (`to_svg`)."""
_PAGE = {INK: "currentColor", GOOD: "var(--good)", OTHER: "var(--other)", BAD: "var(--bad)"}
_PAGE |= {QUIET: "var(--quiet)", "#000000": "currentColor"}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: to select, to search, and for the page to set
    "svg.hashsalt": "templ",
    "text.parse_math": False,  # a dollar in the name of a group is a dollar
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}


def make_figure(width: float, height: float, *, rows: int = 1) -> tuple[Figure, Any]:
    """Make a figure, inches, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, sharex=True)


def to_svg(figure: Figure, name: str) -> str:
    """Write a figure for the page: no prolog, no colours of its own, names that no other plot has."""
    text = StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|<use xlink:href="#)', rf"\g<1>{name}-", svg)
    svg = svg.replace(' target="_blank"', "")  # a point leads to its row in this page, not to another tab
    return re.sub("#000[01][0-9a-f]{2}", lambda ink: _PAGE.get(ink[0], ink[0]), svg)
