"""The canvas alone, under a mouse, a finger and a keyboard, on pictures and windows of several shapes."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from demo import canvas

from .board import Board, near
from .drawing_page import BEFORE, SIZES
from .hand import BOX
from .server import Server


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("drawing"), "drawing", "tests/browser/drawing_page.py")
    yield running.address
    running.stop()


@pytest.fixture(scope="module")
def boards(browser, address):
    """Windows that are used again: ``boards("narrow", device_scale_factor=2)``."""
    kept: dict = {}

    def of(window: str = "wide", **options) -> Board:
        key = (window, *sorted(options.items()))
        if key not in kept:
            kept[key] = Board(browser, address, window, **options)
        board = kept[key]
        board.wipe()
        return board

    yield of
    for board in kept.values():
        board.close()


@pytest.fixture
def board(boards) -> Board:
    found = boards()
    found.show("square")
    return found


# -- the pixel clicked is the pixel used -------------------------------------------------------------------------------


@pytest.mark.parametrize(("window", "density"), [("wide", 1), ("narrow", 2), ("wide", 1.5)])
@pytest.mark.parametrize("kind", SIZES)
def test_the_pixel_clicked_is_the_pixel_used(kind, window, density, boards):
    """The colours of the picture say what lies under the pointer; the value has to name the same pixel."""
    board = boards(window, device_scale_factor=density)
    board.show(kind)
    width, height = SIZES[kind]
    for share in ((0.21, 0.77), (0.83, 0.12)):
        place = (round(share[0] * (width - 1)), round(share[1] * (height - 1)))
        red, green, _ = board.colours(*place)
        with board.events(1):
            board.click(*place)
        handle = (board.value.points[-1] if board.value.points[-1].target is None else None).handle
        # A pixel of the screen is so many of the picture; colours are whole numbers.
        slack = max(width / board.view.bounding_box()["width"], 0.1) + max(width, height) / 250
        assert near(handle, (red / 250 * (width - 1), green / 250 * (height - 1)), slack)
        assert near(handle, place, max(width / board.view.bounding_box()["width"], 0.02))
        with board.events(1):
            board.press("Escape")
    assert board.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    left, top, w, h = board.view.evaluate(BOX)
    assert abs(w / h - width / height) < 0.02 * width / height, "the picture is not stretched"
    board.look(f"{kind}-{window}-{density}")


def test_the_picture_has_the_pixels_of_the_screen(boards):
    board = boards("narrow", device_scale_factor=2)
    board.show("square")
    drawn, shown = board.view.locator("canvas").first.evaluate("c => [c.width, c.clientWidth]")
    assert drawn == 2 * shown


def test_the_edges_can_be_reached(board):
    left, top, width, height = board.view.evaluate(BOX)
    with board.events(1):
        board.page.mouse.move(left + 30, top + 30)
        board.page.mouse.down()
        board.page.mouse.move(left - 200, top - 20, steps=4)
        board.page.mouse.up()
    assert board.value.points[0].target == (-0.5, -0.5), "a hand that leaves the picture holds on to its edge"


def test_the_picture_at_the_start_is_shown_while_it_is_held(board):
    """By mouse and by key, without the marks; nothing that is drawn changes."""
    board.show("landscape")  # another picture comes with the one that it began as
    board.show("square")
    with board.events(1):
        board.pull((20, 20), (44, 20))
    button, marks = board.page.locator("#board [data-act=before]"), board.page.locator("#board .gc-marks")

    def compared(held: bool) -> None:
        board.settle()
        blue = board.colours(32, 44)[2]
        assert abs(blue - (BEFORE if held else 0)) < 3 and marks.is_visible() is not held

    with board.events(0):
        compared(False)
        button.hover()
        board.page.mouse.down()
        compared(True)
        board.look("before")
        board.page.mouse.up()
        compared(False)
        button.focus()
        board.page.keyboard.down("Space")
        compared(True)
        board.page.keyboard.up("Space")
        compared(False)
    board.page.locator("#run").click()
    expect(button).to_be_disabled()
    board.page.locator("#end").click()
    expect(board.page.locator("#board .gc-running")).to_have_count(0)
    expect(button).to_be_disabled()  # the frame at the end brought none


# -- points ------------------------------------------------------------------------------------------------------------


def test_click_and_click(board):
    with board.events(1):
        board.click(20, 30)
    assert board.value.points == (canvas.Pair(board.value.points[0].handle, None),)
    expect(board.page.locator("#board .gc-hint")).to_have_text("Now click where point 1 should go.")
    with board.events(1):
        board.click(40, 25)
    (pair,) = board.value.points
    assert near(pair.handle, (20, 30)) and near(pair.target, (40, 25))
    assert [name for name, *_ in board.marks()] == ["1 handle", "1 target"]
    board.look("pair")


def test_press_and_pull(board):
    with board.events(1):
        board.pull((10, 10), (30, 50))
    (pair,) = board.value.points
    assert near(pair.handle, (10, 10)) and near(pair.target, (30, 50))


def test_the_second_click_may_be_a_pull(board):
    with board.events(1):
        board.click(20, 30)
    with board.events(1):
        board.pull((30, 30), (45, 31))
    assert near(board.value.points[0].target, (45, 31))


def test_a_second_click_on_the_handle_says_nothing(board):
    with board.events(1):
        board.click(20, 30)
    with board.events(0):
        board.click(20, 30)
    with board.events(1):
        board.click(40, 30)
    assert len(board.value.points) == 1 and near(board.value.points[0].target, (40, 30))


def test_points_are_moved(board):
    for k in range(3):
        with board.events(1):
            board.pull((10 + 15 * k, 10), (10 + 15 * k, 40))
    with board.events(1):
        board.pull((25, 40), (28, 55))
    with board.events(1):
        board.pull((40, 10), (50, 20))
    first, second, third = board.value.points
    assert near(first.handle, (10, 10)) and near(first.target, (10, 40))
    assert near(second.handle, (25, 10)) and near(second.target, (28, 55))
    assert near(third.handle, (50, 20)) and near(third.target, (40, 40))
    with board.events(0):
        board.click(10, 10)  # taken hold of and let go


def test_a_right_click_removes(board):
    for k in range(3):
        with board.events(1):
            board.pull((10 + 15 * k, 10), (10 + 15 * k, 40))
    with board.events(1):
        board.click(25, 40, button="right")
    assert [near(p.handle, (x, 10)) for p, x in zip(board.value.points, (10, 40), strict=True)] == [True, True]
    assert [name for name, *_ in board.marks()] == ["1 handle", "1 target", "2 handle", "2 target"]
    with board.events(0):
        board.click(60, 60, button="right")


def test_undo_and_redo(board):
    board.show("landscape")  # another picture: nothing is left to be undone
    board.show("square")
    with board.events(2):
        board.pull((10, 10), (30, 10))
        board.pull((10, 30), (30, 30))
    with board.events(1):
        board.press("Control+z")
    assert len(board.value.points) == 1
    with board.events(1):
        board.page.locator("#board [data-act=undo]").click()
    assert board.value.points == () and board.page.locator("#board [data-act=undo]").is_disabled()
    with board.events(2):
        board.page.locator("#board [data-act=redo]").click()
        board.view.focus()
        board.press("Control+Shift+z")
    assert len(board.value.points) == 2
    with board.events(1):
        board.pull((30, 30), (50, 50))
    assert board.page.locator("#board [data-act=redo]").is_disabled()
    with board.events(1):
        board.press("Control+z")
    assert near(board.value.points[1].target, (30, 30))


def test_no_more_points_than_there_may_be(board):
    for k in range(5):
        with board.events(1):
            board.pull((8 + 11 * k, 10), (8 + 11 * k, 30))
    with board.events(0):
        board.click(30, 50)
    expect(board.page.locator("#board .gc-hint")).to_contain_text("the most")


# -- keys --------------------------------------------------------------------------------------------------------------


def test_everything_can_be_done_with_keys(board):
    board.view.focus()
    with board.events(1):
        board.press("ArrowLeft")  # the cross appears in the middle
        for _ in range(3):
            board.press("ArrowLeft")
        board.press("Enter")
    assert board.value.points[0].handle == (28.5, 31.5)
    with board.events(1):
        board.press("Shift+ArrowDown")
        board.press("Enter")
    assert board.value.points[0].target == (28.5, 41.5)
    board.press("Tab")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert board.page.evaluate(focused).startswith("Point 1, at 28.5, 31.5.")
    with board.events(1):
        for _ in range(4):  # held down, as the keyboard repeats it: one gesture
            board.page.keyboard.down("ArrowRight")
        board.page.keyboard.up("ArrowRight")
    assert board.value.points[0].handle == (32.5, 31.5)
    board.press("Tab")
    assert board.page.evaluate(focused).startswith("Target of point 1")
    with board.events(1):
        board.press("Control+z")
    assert board.value.points[0].handle == (28.5, 31.5)
    with board.events(1):
        board.press("Delete")
    assert board.value.points == ()


def test_escape_takes_a_half_point_back(board):
    with board.events(2):
        board.click(20, 30)
        board.press("Escape")
    assert board.value.points == ()


# -- painted areas -----------------------------------------------------------------------------------------------------


def painted(drawing: canvas.Drawing) -> np.ndarray:
    width, height = drawing.size
    area = drawing.layers["mask"].area((width, height))
    return np.zeros((height, width)) if area is None else np.asarray(area) / 255


@pytest.mark.parametrize("kind", ["square", "landscape"])
def test_painting(kind, board):
    board.show(kind)
    width, height = SIZES[kind]
    across = 0.12 * min(width, height)  # of the brush
    y = round(height / 3)
    board.tool("Paint")
    with board.events(1):
        board.pull((10, y), (width - 12, y))
    area = painted(board.value)
    assert board.value.points == ()
    assert area[y, 12 : width - 14].min() > 0.9 and area[y + round(across) + 1].max() == 0
    ends = 2 * 3.14159 * (across / 2) ** 2 / 2
    assert area.sum() == pytest.approx((width - 22) * across + ends, rel=0.1)
    before = board.colours(width // 2, height - 3), board.colours(width // 2, y)
    assert before[1][0] > before[0][0] + 30, "what is painted is seen as red film"
    board.look(f"painted-{kind}")

    board.tool("Erase")
    with board.events(1):
        board.pull((width / 2, 0), (width / 2, height - 1))
    gone = painted(board.value)
    assert gone[y, width // 2] == 0 and gone[y, 14] > 0.9
    with board.events(1):
        board.press("Control+z")
    assert np.array_equal(painted(board.value), area)

    for _ in range(4):
        board.press("]")
    board.tool("Paint")
    with board.events(1):
        board.click(width / 2, height * 0.75)
    assert painted(board.value).sum() > area.sum() + across**2, "a larger brush"
    with board.events(1):
        board.page.locator("#board [data-act=clear]").click()
    assert "mask" not in board.value.layers
    board.view.focus()
    for _ in range(4):
        board.press("[")


def test_points_and_paint_are_one_drawing(board):
    with board.events(1):
        board.pull((20, 20), (40, 40))
    board.tool("Paint")
    with board.events(1):
        board.pull((20, 20), (40, 40))  # over the points, which are not taken hold of now
    assert len(board.value.points) == 1 and near(board.value.points[0].handle, (20, 20))
    assert painted(board.value)[30, 30] == 1
    board.tool("Points")
    with board.events(1):
        board.pull((40, 40), (50, 30))
    assert painted(board.value)[30, 30] == 1 and near(board.value.points[0].target, (50, 30))
    board.page.locator("#board [data-act=hide]").click()
    hidden = board.view.locator("[data-end=handle] circle").first
    assert hidden.evaluate("e => getComputedStyle(e).visibility") == "hidden"
    board.page.locator("#board [data-act=hide]").click()
    assert hidden.evaluate("e => getComputedStyle(e).visibility") == "visible"


# -- fingers -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def touch(boards):
    board = boards("narrow", has_touch=True, device_scale_factor=2)
    board.show("square")
    session = board.context.new_cdp_session(board.page)

    def finger(kind: str, *place: float) -> None:
        points = [{"x": place[0], "y": place[1]}] if place else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    board.finger = finger
    return board


def test_fingers(touch):
    with touch.events(1):
        touch.page.touchscreen.tap(*touch.at(20, 30))
    with touch.events(1):
        touch.page.touchscreen.tap(*touch.at(45, 30))
    assert near(touch.value.points[0].handle, (20, 30), 0.3) and near(touch.value.points[0].target, (45, 30), 0.3)

    scrolled = touch.page.evaluate("scrollY")
    with touch.events(1):
        touch.finger("touchStart", *touch.at(30, 10))
        for k in range(1, 6):
            touch.finger("touchMove", *touch.at(30, 10 + 9 * k))
        touch.finger("touchEnd")
    assert near(touch.value.points[1].handle, (30, 10), 0.3) and near(touch.value.points[1].target, (30, 55), 0.3)
    assert touch.page.evaluate("scrollY") == scrolled, "a hand that draws does not scroll the page"

    with touch.events(1):
        touch.finger("touchStart", *touch.at(45, 30))
        touch.page.wait_for_timeout(900)  # rests
        touch.finger("touchEnd")
    (left,) = touch.value.points
    assert near(left.handle, (30, 10), 0.3)


def test_only_the_picture_keeps_fingers_from_scrolling(touch):
    actions = touch.page.evaluate(
        "() => [...document.querySelectorAll('#board, #board .gc, #board .gc-bar, #board .gc-view, body')]"
        ".filter(e => getComputedStyle(e).touchAction === 'none').map(e => e.className)"
    )
    assert actions == ["gc-view"]


# -- pictures that come while it runs ----------------------------------------------------------------------------------

WATCH = """() => {
  const canvas = document.querySelector('#board .gc-picture'), context = canvas.getContext('2d');
  window.seen = [];
  const look = () => {
    const [r, g, b, a] = context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data;
    const mark = document.querySelector('#board [data-end=handle]');
    window.seen.push([b, a, mark ? +mark.dataset.x : null]);
    setTimeout(look, 15);
  };
  look();
}"""


def test_live_pictures_take_nothing_away(board):
    board.tool("Paint")
    with board.events(1):
        board.pull((5, 50), (55, 50))
    board.tool("Points")
    with board.events(2):
        board.pull((10, 10), (50, 10))
        board.pull((10, 25), (30, 25))
    before = board.value
    board.page.evaluate(WATCH)
    board.page.locator("#run").click()
    expect(board.page.locator("#board .gc-running")).to_be_visible()
    board.pull((50, 40), (55, 45))  # nobody can draw now
    board.click(10, 25, button="right")
    board.page.wait_for_function("() => window.seen.some(one => one[2] > 40)")
    expect(board.page.locator("#board .gc-running")).to_be_visible()
    board.page.locator("#end").click()
    expect(board.page.locator("#board .gc-running")).to_have_count(0)
    board.settle()
    blues, opacities, places = map(np.array, zip(*board.page.evaluate("window.seen"), strict=True))
    assert opacities.min() == 255, "it was blank for a moment"
    assert len(set(blues)) > 5, f"only {len(set(blues))} pictures were seen"
    assert len(set(places)) > 5 and (np.diff(places) >= 0).all(), "the handle runs along"
    marks = board.marks()
    assert [m[0] for m in marks] == ["1 handle", "1 target", "2 handle", "2 target"]
    assert near(marks[0][1:], (50, 10)) and near(marks[2][1:], (30, 25))
    # The next gesture sends points where they have come to, and all that was drawn before.
    with board.events(1):
        board.pull((50, 40), (55, 55))
    first, second, third = board.value.points
    assert near(first.handle, first.target) and first.target == before.points[0].target
    assert near(second.handle, second.target) and near(third.target, (55, 55))
    assert np.array_equal(painted(board.value), painted(before))


def test_a_drawing_that_comes_from_python(board):
    with board.events(1):
        board.pull((10, 10), (50, 10))
    board.page.locator("#load").click()
    expect(board.view.locator("[data-end]")).to_have_count(4)
    expect(board.view.locator("[data-end=target]").first).to_have_attribute("data-x", "15")
    assert board.marks() == [("1 handle", 5, 6), ("1 target", 15, 26), ("2 handle", 30, 30), ("2 target", 20, 20)]
    with board.events(1):
        board.pull((15, 26), (40, 50))
    area = painted(board.value)
    assert area[:32].min() == 1 and area[32:].max() == 0, "the area that came is there, and goes back"
    assert len(board.value.points) == 2 and near(board.value.points[0].target, (40, 50))


def test_the_theme(browser, address):
    """In the dark as in the light everything is there; the pictures are for people to look at."""
    for theme in ("light", "dark"):
        board = Board(browser, f"{address}/?__theme={theme}", "tall")
        board.click(20, 20)
        board.click(40, 30)
        board.tool("Paint")
        board.pull((10, 50), (50, 40))
        expect(board.page.locator("#board .gc-bar button").first).to_be_visible()
        board.look(theme)
        board.close()
