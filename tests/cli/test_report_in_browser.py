"""Does the report open in a real browser, offline, with all its pictures and nothing in the console?"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Edensim

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright (pip install '.[browser]')"
)
BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium (apt-get install chromium)")
def test_the_report_in_a_browser(edensim: Edensim, tmp_path: Path) -> None:
    done = edensim("reproduce", "rates", "-o", "out")
    assert done.returncode == 0, done.stderr
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=QUIET)
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "out" / "report.html").as_uri())
        pictures = page.evaluate(
            "[...document.images].map(each => [each.complete, each.naturalWidth, each.getBoundingClientRect().width])"
        )
        rows = page.locator("table tr").count()
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert pictures
    assert all(complete and natural > 300 and shown > 300 for complete, natural, shown in pictures)
    assert rows > 60
    assert wide <= 0
