"""An executor in the tests' own process: no worker to start, and the last task first."""

from __future__ import annotations

import importlib

from templ.engine.executor import TaskResult


class InlineExecutor:
    def __str__(self):
        return "in this process"

    def run(self, work, tasks, on_memory=lambda sample: None):
        module, _, function = work.function.partition(":")
        perform = getattr(importlib.import_module(module), function)(work.context)
        on_memory(
            {
                "time": 1.0,
                "tree": 1,
                "available": 1,
                "workers": [1],
                "ended": 0,
                "action": "run",
                "reason": "",
            }
        )
        for task in reversed(list(tasks)):
            try:
                yield TaskResult(task, "done", perform(task), "", "", 0.25, 0.5, 2**20)
            except ValueError as error:
                text = " ".join(str(error).split())
                yield TaskResult(task, "error", None, f"ValueError: {text}", "perform")
