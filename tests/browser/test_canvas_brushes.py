"""The brushes of iGAN on the canvas: free colours, lines, patches that are moved; and letters that press buttons."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from demo import canvas

from .board import Board, near
from .drawing_page import BRUSHES, SIZES
from .server import Server

PATCHES = "all => all.map(e => [e.dataset.source, e.dataset.target, +e.dataset.size])"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("brushes"), "brushes", "tests/browser/drawing_page.py")
    yield running.address
    running.stop()


class Pad(Board):
    root, log = "pad", "said"

    @property
    def value(self) -> canvas.Drawing:
        return canvas.read(self.heard()[-1], BRUSHES)

    def wipe(self) -> None:
        clear = self.part("[data-act=clear]")
        if clear.is_enabled():
            with self.events(1):
                clear.click()
        self.tool("Colour")

    def colour(self, text: str) -> None:
        self.part("input[type=color]").evaluate(
            "(e, text) => { e.value = text; e.dispatchEvent(new Event('input', {bubbles: true})); }", text
        )

    def warp(self, size: int) -> None:
        """The brush that moves patches, at a share of the picture in per cent."""
        self.tool("Warp")
        self.part("input[type=range]").fill(str(size))

    def patches(self) -> list:
        return self.view.locator("[data-patch]").evaluate_all(PATCHES)


@pytest.fixture(scope="module")
def pads(browser, address):
    kept: dict = {}

    def of(window: str = "wide", **options) -> Pad:
        key = (window, *sorted(options.items()))
        if key not in kept:
            kept[key] = Pad(browser, address, window, **options)
        kept[key].wipe()
        return kept[key]

    yield of
    for pad in kept.values():
        pad.close()


@pytest.fixture
def pad(pads) -> Pad:
    return pads()


def painted(drawing: canvas.Drawing, name: str = "colour") -> np.ndarray:
    """RGBA at the picture's size."""
    layer = drawing.layers[name]
    return np.asarray(layer.colours(drawing.size) if name == "colour" else layer.area(drawing.size))


def test_colours_are_free(pad):
    pad.colour("#00c81e")
    with pad.events(1):
        pad.pull((10, 12), (50, 12))
    pad.colour("#c80ae6")
    with pad.events(1):
        pad.pull((30, 12), (30, 50))
    value = pad.value
    assert set(value.layers["colour"].palette) == {(0, 200, 30), (200, 10, 230)}
    picture = painted(value)
    assert tuple(picture[12, 15]) == (0, 200, 30, 255) and tuple(picture[40, 30]) == (200, 10, 230, 255)
    assert picture[60, 5, 3] == 0 and "points" in pad.heard()[-1] and pad.heard()[-1]["patches"] == []
    shown = pad.colours(15, 12)
    assert np.abs(shown - (0, 200, 30)).max() < 25, "it is seen nearly as it is"
    with pad.events(1):
        pad.press("Control+z")
    assert pad.value.layers["colour"].palette == ((0, 200, 30),), "what is not there any more is not in the palette"
    with pad.events(1):
        pad.press("Control+Shift+z")
    assert np.array_equal(painted(pad.value), picture)
    pad.look("colours")


def test_a_colour_is_taken_from_the_picture(pad):
    well = pad.part("input[type=color]")
    for x, y in ((10, 40), (50, 5)):
        with pad.events(0):
            pad.part("[data-act=pick]").click()
            expect(pad.part(".gc-hint")).to_contain_text("has the colour that you want")
            pad.click(x, y)
        found = [int(well.input_value()[i : i + 2], 16) for i in (1, 3, 5)]
        assert near(found, (x * 250 / 63, y * 250 / 63, 0), 5)
    before = well.input_value()
    pad.page.keyboard.down("Alt")
    with pad.events(0):
        pad.click(30, 30)
    pad.page.keyboard.up("Alt")
    assert well.input_value() != before
    with pad.events(1):
        pad.click(20, 20)  # and the next press paints with it
    assert near(pad.value.layers["colour"].palette[0], (30 * 250 / 63, 30 * 250 / 63, 0), 5)


FULL = """() => {
  const tool = { free: true, palette: [[0, 0, 0, 240]] };
  const layer = new ganbookCanvas.Layer([64, 64], tool, document.createElement("canvas"));
  const found = [];
  for (let n = 0; n < 66; n++) {
    const { index, exact } = layer.number([3 * n, 128, 255]);
    layer.cells = layer.cells.slice();
    layer.cells[n] = index;
    found.push(exact);
  }
  const crowded = [found.lastIndexOf(true), layer.value().palette.length, layer.cells[65]];
  layer.cells = layer.cells.slice();
  layer.cells[0] = 0; // the first colour is wiped away
  const { index, exact } = layer.number([9, 9, 9]);
  layer.cells[70] = index;
  return [...crowded, exact, layer.value().palette.length, layer.value().palette[0]];
}"""


def test_more_colours_than_a_palette_holds(pad):
    """The 65th colour becomes the one most like it; a colour that was wiped away makes room."""
    assert pad.page.evaluate(FULL) == [63, 64, 64, True, 64, [3, 128, 255]]


def test_lines_and_erasing(pad):
    pad.colour("#2040ff")
    with pad.events(1):
        pad.pull((10, 20), (54, 20))
    pad.tool("Sketch")
    with pad.events(1):
        pad.pull((10, 40), (54, 40))
    line = painted(pad.value, "sketch") / 255
    assert 1.2 < line[:, 30].sum() < 2.8, "a thin line"
    assert pad.colours(30, 40).max() < 60, "a dark one"
    pad.tool("Erase")
    for _ in range(4):
        pad.press("]")
    with pad.events(1):
        pad.pull((30, 5), (30, 60))
    value = pad.value
    assert painted(value)[20, 30, 3] == 0 and painted(value, "sketch")[40, 30] == 0, "it wipes over both"
    assert painted(value)[20, 14, 3] == 255 and painted(value, "sketch")[40, 14] > 0
    with pad.events(1):
        pad.press("Control+z")
    assert painted(pad.value)[20, 30, 3] == 255 and painted(pad.value, "sketch")[40, 30] > 0
    pad.tool("Sketch")
    for _ in range(4):
        pad.press("[")


def test_patches_are_moved(pad):
    pad.warp(25)
    with pad.events(1):
        pad.pull((16, 16), (40, 30))
    (patch,) = pad.value.patches
    assert patch.size == 16 and near(patch.source, (16, 16), 0.6) and near(patch.target, (40, 30), 0.6)
    assert all((v * 2) % 2 == 1 for v in (*patch.source, *patch.target)), "its edges lie between pixels"
    there = pad.colours(40, 30)
    assert near(there, (16 * 250 / 63, 16 * 250 / 63, 0), 25) or there.max() > 200, "the patch is seen where it goes"
    assert near(pad.colours(35, 24), (11 * 250 / 63, 10 * 250 / 63, 0), 14), "with what was cut out"
    with pad.events(1):
        pad.pull((40, 33), (44, 43))
    assert near(pad.value.patches[0].target, (44, 40), 0.6) and pad.value.patches[0].source == patch.source
    with pad.events(0):
        pad.click(5, 60)  # a square that is not moved
    expect(pad.part(".gc-hint")).to_contain_text("drag the square")
    with pad.events(1):
        pad.pull((5, 60), (60, 5))
    assert len(pad.value.patches) == 2
    first, second = pad.value.patches
    assert second.target == (55.5, 7.5), "no part of it leaves the picture"
    with pad.events(1):
        pad.press("Control+z")
    assert pad.value.patches == (first,)
    with pad.events(2):
        pad.press("Control+Shift+z")
        pad.click(44, 40, button="right")
    assert pad.value.patches == (second,)
    pad.look("patches")
    with pad.events(1):
        pad.part("[data-act=clear]").click()
    assert pad.value.patches == () and not pad.patches()


def test_the_size_of_patches(pad):
    pad.warp(12)
    with pad.events(1):
        pad.pull((20, 20), (40, 20))
    assert pad.value.patches[0].size == 8
    with pad.events(1):
        pad.press("]")  # the patch has the focus
    assert pad.value.patches[0].size == 10
    pad.view.focus()
    pad.press("]")
    with pad.events(1):
        pad.pull((20, 50), (40, 50))
    assert pad.value.patches[1].size == 10, "an eighth more than an eighth of the picture"


def test_no_more_patches_than_there_may_be(pad):
    pad.warp(10)
    for k in range(3):
        with pad.events(1):
            pad.pull((6, 6 + 18 * k), (30, 6 + 18 * k))
    with pad.events(0):
        pad.pull((50, 50), (55, 20))
    expect(pad.part(".gc-hint")).to_contain_text("3 patches")


def test_patches_by_keys(pad):
    pad.warp(25)
    pad.view.focus()
    with pad.events(1):
        pad.press("ArrowLeft")
        pad.press("Enter")
        for _ in range(3):
            pad.page.keyboard.down("ArrowRight")
        pad.page.keyboard.up("ArrowRight")
    (patch,) = pad.value.patches
    assert patch.target[0] - patch.source[0] == 3 and patch.target[1] == patch.source[1]
    focused = "document.activeElement.getAttribute('aria-label')"
    assert pad.page.evaluate(focused).startswith("Patch 1 of 16 pixels, from")
    with pad.events(1):
        pad.press("Delete")
    assert pad.value.patches == ()


def test_a_drawing_that_comes_from_python(pad):
    pad.page.locator("#bring").click()
    expect(pad.view.locator("[data-patch]")).to_have_count(1)
    assert pad.patches() == [["15.5,15.5", "40.5,40.5", 12]]
    assert np.abs(pad.colours(50, 4) - (10, 200, 30)).max() < 25
    pad.tool("Sketch")
    with pad.events(1):
        pad.click(60, 60)
    value = pad.value
    picture = painted(value)
    assert tuple(picture[4, 50]) == (10, 200, 30, 255) and tuple(picture[20, 10]) == (200, 10, 230, 255)
    assert picture[20, 50, 3] == 0 and painted(value, "sketch")[40, 32] == 255
    assert value.patches == (canvas.Patch((15.5, 15.5), (40.5, 40.5), 12),)


def test_fingers(pads):
    pad = pads("narrow", has_touch=True, device_scale_factor=2)
    session = pad.context.new_cdp_session(pad.page)

    def finger(kind: str, *place: float) -> None:
        points = [{"x": place[0], "y": place[1]}] if place else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    pad.warp(25)
    with pad.events(1):
        finger("touchStart", *pad.at(20, 20))
        for k in range(1, 6):
            finger("touchMove", *pad.at(20 + 5 * k, 20))
        finger("touchEnd")
    (patch,) = pad.value.patches
    assert near(patch.target, (45, 20), 0.7)
    with pad.events(1):
        finger("touchStart", *pad.at(45, 20))
        pad.page.wait_for_timeout(900)
        finger("touchEnd")
    assert pad.value.patches == ()
    pad.tool("Colour")
    with pad.events(1):
        pad.page.touchscreen.tap(*pad.at(30, 30))
    assert painted(pad.value)[30, 30, 3] == 255
    assert pad.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    pad.look("brushes-narrow")


def test_letters_press_buttons(pad):
    counted = pad.page.locator("#counted input")
    before = int(counted.input_value())
    pad.view.focus()
    pad.press("p")
    expect(counted).to_have_value(str(before + 1))
    pad.click(30, 30)  # a click somewhere in the picture, then anywhere in its cell
    pad.press("p")
    expect(counted).to_have_value(str(before + 2))
    pad.press("e")
    expect(pad.part(".gc-bare")).to_have_count(1)
    pad.press("e")
    expect(pad.part(".gc-bare")).to_have_count(0)
    said = pad.page.locator("#said textarea, #said input").first
    said.focus()
    kept = said.input_value()
    said.press("End")
    pad.press("p")
    assert int(counted.input_value()) == before + 2, "who writes is not interrupted"
    said.fill(kept)
    pad.view.focus()
    for keys in ("Alt+p", "Shift+P"):
        pad.press(keys)
    pad.page.locator("#kind").click(position={"x": 2, "y": 2})
    pad.press("p")
    pad.settle()
    assert int(counted.input_value()) == before + 2, "nor is another part of the page"
    assert pad.page.locator("#count").get_attribute("aria-keyshortcuts") == "P"


def test_another_picture_takes_the_drawing_away(pad):
    pad.warp(25)
    with pad.events(1):
        pad.pull((20, 20), (40, 20))
    pad.show("landscape")
    assert pad.patches() == [] and pad.size == SIZES["landscape"]
    with pad.events(1):
        pad.pull((20, 20), (60, 20))
    assert pad.value.patches[0].size == 10, "a quarter of the shorter side"
    pad.show("square")
