"""The iGAN tab as visitors use it: paint by mouse, take a candidate, play, fix, paint again, on to a photograph."""

from __future__ import annotations

import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from pipelines.recipes import Recipe

from .hand import Hand
from .visit import NARROW, WIDE, Visit, pixels

# With the networks of this technique, and before they are made with a small StyleGAN2, which answers more slowly.
TRIES, STEPS = 4, 4


def opened(visit: Visit) -> Hand:
    """The tab, with an untouched picture on the pad and settings for short answers."""
    visit.page.get_by_role("tab", name="iGAN").click()
    expect(visit.page.locator("#ig-brush-canvas .gc:not(.gc-empty)")).to_be_visible()
    visit.settle()
    visit.unfold("ig-brush-how")
    visit.pick("ig-brush-starts", str(TRIES))
    visit.write("ig-brush-steps", STEPS)
    visit.press("ig-brush-restart")
    side = int(re.search(r"(\d+) × \d+ px", visit.at("ig-about").inner_text())[1])
    return Hand(visit.page, "ig-brush-canvas", (side, side))


def stroke(visit: Visit, hand: Hand, tool: str, a: tuple[float, float], b: tuple[float, float]) -> None:
    """Draws in shares of the picture, and waits for the answer."""
    hand.tool(tool)
    side = hand.size[0]
    with visit.event("ig-brush-canvas"):
        hand.pull(*(tuple(v * side for v in place) for place in (a, b)))
    expect(visit.at("ig-brush-status").locator("p.nb-ran")).to_be_visible()
    visit.settle()


def candidates(visit: Visit) -> list[str]:
    tiles = visit.at("ig-brush-candidates").locator(".gt-tile img")
    return tiles.evaluate_all("all => all.map(e => e.src)")


def test_paint_choose_play_fix_and_paint_again(visit, tmp_path):
    hand = opened(visit)
    stroke(visit, hand, "Colour", (0.35, 0.5), (0.65, 0.55))
    found = candidates(visit)
    assert 2 <= len(found) <= TRIES + 1, "so many candidates, and their average"
    tiles = visit.at("ig-brush-candidates").locator(".gt-tile")
    assert tiles.first.get_attribute("aria-pressed") == "true"
    if len(found) > 2:
        tiles.nth(1).click()
        expect(tiles.nth(1)).to_have_attribute("aria-pressed", "true")
        visit.settle()
    chosen = candidates(visit)[min(1, len(found) - 2)]
    kept = visit.download("ig-brush-download", tmp_path)
    assert np.array_equal(pixels(kept.read_bytes()), pixels(visit.bytes(chosen))), "what is downloaded is what is shown"
    recipe = Recipe.from_json(visit.download("ig-brush-recipe", tmp_path).read_text())
    assert recipe.function == "igan.brush" and recipe.arguments["colour"]

    visit.press("ig-brush-play-run")
    assert visit.at("ig-brush-play").locator("input[type=range]").input_value() == "16"
    visit.press("ig-brush-fix")
    assert "Fixed" in visit.news("ig-brush") and candidates(visit) == []
    stroke(visit, hand, "Sketch", (0.2, 0.3), (0.8, 0.3))
    assert "1 fixed before" in visit.status("ig-brush") and len(candidates(visit)) >= 2
    visit.press("ig-brush-restart")
    assert "fixed before" not in visit.status("ig-brush") and candidates(visit) == []
    assert visit.overflow() == []
    visit.screenshot("igan", "ig-brush")


def test_patches_and_a_picture_that_is_seen(wide):
    hand = opened(wide)
    stroke(wide, hand, "Warp", (0.4, 0.4), (0.55, 0.5))
    patches = hand.view.locator("[data-patch]")
    expect(patches).to_have_count(1)
    assert "colour" in wide.status("ig-brush")
    stroke(wide, hand, "Warp", (0.2, 0.7), (0.3, 0.6))  # cut from what has come: the first one is fixed
    expect(patches).to_have_count(1)
    assert "1 fixed before" in wide.status("ig-brush")
    wide.screenshot("igan-patches", "ig-brush-canvas")
    with wide.event("ig-brush-canvas"):
        hand.clear()
    expect(patches).to_have_count(0)
    assert candidates(wide) == []


def test_letters(wide, tmp_path):
    hand = opened(wide)
    stroke(wide, hand, "Colour", (0.4, 0.4), (0.6, 0.6))
    wide.page.keyboard.press("e")
    expect(wide.page.locator("#ig-brush-canvas .gc-bare")).to_have_count(1)
    wide.page.keyboard.press("e")
    expect(wide.page.locator("#ig-brush-canvas .gc-bare")).to_have_count(0)
    with wide.page.expect_download() as begun:
        wide.page.keyboard.press("s")
    path = tmp_path / begun.value.suggested_filename
    begun.value.save_as(path)
    with zipfile.ZipFile(path) as packed:
        assert json.loads(packed.read(next(n for n in packed.namelist() if n.endswith(".json"))))["ganbook"]
    wide.settle()
    with wide.event("ig-brush-fix"):
        wide.page.keyboard.press("f")
    assert "Fixed" in wide.news("ig-brush")
    with wide.event("ig-brush-restart"):
        wide.page.keyboard.press("r")
    seed = wide.at("ig-brush-seed").locator("input")
    seed.focus()
    seed.press("f")
    wide.settle()
    assert not wide.news("ig-brush"), "who writes is not interrupted"


def test_an_empty_pad(wide):
    opened(wide)
    with wide.event("ig-brush-run"):
        wide.at("ig-brush-run").click()
    assert candidates(wide) == [] and "nb-ran" not in wide.at("ig-brush-status").inner_html()
    wide.press("ig-brush-save")
    assert "Nothing was painted" in wide.complaint()
    wide.press("ig-brush-play-run")
    assert "nothing to play" in wide.complaint()


def test_from_nothing_and_back(wide):
    hand = opened(wide)
    wide.pick("ig-brush-origin", "scratch")
    stroke(wide, hand, "Colour", (0.3, 0.5), (0.7, 0.5))
    assert "from scratch" in wide.status("ig-brush")
    wide.pick("ig-brush-origin", "seed")
    wide.settle()
    assert candidates(wide) == []


def test_to_a_photograph(wide, tmp_path):
    """Its latent is found, something is painted on it, and the photograph itself has it in the end."""
    hand = opened(wide)
    rng = np.random.default_rng(1)
    levels = np.linspace(60, 190, 320)[None, :, None] + rng.normal(0, 14, (220, 320, 3))
    photo = tmp_path / "photo.png"
    Image.fromarray(levels.clip(0, 255).astype(np.uint8)).save(photo)
    clear = wide.at("ig-project-upload").get_by_label("Clear")
    if not wide.at("ig-project-upload").locator("input[type=file]").count():
        clear.click()
    wide.at("ig-project-upload").locator("input[type=file]").set_input_files(str(photo))
    wide.settle()
    wide.pick("ig-project-crop", "middle")
    wide.unfold("ig-project-how")
    wide.write("ig-project-steps", 10)
    wide.press("ig-project-run")
    assert "hybrid" in wide.ran("ig-project")
    assert "Features:" in wide.at("ig-project-features").inner_text()
    wide.press("ig-project-send")
    assert wide.value("ig-brush-origin") == "photo"
    stroke(wide, hand, "Colour", (0.3, 0.4), (0.7, 0.6))
    wide.write("ig-transfer-frames", 3)
    wide.press("ig-transfer-run")
    assert "320 x 220 px" in wide.ran("ig-transfer")
    path = wide.download("ig-transfer-download", tmp_path)
    made = np.asarray(Image.open(path).convert("RGB"))
    assert made.shape == (220, 320, 3) and (made != np.asarray(Image.open(photo))).any()
    assert wide.download("ig-transfer-file", tmp_path).suffix == ".gif"
    assert wide.overflow() == []
    wide.screenshot("igan-transfer", "ig-transfer")


def test_the_toy_learns_what_is_painted(wide):
    opened(wide)
    wide.write("ig-ring-steps", 50)
    wide.press("ig-ring-run")
    assert "50 steps" in wide.ran("ig-ring")
    hand = Hand(wide.page, "ig-ring-board", (360, 360))
    with wide.event("ig-ring-board"):
        hand.pull((60, 60), (300, 60))
    expect(wide.at("ig-ring-shape").get_by_label("Painted")).to_be_checked()
    wide.press("ig-ring-one")
    assert "1 step ·" in wide.ran("ig-ring")
    wide.press("ig-ring-one")
    assert "2 steps ·" in wide.ran("ig-ring")
    pictures = wide.at("ig-ring-drawing").locator(".gt-tile img")
    expect(pictures).to_have_count(2)
    assert all("Step 2:" in pictures.nth(i).get_attribute("alt") for i in range(2))
    # slow motion is stopped where it is, and goes on from there
    wide.pick("ig-ring-watch", "slow")
    wide.page.locator("#ig-ring-go-on").click()
    expect(wide.at("ig-ring-news")).to_contain_text("discriminator has learnt")
    wide.page.locator("#ig-ring-stop").click()
    expect(wide.at("ig-ring-news")).to_contain_text("Stopped")
    wide.settle()
    wide.pick("ig-ring-watch", "fast")
    wide.press("ig-ring-go-on")
    assert "50 steps" in wide.ran("ig-ring")
    assert wide.overflow() == []
    wide.screenshot("igan-toy", "ig-ring")


def test_the_manifold(wide, tmp_path):
    opened(wide)
    wide.write("ig-plane-rows", 3)
    wide.press("ig-plane-run")
    assert wide.ran("ig-plane").startswith("9 pictures")
    tiles = wide.at("ig-plane-map").locator(".gt-tile")
    expect(tiles).to_have_count(9)
    with wide.event("ig-plane-map"):
        tiles.nth(2).click()
    assert float(wide.value("ig-plane-x")) > 0 > float(wide.value("ig-plane-y"))
    with wide.event("ig-plane-map"):
        tiles.nth(4).focus()
        wide.page.keyboard.press("ArrowDown")
        wide.page.keyboard.press("Enter")
    assert Image.open(wide.download("ig-plane-download", tmp_path)).width > 30
    wide.press("ig-plane-send")
    assert "from the map" in wide.status("ig-brush")
    assert wide.overflow() == []


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "dark"), (NARROW, "light")])
def test_how_it_looks(window, size, theme):
    """For people to look at."""
    visit = window(size, new=True, options=f"?__theme={theme}")
    hand = opened(visit)
    stroke(visit, hand, "Colour", (0.35, 0.5), (0.65, 0.55))
    visit.screenshot(f"igan-{theme}", whole=True)
    assert visit.overflow() == []
