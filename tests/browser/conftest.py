"""A page of a small run, opened from disk in a browser that tells what goes wrong in it."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace

import pytest
from program import run_templ
from web_app import start, stop, wait_for, with_a_miss, with_many_records

from templ.runs.journal import read_records

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SOFTWARE_GL = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
HOSTILE = "</script><script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">"


@pytest.fixture(scope="session")
def page_path(tmp_path_factory):
    """The page of a run of eight targets, one of which failed in a nasty way."""
    folder = tmp_path_factory.mktemp("browser")
    run_templ("benchmark", "run", "demo-mpro", "--limit", "8", "-o", "run", cwd=folder).check_returncode()
    journal = folder / "run" / "results.jsonl"
    records = list(read_records(journal))
    nasty = {"id": f"{HOSTILE} 分子", "reason": HOSTILE, "detail": HOSTILE + "C" * 5000, "group": HOSTILE}
    records[5] = replace(records[5], status="failed", poses=(), address=None, **nasty)
    journal.write_bytes(b"".join(record.to_line() for record in records))
    run_templ("report", "run", "-o", "page.html", cwd=folder).check_returncode()
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


@pytest.fixture(scope="session")
def predicted_path(demo_path, tmp_path_factory):
    """The page of two queries, one of which has no poses."""
    folder = tmp_path_factory.mktemp("predicted")
    (folder / "q.csv").write_text("name,SMILES\na,Cc1ccncc1NC(=O)Cc1cccc(Cl)c1\niron,[Fe]OCCO\n")
    for words in (("predict", "-l", demo_path, "-q", "q.csv"), ("report", "poses.sdf")):
        run_templ(*words, cwd=folder).check_returncode()
    return folder / "poses.html"


@contextlib.contextmanager
def opened(browser, path, width):
    """The page, opened from disk; nothing may be said in its console, and no host asked."""
    told = []
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda sent: told.append(sent.url) if not sent.url.startswith("file:") else None)
    page.goto(path.as_uri())
    page.wait_for_selector("tr.target")
    yield page
    context.close()
    assert told == []


@pytest.fixture(params=[1400, 400], ids=["wide", "narrow"])
def page(request, browser, page_path):
    """The page of the run, in a wide and in a narrow window."""
    with opened(browser, page_path, request.param) as page:
        yield page


@pytest.fixture
def predicted_page(browser, predicted_path):
    """The page of the prediction."""
    with opened(browser, predicted_path, 1400) as page:
        yield page


@pytest.fixture(scope="session")
def records(page_path):
    """Records of the run, as the page shows them."""
    return list(read_records(page_path.parent / "run" / "results.jsonl"))


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """The server with the demo's job done, a run, a copy that misses a target, and one of ten thousand."""
    folder = tmp_path_factory.mktemp("served")
    run_templ("benchmark", "run", "demo-mpro", "--limit", "4", "-o", "one", cwd=folder).check_returncode()
    with_many_records(folder / "one", folder / "many")
    with_a_miss(folder / "one", folder / "missed", 1)
    runs = [word for name in ("one", "many", "missed") for word in ("--run", folder / name)]
    served = start(folder / "web", "--demo", *runs)
    try:
        wait_for(lambda: (folder / "web" / "jobs" / served.jobs()[0] / "ended.json").exists())
        yield served
    finally:
        stop(served)
