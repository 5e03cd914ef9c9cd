"""Make the pictures of docs/web.md: python scripts/docs_web_pictures.py RUN OTHER (extra test, a Chromium).

RUN and OTHER are finished runs of one benchmark. The web app is started as a user starts it, and visited.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Page

OUT = Path(__file__).parents[1] / "docs/pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SOFTWARE_GL = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
WIDTH, HEIGHT = 1200, 820
PATIENCE_MS = 300_000
COLOURS = 96
"""A picture in so many is a third as large, and looks the same."""
QUERY = "C=CC(=O)Nc1cnccc1C.Cl"


def photograph(page: Page, home: str, run: str, other: str) -> None:
    """Visit each screen and take it as it is when it is complete."""

    def take(name: str) -> None:
        page.wait_for_timeout(1500)  # the view draws itself
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        picture.quantize(COLOURS).save(OUT / f"web-{name}.png", optimize=True)

    page.wait_for_url("**/runs/2*")
    page.wait_for_selector("#progress[data-state=finished], #stage")
    page.goto(f"{home}/latest")
    page.wait_for_selector("#stage[data-ready=yes]")
    take("pose")
    page.locator(".crumb a").click()
    page.wait_for_selector("#progress[data-state=finished]")
    page.locator(".result .pair svg").nth(8).wait_for()
    take("results")
    page.goto(f"{home}/")
    page.locator("#smiles").fill(QUERY)
    page.wait_for_selector("#lookup .card")
    take("predict")
    page.goto(f"{home}/runs/{run}")
    page.wait_for_selector("#summary .numbers")
    take("benchmark")
    page.goto(f"{home}/compare?baseline={run}&run={other}")
    if page.locator(".look").count():
        page.locator(".look").first.click()
        page.wait_for_selector("#stage[data-ready]")
        page.evaluate("scrollTo(0, 0)")
    take("compare")


def main() -> None:
    """Start the app, make all pictures, and stop it."""
    runs = [Path(word).resolve() for word in sys.argv[1:3]]
    words = [word for run in runs for word in ("--run", str(run))]
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as folder:
        words += ["--demo", "--port", "0", "--folder", folder]
        command = [sys.executable, "-m", "templ", "serve", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            with sync_playwright() as playwright:
                chromium = playwright.chromium.launch(executable_path=browser, args=SOFTWARE_GL)
                page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
                page.set_default_timeout(PATIENCE_MS)
                page.goto(address)
                photograph(page, address.partition("/latest")[0], runs[0].name, runs[1].name)
                chromium.close()
            server.terminate()


if __name__ == "__main__":
    main()
