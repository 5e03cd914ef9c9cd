"""Make the pictures of the gallery, and that of covalent ligands: python scripts/docs_gallery.py RUN CROSS.

It takes the extra test and a Chromium. RUN is a finished run of demo-mpro, CROSS one of cross on the demo
cdk2. The page of each pose is visited in the web app, as a reader sees it, and what it says is printed beside
the name of the picture.
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

from templ.evaluation.run import load_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

OUT = Path(__file__).parents[1] / "docs/pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SOFTWARE_GL = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
WIDTH, HEIGHT = 1240, 620
PATIENCE_MS = 300_000
COLOURS = 160
"""A picture in so many is a third as large, and looks the same."""
CASES = {
    "close": (0, "Mpro-x11186"),
    "doubtful": (0, "Mpro-x10820"),
    "other-receptor": (1, "1g5s"),
    "flexible": (1, "1h01"),
    "failure": (0, "Mpro-x12025"),
    "covalent": (0, "Mpro-x11204"),
}
"""By the name of the picture: which of the runs, and which of its targets."""


def photograph(page: Page, name: str) -> None:
    """Take the page of a pose, from its title to the end of the view."""
    page.wait_for_selector("#stage[data-ready=yes]")
    page.wait_for_timeout(1500)  # the view draws itself
    page.locator("h1").evaluate("title => title.scrollIntoView()")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS).save(OUT / f"gallery-{name}.png", optimize=True)
    print(name, *page.locator(".why:visible li").all_inner_texts(), sep="\n  ")


def main() -> None:
    """Serve both runs, and make all pictures."""
    runs = [Path(word).resolve() for word in sys.argv[1:3]]
    words = [word for run in runs for word in ("--run", str(run))]
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "templ", "serve", *words, "--port", "0", "--folder", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            home = address.partition("/?")[0].partition("/latest")[0]
            with sync_playwright() as playwright:
                chromium = playwright.chromium.launch(executable_path=browser, args=SOFTWARE_GL)
                page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
                page.set_default_timeout(PATIENCE_MS)
                page.goto(address)
                for name, (which, id) in CASES.items():
                    index = load_run(runs[which])[id].index
                    page.goto(f"{home}/runs/{runs[which].name}/{index}")
                    photograph(page, name)
                chromium.close()
            server.terminate()


if __name__ == "__main__":
    main()
