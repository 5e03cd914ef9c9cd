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
    from templ.benchmark.builtin import find_benchmark as find_benchmark
    from templ.benchmark.compare_runs import compare_runs as compare_runs
    from templ.benchmark.definition import Benchmark as Benchmark
    from templ.benchmark.runner import RunOptions as RunOptions
    from templ.benchmark.runner import run_benchmark as run_benchmark
    from templ.chemistry.receptor_file import read_receptor as read_receptor
    from templ.engine.executor import Executor as Executor
    from templ.engine.executor import choose_executor as choose_executor
    from templ.errors import TemplError as TemplError
    from templ.evaluation.pose_scores import PoseScore as PoseScore
    from templ.evaluation.pose_scores import score_poses as score_poses
    from templ.evaluation.run import Run as Run
    from templ.evaluation.run import load_run as load_run
    from templ.export.run_export import export_run as export_run
    from templ.export.series import export_series as export_series
    from templ.export.session_scripts import export_session as export_session
    from templ.jobs.binding_site import BindingSite as BindingSite
    from templ.jobs.library_part import build_complexes as build_complexes
    from templ.jobs.library_part import build_structures as build_structures
    from templ.jobs.query_run import predict_queries as predict_queries
    from templ.library.build import build_library as build_library
    from templ.library.build import merge_libraries as merge_libraries
    from templ.library.store import Library as Library
    from templ.library.store import open_library as open_library
    from templ.pipeline import predict as predict
    from templ.records import Outcome as Outcome
    from templ.records import Pose as Pose
    from templ.records import Target as Target
    from templ.report.run_report import write_report as write_report
    from templ.runs.record import Record as Record
    from templ.settings import PredictionSettings as PredictionSettings
    from templ.settings import RunSettings as RunSettings
    from templ.sources.ledger import Ledger as Ledger
    from templ.sources.queries import QueryReference as QueryReference
    from templ.sources.queries import TableColumns as TableColumns
    from templ.sources.queries import read_queries as read_queries
    from templ.sources.sdf import read_sdf as read_sdf
    from templ.templates.rule import TemplateRule as TemplateRule

__version__ = "0.1.0"

_NAMES = {
    "benchmark.builtin": ("find_benchmark",),
    "benchmark.compare_runs": ("compare_runs",),
    "benchmark.definition": ("Benchmark",),
    "benchmark.runner": ("RunOptions", "run_benchmark"),
    "chemistry.receptor_file": ("read_receptor",),
    "engine.executor": ("Executor", "choose_executor"),
    "errors": ("TemplError",),
    "evaluation.pose_scores": ("PoseScore", "score_poses"),
    "evaluation.run": ("Run", "load_run"),
    "export.run_export": ("export_run",),
    "export.series": ("export_series",),
    "export.session_scripts": ("export_session",),
    "jobs.library_part": ("build_complexes", "build_structures"),
    "jobs.query_run": ("BindingSite", "predict_queries"),
    "library.build": ("build_library", "merge_libraries"),
    "library.store": ("Library", "open_library"),
    "pipeline": ("predict",),
    "records": ("Outcome", "Pose", "Target"),
    "report.run_report": ("write_report",),
    "runs.record": ("Record",),
    "settings": ("PredictionSettings", "RunSettings"),
    "sources.ledger": ("Ledger",),
    "sources.queries": ("QueryReference", "TableColumns", "read_queries"),
    "sources.sdf": ("read_sdf",),
    "templates.rule": ("TemplateRule",),
}
_HOME = {name: f"templ.{module}" for module, names in _NAMES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module 'templ' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
