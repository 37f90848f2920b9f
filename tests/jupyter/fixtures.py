"""Fixtures of the tests that need a browser. A test module names this one in ``pytest_plugins``."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from nbflow.jupyter.panel import Panel
from tests.jupyter.page import ARGUMENTS, Front, chromium, serve
from tests.jupyter.runs import Desk

Frontend: TypeAlias = Callable[[Panel], Front]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a module. (While it is there, ``asyncio.run`` refuses to work in this thread.)"""
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page with the panel's script and style, whose time of day stands still: what it shows of times does not depend
    on how fast this machine is. An error in the script fails the test."""
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.clock.set_fixed_time("2026-01-31T12:00:00Z")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    serve(page)
    yield page
    page.close()
    assert not errors


@pytest.fixture
def front(page: Page) -> Frontend:
    """Opens a view of a panel in the page."""
    return lambda panel: Front(page, panel)


@pytest.fixture
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: NBFLOW_SCREENSHOTS, else a temporary folder."""
    chosen = os.environ.get("NBFLOW_SCREENSHOTS")
    folder = Path(chosen) if chosen else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Runs that go on when the test says so."""
    desk = Desk(tmp_path)
    yield desk
    desk.close()
