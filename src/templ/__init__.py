"""TEMPL predicts how a small molecule binds by copying co-crystal templates.

The names below are the public interface; each loads what it needs when it is first used.

Examples
--------
>>> import templ
>>> with templ.open_library("mpro.templ") as library:            # doctest: +SKIP
...     outcome = templ.predict("CC(=O)Nc1cnccc1C", library)
...     outcome.poses[0].template_id
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from templ.batch import predict_queries as predict_queries
    from templ.benchmark.builtin import find_benchmark as find_benchmark
    from templ.benchmark.compare import compare_runs as compare_runs
    from templ.benchmark.run import run_benchmark as run_benchmark
    from templ.errors import TemplError as TemplError
    from templ.export.write import export_run as export_run
    from templ.library.build import build_library as build_library
    from templ.library.store import Library as Library
    from templ.library.store import open_library as open_library
    from templ.pipeline import predict as predict
    from templ.receptor import read_receptor as read_receptor
    from templ.records import Outcome as Outcome
    from templ.records import Pose as Pose
    from templ.records import Target as Target
    from templ.report.build import write_report as write_report
    from templ.settings import PredictionSettings as PredictionSettings
    from templ.settings import RunSettings as RunSettings
    from templ.sources.splits import TemplateRule as TemplateRule

__version__ = "0.1.0"

_HOME = {
    "Library": "templ.library.store",
    "Outcome": "templ.records",
    "Pose": "templ.records",
    "PredictionSettings": "templ.settings",
    "RunSettings": "templ.settings",
    "Target": "templ.records",
    "TemplError": "templ.errors",
    "TemplateRule": "templ.sources.splits",
    "build_library": "templ.library.build",
    "compare_runs": "templ.benchmark.compare",
    "export_run": "templ.export.write",
    "find_benchmark": "templ.benchmark.builtin",
    "open_library": "templ.library.store",
    "predict": "templ.pipeline",
    "predict_queries": "templ.batch",
    "read_receptor": "templ.receptor",
    "run_benchmark": "templ.benchmark.run",
    "write_report": "templ.report.build",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module 'templ' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
