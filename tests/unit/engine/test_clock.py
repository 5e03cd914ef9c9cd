from __future__ import annotations

import time

from templ.engine.clock import LONGEST_GAP_S, Clock


def test_time_in_which_nobody_looked_is_not_counted(monkeypatch):
    """A run that was stopped for 200 s, by Ctrl-Z or a scheduler, has not had these 200 s."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = Clock()
    for step, counted in ((1.0, 1.0), (0.5, 1.5), (200.0, 1.5 + LONGEST_GAP_S), (1.0, 2.5 + LONGEST_GAP_S)):
        now += step
        assert clock() == counted
