"""Work for the engine's benchmarks: nothing at all, predictions our way, and the original way.

What a prediction needs is imported where it is used: workers that do nothing are to stay as small as can be.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rdkit.Chem import Mol

    from templ.library.store import Library


def nothing(context: Mapping[str, Any]) -> Callable[[str], str]:
    """Return work that takes no time: the task's own name."""
    del context
    return str


def mapped(context: Mapping[str, Any]) -> Callable[[str], str]:
    """Return the prediction of a library's own ligand, the library mapped."""
    from templ.library.store import open_library

    return _predictions(open_library(context["library"]), context)


def original(context: Mapping[str, Any]) -> Callable[[str], str]:
    """Return the same prediction, every molecule of the library loaded into a list when the worker starts."""
    from templ.library.store import Library

    class LoadedLibrary(Library):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            mapped = super().ligand
            self._molecules = [mapped(row) for row in range(len(self))]

        def ligand(self, row: int) -> Mol:
            return self._molecules[row]

    return _predictions(LoadedLibrary(Path(context["library"])), context)


def _predictions(library: Library, context: Mapping[str, Any]) -> Callable[[str], str]:
    from templ.jobs.target import target_of
    from templ.pipeline import predict
    from templ.settings import PredictionSettings

    settings = PredictionSettings.model_validate(context.get("settings", {}))

    def work(id: str) -> str:
        target = target_of(library.entry(library.row_of(id)))
        return predict(target, library, settings).status

    return work
