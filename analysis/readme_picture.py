"""Draws the picture of the README: two charts of a run's report, as a browser shows them.

    python analysis/readme_picture.py RUN_FOLDER docs/images/delivered.png

Needs chromium and the Python package playwright.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

CHARTS = ("latency-cdf", "timeline")


def main(folder: Path, picture: Path) -> None:
    """Write `picture` from the report in `folder`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.goto((folder / "report.html").resolve().as_uri())
        page.wait_for_selector(f"#{CHARTS[-1]} .main-svg")
        page.evaluate(
            """charts => {
                const figures = charts.map(key => document.getElementById(key));
                document.body.replaceChildren(...figures);
                document.querySelectorAll('details, .modebar, figcaption').forEach(e => e.remove());
            }""",
            list(CHARTS),
        )
        picture.parent.mkdir(parents=True, exist_ok=True)
        page.locator("body").screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
