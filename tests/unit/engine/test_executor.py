from __future__ import annotations

from pathlib import Path

import pytest

import templ
from templ.engine.executor import choose_executor
from templ.errors import BudgetError
from templ.settings import RunSettings

SOURCE = Path(templ.__file__).parent
OF_ONE_EXECUTOR = ("engine.local", "engine.pool", "engine.worker", "engine.governor")


def test_nothing_outside_the_engine_knows_which_executor_runs():
    outside = [path for path in SOURCE.rglob("*.py") if path.parent != SOURCE / "engine"]
    assert len(outside) > 50
    knowing = [
        (path.name, name) for path in outside for name in OF_ONE_EXECUTOR if name in path.read_text("utf-8")
    ]
    assert knowing == []


def test_the_settings_of_the_machine_are_kept():
    executor = choose_executor(RunSettings(workers=3, memory=2**30), tasks=2)
    assert str(executor).startswith("up to 2 workers, 1.0 GiB of memory for all")


def test_too_little_memory_is_said_before_anything_starts():
    with pytest.raises(BudgetError, match="not enough for a run"):
        choose_executor(RunSettings(memory=2**20))
