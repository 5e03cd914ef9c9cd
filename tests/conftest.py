"""What many tests need: the demo library, built once, and the shared data where they are there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from pathlib import Path

import hypothesis
import pytest

from templ.chemistry.components import write_dictionary
from templ.engine import probe
from templ.library.build import build_library
from templ.library.store import open_library
from templ.sources.demo import DEMO_DATE_PROPERTY, DEMO_SETS, demo_files
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf
from templ.sources.structure_files import BondOrders, read_structure

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
def once(tmp_path_factory):
    """``once(name, make)``: a folder that one of the tests' processes makes, for all of them to read."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name, make):
        folder, mark = base / f"once-{name}", base / f"once-{name}.made"
        with (base / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not mark.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
                folder.mkdir()
                make(folder)
                mark.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def demo_path(once):
    """The demo ligands as a library with their receptor."""

    def make(folder):
        demo, ledger = demo_files(), Ledger()
        entries = read_sdf(demo.ligands, ledger, date_property=DEMO_DATE_PROPERTY)
        build_library(folder / "mpro.templ", entries, ledger=ledger, receptors={"": demo.receptor})
        assert ledger.total == 0

    return once("demo", make) / "mpro.templ"


@pytest.fixture(scope="session")
def fast_benchmark(once, demo_path):
    """File of a benchmark of the demo ligands, whose targets take a tenth of those of ``demo-mpro``."""
    text = f"""
library = "{demo_path}"
first_date = 2020-06-01
[rule]
before_date = true
[settings]
conformers = 5
screened = 5
templates = 3
minimised = 10
rounds = 0
top = 2
"""
    return once("benchmark", lambda folder: (folder / "fast.toml").write_text(text)) / "fast.toml"


@pytest.fixture(scope="session")
def kinase_path(once):
    """Six crystals of CDK2 as a library, each with its own receptor."""

    def make(folder):
        files, entries = dict(DEMO_SETS["structures"]()), []
        for name in ("1ke7.cif", "3igg.cif", "2r3o.cif", "3qtw.cif", "3r9n.pdb", "4ez3.cif"):
            (folder / name).write_bytes(files[name])
            entries += read_structure(folder / name, BondOrders(), Ledger())
        build_library(folder / "kinase.templ", entries, complexes=True)

    return once("kinase", make) / "kinase.templ"


@pytest.fixture(scope="session")
def kinase_library(kinase_path):
    with open_library(kinase_path) as library:
        yield library


@pytest.fixture(scope="session")
def components(once):
    """Where the component dictionary is, heavy atoms only."""
    return once("components", write_dictionary)


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
