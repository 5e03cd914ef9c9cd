"""Which receptor a target binds to: its own, or the one that its group shares. Said here and nowhere else."""

from __future__ import annotations

from pathlib import Path

from templ.chemistry.receptor import Receptor
from templ.chemistry.receptor_file import read_receptor
from templ.library.store import Library

MOST_KEPT = 4
"""Receptors of groups that are kept once they were read."""


class TargetReceptors:
    """Finds the receptor of a target; where templates have receptors of their own, so have the targets."""

    def __init__(self, templates: Library, targets: Library) -> None:
        self._templates, self._targets = templates, targets
        self._read: dict[Path, Receptor] = {}

    def of(self, id: str) -> Receptor | None:
        """Receptor of a target, in its frame; None where there is none."""
        if self._templates.has_receptors:
            return self._targets.receptor(self._targets.row_of(id))
        path = self.file_of(id)
        if path is None:
            return None
        if path not in self._read:
            if len(self._read) == MOST_KEPT:
                self._read.clear()
            self._read[path] = read_receptor(path)
        return self._read[path]

    def file_of(self, id: str) -> Path | None:
        """Gzipped PDB file that the target's whole group shares; None where it has its own, or none."""
        if self._templates.has_receptors:
            return None
        group = self._targets.entry(self._targets.row_of(id)).group if id in self._targets else ""
        return self._templates.receptor_path(group)

    def name_of(self, id: str) -> str:
        """Name of a target's receptor: of its file, or the target's own where it has its own."""
        path = self.file_of(id)
        return id if path is None else path.name

    def forget(self) -> None:
        """Drop what was read."""
        self._read.clear()
