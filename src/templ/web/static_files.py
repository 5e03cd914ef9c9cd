"""What pages load beside themselves: scripts and styles, by fixed names."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from templ.pictures.viewer_script import read_viewer

STYLES = ("base.css", "viewer.css")
"""Of the report, which the app shares; so is its viewer."""


def static_files() -> dict[str, tuple[str, bytes]]:
    """Scripts and styles by name: those of the app, those it shares with the report, and 3Dmol.js."""
    kinds = {".css": "text/css", ".js": "text/javascript"}
    found = {"3dmol.js": ("text/javascript", read_viewer().encode())}
    report = files("templ.report") / "assets"
    for name in (*STYLES, "viewer.js"):
        found[name] = (kinds[Path(name).suffix], (report / name).read_bytes())
    for asset in (files("templ.web") / "assets").iterdir():
        if (suffix := Path(asset.name).suffix) in kinds:
            found[asset.name] = (kinds[suffix], asset.read_bytes())
    return found
