"""A site of synthetic sounds in a real browser, without network.

`BROWSER_SITE` names a folder of pages that were built before, instead of building some.
"""

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from lib.paths import PROJECT

NOTEBOOKS = ("00", "01", "06")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """A folder of pages; it is built once (some minutes)."""
    if given := os.environ.get("BROWSER_SITE"):
        return Path(given).resolve()
    folder = tmp_path_factory.mktemp("site")
    roots = {f"{name}_ROOT": str(folder / name.lower()) for name in ("RUNS", "FEATURES", "REPORTS")}
    command = [sys.executable, "-P", "-m", "lib", "smoke", *NOTEBOOKS, "--out", str(folder / "out")]
    done = subprocess.run(
        command, cwd=PROJECT, env=os.environ | roots, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "out"


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium that is installed on this machine."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(
            f"no browser: install one of {', '.join(BROWSERS)} (Debian: apt install chromium)"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--use-fake-device-for-media-stream"]
        )
        yield browser
        browser.close()


class Watched:
    """A page that remembers what it asked for and what went wrong."""

    def __init__(self, browser, site: Path, width: int, scheme: str) -> None:
        size = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.page, self.site = self.context.new_page(), site
        self.requests: list[str] = []
        self.problems: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def open(self, address: str) -> None:
        """Open a page of the site."""
        self.page.goto((self.site / address).as_uri())


@pytest.fixture
def open_page(browser):
    """Open a page of a folder: open_page(folder, address, width, scheme) -> `Watched`."""
    opened: list[Watched] = []

    def open_one(folder: Path, address: str, width: int = 1366, scheme: str = "light") -> Watched:
        opened.append(Watched(browser, folder, width, scheme))
        opened[-1].open(address)
        return opened[-1]

    yield open_one
    for each in opened:
        each.context.close()


@pytest.fixture
def watched(open_page, site):
    """Open a page of the site: watched(address, width, scheme) -> `Watched`."""
    return partial(open_page, site)


@pytest.fixture
def addresses(site) -> list[str]:
    """Every page of the site; of the pages of runs, all of which are alike, the first three."""
    single = [*site.glob("*.html"), *site.glob("runs/*.html")]
    runs = sorted(site.glob("runs/*/index.html"))[:3]
    return [path.relative_to(site).as_posix() for path in (*sorted(single), *runs)]
