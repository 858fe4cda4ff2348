"""What a visitor changes is seen while it is changed: pictures stay beside or above their controls."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .visit import NARROW, WIDE

# How much of a part is in the window, from 0 to 1.
SEEN = """(e) => {
  const box = e.getBoundingClientRect();
  const high = Math.min(box.bottom, innerHeight) - Math.max(box.top, 0);
  return Math.max(0, high) / box.height;
}"""
CELLS = {
    "StyleGAN2": [("truncation-picture-run", "truncation-picture", "truncation-psi"),
                  ("directions-run", "directions-picture", "directions-direction-8")],
    "AttGAN": [(None, "ag-edit-made", "ag-edit-ticks"), (None, "ag-edit-made", "ag-edit-undo")],
    "Out of domain": [(None, "od-edit-stages", "od-edit-threshold"), (None, "od-edit-stages", "od-edit-deghost")],
}  # fmt: skip


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_a_picture_is_seen_beside_the_control_that_changes_it(window, size):
    visit = window(size)
    for tab, cells in CELLS.items():
        visit.page.get_by_role("tab", name=tab, exact=True).click()
        visit.settle()
        for run, picture, control in cells:
            if run:
                visit.press(run)
            image = visit.at(picture).locator("img").first
            expect(image).to_be_attached()
            visit.at(control).evaluate("e => e.scrollIntoView({ block: 'center' })")
            visit.until(lambda i=image: i.evaluate(SEEN) > 0.9, f"{picture} is out of sight at {control}")
            assert visit.at(control).evaluate(SEEN) > 0.9
            visit.screenshot(f"in-sight-{control}")
        assert visit.overflow() == []


def test_pictures_have_captions(wide):
    """Below each of them, never over it."""
    wide.page.get_by_role("tab", name="AttGAN").click()
    wide.settle()
    for name, words in (("crop", "Before"), ("made", "After"), ("whole", "Left of the line: before")):
        part = wide.at(f"ag-edit-{name}")
        caption, image = part.get_by_test_id("block-label"), part.locator("img").first
        expect(caption).to_contain_text(words)
        assert caption.bounding_box()["y"] >= image.bounding_box()["y"] + image.bounding_box()["height"] - 1
    upload = wide.at("ag-edit-upload")
    label, icon = (
        upload.get_by_test_id("block-label").bounding_box(),
        upload.locator("svg:visible").first.bounding_box(),
    )
    assert label["y"] + label["height"] <= icon["y"] + 1


def test_formulas_fit_a_narrow_screen(window):
    visit = window(NARROW)
    for tab in ("StyleGAN2", "DragGAN", "iGAN", "Out of domain"):
        visit.page.get_by_role("tab", name=tab, exact=True).click()
        expect(visit.page.locator(".nb-cell:visible").first).to_be_visible()
        visit.settle()
        cut = visit.page.locator(".katex-display:visible").evaluate_all(
            "all => all.filter(e => e.scrollWidth > e.clientWidth + 2).map(e => e.textContent.slice(0, 60))"
        )
        assert not cut, cut


def test_an_error_is_said_once(window):
    """In the cell, where it is in sight; no message lies over the button as well."""
    wide = window(WIDE, new=True)  # where no photograph was given
    wide.page.get_by_role("tab", name="DragGAN").click()
    wide.settle()
    wide.at("dg-photo-run").click()
    error = wide.at("dg-photo-news").locator(".nb-error[data-said]")
    expect(error).to_be_visible()
    expect(wide.page.get_by_test_id("toast-body")).to_have_count(0)
    assert "choose a file first" in wide.complaint()


def test_no_hint_speaks_of_a_mouse_where_there_is_none(browser, server):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    try:
        page = context.new_page()
        page.goto(server.address)
        page.get_by_role("tab", name="iGAN").tap()
        hint = page.locator("#ig-brush-canvas .gc-hint")
        expect(hint).to_have_text("Paint what should have this colour.")
        page.get_by_role("tab", name="DragGAN").tap()
        hint = page.locator("#dg-drag-canvas .gc-hint")
        expect(hint).to_contain_text("Tap what should move")
    finally:
        context.close()
