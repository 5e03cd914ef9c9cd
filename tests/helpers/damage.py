"""What disks, copies and editors make of the bytes of a file."""

from __future__ import annotations

import re

from hypothesis import strategies as st


@st.composite
def damaged(draw, data):
    """Bytes to which something happened, or nothing that can be seen."""
    start = draw(st.integers(0, len(data)))
    end = min(start + draw(st.integers(1, 5000)), len(data))
    before, after = data[:start], data[start:]
    how = draw(st.sampled_from(["flip", "cut", "lose", "zero", "insert", "double", "another digit"]))
    if how == "flip":
        return before + bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in after[:1]) + after[1:]
    if how == "insert":
        return before + draw(st.binary(min_size=1, max_size=40)) + after
    if how == "another digit":
        return before + re.sub(rb"\d", lambda digit: bytes([digit[0][0] ^ 1]), after, count=1)
    return {
        "cut": before,
        "lose": before + data[end:],
        "zero": before + bytes(end - start) + data[end:],
        "double": data[:end] + after,
    }[how]
