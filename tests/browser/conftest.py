"""A page of a small run, opened from disk in a browser that tells what goes wrong in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SOFTWARE_GL = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
HOSTILE = "</script><script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">"


@pytest.fixture(scope="session")
def page_path(tmp_path_factory):
    """The page of a run of eight targets, one of which failed in a nasty way."""
    folder = tmp_path_factory.mktemp("browser")
    command = [sys.executable, "-m", "templ", "benchmark", "run", "demo", "--limit", "8", "-o", "run"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    journal = folder / "run" / "results.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    nasty = {"id": f"{HOSTILE} 分子", "reason": HOSTILE, "detail": HOSTILE + "C" * 5000, "group": HOSTILE}
    records[5] |= nasty | {"status": "failed", "rmsd": None, "poses": None}
    journal.write_text("".join(json.dumps(record) + "\n" for record in records))
    command = [sys.executable, "-m", "templ", "report", "run", "-o", "page.html"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return folder / "page.html"


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=SOFTWARE_GL)
        yield browser
        browser.close()


@pytest.fixture(params=[1400, 400], ids=["wide", "narrow"])
def page(request, browser, page_path):
    """The page, opened from disk; nothing may be said in its console, and no host asked."""
    told = []
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    page = context.new_page()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda sent: told.append(sent.url) if not sent.url.startswith("file:") else None)
    page.goto(page_path.as_uri())
    page.wait_for_selector("tr.target")
    yield page
    context.close()
    assert told == []
