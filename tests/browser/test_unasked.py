"""Who reads the page from top to bottom sees pictures: what costs little is made when it comes into sight."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .visit import NARROW, WIDE

DWELL_MS = 3000  # longer than a cell waits before it begins


def read(visit, cell: str) -> None:
    """Its empty result comes into the middle of the window."""
    visit.settle()  # what comes above would move it
    visit.at(cell).locator("[class*=nb-of-]:visible").first.evaluate("e => e.scrollIntoView({ block: 'center' })")


def begun(visit, name: str) -> int:
    return visit._begun[visit._ids[visit._id(name)]]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_a_cell_that_is_read_shows_its_result(window, size):
    visit = window(size, new=True, unasked=True)
    for cell in ("truncation", "mixing", "interpolation", "directions"):
        read(visit, cell)
        visit.ran(cell)
        visit.settle()
        assert not visit.at(f"{cell}-status").locator(".nb-badge").count()
    visit.shows("truncation-strip", 8)
    visit.shows("directions-strip", 9)
    assert "Smiling" in visit.code("directions")
    widths = visit.at("directions-strip").locator(".thumbnail-lg").evaluate_all("all => all.map(e => e.clientWidth)")
    assert max(widths) - min(widths) <= 1, widths
    for tab, cells in {"AttGAN": ["ag-flips", "ag-slide"], "DragGAN": ["dg-look"], "iGAN": ["ig-plane"]}.items():
        visit.page.get_by_role("tab", name=tab, exact=True).click()
        expect(visit.at(cells[0])).to_be_visible()
        for cell in cells:
            read(visit, cell)
            visit.ran(cell)
            visit.settle()
            assert not visit.at(f"{cell}-status").locator(".nb-badge").count()
            visit.screenshot(f"unasked-{cell}")
    assert visit.overflow() == []


def test_only_what_is_read_is_made_and_only_once(window):
    visit = window(new=True, unasked=True)
    read(visit, "mixing")
    visit.ran("mixing")
    read(visit, "sample")
    visit.page.wait_for_timeout(DWELL_MS)
    read(visit, "mixing")
    visit.page.wait_for_timeout(DWELL_MS)
    assert begun(visit, "mixing-unasked") == 1
    assert not visit.status("directions") and begun(visit, "directions-unasked") == 0


def test_what_a_hand_made_stays(window):
    visit = window(new=True, unasked=True)
    visit.at("truncation-run").evaluate("e => e.click()")  # out of sight, as a key would
    visit.ran("truncation")
    read(visit, "truncation")
    visit.page.wait_for_timeout(DWELL_MS)
    assert begun(visit, "truncation-unasked") == 0


def test_a_network_that_does_not_ship_waits_to_be_asked(window):
    """It may be large, and would have to be fetched."""
    visit = window(new=True, unasked=True)
    visit.choose("network", re.compile("to download"))
    expect(visit.at("about")).to_contain_text("fetched when first used")
    read(visit, "mixing")
    visit.page.wait_for_timeout(DWELL_MS)
    assert begun(visit, "mixing-unasked") == 0


def test_a_recipe_of_a_link_is_not_covered(wide, window):
    wide.write("truncation-seed", 11)
    wide.press("truncation-run")
    pictures = wide.pictures("truncation-strip")
    address = wide.link("truncation-link")
    other = window(WIDE, new=True, options=address.split("/", 3)[3], unasked=True)
    other.until(lambda: other.value("truncation-seed") == "11", "the link's seed does not come")
    other.settle()
    other.page.wait_for_timeout(DWELL_MS)
    assert begun(other, "truncation-unasked") == 0
    assert [p.tobytes() for p in other.pictures("truncation-strip")] == [p.tobytes() for p in pictures]


def test_the_first_photograph_is_edited_where_nobody_asked_for_another(window):
    visit = window(new=True, unasked=True)
    visit.page.get_by_role("tab", name="Out of domain", exact=True).click()
    visit.shows("od-edit-examples", 6)
    read(visit, "od-edit")
    visit.shows("od-edit-stages", 6)
    visit.settle()
    assert "smiling -4" in visit.ran("od-edit")
    visit.screenshot("unasked-od-edit")


def test_a_tick_is_enough(window):
    """What can change is there before the photograph is inverted, and a tick inverts it."""
    visit = window(new=True)
    visit.page.get_by_role("tab", name="Out of domain", exact=True).click()
    visit.settle()
    with visit.event("od-edit-ticks"):
        visit.at("od-edit-ticks").locator("label", has_text="bangs").click()
    visit.shows("od-edit-stages", 6)
    assert "bangs +6" in visit.ran("od-edit")
