"""The out-of-domain tab as visitors use it: examples, ticks, sliders, paint, a photograph, and what is taken away."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

import weights
from pipelines import stylegan2
from pipelines.defaults import THRESHOLD
from pipelines.recipes import Recipe

from .hand import Hand
from .visit import NARROW, WIDE, Visit, pixels

STEPS = 15  # of an inversion: what it comes to is tested elsewhere


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A face that nobody has, with a bar before it, on a plain ground."""
    path = tmp_path_factory.mktemp("album") / "one.png"
    net = weights.load("stylegan2/faces")
    face = stylegan2.picture(net, stylegan2.latent(net, 4, 0.7, None)).resize((150, 150), Image.Resampling.BICUBIC)
    ImageDraw.Draw(face).rectangle([0, 128, 150, 140], fill=(20, 60, 160))
    ground = Image.new("RGB", (300, 240), (120, 140, 160))
    ground.paste(face, (45, 40))
    ground.save(path)
    return path


def opened(visit: Visit, example: int = 0) -> Visit:
    """The tab, with an example on the state of which nothing is changed."""
    visit.page.get_by_role("tab", name="Out of domain").click()
    visit.shows("od-edit-examples", 6)
    visit.settle()
    visit.unfold("od-edit-how")
    visit.write("od-edit-steps", STEPS)
    take(visit, example)
    return visit


def take(visit: Visit, example: int) -> None:
    with visit.event("od-edit-examples"):
        visit.tile("od-edit-examples", example).click()
    finished(visit)


def finished(visit: Visit) -> None:
    visit.settle()
    visit.until(lambda: visit.at("od-edit-status").locator("p.nb-ran").count() == 1, "nothing came of it")
    visit.shows("od-edit-stages", 6)


def stages(visit: Visit) -> list[np.ndarray]:
    visit.shows("od-edit-stages", 6)
    return visit.pictures("od-edit-stages")


def chips(visit: Visit) -> list[str]:
    return visit.at("od-edit-ticks").locator("label:has(input[type=checkbox])").all_inner_texts()


def tap(visit: Visit, number: int) -> None:
    with visit.event("od-edit-ticks"):
        visit.at("od-edit-ticks").locator("label:has(input[type=checkbox])").nth(number).click()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_an_example_is_edited_and_comes_back(size, window):
    """One click gives a whole edit; sliders change it; without a wish it is the photograph again."""
    visit = window(size, new=True)
    visit.page.get_by_role("tab", name="Out of domain").click()
    visit.shows("od-edit-examples", 6)
    visit.settle()
    assert "not inverted yet" in visit.status("od-edit") and visit.overflow() == []
    visit.screenshot("out-of-domain-top")
    opened(visit)
    assert f"after {STEPS} steps" in visit.status("od-edit") and len(chips(visit)) >= 3
    photograph, _inverted, _edited, _mask, _blended, first = stages(visit)
    assert (first != photograph).any()
    visit.screenshot("out-of-domain", whole=True)
    assert visit.overflow() == []

    visit.write("od-edit-threshold", 0.6)
    less = stages(visit)[5]
    assert (less != first).any() and (less != photograph).any(axis=2).mean() < (first != photograph).any(axis=2).mean()
    visit.write("od-edit-threshold", 1)
    assert (stages(visit)[5] == photograph).all(), "nothing is above the highest threshold"
    visit.write("od-edit-threshold", THRESHOLD)
    assert (stages(visit)[5] == first).all()

    tap(visit, 1)
    both = stages(visit)[2]
    tap(visit, 1)
    assert (stages(visit)[2] != both).any() and (stages(visit)[5] == first).all()
    visit.press("od-edit-undo")
    assert (stages(visit)[5] == photograph).all() and visit.status("od-edit").startswith("As it is")
    assert visit.overflow() == []


def test_painting(wide):
    """What is painted to stay stays; an erased mark counts no more."""
    opened(wide)
    photograph, *_rest, first = stages(wide)
    side = wide.at("od-edit-canvas").locator("canvas.gc-picture").evaluate("e => e.width")
    hand = Hand(wide.page, "od-edit-canvas", (side, side))
    hand.tool("May change")
    with wide.event("od-edit-canvas"):
        hand.pull((side * 0.4, side * 0.8), (side * 0.6, side * 0.8))
    more = stages(wide)[5]
    middle = slice(len(more) * 3 // 8, len(more) * 5 // 8)
    assert (more[len(more) * 4 // 5, middle] != photograph[len(more) * 4 // 5, middle]).any()
    wide.screenshot("out-of-domain-painted", "od-edit")
    with wide.event("od-edit-canvas"):
        hand.clear()
    assert (stages(wide)[5] == first).all()


def test_a_photograph_of_ones_own(wide, photo, tmp_path):
    """Outside of the mask the download is the photograph, and a recipe brings everything back."""
    opened(wide)
    wide.upload("od-edit-upload", photo) if wide.at("od-edit-upload").locator("input[type=file]").count() else None
    finished(wide)
    tap(wide, 0)
    made = stages(wide)[5]
    whole = pixels(wide.download("od-edit-full", tmp_path).read_bytes())
    face = pixels(wide.download("od-edit-download", tmp_path).read_bytes())
    mask = pixels(wide.download("od-edit-mask", tmp_path).read_bytes())
    kept = wide.download("od-edit-recipe", tmp_path)
    recipe = Recipe.from_json(kept.read_text()).run()
    assert np.array_equal(np.asarray(recipe.result), face)
    outside = mask[..., 0] == 0
    assert (face[outside] == np.asarray(recipe.photo)[outside]).all() and (face != np.asarray(recipe.photo)).any()
    original = np.asarray(Image.open(photo))
    assert whole.shape == original.shape and (whole != original).any() and (whole[:, -8:] == original[:, -8:]).all()
    assert "out_of_domain.paste" in wide.code("od-edit")
    wide.screenshot("out-of-domain-photograph", whole=True)
    assert wide.overflow() == []
    wide.press("od-edit-undo")
    wide.upload("od-edit-recipe-load", kept)
    assert (stages(wide)[5] == made).all() and "from a recipe" in wide.status("od-edit")
    wide.at("od-edit-upload").get_by_label("Clear").click() if wide.at("od-edit-upload").locator("img").count() else 0
    wide.settle()


def test_stop(wide):
    """What was found until then is used."""
    opened(wide)
    wide.write("od-edit-steps", 900)
    wide.at("od-edit-run").click()
    wide.until(lambda: wide.news("od-edit").startswith("Step"), "no step came")
    wide.at("od-edit-stop").click()
    finished(wide)
    assert "stopped after" in wide.status("od-edit")
    wide.write("od-edit-steps", STEPS)


def test_a_page_comes_to_rest(wide):
    """Also where three lines of the cell came at once: nothing goes on in the browser when all is answered."""
    opened(wide)
    for example in range(3):
        wide.tile("od-edit-examples", example % 2).click()
        wide.page.wait_for_timeout(150)
    wide.settle()
    calls = wide.page.evaluate(
        """async () => {
          const { seen } = ganbookCells;
          let calls = 0;
          ganbookCells.seen = (...given) => { calls += 1; return seen(...given); };
          await new Promise((done) => setTimeout(done, 1500));
          ganbookCells.seen = seen;
          return calls;
        }"""
    )
    assert calls == 0


def test_the_comparison_and_the_animation(window, tmp_path):
    """In a narrow window, where the table has the least room."""
    visit = opened(window(NARROW))
    visit.write("od-compare-steps", 3)
    visit.press("od-compare-run")
    visit.ran("od-compare")
    visit.shows("od-compare-gallery", 4)
    rows = visit.at("od-compare-table").locator("tbody tr").all_inner_texts()
    assert len(rows) == 4 and rows[3].split("\t")[2].strip() == "0" and float(rows[1].split("\t")[2]) > 1
    visit.screenshot("out-of-domain-compare", "od-compare")
    visit.write("od-slide-frames", 5)
    visit.press("od-slide-run")
    assert "8 frames there and back" in visit.ran("od-slide")
    visit.shows("od-slide-strip", 1)
    with Image.open(visit.download("od-slide-download", tmp_path)) as film:
        assert film.format == "GIF" and film.n_frames > 2
    visit.screenshot("out-of-domain-slide", "od-slide")
    assert visit.overflow() == []
    visit.press("od-edit-undo")
    visit.press("od-compare-run")
    assert "Nothing is to be changed" in visit.complaint()


def test_from_the_samples(wide):
    opened(wide)
    before = wide.addresses("od-edit-stages")
    wide.page.get_by_role("tab", name="StyleGAN2").click()
    wide.write("sample-seeds", "21-22")
    wide.press("sample-run")
    wide.at("sample-send-out_of_domain").click()
    wide.until(lambda: wide.addresses("od-edit-stages")[:1] != before[:1], "the face that was sent is not there")
    finished(wide)
    assert wide.status("od-edit").startswith("As it is")
