"""Make the pictures of the documents: python scripts/docs_pictures.py RUN (extra test, and a Chromium).

RUN is a finished run of the whole demo; its report and profile are made anew. Pictures go to docs/pictures.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Page

OUT = Path(__file__).parents[1] / "docs/pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SOFTWARE_GL = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
WIDTH, HEIGHT, HEAD = 1000, 760, 600


def photograph(page: Page) -> None:
    """Take the head of the report, and the row of its best target, opened."""
    page.wait_for_selector("tr.target")
    page.screenshot(path=OUT / "report.png", clip={"x": 0, "y": 0, "width": WIDTH, "height": HEAD})
    page.locator("#table th button", has_text="RMSD").click()
    row = page.locator("#table td.target a").first
    row.click()
    page.locator(".shown label", has_text="pocket").wait_for()
    page.wait_for_timeout(1000)  # the view draws itself
    row.evaluate("element => element.closest('tr').scrollIntoView()")
    page.screenshot(path=OUT / "target.png")


def main() -> None:
    """Make all pictures."""
    run = Path(sys.argv[1])
    for command in (["report"], ["benchmark", "profile"]):
        subprocess.run([sys.executable, "-m", "templ", *command, str(run)], check=True)
    OUT.mkdir(exist_ok=True)
    shutil.copy(run / "profile.png", OUT / "profile.png")
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=SOFTWARE_GL)
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto((run.absolute() / "report.html").as_uri())
        photograph(page)
        chromium.close()


if __name__ == "__main__":
    main()
