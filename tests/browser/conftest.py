"""Fixtures for the browser tests: a JupyterLab for the session, a browser for each module, a notebook for each test."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.jupyter import Notebook, Server, find_browser

if TYPE_CHECKING:
    from collections.abc import Iterator

HOW_TO_GET_ONE = (
    "No Chrome or Chromium was found for the browser tests. Install one (Debian and Ubuntu: apt-get install chromium; "
    "macOS: brew install --cask chromium; or playwright install chromium), or set WORKBENCH_BROWSER to its path."
)
_REPORTS = pytest.StashKey[dict[str, pytest.TestReport]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    item.stash.setdefault(_REPORTS, {})[report.when] = report
    return report


@pytest.fixture(scope="session")
def browser_path() -> str:
    path = find_browser()
    if path is None:
        if os.environ.get("WORKBENCH_REQUIRE_BROWSER") == "1":
            pytest.fail(HOW_TO_GET_ONE)
        pytest.skip(HOW_TO_GET_ONE)
    return path


@pytest.fixture(scope="session")
def lab(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


# A module's own: while Playwright runs, its event loop stands in the way of tests that start one themselves.
@pytest.fixture(scope="module")
def browser(browser_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def lab_page(browser: Browser) -> Iterator[Page]:
    """JupyterLab takes seconds to load: once a module, and again after a test that failed."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    yield context.new_page()
    context.close()


@pytest.fixture
def notebook(lab: Server, lab_page: Page, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """A page ready to open a notebook; afterwards its console must hold no error."""
    page = Notebook(lab_page, lab)
    yield page
    failed = any(report.failed for report in request.node.stash.get(_REPORTS, {}).values())
    if failed:
        page.screenshot(f"failed-{request.node.name}", always=True)
        sys.stdout.write("".join(f"the browser's console: {words}\n" for words in page.problems))
    problems = tuple(page.problems)  # what comes after this is widgets whose notebook is taken away
    page.shut_down(keep=not failed)
    for other in lab_page.context.pages:
        if other is not lab_page:
            other.close()
    if failed:
        lab_page.goto("about:blank")
    else:
        assert not problems, "the browser's console: " + "\n".join(problems)
