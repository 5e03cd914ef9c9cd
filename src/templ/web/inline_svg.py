"""SVG for pages that allow no inline style: what a style says is said by attributes instead."""

from __future__ import annotations

import re

_STYLE = re.compile(r"\bstyle=(['\"])(.*?)\1", re.DOTALL)
_FONT = re.compile(r"(?:(?P<weight>bold|\d00)\s+)?(?P<size>[\d.]+px)\s+.*", re.DOTALL)


def without_styles(svg: str) -> str:
    """Turn ``style`` attributes into presentation attributes, and drop style sheets.

    Examples
    --------
    >>> without_styles('<path style="fill:none;stroke:var(--core)"/>')
    '<path fill="none" stroke="var(--core)"/>'
    """
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    return _STYLE.sub(lambda found: " ".join(_attributes(found[2])), svg)


def _attributes(style: str) -> list[str]:
    made = []
    for declaration in style.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font" and (font := _FONT.fullmatch(value)):
            made.append(f'font-size="{font["size"]}"')
            made += [f'font-weight="{font["weight"]}"'] if font["weight"] else []
        elif name and value:
            plain = value.replace('"', "'")
            made.append(f'{name}="{plain}"')
    return made
