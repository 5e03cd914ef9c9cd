"""Hooks of mkdocs.yml: the figures of benchmarks/ are a page of the site, and stay where they are made.

Links between them and the documents are written for the repository, where docs/ is a folder of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
FIGURES = "benchmarks/README.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of figures and its pictures."""
    for path in (ROOT / FIGURES, *(ROOT / "benchmarks/results").glob("*.png")):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn links from the repository's layout to the site's."""
    if page.file.src_uri == FIGURES:
        return markdown.replace("](../docs/", "](../")
    return markdown.replace("](../benchmarks/", "](benchmarks/")
