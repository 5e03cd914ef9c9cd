"""The identity of a run: one digest over everything that decides its results, and nothing else.

Workers, memory and deadlines are left out: they decide how fast the results come, not what they are.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from templ.errors import RunError
from templ.pipeline import METHOD_VERSION
from templ.scoring.weights import weights_digest

DECIDING = ("templ", "rdkit", "numpy", "rustina")
"""Software that decides the poses: a run is not resumed under another version of it."""
ABSENT = "absent"
"""Version of what is not installed."""

DIGESTS = {
    "weights": "other fitted weights",
    "library": "another template library",
    "targets": "another list of targets or queries",
    "truth": "other crystals to judge by",
    "receptor": "another receptor or protein",
}
"""What is told by digest, and how to say that it differs."""


def software_versions() -> dict[str, str]:
    """Return the versions of TEMPL and of what decides its numbers; rustina may be absent."""
    return {name: _version("templ-pose" if name == "templ" else name) for name in DECIDING}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ABSENT


def software_here() -> dict[str, str]:
    """Return all of the software that decides poses: versions, and this program's own method and weights."""
    return {**software_versions(), "method": str(METHOD_VERSION), "weights": weights_digest()}


def refuse_other_software(expected: Mapping[str, str]) -> None:
    """Refuse to work for a run that was started with other software, as another machine may have it.

    Raises
    ------
    RunError
        When anything here is not as `software_here` said it where the run was started.
    """
    for name, here in software_here().items():
        if here != expected[name]:
            differs = f"{name} {here:.12} instead of {expected[name]:.12}"
            raise RunError(
                f"{platform.node()} has other software than the run was started with ({differs}): "
                "install the same on all machines"
            )


def list_digest(targets: Iterable[str]) -> str:
    """Digest of the ids of a run, in their order, which the results have too; read once, never held.

    Examples
    --------
    >>> list_digest(["ab", "c"]) == list_digest(["a", "bc"])
    False
    """
    digest = hashlib.sha256()
    for target in targets:
        digest.update(json.dumps(target).encode() + b"\n")
    return digest.hexdigest()


class Identity(BaseModel):
    """Everything that decides the results of a run; docs/formats.md describes the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method_version: int = METHOD_VERSION
    weights: str = Field(default_factory=weights_digest)
    versions: dict[str, str] = Field(default_factory=software_versions)
    settings: dict[str, JsonValue]
    rule: dict[str, JsonValue]
    library: str
    targets: str
    truth: str = ""
    receptor: str = ""
    site: str = ""
    validity: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal; JSON with sorted keys, floats as Python writes them in every locale."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def difference(self, other: Identity) -> str:
        """Name the first thing that differs, this one's -> the other's; empty when nothing does."""
        before, after = self.model_dump(mode="json"), other.model_dump(mode="json")
        for name in before:
            one, two = before[name], after[name]
            if isinstance(one, dict) and one != two:
                one, two = ({key: of.get(key, "absent") for key in {*one, *two}} for of in (one, two))
                inner = min(key for key in one if one[key] != two[key])
                name, one, two = f"{name}.{inner}", one[inner], two[inner]
            if one != two:
                return DIGESTS.get(name) or f"{name}: {one!r} -> {two!r}"
        return ""
