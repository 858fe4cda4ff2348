"""The page before anybody has asked it for anything: layout, tabs, themes, keyboard, the chooser of networks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .visit import NARROW, WIDE

LUMINANCE = """(node) => {
  const linear = (v) => v <= .04 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(v => linear(v / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const seeThrough = (text) => /, 0\\)$|transparent/.test(text);
  let ground = node;
  while (ground.parentElement && seeThrough(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
  return [light(getComputedStyle(node).color), light(getComputedStyle(ground).backgroundColor)];
}"""


def contrast(visit, selector: str) -> float:
    """Of a text on its ground, as WCAG 2 counts it: 1 (the same colour) to 21."""
    text, ground = visit.page.locator(selector).first.evaluate(LUMINANCE)
    return (max(text, ground) + 0.05) / (min(text, ground) + 0.05)


def readable(visit) -> None:
    for selector in (
        ".nb-lead h1",
        ".nb-lead p",
        ".nb-motto",
        ".nb-cell h2",
        ".nb-cell .nb-prose p",
        "[data-testid=block-info]",
        ".nb-controls .info-text",
        "#sg2-sample-run",
        "#sg2-sample-extra",
        "#sg2-sample-status p",
        "#sg2-about p",
        "#sg2-sample-gallery .caption-label",
        "#sg2-sample-seeds textarea",
        "#sg2-sample-noise-mode label.selected span",
        "#tab-checkpoints-button",
    ):
        # Colours may be on their way from one theme to the other.
        visit.until(lambda s=selector: contrast(visit, s) >= 4.5, f"{selector} is hard to read")


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_the_page_opens(window, size):
    """For a new visitor: a first picture without a click, tabs within reach, nothing that sticks out to the side."""
    visit = window(size, new=True)
    visit.shows("sample-gallery", 16)
    assert visit.overflow() == []
    assert visit.page.title() == "ganbook"
    for image in visit.page.locator("main img:visible").all():
        assert image.get_attribute("alt"), "a picture without words for those who do not see it"
    readable(visit)
    visit.page.evaluate("scrollTo(0, 0)")
    visit.screenshot("page-top")
    visit.screenshot("page-whole", whole=True)
    tabs = visit.page.get_by_role("tab")
    assert tabs.all_inner_texts() == [
        "Start here",
        *("StyleGAN2", "DragGAN", "AttGAN", "iGAN", "Out of domain", "Checkpoints"),
    ]
    for tab in tabs.all():
        expect(tab).to_be_in_viewport()
    visit.page.get_by_role("tab", name="Checkpoints").click()
    expect(visit.at("ckpt-list").locator("li").first).to_be_visible()
    visit.settle()
    assert visit.overflow() == []
    visit.page.evaluate("scrollTo(0, 0)")
    visit.screenshot("checkpoints-top")
    visit.page.get_by_role("tab", name="StyleGAN2").click()
    expect(visit.at("sample-run")).to_be_visible()


def test_dark_theme(window):
    """The switch in the masthead; the choice outlives the visit to the page."""
    visit = window(WIDE, new=True)
    ground = "() => getComputedStyle(document.querySelector('.gradio-container')).backgroundColor"
    light = visit.page.evaluate(ground)
    switch = visit.page.locator("#theme-toggle")
    switch.click()
    assert visit.page.evaluate(ground) != light
    assert "dark" in visit.page.evaluate("() => document.body.className")
    readable(visit)
    visit.screenshot("page-dark")
    visit.page.reload()
    visit.page.get_by_role("tab", name="StyleGAN2").click()
    visit.shows("sample-gallery", 16)
    assert "dark" in visit.page.evaluate("() => document.body.className")
    switch.press("Enter")
    assert visit.page.evaluate(ground) == light


def test_keyboard(wide):
    """From the seeds with Tab to the button, and Enter runs the cell; where the focus is can be seen."""
    wide.at("sample-seeds").locator("textarea").fill("5, 6")
    wide.at("sample-seeds").locator("textarea").focus()
    for _ in range(12):
        wide.page.keyboard.press("Tab")
        if wide.page.evaluate("() => document.activeElement.id") == "sg2-sample-run":
            break
    run = wide.at("sample-run")
    expect(run).to_be_focused()
    assert run.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    wide.screenshot("keyboard-focus", "sample")
    wide.press("sample-run", "Enter")
    wide.shows("sample-gallery", 2)
    wide.page.get_by_role("tab", name="StyleGAN2").focus()
    tabs = wide.page.get_by_role("tab").count()
    for _ in range(tabs):  # each tab is a stop of its own
        wide.page.keyboard.press("Tab")
        if wide.page.evaluate("() => document.activeElement.id") == "tab-checkpoints-button":
            break
    wide.page.keyboard.press("Enter")
    expect(wide.at("sample-run")).to_be_hidden()
    wide.page.get_by_role("tab", name="StyleGAN2").focus()
    wide.page.keyboard.press("Enter")
    expect(wide.at("sample-run")).to_be_visible()


def test_a_picture_enlarged(wide):
    """A click on a tile shows it large; Escape brings the sheet back."""
    gallery = wide.at("sample-gallery")
    gallery.locator(".thumbnail-item").first.click()
    large = gallery.locator(".preview img").first
    expect(large).to_be_visible()
    assert large.bounding_box()["width"] > 200
    wide.screenshot("picture-enlarged", "sample")
    wide.page.keyboard.press("Escape")
    expect(gallery.locator(".preview")).to_have_count(0)


def test_new_pictures_come_as_a_sheet(wide):
    """Also when the third of four was looked at closely, and there are only two now."""
    wide.write("sample-seeds", "21-24")
    wide.press("sample-run")
    wide.at("sample-gallery").locator(".thumbnail-item").nth(2).click()
    expect(wide.at("sample-gallery").locator(".preview")).to_be_visible()
    wide.write("sample-seeds", "5, 6")
    wide.press("sample-run")
    wide.shows("sample-gallery", 2)


def test_networks(visit):
    """Another network makes other pictures of the same seeds; one that is not on this machine says so in a sentence."""
    visit.write("sample-seeds", "1-2")
    visit.press("sample-run")
    faces, about = visit.pictures("sample-gallery"), visit.at("about").inner_text()
    visit.choose("network", re.compile("^\\W*Cartoon"))
    assert visit.at("about").inner_text() != about
    visit.press("sample-run")
    cartoons = visit.pictures("sample-gallery")
    assert visit.value("network") in visit.ran("sample") or "Cartoon" in visit.ran("sample")
    assert cartoons[0].shape != faces[0].shape or (cartoons[0] != faces[0]).any()

    visit.choose("network", re.compile("to download"))
    assert "fetched when first used" in visit.at("about").inner_text()
    visit.press("sample-run")
    assert "offline" in visit.complaint()
    assert (visit.pictures("sample-gallery")[0] == cartoons[0]).all()

    visit.choose("network", re.compile("^\\W*Faces"))
    visit.press("sample-run")
    assert (visit.pictures("sample-gallery")[0] == faces[0]).all()


def test_small_pictures_are_smooth_or_show_their_pixels(wide):
    """A switch at the top of the page; pictures are enlarged smoothly at first."""
    wide.write("sample-seeds", "1-4")
    wide.press("sample-run")
    wide.shows("sample-gallery", 4)
    image, button = wide.at("sample-gallery").locator("img").first, wide.page.locator("#pixels-toggle")

    def rendering() -> str:
        return image.evaluate("image => getComputedStyle(image).imageRendering")

    assert rendering() == "auto" and button.get_attribute("aria-pressed") == "false"
    button.click()
    assert rendering() == "pixelated" and button.get_attribute("aria-pressed") == "true"
    wide.screenshot("pixels", "sample")
    button.click()
    assert rendering() == "auto"
