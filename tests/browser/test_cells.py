"""Every control of every cell of the StyleGAN2 tab, used as a visitor would; and every cell once in a narrow window."""

from __future__ import annotations

import re
from contextlib import contextmanager

import numpy as np
import pytest
from playwright.sync_api import expect

import weights

from .visit import NARROW

TESTED = ("sample", "truncation", "mixing", "interpolation", "noise", "directions", "history", "training")


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def alike(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    """The same pictures out of batches of other sizes, where sums are rounded in another order."""
    return len(a) == len(b) and all(np.abs(x.astype(int) - y).max() <= 2 for x, y in zip(a, b, strict=True))


def test_no_cell_is_left_out(wide):
    assert tuple(wide.page.locator(".nb-cell[id^=sg2-]").evaluate_all("all => all.map(e => e.id.slice(4))")) == TESTED


@contextmanager
def cats(wide):
    """Their network, for what needs noise: that of the faces adds none."""
    wide.choose("network", re.compile("^\\W*Cats"))
    try:
        yield
    finally:
        wide.choose("network", re.compile("^\\W*Faces"))


def test_seeds(wide, tmp_path):
    """Cell 1: seeds, truncation, the noise modes, the seed of the random noise."""
    with cats(wide), wide.every_control("sample"):
        wide.write("sample-seeds", "1-3, 42")
        wide.press("sample-run")
        wide.shows("sample-gallery", 4)
        assert wide.ran("sample").startswith("4 pictures")
        labels = wide.at("sample-gallery").locator("img").evaluate_all("all => all.map(i => i.alt)")
        assert labels == ["seed 1", "seed 2", "seed 3", "seed 42"]
        stored = wide.pictures("sample-gallery")
        assert len({picture.tobytes() for picture in stored}) == 4

        wide.write("sample-psi", 0)
        wide.press("sample-run")
        average = wide.pictures("sample-gallery")
        assert same(average[:1] * 4, average), "without its deviation every seed is the average picture"
        assert wide.slide("sample-psi") == "0.05"
        assert wide.reset("sample-psi") == "0.7"

        wide.pick("sample-noise-mode", "none")
        wide.press("sample-run")
        assert not same(wide.pictures("sample-gallery"), stored)
        wide.pick("sample-noise-mode", "const")
        wide.press("sample-run")
        assert same(wide.pictures("sample-gallery"), stored)
        wide.pick("sample-noise-mode", "random")
        wide.write("sample-noise-seed", 5)
        wide.press("sample-run")
        random = wide.pictures("sample-gallery")
        wide.write("sample-noise-seed", 6)
        wide.press("sample-run")
        assert not same(wide.pictures("sample-gallery"), random)
        assert wide.at("sample-send-draggan").is_enabled()
        # Where they lead is in the tests of those tabs.
        wide.used |= {f"sample-send-{tab}" for tab in ("draggan", "attgan", "igan", "out_of_domain")}

        wide.press("sample-extra")
        wide.shows("sample-gallery", 16)
        first, last = map(int, wide.value("sample-seeds").split("-"))
        assert last == first + 15
        wide.screenshot("cell-1-seeds", "sample")
        _take_away(wide, "sample", tmp_path)


def test_truncation(wide, tmp_path):
    """Cell 2: one seed at several psi, at one of the slider's, with a cutoff, and with a psi for each group."""
    with wide.every_control("truncation"):
        wide.write("truncation-seed", 7)
        wide.write("truncation-psis", "-1, 0, 0.5, 1")
        wide.press("truncation-run")
        wide.shows("truncation-strip", 4)
        strip = wide.pictures("truncation-strip")
        assert len({picture.tobytes() for picture in strip}) == 4

        wide.write("truncation-psi", 1)
        wide.press("truncation-picture-run")
        assert alike(wide.pictures("truncation-picture"), strip[3:])
        wide.slide("truncation-psi", "ArrowLeft")  # the picture follows the slider
        assert "0.95" in wide.ran("truncation")
        wide.write("truncation-psi", 0)
        assert alike(wide.pictures("truncation-picture"), strip[1:2])

        wide.unfold("truncation-levels")
        wide.write("truncation-cutoff", 0)
        assert alike(wide.pictures("truncation-picture"), strip[3:]), "cutoff 0 truncates nothing"
        wide.type("truncation-cutoff", "2")  # and follows what is typed
        assert not alike(wide.pictures("truncation-picture"), strip[1:2])
        wide.write("truncation-cutoff", "")
        for group in ("coarse", "middle"):
            wide.write(f"truncation-psi-{group}", 1)
            assert not alike(wide.pictures("truncation-picture"), strip[1:2])
            wide.write(f"truncation-psi-{group}", "")
            assert alike(wide.pictures("truncation-picture"), strip[1:2])
        for group in ("coarse", "middle", "fine"):
            wide.write(f"truncation-psi-{group}", 0.5)
        assert alike(wide.pictures("truncation-picture"), strip[2:3]), "all groups at 0.5 are the whole at 0.5"
        wide.press("truncation-run")
        assert alike(wide.pictures("truncation-strip"), strip[2:3] * 4), "and the strip's own psi counts no more"
        for group in ("coarse", "middle", "fine"):
            wide.write(f"truncation-psi-{group}", "")

        before = wide.value("truncation-seed")
        wide.press("truncation-extra")
        wide.until(lambda: wide.value("truncation-seed") != before, "no other seed was drawn")
        wide.settle()
        assert not same(wide.pictures("truncation-strip"), strip)
        wide.screenshot("cell-2-truncation", "truncation")
        _take_away(wide, "truncation", tmp_path)


def test_mixing(wide, tmp_path):
    """Cell 3: row seeds take the chosen layers from column seeds."""
    with wide.every_control("mixing"):
        wide.write("mixing-rows", "1-2")
        wide.write("mixing-cols", "11-13")
        wide.write("mixing-psi", 0.7)
        grids = {}
        for layers in ("coarse", "middle+fine", "all"):
            wide.choose("mixing-layers", layers)
            assert wide.value("mixing-layers") == layers
            wide.press("mixing-run")
            wide.shows("mixing-grid", 3 + 2 * (1 + 3))
            grids[layers] = wide.pictures("mixing-grid")
        columns = grids["all"][:3]
        rows = (grids["all"][4:7], grids["all"][8:11])
        assert all(alike(row, columns) for row in rows), "all layers are the column's own"
        assert not same(grids["coarse"], grids["middle+fine"])
        wide.enter("mixing-layers", "0-1")
        wide.press("mixing-run")
        assert "0-1 layers" in wide.at("mixing-grid").inner_text()
        wide.pick("mixing-noise-mode", "none")
        wide.press("mixing-run")
        assert wide.ran("mixing").startswith("2 × 3 pictures")
        assert wide.overflow() == []
        wide.screenshot("cell-3-mixing", "mixing")
        _take_away(wide, "mixing", tmp_path)


def test_interpolation(wide, tmp_path):
    """Cell 4: space, pace, loop, frames, speed, file kind; Stop, and Stop again."""
    with wide.every_control("interpolation"):
        wide.write("interpolation-seeds", "1-2")
        wide.write("interpolation-frames", 6)
        wide.write("interpolation-fps", 10)
        wide.write("interpolation-psi", 0.7)
        made = set()
        for space, easing, loop in (("w", "linear", True), ("z", "linear", True), ("z", "smooth", False)):
            wide.pick("interpolation-space", space)
            wide.pick("interpolation-easing", easing)
            wide.tick("interpolation-loop", loop)
            wide.press("interpolation-run")
            assert wide.ran("interpolation").startswith("6 frames")
            made.add(wide.addresses("interpolation-animation")[0])  # a file's address holds its hash
        assert len(made) == 3
        for kind in ("webp", "mp4", "gif"):
            wide.pick("interpolation-format", kind)
            wide.press("interpolation-run")
            if kind == "mp4":
                film = wide.at("interpolation-video").locator("video")
                expect(film).to_be_visible()
                wide.page.wait_for_function("film => film.readyState >= 2", arg=film.element_handle())
            else:
                wide.shows("interpolation-animation", 1)
                assert wide.addresses("interpolation-animation")[0].endswith(kind)
        side = wide.pictures("interpolation-animation")[0].shape[1]
        wide.choose("interpolation-size", "2×")
        wide.press("interpolation-run")
        assert wide.pictures("interpolation-animation")[0].shape[1] == 2 * side
        wide.screenshot("cell-4-interpolation", "interpolation")
        _stop(wide)
        wide.press("interpolation-run")
        assert wide.ran("interpolation").startswith("6 frames")
        _take_away(wide, "interpolation", tmp_path)


def _stop(visit):
    """Begins something long and stops it, twice; later presses find nothing to stop and do no harm."""
    visit.write("interpolation-frames", 600)
    visit.used.add("interpolation-stop")
    stop, news = visit.at("interpolation-stop"), visit.at("interpolation-news")
    with visit.event("interpolation-stop"):
        visit.at("interpolation-run").click()
        expect(news).to_contain_text("Frame ")
        stop.evaluate("button => { button.click(); button.click(); }")  # twice, faster than any answer
    expect(news).to_contain_text("Stopped")
    visit.press("interpolation-stop")
    assert not visit.toasts()
    visit.write("interpolation-frames", 6)
    assert visit.news("interpolation").startswith("Stopped"), "frames came after it had stopped"


def test_noise(wide, tmp_path):
    """Cell 5: pictures of one style under several noises, the heat map and its numbers."""
    with cats(wide), wide.every_control("noise"):
        wide.write("noise-seed", 4)
        wide.write("noise-count", 3)
        wide.write("noise-noise-seed", 1)
        wide.press("noise-run")
        wide.shows("noise-gallery", 3)
        wide.shows("noise-heat", 1)
        gallery, heat = wide.pictures("noise-gallery"), wide.pictures("noise-heat")
        assert len({picture.tobytes() for picture in gallery}) == 3
        numbers = [float(n) for n in wide.at("noise-numbers").locator("dd").all_inner_texts()]
        deviation = np.stack(gallery).astype(np.float64).std(axis=0, ddof=1).mean(axis=2)
        assert numbers == pytest.approx([deviation.mean(), deviation.max()], abs=0.06)
        wide.write("noise-noise-seed", 2)
        wide.press("noise-run")
        assert not same(wide.pictures("noise-heat"), heat)
        wide.write("noise-psi", 0.3)
        wide.press("noise-extra")
        assert wide.value("noise-seed") != "4"
        wide.shows("noise-gallery", 3)
        wide.screenshot("cell-5-noise", "noise")
        _take_away(wide, "noise", tmp_path)
    wide.press("noise-run")
    assert "This network adds no noise" in wide.at("noise-numbers").inner_text()


def test_directions(wide, tmp_path):
    """Cell 6: sliders by name, by number and of a file, which the picture follows; one direction from end to end."""
    np.save(tmp_path / "age.npy", np.random.RandomState(0).randn(1, weights.load("stylegan2/faces").w_dim))
    with wide.every_control("directions"):
        wide.write("directions-seed", 2)
        wide.press("directions-run")
        start = wide.pictures("directions-picture")
        seen = {start[0].tobytes()}
        for i in range(1, 9):
            wide.write(f"directions-direction-{i}", 5)
            seen.add(wide.pictures("directions-picture")[0].tobytes())
        assert len(seen) == 9, "each direction changes the picture"
        names = list(weights.directions("stylegan2/faces"))
        for name in names:
            wide.write(f"directions-{name.lower().replace('_', '-')}", 3)
            seen.add(wide.pictures("directions-picture")[0].tobytes())
        wide.tick("directions-apart", True)
        seen.add(wide.pictures("directions-picture")[0].tobytes())
        wide.tick("directions-apart", False)
        wide.upload("directions-own", tmp_path / "age.npy")
        wide.write("directions-own-1", 4)
        assert "age by 4" in wide.ran("directions")
        seen.add(wide.pictures("directions-picture")[0].tobytes())
        assert len(seen) == 11 + len(names), "and each by its name, and apart from each other, and the file"
        wide.slide("directions-direction-1", "ArrowLeft")
        assert "direction 1 by 4.9" in wide.ran("directions")
        wide.choose("directions-layers", "fine")
        assert wide.pictures("directions-picture")[0].tobytes() not in seen
        wide.choose("directions-layers", "all")
        wide.write("directions-psi", 0.5)
        wide.write("directions-psi", 0.7)
        wide.press("directions-extra")
        wide.until(lambda: "not moved" in wide.status("directions"), f"it moves: {wide.status('directions')}")
        assert same(wide.pictures("directions-picture"), start)
        assert wide.value("directions-direction-3") == wide.value("directions-smiling") == "0"
        wide.choose("directions-direction", "2")
        wide.press("directions-strip-run")
        wide.shows("directions-strip", 9)
        strip = wide.pictures("directions-strip")
        assert alike(strip[4:5], start) and not same(strip[:1], strip[8:])
        wide.write("directions-direction-2", 4)
        assert alike(wide.pictures("directions-picture"), strip[8:]), "the strip's end is the slider at 4"
        wide.screenshot("cell-6-directions", "directions")
        _take_away(wide, "directions", tmp_path)


def test_history(wide, tmp_path):
    """Cell 7: four networks side by side, with what was measured of them."""
    with wide.every_control("history"):
        wide.write("history-seed", 2)
        wide.press("history-run")
        if any(weights.status(f"history/{name}") != "shipped" for name in weights.names("history")):
            wide.complaint()
            pytest.skip("the four networks of the history are not made yet; the page said so in one sentence")
        parts = wide.at("history-comparison").locator(".nb-part")
        expect(parts).to_have_count(4)
        pictures = wide.at("history-comparison").locator("img").count()
        assert pictures > 20
        wide.shows("history-comparison", pictures)
        numbers = wide.at("history-comparison").locator("td").all_inner_texts()
        assert sum(any(c.isdigit() for c in n) for n in numbers) > 15
        wide.ran("history")
        before = wide.addresses("history-comparison")
        wide.press("history-extra")
        assert wide.value("history-seed") != "2"
        wide.ran("history")
        assert wide.addresses("history-comparison") != before
        assert wide.download("history-download", tmp_path).suffix == ".png"
        recipe = wide.download("history-recipe", tmp_path)
        assert "#recipe=sg2-history." in wide.link("history-link")
        shown, seed = wide.addresses("history-comparison"), wide.value("history-seed")
        wide.write("history-seed", 1)
        wide.press("history-run")
        wide.upload("history-recipe-load", recipe)
        assert wide.addresses("history-comparison") == shown and wide.value("history-seed") == seed
        assert f"history.compare(seed={seed})" in wide.code("history")
        assert wide.overflow() == []
        wide.screenshot("cell-7-history", "history")


def test_parameter_calculator(wide, tmp_path):
    """The article's flower experiment, counted on the page, and the command that follows the controls."""
    with wide.every_control("training"):
        for name, value in (("resolution", "128"), ("z-dim", "256"), ("w-dim", "256"), ("channel-max", "512")):
            wide.choose(f"training-{name}", value)
        wide.choose("training-channel-base", "16384")
        wide.write("training-mapping-layers", 4)
        wide.press("training-run")
        totals = wide.at("training-table").locator("tbody td:last-child").all_inner_texts()
        assert totals[0] == totals[2] == "20.9 M" and totals[1] == "24.5 M"
        assert "--resolution 128 --mapping-layers 4" in wide.at("training-command").inner_text()
        recipe = wide.download("training-recipe", tmp_path)
        assert "#recipe=sg2-training." in wide.link("training-link")
        wide.write("training-mapping-layers", 2)  # the table follows the controls
        assert wide.at("training-table").locator("tbody td:last-child").first.inner_text() != "20.9 M"
        assert "mapping_layers=2" in wide.code("training")
        wide.upload("training-recipe-load", recipe)
        assert wide.value("training-mapping-layers") == "4"
        assert wide.at("training-table").locator("tbody td:last-child").first.inner_text() == "20.9 M"
        assert wide.overflow() == []
        wide.screenshot("cell-8-training", "training")


RESULTS = {
    "sample": "gallery",
    "truncation": "strip",
    "mixing": "grid",
    "interpolation": "animation",
    "noise": "gallery",
    "directions": "picture",
    "history": "comparison",
    "training": "table",
}


@pytest.mark.parametrize("cell", TESTED)
def test_a_cell_in_a_narrow_window(window, cell):
    """It runs, what it makes can be seen, and nothing sticks out to the side."""
    visit = window(NARROW)
    visit.write("interpolation-frames", 4) if cell == "interpolation" else None
    visit.press(f"{cell}-run")
    if cell != "training":  # a table, which follows its controls by itself
        visit.ran(cell)
        assert visit.at(f"{cell}-{RESULTS[cell]}").locator("img").count()
    expect(visit.at(f"{cell}-{RESULTS[cell]}")).to_be_visible()
    visit.screenshot(f"cell-{TESTED.index(cell) + 1}-{cell}", cell)
    assert visit.overflow() == []


def _take_away(visit, cell: str, folder):
    """The cell's downloads and its code, which every cell has under the same names."""
    picture = visit.download(f"{cell}-download", folder)
    recipe = visit.download(f"{cell}-recipe", folder)
    assert f"#recipe=sg2-{cell}." in visit.link(f"{cell}-link")
    assert picture.suffix in (".png", ".gif") and recipe.suffix == ".json"
    visit.upload(f"{cell}-recipe-load", recipe)
    visit.ran(cell)
    assert "import weights" in visit.code(cell)
