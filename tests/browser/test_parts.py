"""Tabs that come when they are opened: pressed early, twice, one after another, sent to, and chosen for."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .visit import NARROW, WIDE

# What stands in each tab when it was opened and has done what it does by itself.
OPENED = {
    "StyleGAN2": "#sg2-sample-gallery img >> nth=15",
    "DragGAN": "#dg-drag-canvas .gc:not(.gc-empty)",
    "AttGAN": "#ag-edit-made img",
    "iGAN": "#ig-brush-canvas .gc:not(.gc-empty)",
    "Out of domain": "#od-edit-examples .gt-tile >> nth=0",
    "Checkpoints": "#ckpt-list li >> nth=0",
}
# Somebody who presses tabs as soon as there are any, faster than any of them comes.
HURRIED = """(() => {
  const wanted = ["iGAN", "DragGAN", "iGAN", "Checkpoints", "AttGAN", "AttGAN"];
  const timer = setInterval(() => {
    const tabs = [...document.querySelectorAll('[role="tab"]')];
    if (tabs.length < 7) return;
    if (!wanted.length) return clearInterval(timer);
    const words = wanted.shift();
    tabs.find((one) => one.textContent.trim() === words).click();
  }, 15);
})()"""


@pytest.fixture
def fresh(browser, server):
    """``fresh(script)``: a page that nobody has touched yet; ``script`` runs in it from its first moment."""
    opened = []

    def of(script: str = "", size=WIDE, options: str = ""):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
        opened.append(context)
        context.set_default_timeout(180_000)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda message: message.type == "error" and page.problems.append(message.text))
        page.goto(f"{server.address}/{options}")
        return page

    yield of
    for context in opened:
        context.close()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_a_page_has_its_first_tab_alone_until_another_is_opened(fresh, size):
    page = fresh(size=size)
    expect(page.locator("[data-tour]")).to_have_count(5)
    expect(page.locator("#st-five")).to_be_visible()
    assert page.locator(".nb-cell").count() == 1, "the first page's own"
    for tab, shown in OPENED.items():
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(shown)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#sg2-training-table table")).to_be_attached()
    assert not page.problems


def test_tabs_that_are_pressed_before_the_page_is_ready_all_come(fresh):
    page = fresh(HURRIED)
    expect(page.get_by_role("tab", selected=True)).to_have_text("AttGAN")
    expect(page.locator(OPENED["AttGAN"])).to_be_visible()
    for tab in ("iGAN", "DragGAN", "Checkpoints"):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(OPENED[tab])).to_be_visible()
    assert page.get_by_test_id("toast-text").count() == 0 and not page.problems


def test_a_tab_is_opened_by_keyboard(fresh):
    page = fresh()
    page.get_by_role("tab", name="Start here").focus()
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", selected=True)).to_have_text("DragGAN")
    expect(page.locator(OPENED["DragGAN"])).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "tab-attgan-button", "the focus stays where it was"


def test_what_a_tab_holds_stays_when_it_is_opened_again(window):
    visit = window(WIDE, new=True)
    visit.page.get_by_role("tab", name="DragGAN").click()
    expect(visit.page.locator(OPENED["DragGAN"])).to_be_visible()
    visit.settle()
    visit.write("dg-drag-seed", 5)
    asked = []
    visit.page.on("request", lambda request: asked.append(request.url) if "/run/predict" in request.url else None)
    for tab in ("iGAN", "DragGAN"):
        visit.page.get_by_role("tab", name=tab).click()
        expect(visit.page.locator(OPENED[tab])).to_be_visible()
        visit.settle()
    assert visit.value("dg-drag-seed") == "5"
    before = len(asked)
    for tab in ("iGAN", "DragGAN", "iGAN"):
        visit.page.get_by_role("tab", name=tab).click()
        visit.settle()
    assert len(asked) == before, "a part is brought once"


# Where a picture that was sent is seen.
TAKEN = {
    "draggan": "dg-drag-canvas",
    "attgan": "ag-edit-crop",
    "igan": "ig-brush-canvas",
    "out_of_domain": "od-edit-canvas",
}


def seen(visit, part: str) -> str:
    """The picture that stands there, as text."""
    expect(visit.at(part).locator("img, .gc:not(.gc-empty)").first).to_be_visible()
    visit.settle()
    if part.endswith("canvas"):
        return visit.at(part).locator(".gc-picture").evaluate("picture => picture.toDataURL()")
    return visit.pictures(part)[0].tobytes().hex()


def press_picture(visit, number: int) -> None:
    visit.page.get_by_role("tab", name="StyleGAN2").click()
    visit.at("sample-gallery").locator(".thumbnail-item").nth(number).click()
    visit.page.keyboard.press("Escape")
    visit.settle()


@pytest.mark.parametrize("tab", TAKEN)
def test_a_picture_is_sent_to_a_tab_that_was_never_opened(window, tab):
    visit = window(WIDE, new=True)
    assert visit.at(TAKEN[tab]).count() == 0
    came = []
    for number in (4, 4, 1):
        press_picture(visit, number)
        visit.press(f"sample-send-{tab}")
        came.append(seen(visit, TAKEN[tab]))
    assert came[0] == came[1] != came[2], "it is the same when the tab is there already"


def test_networks_are_chosen_for_tabs_that_come_later(window, fixtures):
    visit = window(WIDE, new=True)
    visit.page.get_by_role("tab", name="Checkpoints").click()
    visit.upload("ckpt-file", fixtures("stylegan2_ada_64.pkl"))
    expect(visit.at("ckpt-recognised")).to_contain_text("stylegan2 generator")
    visit.settle()
    visit.page.locator("[data-name='stylegan2/cartoons'][data-tab=igan]").click()
    expect(visit.at("ig-network").locator("input")).to_have_value(re.compile("^Cartoon"))
    visit.settle()
    expect(visit.at("ig-network").locator("input")).to_have_value(re.compile("^Cartoon"))
    visit.page.get_by_role("tab", name="DragGAN").click()
    expect(visit.at("dg-network").locator("input")).to_have_value(re.compile("64 px"))
    visit.settle()
    # The tab that is there already follows, too.
    visit.page.get_by_role("tab", name="Checkpoints").click()
    visit.page.locator("[data-name='stylegan2/cats'][data-tab=igan]").click()
    expect(visit.at("ig-network").locator("input")).to_have_value(re.compile("^Cats"))
    visit.settle()


def test_a_link_goes_into_a_tab_that_was_never_opened(wide, fresh):
    wide.page.get_by_role("tab", name="iGAN").click()
    expect(wide.page.locator(OPENED["iGAN"])).to_be_visible()
    wide.settle()
    wide.write("ig-ring-steps", 50)
    wide.press("ig-ring-run")
    address = wide.link("ig-ring-link")
    page = fresh(options=address.split("/", 3)[3])
    expect(page.get_by_role("tab", selected=True)).to_have_text("iGAN")
    expect(page.locator("#ig-ring-status p.nb-ran")).to_contain_text("50 steps")
    expect(page.locator("#ig-ring-steps input").first).to_have_value("50")
    assert page.get_by_test_id("toast-text").count() == 0 and not page.problems
