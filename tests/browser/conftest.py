"""Headless Chromium, Debian's. Where there is none, these tests are not run; in CI that is a failure."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = [  # without these, Chromium looks for its maker's servers at every start
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
]
WAIT = 60_000.0  # ms until something is shown; a busy machine starts a kernel slowly, and nothing here is about speed
expect.set_options(timeout=WAIT)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks everything here."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


# Not for longer than a module: as long as it is there, its event loop is, and other tests want one of their own.
@pytest.fixture(scope="module")
def browser(not_run: Callable[[str], NoReturn]) -> Iterator[Browser]:
    if CHROMIUM is None:
        not_run("no Chromium here; on Debian and Ubuntu: apt install chromium")
    with sync_playwright() as playwright:
        sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium's own cannot be had as root
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *sandbox])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test when it asks anybody but this machine, or reports an error."""
    outside: list[str] = []
    errors: list[str] = []
    context = browser.new_context(viewport={"width": 1300, "height": 2600})
    page = context.new_page()
    page.set_default_timeout(WAIT)
    page.on("request", lambda request: outside.append(request.url) if foreign(request.url) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert outside == []
    assert errors == []


def foreign(url: str) -> bool:
    return url.startswith(("http:", "https:", "ws:", "wss:")) and "//127.0.0.1:" not in url


@pytest.fixture
def picture(page: Page, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a screenshot into the folder that SCREENSHOTS names, for people to look at."""

    def take(name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}.png")

    return take
