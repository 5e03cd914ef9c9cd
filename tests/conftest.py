"""What many tests need: the demo library, built once, and the shared data where they are there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import hypothesis
import pytest

from templ.engine import probe
from templ.library.build import build_library
from templ.library.store import open_library
from templ.sources.demo import DEMO_DATE_PROPERTY, demo_files
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf

collect_ignore = ["helpers"]
"""Modules that workers and programs of the tests import by themselves; no tests in them."""

SHARED = Path(__file__).parents[2] / "shared"

# A shell that runs the suite in the background has it ignore Ctrl-C, and what it starts would as well.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about the machine, and what else it does, than about the code.
hypothesis.settings.register_profile(
    "templ", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("templ")


def pytest_make_parametrize_id(val):
    """Name bytes by their number: gzip puts the time of day into them, and xdist's workers must agree."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


def pytest_collection_modifyitems(config, items):
    """Leave out what takes minutes, unless marks or tests are chosen."""
    if config.option.markexpr or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


@pytest.fixture(scope="session")
def running():
    """``with running(command, **options) as process``: in a session of its own that ends with the block.

    A `subprocess.Popen` in its place would wait for ever for a process that goes on when the test has failed.
    """

    @contextlib.contextmanager
    def run(command, **options):
        process = subprocess.Popen([*map(str, command)], text=True, start_new_session=True, **options)
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with process:  # closes its pipes
                pass

    return run


@pytest.fixture(scope="session")
def helpers():
    """The folder of modules that workers and programs of the tests import."""
    return Path(__file__).parent / "helpers"


@pytest.fixture
def engine_work(monkeypatch, helpers):
    """Name of the work of which each task is something that can happen in a worker."""
    monkeypatch.syspath_prepend(helpers)
    return "engine_work:open_work"


@pytest.fixture
def calm(monkeypatch):
    """A machine on which nobody else takes memory, so that the governor sees the run alone."""
    monkeypatch.setattr(probe, "available_memory", lambda: 2**36)
    monkeypatch.setattr(probe, "memory_limit", lambda: 2**36)


@pytest.fixture(scope="session")
def demo_path(tmp_path_factory):
    """The demo ligands as a library with their receptor."""
    out = tmp_path_factory.mktemp("demo") / "mpro.templ"
    demo, ledger = demo_files(), Ledger()
    entries = read_sdf(demo.ligands, ledger, date_property=DEMO_DATE_PROPERTY)
    build_library(out, entries, ledger=ledger, receptors={"": demo.receptor})
    assert ledger.total == 0
    return out


@pytest.fixture(scope="session")
def demo_library(demo_path):
    with open_library(demo_path) as library:
        yield library


@pytest.fixture(scope="session")
def shared():
    """The folder of shared data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside this checkout")
    return SHARED
