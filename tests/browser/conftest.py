"""One server, one Chromium, and windows that are used again as long as no test fails in them."""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from .server import Server
from .visit import NARROW, WIDE, Visit

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No name but this machine's resolves: what the page would ask of others cannot be answered (and is recorded).
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    running.stop()


@pytest.fixture(scope="package")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        _without("there is no Chromium on this machine (apt install chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield started
        started.close()


def _without(reason: str) -> None:
    """Nobody is kept from running the other tests, but a green CI means that the page was really opened."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{reason}; CI must not leave the browser tests out")
    pytest.skip(reason)


class Windows(dict):
    """Open windows by size. Windows of failed tests are closed, and the next test begins with a new one."""

    def __init__(self, browser, address: str):
        self.browser, self.address = browser, address

    def at_first_tab(self, size: tuple[int, int]) -> Visit:
        """Where every visit begins; whichever test came before may have left the window at another tab."""
        if size in self:
            self[size].page.get_by_role("tab", name="StyleGAN2").click()
        else:
            self[size] = Visit(self.browser, self.address, size)
        return self[size]


@pytest.fixture(scope="package")
def windows(browser, server):
    kept = Windows(browser, server.address)
    yield kept
    for visit in kept.values():
        visit.close()


@pytest.fixture
def window(browser, server, windows, request):
    """``window(size)``: a window that earlier tests may have used; ``window(size, new=True)``: another visitor's."""
    opened = []

    def of(size: tuple[int, int] = WIDE, new: bool = False, options: str = "", unasked: bool = False) -> Visit:
        visit = Visit(browser, server.address, size, options, unasked) if new else windows.at_first_tab(size)
        opened.append((visit, new))
        return visit

    yield of
    failed = request.node.stash.get(FAILED, False)
    problems = [problem for visit, _ in opened for problem in visit.problems]
    for visit, new in opened:
        visit.problems.clear()
        if failed or problems:
            _last_look(visit, request.node.name)
        if new or failed or problems:
            visit.close()
            windows.pop(visit.size, None) if not new else None
    assert not problems, problems


def _last_look(visit, name: str) -> None:
    try:
        visit.screenshot(f"failed-{''.join(c if c.isalnum() else '-' for c in name)}", whole=True)
    except Exception as error:  # the picture is only a help
        print(f"no screenshot of the failure: {error}")


@pytest.fixture
def wide(window):
    return window()


@pytest.fixture(params=["1280", "390"])
def visit(request, window):
    """The window in both widths."""
    return window(WIDE if request.param == "1280" else NARROW)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.stash[FAILED] = outcome.get_result().failed
