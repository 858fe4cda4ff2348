"""Every control of every cell of the StyleGAN2 tab, used as a visitor would, in a wide and in a narrow window."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

import weights

TESTED = ("sample", "truncation", "mixing", "interpolation", "noise", "directions", "history", "training")


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def alike(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    """The same pictures out of batches of other sizes, where sums are rounded in another order."""
    return len(a) == len(b) and all(np.abs(x.astype(int) - y).max() <= 2 for x, y in zip(a, b, strict=True))


def test_no_cell_is_left_out(wide):
    assert tuple(wide.page.locator(".nb-cell[id^=sg2-]").evaluate_all("all => all.map(e => e.id.slice(4))")) == TESTED


def test_seeds(visit, tmp_path):
    """Cell 1: seeds, truncation, the noise modes, the seed of the random noise."""
    with visit.every_control("sample"):
        visit.write("sample-seeds", "1-3, 42")
        visit.press("sample-run")
        visit.shows("sample-gallery", 4)
        assert visit.ran("sample").startswith("4 pictures")
        labels = visit.at("sample-gallery").locator("img").evaluate_all("all => all.map(i => i.alt)")
        assert labels == ["seed 1", "seed 2", "seed 3", "seed 42"]
        stored = visit.pictures("sample-gallery")
        assert len({picture.tobytes() for picture in stored}) == 4

        visit.write("sample-psi", 0)
        visit.press("sample-run")
        average = visit.pictures("sample-gallery")
        assert same(average[:1] * 4, average), "without its deviation every seed is the average picture"
        assert visit.slide("sample-psi") == "0.05"
        assert visit.reset("sample-psi") == "0.7"

        visit.pick("sample-noise-mode", "none")
        visit.press("sample-run")
        assert not same(visit.pictures("sample-gallery"), stored)
        visit.pick("sample-noise-mode", "const")
        visit.press("sample-run")
        assert same(visit.pictures("sample-gallery"), stored)
        visit.pick("sample-noise-mode", "random")
        visit.write("sample-noise-seed", 5)
        visit.press("sample-run")
        random = visit.pictures("sample-gallery")
        visit.write("sample-noise-seed", 6)
        visit.press("sample-run")
        assert not same(visit.pictures("sample-gallery"), random)
        assert visit.at("sample-send-draggan").is_enabled()
        # Where they lead is in the tests of those tabs.
        visit.used |= {f"sample-send-{tab}" for tab in ("draggan", "attgan", "igan", "out_of_domain")}

        visit.press("sample-extra")
        visit.shows("sample-gallery", 16)
        first, last = map(int, visit.value("sample-seeds").split("-"))
        assert last == first + 15
        visit.screenshot("cell-1-seeds", "sample")
        _take_away(visit, "sample", tmp_path)


def test_truncation(visit, tmp_path):
    """Cell 2: one seed at several psi, at one of the slider's, with a cutoff, and with a psi for each group."""
    with visit.every_control("truncation"):
        visit.write("truncation-seed", 7)
        visit.write("truncation-psis", "-1, 0, 0.5, 1")
        visit.press("truncation-run")
        visit.shows("truncation-strip", 4)
        strip = visit.pictures("truncation-strip")
        assert len({picture.tobytes() for picture in strip}) == 4

        visit.write("truncation-psi", 1)
        visit.press("truncation-picture-run")
        assert alike(visit.pictures("truncation-picture"), strip[3:])
        visit.slide("truncation-psi", "ArrowLeft")  # the picture follows the slider
        assert "0.95" in visit.ran("truncation")
        visit.write("truncation-psi", 0)
        assert alike(visit.pictures("truncation-picture"), strip[1:2])

        visit.unfold("truncation-levels")
        visit.write("truncation-cutoff", 0)
        assert alike(visit.pictures("truncation-picture"), strip[3:]), "cutoff 0 truncates nothing"
        visit.type("truncation-cutoff", "2")  # and follows what is typed
        assert not alike(visit.pictures("truncation-picture"), strip[1:2])
        visit.write("truncation-cutoff", "")
        for group in ("coarse", "middle"):
            visit.write(f"truncation-psi-{group}", 1)
            assert not alike(visit.pictures("truncation-picture"), strip[1:2])
            visit.write(f"truncation-psi-{group}", "")
            assert alike(visit.pictures("truncation-picture"), strip[1:2])
        for group in ("coarse", "middle", "fine"):
            visit.write(f"truncation-psi-{group}", 0.5)
        assert alike(visit.pictures("truncation-picture"), strip[2:3]), "all groups at 0.5 are the whole at 0.5"
        visit.press("truncation-run")
        assert alike(visit.pictures("truncation-strip"), strip[2:3] * 4), "and the strip's own psi counts no more"
        for group in ("coarse", "middle", "fine"):
            visit.write(f"truncation-psi-{group}", "")

        before = visit.value("truncation-seed")
        visit.press("truncation-extra")
        visit.until(lambda: visit.value("truncation-seed") != before, "no other seed was drawn")
        visit.settle()
        assert not same(visit.pictures("truncation-strip"), strip)
        visit.screenshot("cell-2-truncation", "truncation")
        _take_away(visit, "truncation", tmp_path)


def test_mixing(visit, tmp_path):
    """Cell 3: row seeds take the chosen layers from column seeds."""
    with visit.every_control("mixing"):
        visit.write("mixing-rows", "1-2")
        visit.write("mixing-cols", "11-13")
        visit.write("mixing-psi", 0.7)
        grids = {}
        for layers in ("coarse", "middle+fine", "all"):
            visit.choose("mixing-layers", layers)
            assert visit.value("mixing-layers") == layers
            visit.press("mixing-run")
            visit.shows("mixing-grid", 3 + 2 * (1 + 3))
            grids[layers] = visit.pictures("mixing-grid")
        columns = grids["all"][:3]
        rows = (grids["all"][4:7], grids["all"][8:11])
        assert all(alike(row, columns) for row in rows), "all layers are the column's own"
        assert not same(grids["coarse"], grids["middle+fine"])
        visit.enter("mixing-layers", "0-1")
        visit.press("mixing-run")
        assert "0-1 layers" in visit.at("mixing-grid").inner_text()
        visit.pick("mixing-noise-mode", "none")
        visit.press("mixing-run")
        assert visit.ran("mixing").startswith("2 × 3 pictures")
        assert visit.overflow() == []
        visit.screenshot("cell-3-mixing", "mixing")
        _take_away(visit, "mixing", tmp_path)


def test_interpolation(visit, tmp_path):
    """Cell 4: space, pace, loop, frames, speed, file kind; Stop, and Stop again."""
    with visit.every_control("interpolation"):
        visit.write("interpolation-seeds", "1-2")
        visit.write("interpolation-frames", 6)
        visit.write("interpolation-fps", 10)
        visit.write("interpolation-psi", 0.7)
        made = set()
        for space, easing, loop in (("w", "linear", True), ("z", "linear", True), ("z", "smooth", False)):
            visit.pick("interpolation-space", space)
            visit.pick("interpolation-easing", easing)
            visit.tick("interpolation-loop", loop)
            visit.press("interpolation-run")
            assert visit.ran("interpolation").startswith("6 frames")
            made.add(visit.addresses("interpolation-animation")[0])  # a file's address holds its hash
        assert len(made) == 3
        for kind in ("webp", "mp4", "gif"):
            visit.pick("interpolation-format", kind)
            visit.press("interpolation-run")
            if kind == "mp4":
                film = visit.at("interpolation-video").locator("video")
                expect(film).to_be_visible()
                visit.page.wait_for_function("film => film.readyState >= 2", arg=film.element_handle())
            else:
                visit.shows("interpolation-animation", 1)
                assert visit.addresses("interpolation-animation")[0].endswith(kind)
        visit.screenshot("cell-4-interpolation", "interpolation")
        _stop(visit)
        visit.press("interpolation-run")
        assert visit.ran("interpolation").startswith("6 frames")
        _take_away(visit, "interpolation", tmp_path)


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


def test_noise(visit, tmp_path):
    """Cell 5: pictures of one style under several noises, the heat map and its numbers."""
    with visit.every_control("noise"):
        visit.write("noise-seed", 4)
        visit.write("noise-count", 3)
        visit.write("noise-noise-seed", 1)
        visit.press("noise-run")
        visit.shows("noise-gallery", 3)
        visit.shows("noise-heat", 1)
        gallery, heat = visit.pictures("noise-gallery"), visit.pictures("noise-heat")
        assert len({picture.tobytes() for picture in gallery}) == 3
        numbers = [float(n) for n in visit.at("noise-numbers").locator("dd").all_inner_texts()]
        deviation = np.stack(gallery).astype(np.float64).std(axis=0, ddof=1).mean(axis=2)
        assert numbers == pytest.approx([deviation.mean(), deviation.max()], abs=0.06)
        visit.write("noise-noise-seed", 2)
        visit.press("noise-run")
        assert not same(visit.pictures("noise-heat"), heat)
        visit.write("noise-psi", 0.3)
        visit.press("noise-extra")
        assert visit.value("noise-seed") != "4"
        visit.shows("noise-gallery", 3)
        visit.screenshot("cell-5-noise", "noise")
        _take_away(visit, "noise", tmp_path)


def test_directions(visit, tmp_path):
    """Cell 6: sliders by name, by number and of a file, which the picture follows; one direction from end to end."""
    np.save(tmp_path / "age.npy", np.random.RandomState(0).randn(1, weights.load("stylegan2/faces").w_dim))
    with visit.every_control("directions"):
        visit.write("directions-seed", 2)
        visit.press("directions-run")
        start = visit.pictures("directions-picture")
        seen = {start[0].tobytes()}
        for i in range(1, 9):
            visit.write(f"directions-direction-{i}", 5)
            seen.add(visit.pictures("directions-picture")[0].tobytes())
        assert len(seen) == 9, "each direction changes the picture"
        names = list(weights.directions("stylegan2/faces"))
        for name in names:
            visit.write(f"directions-{name.lower().replace('_', '-')}", 3)
            seen.add(visit.pictures("directions-picture")[0].tobytes())
        visit.tick("directions-apart", True)
        seen.add(visit.pictures("directions-picture")[0].tobytes())
        visit.tick("directions-apart", False)
        visit.upload("directions-own", tmp_path / "age.npy")
        visit.write("directions-own-1", 4)
        assert "age by 4" in visit.ran("directions")
        seen.add(visit.pictures("directions-picture")[0].tobytes())
        assert len(seen) == 11 + len(names), "and each by its name, and apart from each other, and the file"
        visit.slide("directions-direction-1", "ArrowLeft")
        assert "direction 1 by 4.9" in visit.ran("directions")
        visit.choose("directions-layers", "fine" if visit.size[0] > 500 else "middle+fine")
        assert visit.pictures("directions-picture")[0].tobytes() not in seen
        visit.choose("directions-layers", "all")
        visit.write("directions-psi", 0.5)
        visit.write("directions-psi", 0.7)
        visit.press("directions-extra")
        visit.until(lambda: "not moved" in visit.status("directions"), f"it moves: {visit.status('directions')}")
        assert same(visit.pictures("directions-picture"), start)
        assert visit.value("directions-direction-3") == visit.value("directions-smiling") == "0"
        visit.choose("directions-direction", "2")
        visit.press("directions-strip-run")
        visit.shows("directions-strip", 9)
        strip = visit.pictures("directions-strip")
        assert alike(strip[4:5], start) and not same(strip[:1], strip[8:])
        visit.write("directions-direction-2", 4)
        assert alike(visit.pictures("directions-picture"), strip[8:]), "the strip's end is the slider at 4"
        visit.screenshot("cell-6-directions", "directions")
        _take_away(visit, "directions", tmp_path)


def test_history(visit, tmp_path):
    """Cell 7: four networks side by side, with what was measured of them."""
    with visit.every_control("history"):
        visit.write("history-seed", 2)
        visit.press("history-run")
        if any(weights.status(f"history/{name}") != "shipped" for name in weights.names("history")):
            visit.complaint()
            pytest.skip("the four networks of the history are not made yet; the page said so in one sentence")
        parts = visit.at("history-comparison").locator(".nb-part")
        expect(parts).to_have_count(4)
        pictures = visit.at("history-comparison").locator("img").count()
        assert pictures > 20
        visit.shows("history-comparison", pictures)
        numbers = visit.at("history-comparison").locator("td").all_inner_texts()
        assert sum(any(c.isdigit() for c in n) for n in numbers) > 15
        visit.ran("history")
        before = visit.addresses("history-comparison")
        visit.press("history-extra")
        assert visit.value("history-seed") != "2"
        visit.ran("history")
        assert visit.addresses("history-comparison") != before
        assert visit.download("history-download", tmp_path).suffix == ".png"
        recipe = visit.download("history-recipe", tmp_path)
        shown, seed = visit.addresses("history-comparison"), visit.value("history-seed")
        visit.write("history-seed", 1)
        visit.press("history-run")
        visit.upload("history-recipe-load", recipe)
        assert visit.addresses("history-comparison") == shown and visit.value("history-seed") == seed
        assert f"history.compare(seed={seed})" in visit.code("history")
        assert visit.overflow() == []
        visit.screenshot("cell-7-history", "history")


def test_parameter_calculator(visit, tmp_path):
    """The article's flower experiment, counted on the page, and the command that follows the controls."""
    with visit.every_control("training"):
        for name, value in (("resolution", "128"), ("z-dim", "256"), ("w-dim", "256"), ("channel-max", "512")):
            visit.choose(f"training-{name}", value)
        visit.choose("training-channel-base", "16384")
        visit.write("training-mapping-layers", 4)
        visit.press("training-run")
        totals = visit.at("training-table").locator("tbody td:last-child").all_inner_texts()
        assert totals[0] == totals[2] == "20.9 M" and totals[1] == "24.5 M"
        assert "--resolution 128 --mapping-layers 4" in visit.at("training-command").inner_text()
        recipe = visit.download("training-recipe", tmp_path)
        visit.write("training-mapping-layers", 2)  # the table follows the controls
        assert visit.at("training-table").locator("tbody td:last-child").first.inner_text() != "20.9 M"
        assert "mapping_layers=2" in visit.code("training")
        visit.upload("training-recipe-load", recipe)
        assert visit.value("training-mapping-layers") == "4"
        assert visit.at("training-table").locator("tbody td:last-child").first.inner_text() == "20.9 M"
        assert visit.overflow() == []
        visit.screenshot("cell-8-training", "training")


def _take_away(visit, cell: str, folder):
    """The cell's downloads and its code, which every cell has under the same names."""
    picture = visit.download(f"{cell}-download", folder)
    recipe = visit.download(f"{cell}-recipe", folder)
    assert picture.suffix in (".png", ".gif") and recipe.suffix == ".json"
    visit.upload(f"{cell}-recipe-load", recipe)
    visit.ran(cell)
    assert "import weights" in visit.code(cell)
