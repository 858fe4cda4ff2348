"""The AttGAN tab as visitors use it: boxes to tap, sliders, a photograph of their own, and everything to take away."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import weights
from pipelines import stylegan2
from pipelines.recipes import Recipe

from .visit import NARROW, WIDE, Visit, one_sentence, pixels

GROUND = (120, 140, 160)
NAMES = 13


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """``album(name, *seeds)``: a photograph of faces that nobody has, side by side on a plain ground."""
    folder = tmp_path_factory.mktemp("album")

    def of(name: str, *seeds: int):
        path = folder / f"{name}.png"
        if not path.exists():
            canvas = Image.new("RGB", (max(300, 200 * len(seeds) + 40), 240), GROUND)
            net = weights.load("stylegan2/faces")
            for i, seed in enumerate(seeds):
                face = stylegan2.picture(net, stylegan2.latent(net, seed, 0.7, None))
                canvas.paste(face.resize((150, 150), Image.Resampling.BICUBIC), (200 * i + 45, 40))
            canvas.save(path)
        return path

    return of


def opened(visit: Visit) -> Visit:
    """The tab, with a face on the state that is as it was."""
    visit.page.get_by_role("tab", name="AttGAN").click()
    visit.shows("ag-edit-examples", 6)
    headed = "e => [e, ...e.querySelectorAll('*')].filter(i => getComputedStyle(i, '::before').content.includes('try'))"
    assert visit.at("ag-edit-examples").evaluate(f"{headed}.length") == 1, "the heading stands there once"
    expect(visit.at("ag-edit-status").locator("p.nb-ran")).to_be_visible()
    visit.settle()
    if not visit.status("ag-edit").startswith("As it is"):
        visit.press("ag-edit-undo")
    return visit


def boxes(visit: Visit) -> dict[str, bool]:
    ticks = visit.at("ag-edit-ticks").locator("label:has(input[type=checkbox])")
    return dict(ticks.evaluate_all("all => all.map(e => [e.innerText.trim(), e.querySelector('input').checked])"))


def tap(visit: Visit, name: str) -> None:
    with visit.event("ag-edit-ticks"):
        visit.at("ag-edit-ticks").locator("label", has=visit.page.get_by_text(name, exact=True)).first.click()


def face(visit: Visit) -> np.ndarray:
    visit.shows("ag-edit-made", 1)
    return visit.pictures("ag-edit-made")[0]


def bars(visit: Visit) -> dict[str, str]:
    found = visit.at("ag-edit-odds").locator("li")
    return dict(found.evaluate_all("all => all.map(e => [e.querySelector('span').innerText, e.innerText])"))


def photograph(visit: Visit, path) -> None:
    """Hands in a photograph, also where one lies already."""
    with visit.event("ag-edit-upload"):
        clear = visit.at("ag-edit-upload").get_by_label("Clear")
        if not visit.at("ag-edit-upload").locator("input[type=file]").count():
            clear.click()
        visit.at("ag-edit-upload").locator("input[type=file]").set_input_files(str(path))


def test_the_rest_is_left_as_it_was_or_not(window):
    visit = window(WIDE, new=True)
    opened(visit)
    first, corner = face(visit), np.s_[-60:, :60]
    tap(visit, "eyeglasses")
    kept = face(visit)
    assert (kept != first).any() and (kept[corner] == first[corner]).all()
    with visit.event("ag-edit-local"):
        visit.at("ag-edit-local").get_by_role("checkbox").click()
    whole = face(visit)
    assert (whole != kept).any() and "local=False" in visit.code("ag-edit")
    with visit.event("ag-edit-local"):
        visit.at("ag-edit-local").get_by_role("checkbox").click()
    assert (face(visit) == kept).all()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_the_tab_opens_and_boxes_change_the_face(size, window):
    """For a new visitor: a face without a click; a tap changes it, another brings it back."""
    visit = window(size, new=True)
    opened(visit)
    assert visit.overflow() == []
    assert len(boxes(visit)) == NAMES
    visit.page.evaluate("scrollTo(0, 0)")
    visit.screenshot("attgan-top")
    first, seen = face(visit), bars(visit)
    assert first.shape == (384, 384, 3) and len(seen) >= NAMES
    visit.shows("ag-edit-crop", 1)
    visit.shows("ag-edit-whole", 2)
    expect(visit.at("ag-edit-status").locator(".nb-badge")).to_have_count(0)  # nobody has set anything yet

    was = boxes(visit)["eyeglasses"]
    tap(visit, "eyeglasses")
    assert boxes(visit)["eyeglasses"] is not was
    assert (face(visit) != first).any() and bars(visit) != seen
    assert "eyeglasses" in visit.status("ag-edit")
    visit.screenshot("attgan-edited", whole=True)
    assert visit.overflow() == []
    tap(visit, "eyeglasses")
    assert (face(visit) == first).all() and bars(visit) == seen
    assert visit.status("ag-edit").startswith("As it is")

    hair = [name for name in ("black hair", "blond hair", "brown hair") if not boxes(visit)[name]]
    tap(visit, hair[0])
    tap(visit, hair[1])
    news = visit.news("ag-edit")
    assert f"{hair[1]} replaces {hair[0]}" in news.lower() and not boxes(visit)[hair[0]] and boxes(visit)[hair[1]]
    one_sentence(news)
    visit.at("ag-edit").scroll_into_view_if_needed()
    visit.screenshot("attgan-conflict", "ag-edit")
    tap(visit, hair[1])
    assert (face(visit) == first).all() and not visit.news("ag-edit")

    visit.tile("ag-edit-examples", 1).click()
    visit.until(lambda: (visit.pictures("ag-edit-made")[0] != first).any(), "the second example is not taken")
    visit.settle()

    visit.press("ag-flips-run")
    visit.shows("ag-flips-gallery", NAMES + 1)
    visit.screenshot("attgan-flips", "ag-flips")
    assert visit.overflow() == []


def test_sliders(wide):
    opened(wide)
    first = face(wide)
    wide.unfold("ag-edit-how")
    label = wide.at("ag-edit-slider-13").locator("label, span").first.inner_text()
    assert "young" in label.lower()
    wide.write("ag-edit-slider-13", -1.5)
    aged = face(wide)
    assert (aged != first).any() and "young -1.50" in wide.status("ag-edit") and not boxes(wide)["young"]
    wide.slide("ag-edit-slider-13")
    assert "young -1.45" in wide.status("ag-edit") and (face(wide) != aged).any()
    wide.screenshot("attgan-sliders", "ag-edit")
    wide.press("ag-edit-undo")
    assert (face(wide) == first).all() and "-1.4" not in wide.value("ag-edit-slider-13")


def test_a_photograph_of_ones_own(wide, album, tmp_path):
    """Its face is found and edited, and the whole of it can be taken away; a recipe brings everything back."""
    opened(wide)
    path, chosen = album("two", 4, 7), wide._begun[wide._ids["ag-edit-faces"]]
    photograph(wide, path)
    wide.shows("ag-edit-faces", 2)
    wide.shows("ag-edit-whole", 2)
    before, after = wide.pictures("ag-edit-whole")
    assert before.shape == after.shape and np.array_equal(before, after)
    tap(wide, "pale skin")
    before, after = wide.pictures("ag-edit-whole")
    assert (before != after).any()
    whole = pixels(wide.download("ag-edit-full", tmp_path).read_bytes())
    made = pixels(wide.download("ag-edit-download", tmp_path).read_bytes())
    kept = wide.download("ag-edit-recipe", tmp_path)
    recipe = Recipe.from_json(kept.read_text())
    assert np.array_equal(np.asarray(recipe.run()), made)
    original = np.asarray(Image.open(path))
    assert whole.shape == original.shape and (whole != original).any() and (whole[:, -8:] == original[:, -8:]).all()
    assert "attgan.paste" in wide.code("ag-edit")
    shown = face(wide)
    wide.screenshot("attgan-photograph", whole=True)
    assert wide.overflow() == []

    assert wide._begun[wide._ids["ag-edit-faces"]] == chosen, "the first face was chosen once more by the page itself"
    # The other one of the two.
    wide.tile("ag-edit-faces", 1).click()
    wide.until(lambda: (wide.pictures("ag-edit-made")[0] != shown).any(), "the other face is not taken")
    wide.settle()
    assert wide.status("ag-edit").startswith("As it is")
    wide.upload("ag-edit-recipe-load", kept)
    assert (face(wide) == shown).all() and "pale skin" in wide.status("ag-edit")
    expect(wide.at("ag-edit-faces")).to_be_hidden()
    assert np.array_equal(pixels(wide.download("ag-edit-download", tmp_path).read_bytes()), made)


def test_no_face(wide, album, tmp_path):
    opened(wide)
    photograph(wide, album("nobody"))
    assert "No face was found" in wide.news("ag-edit")
    wide.screenshot("attgan-no-face", "ag-edit")
    wide.press("ag-edit-middle")
    wide.shows("ag-edit-made", 1)
    assert wide.status("ag-edit").startswith("As it is") and not wide.news("ag-edit")
    expect(wide.at("ag-edit-middle")).to_be_hidden()
    # What is no picture is refused, and the face stays.
    before, words = wide.addresses("ag-edit-made"), tmp_path / "words.png"
    words.write_text("These are only words.")
    photograph(wide, words)
    wide.complaint()
    assert wide.addresses("ag-edit-made") == before
    tap(wide, "bangs")
    assert "bangs" in wide.status("ag-edit")
    for _ in range(2):  # the second time it is the one that was chosen last
        with wide.event("ag-edit-examples"):
            wide.tile("ag-edit-examples", 0).click()
        assert wide.status("ag-edit").startswith("As it is")
        tap(wide, "bangs")


def test_flips_and_slide(wide, tmp_path):
    opened(wide)
    wide.press("ag-flips-run")
    wide.ran("ag-flips")
    wide.shows("ag-flips-gallery", NAMES + 1)
    wide.screenshot("attgan-flips", "ag-flips")
    recipe = wide.download("ag-flips-recipe", tmp_path)
    wide.write("ag-slide-frames", 5)
    wide.press("ag-slide-run")
    assert wide.ran("ag-slide").startswith("young, 8 frames")
    wide.shows("ag-slide-strip", 1)
    wide.shows("ag-slide-animation", 1)
    with Image.open(wide.download("ag-slide-download", tmp_path)) as film:
        assert film.format == "GIF" and film.n_frames > 2
    wide.screenshot("attgan-slide", "ag-slide")
    wide.write("ag-slide-frames", 200)
    wide.at("ag-slide-run").click()
    wide.until(lambda: "of 200 frames" in wide.news("ag-slide"), "no frames came")
    wide.at("ag-slide-stop").click()
    wide.until(lambda: wide.news("ag-slide") == "Stopped.", "it was not stopped")
    wide.settle()
    assert not wide.status("ag-slide") and not wide.at("ag-slide-strip").locator("img").count()
    assert wide.at("ag-slide-download").is_hidden(), "what the last frame replaced is gone with its files"
    wide.upload("ag-flips-recipe-load", recipe)
    wide.ran("ag-flips")
    assert wide.overflow() == []


def test_many_photographs(wide, album, tmp_path):
    opened(wide)
    tap(wide, "pale skin")
    paths = [album("one", 4), album("nobody"), album("two", 4, 7)]
    wide.at("ag-batch-upload").locator("input[type=file]").set_input_files([str(p) for p in paths])
    wide.settle()
    wide.press("ag-batch-run")
    assert "2 of 3 changed" in wide.status("ag-batch") and "nobody.png: No face" in wide.news("ag-batch")
    wide.shows("ag-batch-gallery", 2)
    with zipfile.ZipFile(wide.download("ag-batch-download", tmp_path)) as packed:
        assert packed.namelist() == ["01-one.png", "03-two.png"]
        for path in (paths[0], paths[2]):
            name = next(n for n in packed.namelist() if n.endswith(path.name))
            made, original = Image.open(io.BytesIO(packed.read(name))), Image.open(path)
            assert made.size == original.size and made.tobytes() != original.tobytes()
    wide.screenshot("attgan-batch", "ag-batch")
    assert wide.overflow() == [] and "faces.align" in wide.code("ag-batch")
    wide.at("ag-batch-upload").get_by_label("Clear").first.click()
    wide.settle()
    wide.press("ag-batch-run")
    assert "no photographs yet" in wide.complaint()


def test_keyboard(wide):
    """Boxes by Tab and Space."""
    opened(wide)
    first = face(wide)
    boxes_ = wide.at("ag-edit-ticks").locator("input[type=checkbox]")
    boxes_.first.focus()
    wide.page.keyboard.press("Tab")
    expect(boxes_.nth(1)).to_be_focused()
    label = wide.at("ag-edit-ticks").locator("label:has(input:focus)")
    outlined = "e => [e, ...e.querySelectorAll('*')].some(n => getComputedStyle(n).outlineStyle !== 'none')"
    assert label.evaluate(outlined), "where the focus is cannot be seen"
    wide.screenshot("attgan-focus", "ag-edit-ticks")
    with wide.event("ag-edit-ticks"):
        wide.page.keyboard.press("Space")
    assert (face(wide) != first).any()
    with wide.event("ag-edit-ticks"):
        wide.page.keyboard.press("Space")
    assert (face(wide) == first).all()


def test_from_the_samples(wide):
    opened(wide)
    shown = face(wide)
    wide.page.get_by_role("tab", name="StyleGAN2").click()
    wide.write("sample-seeds", "21-22")
    wide.press("sample-run")
    wide.at("sample-send-attgan").click()
    expect(wide.at("ag-edit-made")).to_be_visible()
    wide.until(lambda: (wide.pictures("ag-edit-made")[0] != shown).any(), "the face that was sent is not there")
    wide.settle()
    assert wide.status("ag-edit").startswith("As it is")
