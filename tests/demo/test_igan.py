"""The iGAN tab's first cell: each brush alone and together, candidates, Fix, Restart, Play, Save, recipes."""

# ruff: noqa: F401, F811 (fixtures are imported under the names by which tests ask for them)

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo import canvas, networks
from demo.session import Sent, Visitor
from demo.tabs.igan import jobs
from demo.tabs.igan.animation import STEPS, Film
from demo.tabs.igan.examples import EXAMPLES
from demo.tabs.igan.text import TOOLS, drawing_of, edits_of
from pipelines import igan
from pipelines.recipes import Recipe
from weights.errors import UserError

from .conftest import events_of, last, refused
from .igan_helpers import (
    CODE,
    LATENT,
    NEWS,
    PATCH,
    RECIPE,
    RED,
    SETTINGS,
    SHEET,
    SIZE,
    STATUS,
    drawing,
    handlers,
    pixels,
    press,
    run,
    shelf,
    value,
)

VALUES = [SETTINGS.get(name) for name in ("smoothness", "starts", "steps")] + [0.2, 0, 0.1]


def brush(visitor, drawn, **changes):
    return visitor("igan_brush", **{"network": "igan/shoes", "seed": 3, "drawing": drawn, **SETTINGS, **changes})


# -- as scripts meet it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawn", "errors"),
    [
        (RED, {"colour"}),
        (drawing(line=True), {"sketch"}),
        (drawing(patches=[((8.5, 8.5), (20.5, 14.5), 12)]), {"colour", "sketch"}),  # patches have edges, too
        (drawing((20, 40, 220), line=True, patches=[PATCH]), {"colour", "sketch"}),
    ],
    ids=["colour", "sketch", "warp", "together"],
)
def test_each_brush(drawn, errors, visitor, tmp_path, monkeypatch):
    answer = brush(visitor, drawn)
    picture = pixels(answer[SHEET])
    assert picture.shape == (SIZE, SIZE, 3) and answer[NEWS] == ""
    assert "nb-ran" in answer[STATUS] and all(name in answer[STATUS] for name in errors)
    assert np.array_equal(np.asarray(run(answer[CODE], tmp_path, monkeypatch)), picture)
    recipe = Recipe.from_json(Path(value(answer[RECIPE])).read_text())
    steps = recipe.run()
    assert np.array_equal(np.asarray(steps[-1].candidates[0].image), picture)
    assert set(steps[-1].candidates[0].errors) == errors and steps[-1].best < steps[0].best
    latent = Path(value(answer[LATENT])).read_text()
    net = networks.Reference("igan/shoes").open()
    assert np.abs(np.asarray(igan.picture(net, latent)).astype(int) - picture).max() <= 1


def test_from_scratch(visitor):
    refused(visitor, "igan_brush", "choose what to start from", drawing=drawing(patches=[PATCH]), origin="scratch",
            network="igan/shoes", **SETTINGS)  # fmt: skip
    answer = brush(visitor, RED, origin="scratch")
    assert "z0" not in Recipe.from_json(Path(value(answer[RECIPE])).read_text()).arguments
    assert "from scratch" in answer[STATUS]
    brush(visitor, drawing(patches=[PATCH]), origin="scratch")  # now there is a picture to cut it from


def test_a_stylegan2_answers_too(visitor, tmp_path, monkeypatch):
    answer = brush(visitor, RED, network="stylegan2/faces")
    assert np.array_equal(np.asarray(run(answer[CODE], tmp_path, monkeypatch)), pixels(answer[SHEET]))
    refused(visitor, "igan_brush", "discriminator", drawing=RED, network="stylegan2/faces", realism=0.5, **SETTINGS)


def test_candidates_are_chosen(visitor, tmp_path, monkeypatch):
    refused(visitor, "igan_choose", "no candidates yet", number=1)
    best = pixels(brush(visitor, RED, smoothness=0)[SHEET])
    second = visitor("igan_choose", number=2)
    assert not np.array_equal(pixels(second[SHEET]), best)
    assert np.array_equal(np.asarray(run(second[CODE], tmp_path, monkeypatch)), pixels(second[SHEET]))
    average = visitor("igan_choose", number=0)
    assert np.array_equal(np.asarray(run(average[CODE], tmp_path, monkeypatch)), pixels(average[SHEET]))
    assert np.array_equal(pixels(visitor("igan_choose", number=1)[SHEET]), best)
    for number in (99, -1, 1.5):
        refused(visitor, "igan_choose", "numbered 1 to", number=number)


def test_fix_paint_again_and_restart(visitor):
    refused(visitor, "igan_fix", "no picture yet|nothing to fix")
    first = brush(visitor, RED)
    fixed = visitor("igan_fix")
    assert "Fixed" in fixed[NEWS] and value(fixed[SHEET]) is None
    again = brush(visitor, drawing(line=True))
    recipe = Recipe.from_json(Path(value(again[RECIPE])).read_text())
    assert recipe.arguments["fixed"][0]["colour"] and recipe.arguments["z0"] != 3
    assert np.array_equal(np.asarray(recipe.run()[-1].candidates[0].image), pixels(again[SHEET]))
    assert "1 fixed before" in again[STATUS]
    visitor("igan_restart")
    assert np.array_equal(pixels(brush(visitor, RED)[SHEET]), pixels(first[SHEET])), "all is as it was at first"


def test_an_empty_canvas(visitor):
    for empty in (None, canvas.drawn((SIZE, SIZE), patches=()), drawing()):
        refused(visitor, "igan_brush", "Nothing is drawn yet", network="igan/shoes", drawing=empty, **SETTINGS)
    refused(visitor, "igan_save", "no picture|Nothing was painted")
    refused(visitor, "igan_animate", "no picture|nothing to play")


BAD = [
    ({"drawing": {"size": [64, 64], "patches": []}, "network": "igan/shoes"}, "Nothing is drawn|another picture"),
    ({"drawing": drawing((1, 2, 3), size=64)}, "drawn on another picture"),
    ({"drawing": {**RED, "points": [{"handle": [1, 2], "target": None}]}}, "0 entries|points"),
    ({"drawing": {**RED, "patches": [{"source": [1, 2]}]}}, "target"),
    ({"drawing": "red"}, "drawing"),
    ({"starts": 10**6}, "choices|from"),
    ({"steps": 10**6}, "maximum"),
    ({"steps": 0}, "minimum"),
    ({"smoothness": 1e9}, "maximum"),
    ({"lr": 0}, "minimum"),
    ({"seed": -1}, "minimum|from 0"),
    ({"origin": "moon"}, "choices|starts from"),
    ({"origin": "photo", "network": "igan/flowers"}, "photo|seed"),
    ({"network": "zebra"}, "no checkpoint called"),
    ({"network": "attributes/faces"}, "not a network for this tab"),
    ({"network": "own:000000000000"}, "load the file"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD[1:12] + BAD[13:])
def test_bad_values_get_one_sentence(arguments, words, visitor):
    refused(visitor, "igan_brush", words, **{"network": "igan/shoes", "drawing": RED, **SETTINGS, **arguments})


def test_the_way_there(visitor):
    brush(visitor, RED)
    answer = visitor("igan_animate", frames=4, format="gif", fps=10)
    with Image.open(value(answer[0])) as film:
        assert film.n_frames >= 4 and film.size == (256, 256)
    refused(visitor, "igan_animate", "maximum|from 2", frames=10**6)
    refused(visitor, "igan_animate", "choices|one of", format="exe")


def test_everything_in_one_file(visitor):
    answer = brush(visitor, RED)
    with zipfile.ZipFile(value(visitor("igan_save")[0])) as packed:
        names = packed.namelist()
        assert "shoes-painted.png" in names and "shoes-latent.txt" in names and "candidates/01.png" in names
        again = Recipe.from_json(packed.read("shoes-painted-recipe.json"))
    assert again == Recipe.from_json(Path(value(answer[RECIPE])).read_text())


# -- as the page's own functions ---------------------------------------------------------------------------------------


@pytest.fixture
def pad(page):
    """A visitor before the pad, with the picture of seed 3 on it."""
    mine, ann = handlers(page), Visitor()
    last(mine.open(ann, "igan/shoes", "seed", 3))

    def paint(drawn, ticket=None):
        return last(mine.paint(ann, "igan/shoes", "seed", 3, drawn, ticket, *VALUES))

    mine_ = type("Pad", (), {"mine": mine, "ann": ann, "paint": staticmethod(paint)})()
    mine_.state = ann.kept["igan"]
    return mine_


def frame(pad, made: dict) -> dict:
    return made[pad.mine.part["board"]]["frame"]


def test_the_tab_is_opened(page):
    mine, ann = handlers(page), Visitor()
    made = last(mine.greet(ann, "igan/shoes", "seed", 3))
    assert made[mine.part["board"]]["frame"]["size"] == [SIZE, SIZE] and "seed 3" in made[mine.part["status"]]
    assert list(last(mine.greet(ann, "igan/shoes", "seed", 3))) == [], "it is there already"
    assert last(mine.follow(ann, "igan/shoes", "seed", 3)) == {}
    other = last(mine.follow(ann, "stylegan2/faces", "seed", 3))
    assert other[mine.part["starts"]]["value"] == 4 and other[mine.part["realism"]]["interactive"] is False


def test_only_the_newest_stroke_is_answered(pad):
    first, second = pad.mine.heard(pad.ann), pad.mine.heard(pad.ann)
    assert pad.paint(RED, first) == {}, "a newer one is on its way"
    assert pad.paint(RED, second)[pad.mine.part["sheet"]]
    running = pad.mine.paint(pad.ann, "igan/shoes", "seed", 3, RED, pad.mine.heard(pad.ann), *VALUES)
    next(running)
    pad.mine.heard(pad.ann)
    rest = last(running)
    assert pad.mine.part["sheet"] not in rest and pad.mine.part["board"] not in rest


def test_stop(pad):
    running = pad.mine.paint(pad.ann, "igan/shoes", "seed", 3, RED, pad.mine.heard(pad.ann), *VALUES[:2], 200,
                             *VALUES[3:])  # fmt: skip
    next(running)
    assert "Stopping" in pad.mine.stop(pad.ann)
    made = last(running)
    assert "Stopped after" in made[pad.mine.part["status"]] and pad.state.run.last.step < 5
    recipe = Recipe.from_json(Path(made[pad.mine.part["recipe"]]).read_text()) if False else pad.state.run.recipe()
    assert recipe["steps"] == max(1, pad.state.run.last.step)
    assert "Nothing is running" in pad.mine.stop(pad.ann)


def test_a_patch_is_cut_from_the_picture_that_is_seen(pad):
    pad.paint(RED)
    seen = np.asarray(pad.state.image)
    made = pad.paint({**RED, "patches": drawing(patches=[PATCH])["patches"]})
    assert len(pad.state.rounds) == 1 and "colour" in pad.state.rounds[0] and pad.state.rounds[0]["z0"] == 3
    assert np.array_equal(np.asarray(pad.state.base), seen)
    assert pad.state.run.arguments["warp"] == drawing(patches=[PATCH])["patches"]
    board = made[pad.mine.part["board"]]
    pulled_on = drawing(patches=[((8.5, 8.5), (22.5, 20.5), 8)])
    pad.paint(pulled_on)
    assert len(pad.state.rounds) == 1, "a patch that is pulled on is no new one"
    assert board["frame"]["size"] == [SIZE, SIZE]


def test_what_is_wiped_away_is_not_asked_for(pad):
    pad.paint(RED)
    made = pad.paint(drawing(), pad.mine.heard(pad.ann)) if False else None
    with pytest.raises(UserError, match="Nothing is drawn"):
        pad.paint(drawing())
    assert made is None and pad.state.run is None and pad.state.image is pad.state.base
    quiet = pad.paint(drawing(), pad.mine.heard(pad.ann))
    assert quiet[pad.mine.part["sheet"]] is None, "on the page an empty pad is no mistake"


def test_candidates_are_pressed(pad):
    made = pad.paint(RED)
    shown = made[pad.mine.part["tiles"]]["tiles"]
    assert shown["chosen"] == shown["items"][0]["key"] and shown["items"][-1]["key"] == "average"
    other = shown["items"][1]["key"]
    made = last(pad.mine.choose(pad.ann, press(other)))
    assert made[pad.mine.part["tiles"]]["tiles"]["chosen"] == other and pad.state.rank == 1
    assert np.array_equal(np.asarray(pad.state.image), np.asarray(pad.state.candidates[1].image))
    made = last(pad.mine.choose(pad.ann, press("average")))
    assert "average" in frame(pad, made)["alt"]
    assert last(pad.mine.choose(pad.ann, press("nonsense"))) == {}


def test_play(pad):
    film = Film(pad.mine)
    with pytest.raises(UserError, match="nothing to play"):
        last(film.play(pad.ann))
    pad.paint(RED)
    shown = list(film.play(pad.ann))
    assert [u[pad.mine.part["play"]]["value"] for u in shown] == list(range(STEPS + 1))
    first, final = pad.state.frames[1][0], pad.state.frames[1][-1]
    assert np.array_equal(np.asarray(first), np.asarray(pad.state.start.image))
    assert np.abs(np.asarray(final).astype(int) - np.asarray(pad.state.image)).max() <= 1
    kept = pad.state.frames
    made = last(film.slide(pad.ann, 5))
    assert "step 5 of 16" in frame(pad, made)["alt"] and pad.state.frames is kept, "they are made once"
    assert "step" not in frame(pad, last(film.slide(pad.ann, STEPS)))["alt"]
    with pytest.raises(UserError, match="from 0 to 16"):
        last(film.slide(pad.ann, 99))
    pad.mine.fix(pad.ann)
    last(pad.mine.fix(pad.ann))
    assert len(list(film.play(pad.ann))) == STEPS + 1, "after Fix it still begins with the first picture"
    assert np.array_equal(np.asarray(pad.state.frames[1][0]), np.asarray(pad.state.start.image))


def test_a_recipe_that_is_loaded_back(pad, visitor, page, tmp_path):
    drawn, load = drawing((20, 40, 220), line=True, patches=[PATCH]), events_of(page, "load_recipe")["ig-brush"]
    brush(visitor, RED)
    visitor("igan_fix")
    brush(visitor, drawn)
    answer = visitor("igan_choose", number=2)
    made = last(load(pad.ann, value(answer[RECIPE])))
    state = pad.ann.kept["igan"]
    assert np.array_equal(np.asarray(state.image), pixels(answer[SHEET])) and state.rank == 1 and len(state.rounds) == 1
    assert made[pad.mine.part["starts"]]["value"] == 4 and made[pad.mine.part["network"]]["value"] == "igan/shoes"
    shown = {}
    for update in load(pad.ann, value(answer[RECIPE])):
        shown |= update.get(pad.mine.part["board"], {})
    laid = canvas.read(shown["value"], TOOLS)
    assert laid.patches == (canvas.Patch(*PATCH),) and set(laid.layers) == {"colour", "sketch"}

    recipe = json.loads(Path(value(answer[RECIPE])).read_text())
    wrong = tmp_path / "wrong.json"
    for change, words in (
        ({"function": "igan.ring", "arguments": {}}, "another cell"),
        ({"arguments": {**recipe["arguments"], "colour": "nonsense"}}, "no painted picture"),
        ({"arguments": {**recipe["arguments"], "starts": 10**9}}, "number of starts"),
        ({"arguments": {**recipe["arguments"], "z0": "nonsense"}}, "not a latent"),
        ({"arguments": {**recipe["arguments"], "fixed": 7}}, "fixed"),
        ({"arguments": {"z0": 1}}, "Nothing is drawn"),
        ({"checkpoint": {"name": "igan/shoes", "sha256": "0" * 64}}, "another version"),
        ({"checkpoint": {"name": "own:000000000000", "sha256": "0" * 64}}, "load the file"),
    ):
        wrong.write_text(json.dumps({**recipe, **change}))
        with pytest.raises(UserError, match=words):
            last(load(pad.ann, str(wrong)))
        assert state.rank == 1 and pad.ann.kept["igan"] is state and state.run is not None, "nothing is lost"


def test_what_was_fixed_can_be_saved(visitor):
    """Nothing was painted since, and the picture that stands there is the one that was fixed."""
    painted = brush(visitor, RED)
    visitor("igan_fix")
    with zipfile.ZipFile(value(visitor("igan_save")[0])) as packed:
        names = packed.namelist()
        recipe = Recipe.from_json(packed.read(next(n for n in names if n.endswith(".json"))).decode())
        saved = np.asarray(Image.open(io.BytesIO(packed.read(next(n for n in names if n.endswith("painted.png"))))))
    assert np.array_equal(saved, pixels(painted[SHEET])) and len([n for n in names if "candidates/" in n]) == 4
    assert recipe.function == "igan.brush"


def test_what_was_sent_wins(page):
    mine, ann = handlers(page), Visitor()
    ann.sent["igan"] = Sent("stylegan2/faces", None, 6, 0.5)
    last(mine.take_sent(ann))
    assert last(mine.greet(ann, "igan/shoes", "seed", 3)) == {}
    assert ann.kept["igan"].start.reference.name == "stylegan2/faces"


def test_drawings_there_and_back():
    drawn = canvas.read(drawing((20, 40, 220), line=True, patches=[PATCH]), TOOLS)
    edits = edits_of(drawn, SIZE)
    assert json.loads(json.dumps(edits)) == edits and set(edits) == {"colour", "sketch", "warp"}
    again = edits_of(canvas.read(drawing_of(edits, SIZE), TOOLS), SIZE)
    assert again["warp"] == edits["warp"]
    one, other = (canvas.read(drawing_of(e, SIZE), TOOLS).layers["colour"] for e in (edits, again))
    assert np.array_equal(one.cells, other.cells) and one.palette == other.palette


def test_what_other_tabs_send(page):
    mine, ann = handlers(page), Visitor()
    assert list(last(mine.take_sent(ann))) == []
    ann.sent["igan"] = Sent("stylegan2/faces", None, 6, 0.5)
    assert list(last(mine.greet(ann, "igan/shoes", "seed", 3))) == [], "another one is on its way"
    made = last(mine.take_sent(ann))
    assert "igan" not in ann.sent and made[mine.part["network"]]["value"] == "stylegan2/faces"
    from pipelines import stylegan2

    net = networks.Reference("stylegan2/faces").open()
    wanted = stylegan2.picture(net, stylegan2.latent(net, 6, 0.5))
    assert np.abs(np.asarray(ann.kept["igan"].image).astype(int) - np.asarray(wanted)).max() <= 1
    back = mine.sent(ann)
    assert back.network == "stylegan2/faces" and back.latent
    ann.sent["igan"] = back
    last(mine.take_sent(ann))
    assert np.abs(np.asarray(ann.kept["igan"].image).astype(int) - np.asarray(wanted)).max() <= 1
    last(mine.open(ann, "igan/shoes", "seed", 3))
    with pytest.raises(UserError, match="StyleGAN2"):
        mine.sent(ann)
    assert mine.sent(Visitor()) is None


def test_nothing_is_fetched_because_a_list_was_looked_through(page, monkeypatch):
    import weights

    monkeypatch.setattr(weights, "fetch", lambda *a, **k: pytest.fail("fetched"))
    mine, ann = handlers(page), Visitor()
    made = last(mine.follow(ann, "stylegan2/ffhq-1024", "seed", 3))
    assert "fetch this network" in made[mine.part["news"]] and frame_of(made, mine)["picture"] is None


def frame_of(made: dict, mine) -> dict:
    return made[mine.part["board"]]["frame"]


def test_what_passes_to_a_worker_can_be_pickled(page):
    reference = networks.Reference("igan/shoes")
    start = pickle.loads(pickle.dumps(jobs.opened(reference, 3)))
    arguments = {**edits_of(canvas.read(RED, TOOLS), SIZE), "z0": 3, "steps": 1, "starts": 2}
    steps = pickle.loads(pickle.dumps(list(jobs.brushed(reference, arguments))))
    assert start.size == (SIZE, SIZE) and steps[-1].done and len(steps[-1].candidates) >= 1


@pytest.mark.parametrize("key", EXAMPLES)
def test_examples(key, pad):
    words, draw = EXAMPLES[key]
    shown = {}
    made = {}
    for update in pad.mine.attempt(pad.ann, "igan/shoes", "scratch" if key == "push" else "seed", 3, *VALUES,
                                   example=draw):  # fmt: skip
        made |= update
        shown |= update.get(pad.mine.part["board"], {})
    assert canvas.read(shown["value"], TOOLS) != canvas.Drawing() and made[pad.mine.part["sheet"]]
    assert words and pad.state.candidate is not None and not pad.state.rounds


def test_two_visitors_have_nothing_in_common(page):
    mine, ann, bob = handlers(page), Visitor(), Visitor()
    for visitor in (ann, bob):
        last(mine.open(visitor, "igan/shoes", "seed", 3))
    last(mine.paint(ann, "igan/shoes", "seed", 3, RED, None, *VALUES))
    assert bob.kept["igan"].run is None and ann.kept["igan"].run is not None
