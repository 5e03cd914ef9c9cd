"""Checksums that find rot and edits in what was written.

CRC-32: every change of a few bits is found, any other but one in four thousand million, at 2 GB a second.
They are no protection against somebody who forges both the data and the checksum.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

CHECKSUM: Final = "checksum"
"""Name of the field that holds the checksum of the others."""


def checksum(data: bytes | memoryview) -> str:
    """CRC-32 as eight hexadecimal digits.

    Examples
    --------
    >>> checksum(b"CC(=O)Nc1cnccc1C")
    '8187bc67'
    """
    return f"{zlib.crc32(data):08x}"


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """Add the checksum of a JSON object to it, whatever the order of its keys.

    Examples
    --------
    >>> with_checksum({"targets": 144})
    {'targets': 144, 'checksum': 'c34eb85d'}
    """
    return {**content, CHECKSUM: _of_fields(content)}


def checksum_agrees(content: Mapping[str, Any]) -> bool:
    """Tell whether a JSON object is as `with_checksum` made it."""
    return content.get(CHECKSUM) == _of_fields(content)


def _of_fields(content: Mapping[str, Any]) -> str:
    fields = {name: value for name, value in content.items() if name != CHECKSUM}
    return checksum(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())
