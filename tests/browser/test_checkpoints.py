"""The Checkpoints tab: what there is and where, and a visitor's own file, which is nobody else's."""

from __future__ import annotations

import re

import numpy as np
from playwright.sync_api import expect

import weights

from .visit import NARROW, WIDE


def test_the_catalogue(visit):
    """Every entry, with its state, licence and, if it ships, a sample of its own making; fetching offline says so."""
    visit.page.get_by_role("tab", name="Checkpoints").click()
    cards = visit.at("ckpt-list").locator("li")
    expect(cards.first).to_be_visible()
    entries = {entry.name: weights.describe(entry.name) for entry in weights.entries()}
    texts = cards.all_inner_texts()
    assert len(texts) == len(entries)
    for name, entry in entries.items():
        text = next(t for t in texts if re.search(rf"(?m)^{re.escape(name)}$", t))
        assert entry.title in text and entry.licence in text
        where = {"shipped": "ships with ganbook", "missing": "not made yet", "remote": "download"}[entry.status]
        assert where in text or not entry.loadable
    shipped = [entry for entry in entries.values() if entry.status == "shipped"]
    samples = visit.at("ckpt-list").locator("li[data-status=shipped] img")
    expect(samples).to_have_count(len([entry for entry in shipped if entry.sample]))
    assert samples.evaluate_all("all => all.every(image => image.alt)")
    assert visit.overflow() == []
    visit.screenshot("checkpoints-whole", whole=True)

    visit.press("ckpt-fetch-run")
    visit.complaint()  # nothing chosen
    button = visit.at("ckpt-list").locator("button[data-name]:not([data-tab])").first
    name = button.get_attribute("data-name")
    with visit.event("ckpt-list"):
        button.click()
    visit.until(visit.toasts, "the list's own button did nothing")
    assert "offline" in visit.complaint()
    visit.choose("ckpt-name", re.compile("download"))
    visit.press("ckpt-fetch-run")
    assert "offline" in visit.complaint()
    visit.press("ckpt-fetch-stop")  # nothing to cancel, and no harm
    assert visit.toasts() == []
    assert name in entries
    visit.page.get_by_role("tab", name="StyleGAN2").click()


def test_a_card_opens_the_tabs_that_take_it(window):
    visit = window(NARROW, new=True)
    for tab, network, run in (("StyleGAN2", "network", "sample-run"), ("DragGAN", "dg-network", "dg-drag-run")):
        visit.page.get_by_role("tab", name="Checkpoints").click()
        button = visit.at("ckpt-list").get_by_role("button", name=f"Use Cats (AFHQ) in {tab}")
        with visit.event("ckpt-list"):
            button.click()
        expect(visit.at(run)).to_be_visible()
        visit.settle()
        assert visit.value(network).startswith("Cats")
    visit.page.get_by_role("tab", name="Checkpoints").click()
    assert visit.overflow() == []
    visit.screenshot("checkpoints-cards", "ckpt-list")


def test_a_refused_file_leaves_no_word_of_the_one_before(window, fixtures, tmp_path):
    visit = window(WIDE, new=True)
    visit.page.get_by_role("tab", name="Checkpoints").click()
    visit.upload("ckpt-file", fixtures("stylegan2_ada_64.pkl"))
    expect(visit.at("ckpt-recognised")).to_contain_text("uses it now")
    refused = tmp_path / "empty.pkl"
    refused.write_bytes(b"")
    visit.upload("ckpt-file", refused)
    expect(visit.at("ckpt-recognised").locator("p.nb-error")).to_be_visible()
    expect(visit.at("ckpt-recognised")).not_to_contain_text("uses it now")
    visit.complaint()


def test_a_file_of_ones_own(window, fixtures):
    """It is recognised by its content, makes pictures in every cell, and another visitor does not see it."""
    visit, other = window(WIDE, new=True), window(NARROW)
    visit.page.get_by_role("tab", name="Checkpoints").click()
    visit.upload("ckpt-file", fixtures("stylegan2_ada_64.pkl"))
    expect(visit.at("ckpt-recognised").locator("p.nb-ran")).to_contain_text("64 px")
    visit.screenshot("checkpoints-own-file")
    visit.page.get_by_role("tab", name="StyleGAN2").click()
    chosen = visit.value("network")
    assert chosen not in _networks(other) and "shipped" not in chosen
    assert chosen.startswith("stylegan2_ada_64.pkl (64 px)")
    assert "Your own file stylegan2_ada_64.pkl" in visit.at("about").inner_text()
    before = visit.pictures("sample-gallery")
    visit.write("sample-seeds", "1-3")
    visit.press("sample-run")
    made = visit.pictures("sample-gallery")
    assert len(made) == 3 and made[0].shape == (64, 64, 3)
    assert made[0].shape != before[0].shape or not np.array_equal(made[0], before[0])
    visit.press("directions-run")
    visit.ran("directions")
    assert 'weights.read("' in visit.code("sample")
    visit.screenshot("own-file", "sample")

    assert chosen not in _networks(other)
    other.page.reload()
    other.leave_first_page()
    other.shows("sample-gallery", 16)
    other.settle()
    assert chosen not in _networks(other)
    assert len(_networks(visit)) == len(_networks(other)) + 1


def test_a_stylegan3_of_ones_own(window, fixtures):
    """The cells of the StyleGAN2 tab work with it; that of the noise, and other tabs, say that they do not."""
    visit = window(WIDE, new=True)
    visit.page.get_by_role("tab", name="Checkpoints").click()
    visit.upload("ckpt-file", fixtures("stylegan3_t_32.pkl"))
    expect(visit.at("ckpt-recognised").locator("p.nb-ran")).to_contain_text("StyleGAN2 tab uses it now")
    visit.page.get_by_role("tab", name="StyleGAN2").click()
    assert "no noise inputs" in visit.at("about").inner_text()
    visit.write("sample-seeds", "1-3")
    visit.press("sample-run")
    assert [image.shape for image in visit.pictures("sample-gallery")] == [(32, 32, 3)] * 3
    for cell in ("truncation", "mixing", "interpolation", "directions"):
        visit.press(f"{cell}-run")
        visit.ran(cell)
    visit.press("noise-run")
    assert "no noise inputs" in visit.complaint()
    visit.press("sample-send-draggan")
    assert "not a network for this tab" in visit.complaint()


def test_a_file_with_classes(window, fixtures):
    """A network that was trained with labels shows a chooser of classes, and the class counts."""
    visit = window(WIDE, new=True)
    visit.page.get_by_role("tab", name="Checkpoints").click()
    visit.upload("ckpt-file", fixtures("stylegan2_ada_cond_32.pkl"))
    visit.page.get_by_role("tab", name="StyleGAN2").click()
    expect(visit.at("class")).to_be_visible()
    visit.write("sample-seeds", "1")
    visit.press("sample-run")
    first = visit.pictures("sample-gallery")
    visit.choose("class", "class 3")
    visit.press("sample-run")
    assert not np.array_equal(visit.pictures("sample-gallery")[0], first[0])
    assert "class_index=3" in visit.code("sample")
    visit.screenshot("network-with-classes")


def _networks(visit) -> list[str]:
    """What a visitor's chooser offers."""
    visit.page.evaluate("() => document.activeElement.blur()")  # a click on a box that has the focus opens no list
    visit.at("network").locator("input").click()
    options = visit.page.get_by_role("option")
    expect(options.first).to_be_visible()
    found = [text.strip(" ✓\n") for text in options.all_inner_texts()]
    visit.page.keyboard.press("Escape")
    visit.settle()
    return found
