"""The notebook of the documents runs, and what it shows is there to be seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
nbformat.write(notebook, "done.ipynb")
"""

pytestmark = pytest.mark.skipif(not NOTEBOOK.is_file(), reason="the documents are not beside the tests")


def test_it_has_no_outputs_and_is_small():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all((cell["outputs"], cell["execution_count"]) == ([], None) for cell in code)
    assert NOTEBOOK.stat().st_size < 10_000


@pytest.mark.slow
def test_it_runs_and_shows_molecules(tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    words = [sys.executable, "-c", EXECUTE, str(NOTEBOOK)]
    done = subprocess.run(
        words, cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads((tmp_path / "done.ipynb").read_text(encoding="utf-8"))["cells"]
    shown = {}
    for cell in cells:
        for output in cell.get("outputs", []):
            page = "".join(output.get("data", {}).get("text/html", ""))
            if page:
                shown["".join(cell["source"]).split("\n")[-1]] = page
    assert list(shown) == ["library", "outcome", "pose", "doubtful", "run"]
    assert "<caption>" in shown["library"]
    for name in ("outcome", "pose", "doubtful"):
        assert shown[name].count("<svg") == shown[name].count("<iframe") == 1
    assert "likely right" in shown["outcome"]
    assert "unsupported-element" in shown["run"]
    assert shown["run"].count("<iframe") == 1
