"""The script of the 3D viewer, 3Dmol.js (N. Rego, D. Koes, Bioinformatics 31 (2015) 1322), for pages.

No package on PyPI has it by itself. chemiscope carries it inside its own bundle, out of which it is taken
here: 0.55 of 3.2 MB. The rest would add styles of its own, which a page with a strict policy refuses.
"""

from __future__ import annotations

import base64
import gzip
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from templ.errors import InputError

MISSING = "a page needs {package}, which is not installed: pip install 'templ-pose[report]'"
PACKAGE, FILE = "chemiscope", "sphinx/static/chemiscope.min.js"
EXPORTS = "__nested_webpack_exports__="
"""What the module says where it ends; nothing else in the bundle does."""
START, END = "factory=", ",module.exports=factory()"
"""Around the function that makes 3Dmol."""


@cache
def read_viewer() -> str:
    """Read the script out of the package that has it; it defines ``$3Dmol``.

    Raises
    ------
    InputError
        When the package is not installed, cannot be read, or has no 3Dmol in it.
    """
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise InputError(MISSING.format(package=PACKAGE))
    path = Path(package.origin).parent / FILE
    try:
        bundle = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): pip install --force-reinstall 'templ-pose[report]'"
        ) from None
    inside = bundle.find(EXPORTS)
    start, end = bundle.rfind(START, 0, inside), bundle.find(END, inside)
    if min(inside, start, end) < 0:
        raise InputError(f"{path} has no 3Dmol.js in it as chemiscope 1.1 has: pip install chemiscope==1.1.0")
    return f"window.$3Dmol = ({bundle[start + len(START) : end]})();"


def pack(text: str) -> str:
    """Compress text for a page, as ``unpack`` of ``base.js`` reads it: gzip in base64.

    Examples
    --------
    >>> gzip.decompress(base64.b64decode(pack("a pose"))).decode()
    'a pose'
    """
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
