"""Which receptor a target was posed in, by the name that its record has. Said here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from templ.chemistry.receptor import Receptor
from templ.chemistry.receptor_file import read_receptor
from templ.library.store import Library

OWN, NEAREST = "own", "nearest"
RECEPTORS = (OWN, NEAREST)
"""Which receptor targets are posed in, where that is no file: that of their own crystal (or of their group,
where all templates share a frame), or that of another crystal, which the program chooses."""
MOST_KEPT = 4
"""Receptors of files that are kept once they were read."""


class TargetReceptors:
    """Finds the receptor of a target: its own, another crystal's, the one of its group, or a file's.

    Parameters
    ----------
    templates : Library
    targets : Library, optional
        Whose ligands are the targets; None where queries are posed, which have no receptor of their own.
    files : sequence of Path
        Structures that every target is posed in: the one, or each of those of other names.
    """

    def __init__(
        self, templates: Library, targets: Library | None = None, files: Sequence[Path] = ()
    ) -> None:
        self._templates, self._targets, self._files = templates, targets, files
        self._read: dict[Path, Receptor] = {}

    def of(self, id: str, name: str = "") -> Receptor | None:
        """Receptor that a target was posed in, in its frame; None where there is none.

        `name` is that of its record; by default the receptor is the target's own, or the one of its group.
        """
        if self.is_other_crystal(id, name):
            return self._templates.receptor_of(name)
        path = self.file_of(id, name)
        if path is None:
            return self._own(id)
        if path not in self._read:
            if len(self._read) == MOST_KEPT:
                self._read.clear()
            self._read[path] = read_receptor(path)
        return self._read[path]

    def is_other_crystal(self, id: str, name: str) -> bool:
        """Whether the receptor of a target, by its name, is that of another crystal of the library."""
        own = "" if self._targets is None else id  # a query may have the name of a crystal
        return not self._files and self._templates.has_receptors and name not in ("", own)

    def file_of(self, id: str, name: str = "") -> Path | None:
        """Structure file that the target shares with others, of several that of this name; or None."""
        if self._files:
            return next((path for path in self._files if path.name == name), self._files[0])
        if self._templates.has_receptors:
            return None
        group = ""
        if self._targets is not None and id in self._targets:
            group = self._targets.entry(self._targets.row_of(id)).group
        return self._templates.receptor_path(group)

    def name_of(self, id: str) -> str:
        """Name of a target's receptor: of its file, or the target's own where it has its own."""
        path = self.file_of(id)
        return id if path is None else path.name

    def forget(self) -> None:
        """Drop what was read."""
        self._read.clear()

    def _own(self, id: str) -> Receptor | None:
        """Receptor of the target's own crystal, where the library has those."""
        if not self._templates.has_receptors or self._targets is None or id not in self._targets:
            return None
        return self._targets.receptor(self._targets.row_of(id))
