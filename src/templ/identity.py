"""The identity of a run: one digest over everything that decides its results, and nothing else.

Workers, memory and deadlines are left out: they decide how fast the results come, not what they are.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from templ.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

IDENTITY_VERSION = 1
"""Goes into the digest; raise it when the same settings come to mean other results."""


def identity_digest(
    *, settings: Mapping[str, Any], library: str, targets: Iterable[str], rule: Mapping[str, Any]
) -> str:
    """Digest what decides the results of a run.

    Parameters
    ----------
    settings : Mapping
        Settings of the prediction, as JSON values.
    library : str
        Digest of the library's content.
    targets : Iterable of str
        Target ids in their order, which the results have too; read once, never held.
    rule : Mapping
        Which templates a target may use, as JSON values.

    Returns
    -------
    str
        64 hexadecimal digits (SHA-256).

    Raises
    ------
    InputError
        When a setting is no JSON value (NaN, a path, an array).

    Examples
    --------
    >>> first = identity_digest(settings={"seed": 1, "top": 5}, library="9f", targets=["a", "b"], rule={})
    >>> first == identity_digest(settings={"top": 5, "seed": 1}, library="9f", targets=["a", "b"], rule={})
    True
    >>> first == identity_digest(settings={"top": 5, "seed": 2}, library="9f", targets=["a", "b"], rule={})
    False
    """
    head = {"version": IDENTITY_VERSION, "settings": settings, "library": library, "rule": rule}
    digest = hashlib.sha256(_canonical(head))
    for target in targets:
        digest.update(_canonical(target))
    return digest.hexdigest()


def _canonical(value: object) -> bytes:
    """JSON with sorted keys on one line of ASCII; Python writes floats as repr does, in every locale."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the settings of a run must be plain JSON values ({error})") from error
    return text.encode("ascii") + b"\n"
