"""What `templ serve` refuses before it listens, and that it listens once it says so."""

from __future__ import annotations

import shutil
import socket
import sys

import pytest
from typer.testing import CliRunner
from web_app import start, stop

from templ.cli import app
from templ.disk import locked
from templ.errors import RunError


def refusal(*words):
    shown = CliRunner().invoke(app, ["serve", *map(str, words)])
    assert shown.exit_code != 0
    return str(shown.exception)


def test_nothing_to_serve(tmp_path):
    assert "name a template library" in refusal("--folder", tmp_path)


def test_what_is_neither_library_nor_run(tmp_path, demo_path):
    folder = ("--folder", tmp_path / "web")
    assert "nowhere" in refusal("nowhere.templ", *folder)
    assert "expected the folder of one" in refusal(demo_path, "--run", tmp_path, *folder)


def test_two_of_one_name(tmp_path, demo_path):
    shutil.copytree(demo_path, tmp_path / demo_path.name)
    assert "rename one" in refusal(demo_path, tmp_path / demo_path.name, "--folder", tmp_path / "web")


def test_the_demo_beside_a_library_that_its_user_made_of_it(tmp_path, demo_path):
    """`templ demo mpro` says how. No job is begun where the server cannot listen."""
    assert demo_path.name == "mpro.templ"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = (demo_path, "--demo", "--folder", tmp_path / "web", "--port", port)
        assert "choose another, or --port 0" in refusal(*words)
    assert list((tmp_path / "web" / "jobs").iterdir()) == []


def test_a_port_that_is_taken(tmp_path, demo_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert "choose another, or --port 0" in refusal(demo_path, "--folder", tmp_path, "--port", port)


def test_a_folder_that_is_served_already(tmp_path, demo_path):
    with locked(tmp_path / "serve.lock", lambda holder: RunError(holder)):
        assert "is served by process" in refusal(demo_path, "--folder", tmp_path)


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'templ-pose[web]'" in refusal("--demo", "--folder", tmp_path)


@pytest.mark.parametrize("port", ["-1", "70000", "http"])
def test_no_port(tmp_path, port):
    assert CliRunner().invoke(app, ["serve", "--folder", str(tmp_path), "--port", port]).exit_code == 2


def test_the_address_can_be_opened_as_soon_as_it_is_said(tmp_path, demo_path):
    served = start(tmp_path, demo_path)
    try:
        status, page = served.ask(f"/?token={served.token}")
        assert status in (200, 303), page
    finally:
        stop(served)
