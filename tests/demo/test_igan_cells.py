"""The iGAN tab's other cells: a photograph's latent, the edit on the photograph, morphing, the ring, the map."""

# ruff: noqa: F401, F811 (fixtures are imported under the names by which tests ask for them)

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from gradio_client import handle_file
from PIL import Image

from demo import canvas, networks
from demo.running import Progress
from demo.session import Visitor
from demo.tabs.igan import jobs, toy
from pipelines import igan
from pipelines.recipes import Recipe
from weights.errors import UserError

from .conftest import events_of, handler_of, last, refused
from .igan_helpers import RED, SETTINGS, handlers, photograph, pixels, press, run, shelf, value

SHEET, LATENT, RECIPE, CODE, STATUS, NEWS = range(6)
FIND = {"network": "igan/shoes", "crop": "middle", "steps": 10}


def project(visitor, photograph, **changes):
    return visitor("igan_project", **{**FIND, "photo": handle_file(str(photograph)), **changes})


def by_id(page) -> dict:
    return {b.elem_id: b for b in page.blocks.values() if getattr(b, "elem_id", None)}


# -- a photograph's latent ---------------------------------------------------------------------------------------------


def test_three_ways(visitor, photograph, tmp_path, monkeypatch):
    answer = project(visitor, photograph)
    assert [way in answer[STATUS] for way in ("predictor", "hybrid", "optimisation")] == [True] * 3
    assert "Features:" in answer[-1] and answer[NEWS] == ""
    recipe = Recipe.from_json(Path(value(answer[RECIPE])).read_text())
    assert recipe.arguments["method"] == "hybrid"
    latent = Path(value(answer[LATENT])).read_text()
    assert igan.encode_latent(recipe.run()[-1].latent) == latent
    shutil.copyfile(photograph, tmp_path / "your-photograph.jpg")
    made = run(answer[CODE], tmp_path, monkeypatch)
    assert np.array_equal(np.asarray(made), np.asarray(recipe.run()[-1].image))


def test_a_network_without_a_predictor(visitor, photograph):
    answer = project(visitor, photograph, network="igan/flowers")
    assert "predictor 0." not in answer[STATUS] and "hybrid" in answer[STATUS] and "no predictor" in answer[-1]


def test_what_cannot_be_projected(visitor, photograph, tmp_path):
    refused(visitor, "igan_project", "no picture yet", **FIND)
    refused(visitor, "igan_project", "maximum|from 10", **{**FIND, "steps": 10**6}, photo=handle_file(str(photograph)))
    refused(visitor, "igan_project", "choices|one of", **{**FIND, "crop": "left"}, photo=handle_file(str(photograph)))
    text = tmp_path / "text.png"
    text.write_text("no picture at all")
    refused(visitor, "igan_project", "not a picture|does not fit", **FIND, photo=handle_file(str(text)))
    refused(visitor, "igan_paint_on", "no latent yet")


def test_no_face_is_no_end(visitor, photograph):
    answer = project(visitor, photograph, crop="face")
    assert "No face was found" in answer[-1] and "hybrid" in answer[STATUS]


# -- the edit on the photograph ----------------------------------------------------------------------------------------


def test_from_the_photograph_to_the_edit_on_it(visitor, photograph, tmp_path, monkeypatch):
    refused(visitor, "igan_transfer", "no photograph on the pad")
    project(visitor, photograph)
    refused(visitor, "igan_transfer", "no photograph on the pad")
    visitor("igan_paint_on")
    refused(visitor, "igan_transfer", "Nothing was painted")
    painted = visitor("igan_brush", network="igan/shoes", origin="photo", drawing=RED, **SETTINGS)
    assert "of a photograph" in painted[4]
    answer = visitor("igan_transfer", frames=3, format="gif", fps=10)
    with Image.open(photograph) as photo:
        result, original = pixels(answer[0]), np.asarray(photo.convert("RGB"))
    assert result.shape == original.shape and (result != original).any()
    assert np.array_equal(result[:, :20], original[:, :20]), "beside the square nothing changes"
    detail = [np.diff(p[:, 60:180].astype(float), axis=1).std() for p in (original, result)]
    assert detail[1] > 0.6 * detail[0], "its grain is still there"
    with Image.open(value(answer[2])) as film:
        assert film.n_frames >= 3
    shutil.copyfile(photograph, tmp_path / "your-photograph.png")
    assert np.array_equal(np.asarray(run(answer[6], tmp_path, monkeypatch)), result)
    recipe = Recipe.from_json(Path(value(answer[5])).read_text())
    assert np.array_equal(np.asarray(recipe.run()[-1]), result)
    refused(visitor, "igan_transfer", "maximum|from 2", frames=10**5)


def test_a_recipe_of_a_transfer(page, visitor, photograph, tmp_path):
    project(visitor, photograph)
    visitor("igan_paint_on")
    visitor("igan_brush", network="igan/shoes", origin="photo", drawing=RED, **SETTINGS)
    answer = visitor("igan_transfer", frames=4, format="webp", fps=10)
    load, parts = handler_of(page, "ig-transfer-recipe-load"), by_id(page)
    for made in load(Visitor(), value(answer[5])):
        if made.get(parts["ig-transfer-download"]):
            assert np.array_equal(pixels(made[parts["ig-transfer-download"]]), pixels(answer[0]))
    assert made[parts["ig-transfer-frames"]]["value"] == 4 and made[parts["ig-transfer-format"]]["value"] == "webp"
    recipe = json.loads(Path(value(answer[5])).read_text())
    wrong = tmp_path / "wrong.json"
    for change, words in (
        ({"function": "igan.ring", "arguments": {}}, "another cell"),
        ({"arguments": {**recipe["arguments"], "image": "nonsense"}}, "no picture"),
        ({"arguments": {**recipe["arguments"], "frames": 10**9}}, "number of frames"),
        ({"arguments": {**recipe["arguments"], "z1": "nonsense"}}, "not a latent"),
        ({"checkpoint": {"name": "igan/shoes", "sha256": "0" * 64}}, "another version"),
    ):
        wrong.write_text(json.dumps({**recipe, **change}))
        with pytest.raises(UserError, match=words):
            list(load(Visitor(), str(wrong)))


def test_one_photograph_becomes_another(visitor, photograph, tmp_path):
    other = tmp_path / "other.png"
    Image.fromarray(255 - pixels(photograph)).save(other)
    files = {"photo": handle_file(str(photograph)), "other": handle_file(str(other))}
    answer = visitor("igan_morph", network="igan/shoes", crop="middle", frames=3, format="gif", **files)
    assert pixels(answer[0]).shape == pixels(photograph).shape
    assert "3 frames one way, of 240 x 180 px" in answer[5] and "igan.morph" in answer[4]
    refused(visitor, "igan_morph", "no picture yet", network="igan/shoes", photo=files["photo"])


def test_a_morph_says_how_far_its_search_is_and_can_be_left_there(photograph):
    one = Image.open(photograph).convert("RGB")
    reference = networks.resolve(Visitor(), "igan/shoes", "igan")
    again = (reference, [one, one.point(lambda v: 0.9 * v)], "middle", {"frames": 3, "steps": 60})
    first, *heard, middle, end = (s for s in jobs.morphed(*again) if isinstance(s, Image.Image) or s.total)
    assert all(isinstance(frame, Image.Image) for frame in (first, middle, end))
    far = [step.done for step in heard]
    assert far and far == sorted(far) and {step.total for step in heard} == {2 * 60 + 2 * 36}
    threads = threading.active_count()
    left = jobs.morphed(*again)
    assert any(isinstance(step, Progress) and step.done for step in left)
    left.close()
    assert threading.active_count() <= threads, "nothing goes on searching"


# -- the manifold, seen ------------------------------------------------------------------------------------------------


def test_the_ring(visitor, page, tmp_path, monkeypatch):
    answer = visitor("igan_ring", seed=2, steps=50)
    drawn = pixels(answer[0])
    assert drawn.shape == (880, 880, 3) and "50 steps" in answer[3]
    assert np.array_equal(np.asarray(run(answer[2], tmp_path, monkeypatch)), drawn)
    load, parts = handler_of(page, "ig-ring-recipe-load"), by_id(page)
    made = last(load(Visitor(), value(answer[1])))
    assert made[parts["ig-ring-seed"]]["value"] == 2 and made[parts["ig-ring-steps"]]["value"] == 50
    assert made[parts["ig-ring-shape"]]["value"] == "ring"
    refused(visitor, "igan_ring", "minimum|from 0|choices", seed=-3, steps=50)
    refused(visitor, "igan_ring", "Nothing is painted", seed=1, steps=50, shape="drawn")


DATA = {"size": [360, 360], "layers": {"data": {"size": [2, 2], "runs": [1, 1, 2]}}}  # the upper right quarter


def finished(updates, parts) -> tuple[dict, np.ndarray, str]:
    """The last update, and the drawing and the recipe in its files, which go with the event."""
    for update in updates:
        if isinstance(update.get(parts["ig-ring-download"]), str):
            files = pixels(update[parts["ig-ring-download"]]), Path(update[parts["ig-ring-recipe"]]).read_text()
    return update, *files


def test_the_ring_goes_step_by_step(visitor, page, tmp_path, monkeypatch):
    monkeypatch.setattr("demo.tabs.igan.toy.SLOW_S", 0.01)
    parts, guest = by_id(page), Visitor()
    one, go_on = handler_of(page, "ig-ring-one"), handler_of(page, "ig-ring-go-on")
    news, status = parts["ig-ring-news"], parts["ig-ring-status"]
    for number in (1, 2):
        heard = [update[news] for update in one(guest, 3, 50, "moons", None, "fast") if update.get(news)]
        assert "discriminator has learnt" in heard[-2] and "generator has learnt" in heard[-1]
        assert guest.kept["igan-ring"].toy.step == number
    kept = guest.kept["igan-ring"].toy
    made, drawn, _recipe = finished(go_on(guest, 3, 50, "moons", None, "fast"), parts)
    assert "50 steps" in made[status] and guest.kept["igan-ring"].toy.step == 50 and kept.step == 2
    at_once = visitor("igan_ring", seed=3, steps=50, shape="moons")
    assert np.array_equal(pixels(at_once[0]), drawn)
    # with another seed it is another toy, which begins; and one that has made all its steps does, too
    assert "1 step ·" in last(one(guest, 4, 50, "moons", None, "fast"))[status]
    assert "50 steps" in last(go_on(guest, 4, 50, "moons", None, "fast"))[status]
    stepped, drawn, recipe = finished(one(guest, 4, 50, "moons", None, "fast"), parts)
    assert "1 step ·" in stepped[status]
    (tmp_path / "recipe.json").write_text(recipe)
    load = handler_of(page, "ig-ring-recipe-load")
    again, pixels_again, _recipe = finished(load(Visitor(), str(tmp_path / "recipe.json")), parts)
    assert "1 step ·" in again[status] and again[parts["ig-ring-shape"]]["value"] == "moons"
    assert np.array_equal(pixels_again, drawn)


def test_the_ring_learns_what_is_painted(visitor, page, tmp_path, monkeypatch):
    answer = visitor("igan_ring", seed=1, steps=50, shape="drawn", drawing=DATA)
    drawn = pixels(answer[0])
    assert np.array_equal(np.asarray(run(answer[2], tmp_path, monkeypatch)), drawn)
    data = np.abs(drawn[:440, 440:].astype(int) - (190, 184, 175)).sum(axis=2) < 12
    rows, columns = np.nonzero(data)
    assert rows.max() < 225 and columns.min() > 215, "the data are in the upper right quarter"
    parts = by_id(page)
    made, again, _recipe = finished(handler_of(page, "ig-ring-recipe-load")(Visitor(), value(answer[1])), parts)
    assert made[parts["ig-ring-shape"]]["value"] == "drawn"
    assert canvas.read(made[parts["ig-ring-board"]]["value"], [toy.BRUSH]).layers["data"].cells[10, 100] == 1
    assert np.array_equal(again, drawn)


def test_the_map(visitor, tmp_path, monkeypatch):
    answer = visitor("igan_plane", network="igan/shoes", seed=2, x=0.5, y=-0.25, reach=1.0, rows=3)
    sheet = pixels(answer[0])
    assert sheet.shape == (96, 96, 3) and "9 pictures around x 0.50, y -0.25" in answer[4]
    assert np.array_equal(np.asarray(run(answer[3], tmp_path, monkeypatch)), sheet)
    net = networks.Reference("igan/shoes").open()
    middle = np.asarray(igan.picture(net, Path(value(answer[1])).read_text()))
    assert np.abs(middle.astype(int) - sheet[32:64, 32:64]).max() <= 1
    refused(visitor, "igan_plane", "from -10", network="igan/shoes", seed=2, x=1e9, y=0, reach=1, rows=3)
    refused(visitor, "igan_plane", "maximum|from", network="igan/shoes", seed=2, x=0, y=0, reach=1, rows=10**6)


def test_walking_on_the_map(page):
    parts = by_id(page)
    walk = events_of(page, "anew")["ig-plane"].__wrapped__.__self__
    ann = Visitor()
    assert list(walk.go(ann, 3, "0-0")) == []
    with pytest.raises(UserError, match="no map yet"):
        list(walk.paint_on(ann))
    made = last(walk.show(ann, "igan/shoes", 2, 0, 0, 1.0, 3))
    tiles = made[walk.part["map"]]["tiles"]
    assert len(tiles["items"]) == 9 and tiles["chosen"] == "1-1" and tiles["columns"] == 3
    made = last(walk.go(ann, 3, "0-2"))
    assert made[walk.part["x"]]["value"] == 1 and made[walk.part["y"]]["value"] == -1
    assert ann.kept["igan-plane"].arguments["x"] == 1
    nearer = last(walk.zoom(0.5, ann, "igan/shoes", 2, 1, -1, 1.0, 3))
    assert nearer[parts["ig-plane-reach"]]["value"] == 0.5
    update = last(walk.paint_on(ann))
    state = ann.kept["igan"]
    assert "from the map" in state.start.about and update[handlers(page).part["board"]]["frame"]["size"] == [32, 32]
