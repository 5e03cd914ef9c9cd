"""The shell that every page shares: one HTML text with its styles, scripts and data in it, asking no host."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from templ import __version__
from templ.disk import make_folder, replacing
from templ.errors import InputError
from templ.pictures.viewer_script import MISSING

if TYPE_CHECKING:
    from pathlib import Path

    from jinja2 import Environment


def render(name: str, **data: object) -> str:
    """Fill in a page.

    Parameters
    ----------
    name : str
        Template in ``assets``; it extends ``base.html.j2``.
    data : object
        What the template names. Text is escaped; a name that is not given is an error.

    Raises
    ------
    InputError
        When Jinja is not installed.
    """
    return environment_of("templ.report").get_template(name).render(data, version=__version__)


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all; its folder is made if need be.

    Raises
    ------
    StorageError
        When the disk refuses.
    """
    make_folder(path.parent)
    with replacing(path) as file:
        file.write(text.encode())


def angstrom(text: str) -> str:
    """Write the unit as a page does: text for terminals has an A.

    Examples
    --------
    >>> angstrom("run A: 2 A, first pose")
    'run A: 2 Å, first pose'
    """
    return re.sub(r"(\d) A\b", r"\1 Å", text)


@cache
def environment_of(package: str) -> Environment:
    """What fills in the templates in the folder ``assets`` of a package.

    Raises
    ------
    InputError
        When Jinja is not installed.
    """
    try:
        import jinja2
        import markupsafe
    except ImportError:
        raise InputError(MISSING.format(package="jinja2")) from None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "assets"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loader = environment.loader
    assert loader is not None

    def asset(name: str) -> markupsafe.Markup:
        """Style or script of ours, which goes in as it is."""
        return markupsafe.Markup(loader.get_source(environment, name)[0])

    environment.globals["asset"] = asset
    environment.filters["angstrom"] = angstrom
    return environment
