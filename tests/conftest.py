"""What many tests need: the demo library, built once, and the shared data where they are there."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from templ.library.build import build_library
from templ.library.store import open_library
from templ.sources.demo import DEMO_DATE_PROPERTY, demo_files
from templ.sources.ledger import Ledger
from templ.sources.sdf import read_sdf

SHARED = Path(__file__).parents[2] / "shared"

# A shell that runs the suite in the background has it ignore Ctrl-C, and what it starts would as well.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
