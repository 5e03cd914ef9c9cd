"""Work for the engine's benchmarks: nothing at all, our way, and the original way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from templ.benchmark.definition import target_of
from templ.library.store import Library, open_library
from templ.pipeline import predict
from templ.settings import PredictionSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from rdkit.Chem import Mol


class LoadedLibrary(Library):
    """The original way: every process holds every molecule, as a list made when it starts."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._molecules = [super(LoadedLibrary, self).ligand(row) for row in range(len(self))]

    def ligand(self, row: int) -> Mol:
        """Take a molecule from the list."""
        return self._molecules[row]


def nothing(context: Mapping[str, Any]) -> Callable[[str], str]:
    """Return work that takes no time: the task's own name."""
    del context
    return str


def mapped(context: Mapping[str, Any]) -> Callable[[str], str]:
    """Return the prediction of a library's own ligand, the library mapped."""
    return _predictions(open_library(context["library"]), context)


def original(context: Mapping[str, Any]) -> Callable[[str], str]:
    """Return the same prediction, the library loaded."""
    from pathlib import Path

    return _predictions(LoadedLibrary(Path(context["library"])), context)


def _predictions(library: Library, context: Mapping[str, Any]) -> Callable[[str], str]:
    settings = PredictionSettings.model_validate(context.get("settings", {}))

    def work(id: str) -> str:
        target = target_of(library.entry(library.row_of(id)))
        return predict(target, library, settings).status

    return work
