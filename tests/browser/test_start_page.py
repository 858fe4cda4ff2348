"""The first page: moving pictures that open their tabs, and a photograph that goes where it is sent."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import weights
from pipelines import stylegan2

from .visit import NARROW, WIDE

# What is to be seen after a press: the tab, the cell, and what stands there when its example was made.
OPENED = {
    "walk": ("StyleGAN2", "interpolation", "#sg2-interpolation-animation img"),
    "draggan": ("DragGAN", "dg-drag", "#dg-drag-status p.nb-ran"),
    "attgan": ("AttGAN", "ag-edit", "#ag-edit-status p:has-text('eyeglasses')"),
    "igan": ("iGAN", "ig-brush", "#ig-brush-candidates .gt-tile >> nth=3"),
    "out-of-domain": ("Out of domain", "od-edit", "#od-edit-stages img >> nth=5"),
}


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_it_is_what_a_visitor_sees_first(browser, server, size):
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    try:
        page = context.new_page()
        page.goto(server.address)
        expect(page.get_by_role("tab", selected=True)).to_have_text("Start here")
        pictures = page.locator(".nb-tour img")
        expect(pictures).to_have_count(5)
        for picture in pictures.all():
            picture.scroll_into_view_if_needed()
        page.wait_for_function("[...document.querySelectorAll('.nb-tour img')].every(one => one.naturalWidth === 192)")
        assert all(src.endswith(".webp") for src in pictures.evaluate_all("all => all.map(one => one.currentSrc)"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=f"artefacts/screenshots/start-{size[0]}.png", animations="disabled", full_page=True)
    finally:
        context.close()


def test_each_picture_opens_its_example(window):
    visit = window(WIDE, new=True)
    for name, (tab, cell, shown) in OPENED.items():
        visit.page.get_by_role("tab", name="Start here").click()
        visit.page.locator(f"[data-tour={name}]").click()
        expect(visit.page.get_by_role("tab", selected=True)).to_have_text(tab)
        expect(visit.page.locator(shown)).to_be_visible()
        visit.settle()
        expect(visit.at(cell)).to_be_in_viewport()
    assert visit.value("interpolation-seeds") == "17, 24, 52, 33"


@pytest.fixture
def face(tmp_path) -> str:
    """A file with a face of our own network in it."""
    made = stylegan2.sample(weights.load("stylegan2/faces"), seeds=[8])[0]
    made.resize((384, 384), Image.Resampling.BICUBIC).save(tmp_path / "face.png")
    return str(tmp_path / "face.png")


def test_a_photograph_goes_to_the_tab_that_is_chosen(window, face):
    visit = window(WIDE, new=True)
    visit.page.get_by_role("tab", name="Start here").click()
    visit.page.locator(".nb-own-photo input").set_input_files(face)
    expect(visit.page.get_by_alt_text("Your photograph")).to_be_visible()
    for tab, picture in (("AttGAN", "ag-edit-crop"), ("DragGAN", "dg-photo-crop")):
        visit.page.get_by_role("tab", name="Start here").click()
        visit.page.locator(f"[data-take={tab}]").click()
        seen = visit.at(picture).locator("img")
        expect(seen).to_be_visible()
        visit.settle()
        small = np.asarray(Image.fromarray(visit.pictures(picture)[0]).resize((32, 32)), np.float64)
        asked = np.asarray(Image.open(face).convert("RGB").resize((32, 32)), np.float64)
        assert np.abs(small - asked).mean() < 40, f"{tab} shows another face"


def test_without_a_photograph_of_ones_own(window):
    """The one that ships is taken in its place."""
    visit = window(NARROW, new=True)
    visit.page.get_by_role("tab", name="Start here").click()
    visit.page.get_by_role("button", name="No photograph at hand?").click()
    expect(visit.page.get_by_alt_text("Your photograph")).to_be_visible()
    visit.page.locator("[data-take=DragGAN]").click()
    expect(visit.at("dg-photo-crop").locator("img")).to_be_visible()
    visit.settle()
    assert visit.overflow() == []


def test_one_face_and_five_papers(window, face):
    visit = window(WIDE, new=True)
    visit.page.get_by_role("tab", name="Start here").click()
    visit.page.locator(".nb-own-photo input").set_input_files(face)
    visit.page.locator("[data-take='Start here']").click()
    assert "5 of 5 papers" in visit.ran("st-five")
    tiles = visit.at("st-five-papers").locator(".gt-tile")
    expect(tiles).to_have_count(6)
    assert visit.overflow() == []
    visit.screenshot("five-papers", "st-five")
    visit.page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    assert visit.overflow() == []
    visit.screenshot("five-papers-390", "st-five")
    visit.page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    tiles.nth(3).click()
    expect(visit.page.get_by_role("tab", selected=True)).to_have_text("AttGAN")
    expect(visit.at("ag-edit-crop").locator("img")).to_be_visible()
