"""The server is started again under an open page: it says so, starts clean, and what the browser kept comes back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .hand import GOES_ON
from .server import Server
from .visit import Visit


@pytest.fixture
def lonely(tmp_path):
    """A server of this test's own, since it is stopped in it."""
    running = Server(tmp_path, "restarted")
    yield running
    running.stop()


def test_a_page_whose_server_was_started_again(lonely, browser):
    visit = Visit(browser, lonely.address)
    try:
        page = visit.page
        visit.write("sample-seeds", "31-33")
        visit.press("sample-run")
        visit.shows("sample-gallery", 3)
        expect_kept(page, "31-33")
        drag(visit)
        lonely.stop()
        # Nothing moves any more, and the page must not say so; that it has lost its server, it does say.
        expect(page.locator("#visit-lost")).to_be_visible()
        expect(page.locator("#dg-drag-canvas .gc-hint")).not_to_contain_text("It moves")
        expect(page.locator("#dg-drag-canvas .gc-running")).to_have_count(0)
        lonely.start()
        notice = page.locator("#visit-gone")
        expect(notice).to_contain_text("no longer has what you made here")
        expect(page.locator("#visit-lost")).to_have_count(0)
        visit.leave_first_page()
        # The seeds are back, and the first gallery is of them; with a press the recipe makes the same again.
        assert visit.value("sample-seeds") == "31-33"
        labels = page.locator("#sg2-sample-gallery img")
        expect(labels).to_have_count(3)
        again = notice.get_by_role("button", name="StyleGAN2: Sampling: a seed, a picture")
        expect(again).to_be_visible()
        visit.ran("sample")
        before = visit.status("sample")
        again.click()
        expect(page.locator("#sg2-sample-status")).not_to_have_text(before)
        expect(labels).to_have_count(3)
        notice.get_by_role("button", name="Put this notice away").click()
        expect(notice).to_have_count(0)
        # Reloaded by hand, a page begins as for everybody.
        page.reload()
        visit.leave_first_page()
        expect(page.locator("#sg2-sample-gallery img").first).to_be_visible()
        expect(notice).to_have_count(0)
        assert visit.value("sample-seeds") != "31-33"
        # Gradio may be the first to notice, and then loads the page again by itself.
        toast = '<div data-testid="toast-body">Connection Lost</div>'
        page.evaluate("(toast) => document.body.insertAdjacentHTML('beforeend', toast)", toast)
        page.reload()
        expect(notice).to_contain_text("the connection was lost")
    finally:
        visit.close()


def expect_kept(page, seeds: str) -> None:
    """The browser has stored something since the result with these seeds came."""
    page.wait_for_function("() => Object.keys(localStorage).some(key => key.includes('ganbook-visit'))")
    expect(page.locator("#sg2-sample-status")).to_contain_text("3 pictures")


def drag(visit) -> None:
    """Points on a face, far apart, that go on until the server is gone."""
    page = visit.page
    page.get_by_role("tab", name=re.compile("DragGAN")).click()
    canvas = page.locator("#dg-drag-canvas .gc-view")
    expect(page.locator("#dg-drag-canvas .gc:not(.gc-empty)")).to_be_visible()
    visit.unfold("dg-drag-how")
    for name, value in GOES_ON.items():
        visit.write(name, value)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for x in (0.2, 0.85):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + 0.5 * box["height"])
    page.locator("#dg-drag-run").click()
    expect(page.locator("#dg-drag-canvas .gc-running")).to_be_visible()
