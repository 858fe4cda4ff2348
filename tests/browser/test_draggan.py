"""The DragGAN tab as visitors use it: points by mouse, a painted area, Stop, on, back, and everything to take away."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from safetensors.numpy import load_file

import weights
from pipelines.recipes import Recipe

from .hand import GOES_ON, Hand
from .visit import NARROW, WIDE, Visit, one_sentence, pixels

SIZE = (64, 64)  # places here are in 64ths of the picture, whatever the network makes
PIXELS = weights.describe("stylegan2/faces").resolution

# Pressed by the page itself, twice, faster than any answer: on a busy machine a drag goes on while a test asks where it
# is, and a thousand steps are soon over.
STOP_AT_THREE = """() => {
  const stop = document.querySelector("#dg-drag-stop");
  window.stoppedAtThree = window.ranAtThree = false;
  const watch = new MutationObserver(() => {
    const steps = document.querySelector("#dg-drag-meter dd");
    if (!steps || !(parseInt(steps.innerText) >= 3)) return;
    watch.disconnect();
    stop.click();
    stop.click();
    requestAnimationFrame(() => { // the canvas hears of the same answer as the numbers, a moment later
      window.ranAtThree = !!document.querySelector("#dg-drag-canvas .gc-running");
      window.stoppedAtThree = true;
    });
  });
  watch.observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


def opened(visit: Visit) -> Hand:
    """The tab, with the picture of seed 3 and nothing drawn on it."""
    visit.page.get_by_role("tab", name="DragGAN").click()
    expect(visit.page.locator("#dg-drag-canvas .gc:not(.gc-empty)")).to_be_visible()
    visit.settle()
    hand = Hand(visit.page, "dg-drag-canvas", SIZE)
    if visit.at("dg-drag-seed").locator("input").first.is_disabled():  # a photograph has none
        visit.press("dg-drag-another")
    if visit.value("dg-drag-seed") != "3":
        visit.write("dg-drag-seed", 3)
    visit.press("dg-drag-reset")
    if hand.part("[data-act=clear]").is_enabled():
        hand.clear()
    hand.tool("Points")
    return hand


def in_64ths(places) -> np.ndarray:
    return (np.array(places) + 0.5) * 64 / PIXELS - 0.5


def set_parameters(visit: Visit, **values) -> None:
    visit.unfold("dg-drag-how")
    for name, value in values.items():
        visit.write(name.replace("_", "-"), value)


def alt(visit: Visit) -> str:
    return visit.page.locator("#dg-drag-canvas .gc-picture").get_attribute("aria-label")


def taken(visit: Visit, name: str, folder: Path) -> Path:
    return visit.download(name, folder)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["landscape", "narrow"])
def test_two_pairs_and_a_painted_area(size, window, tmp_path):
    """Placed by mouse, run, stopped, gone on with, taken back; the files are what they say."""
    visit = window(size)
    hand = opened(visit)
    assert visit.overflow() == []
    # Two pairs: click and click, press and pull. What is clicked is what is used.
    hand.click(32, 50)
    hand.click(32, 61)
    hand.pull((24, 28), (24, 8))
    hand.tool("Paint")
    hand.pull((18, 44), (46, 44))
    hand.pull((18, 54), (46, 54))
    hand.tool("Points")
    visit.pick("dg-drag-painted", "flexible")
    visit.unfold("dg-drag-how")
    for name, value in {**GOES_ON, "dg-drag-mask-weight": "20"}.items():  # held so firmly, it cannot arrive before Stop
        visit.write(name, value)
    visit.screenshot("draggan-drawn")

    run = visit.at("dg-drag-run")
    meter = visit.at("dg-drag-meter").locator("dd")
    with visit.event("dg-drag-stop"):
        visit.page.evaluate(STOP_AT_THREE)
        run.click()
        visit.until(lambda: visit.page.evaluate("window.stoppedAtThree"), "no live pictures came")
    assert visit.page.evaluate("window.ranAtThree"), "nobody can draw while it runs"
    expect(visit.page.locator("#dg-drag-canvas .gc-running")).to_have_count(0)
    assert visit.status("dg-drag").startswith("Stopped after ")
    assert float(meter.nth(1).inner_text()) > 0 and float(meter.nth(2).inner_text()) > 0
    expect(run).to_have_text("Continue")
    first = Recipe.from_json(taken(visit, "dg-drag-recipe", tmp_path).read_text())
    (drag,) = first.arguments["drags"]
    unit = PIXELS / hand.view.bounding_box()["width"]  # a pixel of the screen
    assert np.abs(in_64ths(drag["handles"]) - [(32, 50), (24, 28)]).max() <= unit
    assert np.abs(in_64ths(drag["targets"]) - [(32, 61), (24, 8)]).max() <= unit
    assert 0 < drag["steps"] < 1000 and len(drag["mask"]) > 50
    stopped = pixels(taken(visit, "dg-drag-download", tmp_path).read_bytes())
    assert stopped.shape == (PIXELS, PIXELS, 3)

    # On from there, with one more point and one less.
    hand.click(24, 8, button="right")
    hand.pull((40, 28), (40, 26))
    assert len(hand.marks()) == 4
    visit.write("dg-drag-steps", 4)
    visit.press("dg-drag-run")
    assert visit.ran("dg-drag").startswith(("4 steps", "Arrived", "Ended"))
    both = Recipe.from_json(taken(visit, "dg-drag-recipe", tmp_path).read_text())
    assert len(both.arguments["drags"]) == 2 and len(both.arguments["drags"][1]["handles"]) == 2
    expect(hand.part("[data-act=before]")).to_be_enabled()
    visit.screenshot("draggan-done", whole=True)
    assert visit.overflow() == []

    # Back: the picture of the stopped drag, with the points that stood there then.
    visit.press("dg-drag-undo")
    again = pixels(taken(visit, "dg-drag-download", tmp_path).read_bytes())
    assert np.array_equal(again, stopped)
    assert np.array_equal(again, np.asarray(first.run()[-1].image)), "and the recipe makes it too"

    # What can be taken away.
    visit.press("dg-drag-animate")
    visit.shows("dg-drag-animation", 1)
    with Image.open(taken(visit, "dg-drag-file", tmp_path)) as film:
        assert film.format == "GIF" and film.n_frames > 3 and film.size == (256, 256)
    latent = load_file(taken(visit, "dg-drag-latent", tmp_path))
    assert next(iter(latent.values())).ndim == 3
    visit.shows("dg-drag-compare", 2)
    visit.press("dg-drag-reset")
    assert not visit.status("dg-drag") and len(hand.marks()) == 4


def test_points_and_paint_stay_where_they_are_while_it_runs(wide):
    hand = opened(wide)
    hand.pull((32, 50), (32, 58))
    hand.tool("Paint")
    hand.pull((20, 50), (44, 50))
    hand.tool("Points")
    target = [m for m in hand.marks() if m[0] == "1 target"]
    seen = hand.view.locator(".gc-painted").evaluate("c => c.toDataURL()")
    set_parameters(wide, dg_drag_steps=15)
    wide.press("dg-drag-run")
    assert [m for m in hand.marks() if m[0] == "1 target"] == target
    assert hand.view.locator(".gc-painted").evaluate("c => c.toDataURL()") == seen
    assert "mask" in wide.code("dg-drag"), "the painted area is in the code"


def test_examples_need_one_click(wide):
    opened(wide)
    buttons = wide.page.locator("#dg-drag-examples button")
    assert buttons.count() >= 4
    for number in range(buttons.count()):
        name = buttons.nth(number).get_attribute("id")
        before = alt(wide)
        wide.press(name)
        assert wide.ran("dg-drag").startswith("Arrived"), (name, wide.status("dg-drag"))
        wide.screenshot(f"draggan-{name.removeprefix('dg-drag-try-')}")
        assert alt(wide) != before or number
    # The controls are those of the last example; its picture is somebody else's now.
    wide.press("dg-drag-another")
    assert not wide.status("dg-drag")


def test_the_picture_stays_under_the_finger(window):
    """What the canvas says changes with every point; the page must not grow or shrink with it."""
    visit = window(NARROW)
    hand = opened(visit)
    tall = "() => document.documentElement.scrollHeight"
    heights = [visit.page.evaluate(tall)]
    visit.page.mouse.move(*hand.at(32, 40))
    for act in (visit.page.mouse.down, visit.page.mouse.up):
        act()
        heights.append(visit.page.evaluate(tall))
    hand.click(40, 40)
    heights.append(visit.page.evaluate(tall))
    assert len(set(heights)) == 1, heights


def test_what_is_missing_is_said(wide):
    hand = opened(wide)
    with wide.event("dg-drag-run"):
        wide.at("dg-drag-run").click()
    assert "There is no point yet" in wide.complaint()
    hand.click(20, 20)
    with wide.event("dg-drag-run"):
        wide.at("dg-drag-run").click()
    assert "Point 1 has no target" in wide.complaint()
    one_sentence(wide.at("dg-drag-news").inner_text().strip())
    wide.press("dg-drag-stop")
    assert "Nothing is running" in wide.at("dg-drag-news").inner_text()
    wide.press("dg-drag-undo")
    assert "no drag to take back" in wide.at("dg-drag-news").inner_text()


def test_a_network_that_is_not_here(wide):
    """Looking at it fetches nothing; asking for it says that it cannot be fetched."""
    opened(wide)
    wide.choose("dg-network", re.compile("1024 px.*to download"))
    wide.settle()
    expect(wide.page.locator("#dg-drag-canvas .gc-empty")).to_be_visible()
    assert "fetch" in wide.at("dg-drag-news").inner_text()
    with wide.event("dg-drag-show"):
        wide.at("dg-drag-show").click()
    wide.complaint()
    wide.choose("dg-network", re.compile(r"Faces \(CelebA\)"))
    wide.settle()
    expect(wide.page.locator("#dg-drag-canvas .gc:not(.gc-empty)")).to_be_visible()


def test_the_picture_follows_its_controls(wide):
    hand = opened(wide)
    hand.pull((32, 50), (32, 58))
    shown = hand.view.locator(".gc-picture").evaluate("c => c.toDataURL()")
    wide.slide("dg-drag-psi")
    assert hand.view.locator(".gc-picture").evaluate("c => c.toDataURL()") != shown
    assert len(hand.marks()) == 2, "what was drawn stays"
    wide.write("dg-drag-seed", 8)
    assert alt(wide).endswith("seed 8")
    wide.write("dg-drag-psi", 0.7)


def test_a_recipe_brings_everything_back(wide, tmp_path):
    hand = opened(wide)
    hand.pull((32, 50), (32, 56))
    set_parameters(wide, dg_drag_steps=6)
    wide.press("dg-drag-run")
    recipe = wide.download("dg-drag-recipe", tmp_path)
    picture = pixels(wide.download("dg-drag-download", tmp_path).read_bytes())
    wide.write("dg-drag-seed", 11)
    hand.clear()
    wide.upload("dg-drag-recipe-load", recipe)
    wide.until(lambda: wide.value("dg-drag-seed") == "3", "the seed is that of the recipe")
    assert len(hand.marks()) == 2
    assert np.array_equal(pixels(wide.download("dg-drag-download", tmp_path).read_bytes()), picture)
    latent = wide.download("dg-drag-latent", tmp_path)
    wide.upload("dg-drag-latent-load", latent)
    assert "latent" in alt(wide) and not wide.status("dg-drag")


def test_from_the_samples_to_the_canvas(wide):
    wide.page.get_by_role("tab", name="StyleGAN2").click()
    wide.write("sample-seeds", "21-24")
    wide.press("sample-run")
    wide.at("sample-gallery").locator("button.thumbnail-item").nth(2).click()
    wide.settle()
    wide.press("sample-send-draggan")
    expect(wide.page.locator("#dg-drag-canvas .gc:not(.gc-empty)")).to_be_visible()
    wide.until(lambda: alt(wide).endswith("seed 23"), f"it shows {alt(wide)}")
    wide.until(lambda: wide.value("dg-drag-seed") == "23", "the seed follows")


def test_a_photograph_that_is_dragged(wide, tmp_path):
    hand = opened(wide)
    if not wide.value("dg-network").startswith("Faces (CelebA)"):  # an example's before; only faces are looked for
        wide.choose("dg-network", re.compile(r"Faces \(CelebA\)"))
    x, y = np.meshgrid(np.linspace(0, 1, 120), np.linspace(0, 1, 90))
    path = tmp_path / "photograph.png"
    Image.fromarray((np.stack([x, y, 1 - x * y], axis=2) * 255).astype(np.uint8)).save(path)
    wide.upload("dg-photo-upload", path)
    wide.shows("dg-photo-crop", 1)
    assert "No face was found" in wide.news("dg-photo"), wide.value("dg-network")
    wide.tick("dg-photo-straight", False)
    before = wide.addresses("dg-photo-crop")
    wide.slide("dg-photo-zoom")
    assert wide.addresses("dg-photo-crop") != before
    wide.write("dg-photo-steps", 20)
    wide.press("dg-photo-run")
    assert "20 steps" in wide.ran("dg-photo")
    wide.shows("dg-photo-made", 1)
    wide.screenshot("draggan-photo", "dg-photo")
    wide.press("dg-photo-send")
    wide.until(lambda: "latent" in alt(wide), f"it shows {alt(wide)}")
    if hand.part("[data-act=clear]").is_enabled():
        hand.clear()
    hand.pull((20, 20), (26, 20))
    set_parameters(wide, dg_drag_steps=5)
    wide.press("dg-drag-run")
    wide.ran("dg-drag")
    assert "latent=" in wide.code("dg-drag") and "inversion.invert" in wide.code("dg-photo")

    for part in ("dg-drag-outcome", "dg-drag-film-news"):  # nothing lies over the picture, however far one has scrolled
        wide.at(part).evaluate("part => part.scrollIntoView({ block: 'start' })")
        ends = "() => document.querySelector('#dg-drag-canvas').getBoundingClientRect().bottom"
        begins = "() => document.querySelector('#dg-drag-outcome').getBoundingClientRect().top"
        assert wide.page.evaluate(ends) <= wide.page.evaluate(begins)

    # Back into the photograph, at its own size.
    wide.press("dg-drag-paste")
    wide.shows("dg-drag-whole", 2)
    with Image.open(taken(wide, "dg-drag-full", tmp_path)) as whole, Image.open(path) as given:
        assert whole.size == given.size
    wide.screenshot("draggan-pasted", "dg-drag-outcome")
    wide.page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    assert wide.overflow() == []
    wide.screenshot("draggan-pasted-narrow", "dg-drag-outcome")
    wide.page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})

    wide.press("dg-look-run")
    wide.ran("dg-look")
    wide.shows("dg-look-likeness", 1)
    wide.screenshot("draggan-look", "dg-look")
    assert wide.overflow() == []


def test_five_visitors_at_once(window, tmp_path):
    """All finish, and each has the picture that the own recipe makes, of the own seed."""
    visits = [window(WIDE), window(NARROW), *(window(NARROW if number % 2 else WIDE, new=True) for number in range(3))]
    for number, visit in enumerate(visits):
        hand = opened(visit)
        visit.page.bring_to_front()
        visit.write("dg-drag-seed", 40 + number)
        hand.pull((32, 50), (32, 44 + number))
        assert len(hand.marks()) == 2
        set_parameters(visit, dg_drag_steps=12 + number, dg_drag_stop_distance="0.05")
    before = [visit.status("dg-drag") for visit in visits]
    assert before == [""] * 5
    for visit in visits:
        visit.at("dg-drag-run").click()
    for visit in visits:
        expect(visit.at("dg-drag-status").locator("p.nb-ran")).to_be_visible()
    made = []
    for number, visit in enumerate(visits):
        visit.settle()
        assert alt(visit).endswith(f"seed {40 + number}, dragged")
        folder = tmp_path / str(number)
        folder.mkdir()
        recipe = Recipe.from_json(visit.download("dg-drag-recipe", folder).read_text())
        picture = pixels(visit.download("dg-drag-download", folder).read_bytes())
        assert recipe.arguments["seed"] == 40 + number and len(recipe.arguments["drags"]) == 1
        assert np.array_equal(picture, np.asarray(recipe.run()[-1].image))
        made.append(picture)
    assert len({picture.tobytes() for picture in made}) == 5
