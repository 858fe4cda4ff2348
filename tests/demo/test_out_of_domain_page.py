"""The out-of-domain tab's own functions: ticks, sliders, painted areas, examples, recipes."""

# ruff: noqa: F401, F811 (fixtures are imported under the names by which tests ask for them)

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import weights
from demo import canvas
from demo.session import Sent, Visitor
from demo.tabs.out_of_domain import examples
from pipelines import out_of_domain as ood
from pipelines.defaults import STRENGTH, STRENGTHS, usual_strength
from pipelines.recipes import Recipe
from weights import paths
from weights.errors import UserError

from .conftest import events_of, last
from .out_of_domain_helpers import handlers, once, photo, pixels, shelf, state


def test_sliders_do_not_invert_again(state, once, monkeypatch):
    """And those of the mask run no network but the deghosting one."""
    mine, ann, mystate = state
    made = last(mine.tick(ann, ["Smiling"]))
    assert mystate.wanted == {"Smiling": usual_strength("Smiling")} and made[mine.sliders[0]]["visible"]
    assert made[mine.sliders[0]]["value"] == usual_strength("Smiling")
    assert not made[mine.sliders[1]]["visible"] and mine.part["ticks"] not in made
    first = np.asarray(mystate.made.edited)
    moved = last(mine.slid(ann, 0.4, 0, 0))
    assert mystate.wanted == {"Smiling": 0.4} and (np.asarray(mystate.made.edited) != first).any()
    assert not set(moved) & set(mine.sliders), "sliders stay where the hand has moved them"
    monkeypatch.setattr(ood, "changed", lambda *a, **k: pytest.fail("T was made again"))
    tall = np.asarray(mystate.made.mask).sum()
    last(mine.soften(ann, 0.8, 0.1, True, True, "change"))
    assert np.asarray(mystate.made.mask).sum() < tall and mystate.made.deghosted
    last(mine.soften(ann, 0.1, 0.1, False, False, "change"))
    assert np.asarray(mystate.made.mask).sum() > tall and not mystate.made.deghosted
    last(mine.soften(ann, 0.1, 0.1, False, False, "edit"))
    text = recipe_text(mine, ann)
    assert json.loads(text)["arguments"]["blend"] == "edit"
    assert np.array_equal(np.asarray(Recipe.from_json(text).run().result), np.asarray(mystate.made.result))
    with pytest.raises(UserError, match="blend"):
        last(mine.soften(ann, 0.1, 0.1, False, False, "paper"))
    assert mystate.mask.blend == "edit"


def test_directions_apart_from_each_other(state, once):
    mine, ann, mystate = state
    last(mine.tick(ann, ["Smiling"]))
    together = np.asarray(mystate.change.image)
    last(mine.part_them(ann, True))
    assert (np.asarray(mystate.change.image) != together).any()
    text = recipe_text(mine, ann)
    assert json.loads(text)["arguments"]["apart"] is True
    assert np.array_equal(np.asarray(Recipe.from_json(text).run().result), np.asarray(mystate.made.result))
    last(mine.part_them(ann, False))
    assert np.array_equal(np.asarray(mystate.change.image), together)
    with pytest.raises(UserError, match="no direction"):
        last(mine.edit(ann, {"Zebra": 1}, apart=True))
    assert not mystate.apart


def test_several_in_a_row_and_back(state, once, photo):
    mine, ann, mystate = state
    last(mine.tick(ann, ["Smiling"]))
    made = last(mine.tick(ann, ["Smiling", "Young"]))
    assert (
        mystate.wanted == {"Smiling": usual_strength("Smiling"), "Young": STRENGTH}
        and made[mine.sliders[2]]["label"] == "young"
    )
    drawing = canvas.drawn((384, 384), layers={"change": canvas.Layer(np.ones((8, 8), np.uint8))})
    drawing.pop("points")
    last(mine.paint(ann, drawing))
    assert (np.asarray(mystate.made.mask) == 255).all() and mystate.mask.add
    back = last(mine.undo(ann))
    assert mystate.wanted == {} and mystate.mask.add is None and not back[mine.part["board"]]["value"]["layers"]
    assert np.asarray(mystate.whole()).tobytes() == pixels(photo).tobytes()


def test_a_recipe_that_is_loaded_back(page, state, once):
    mine, ann, mystate = state
    keep = np.zeros((32, 32), np.uint8)
    keep[:10] = 1
    drawing = canvas.drawn((384, 384), layers={"keep": canvas.Layer(keep)})
    drawing.pop("points")
    last(mine.edit(ann, {"Smiling": 2.5}, 0.2, 0.3, drawing, False))
    made, result = last(mine.files(ann)), np.asarray(mystate.made.result)
    # The folder goes with the event, so a copy of its text is what is kept.
    text = None
    mystate.written = -1
    for update in mine.files(ann):
        text = Path(update[mine.part["recipe"]]).read_text()
    assert made and text
    bob, path = Visitor(), paths.cache() / "kept.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    back = last(events_of(page, "load_recipe")["od-edit"](bob, str(path)))
    theirs = bob.kept["out_of_domain"]
    assert np.array_equal(np.asarray(theirs.made.result), result) and theirs.wanted == {"Smiling": 2.5}
    assert back[mine.part["threshold"]]["value"] == 0.2 and not theirs.mask.deghost
    assert set(back[mine.part["board"]]["value"]["layers"]) == {"keep"}
    recipe = json.loads(text)
    for change, words in (
        ({"function": "out_of_domain.slide"}, "leaves out|another cell"),
        ({"arguments": {**recipe["arguments"], "latent": "none"}}, "not a latent"),
        ({"arguments": {**recipe["arguments"], "latent": 3}}, "no face with its latent"),
        ({"arguments": {**recipe["arguments"], "parts": {"diffcam": "0" * 64}}}, "another version of diffcam"),
        ({"arguments": {**recipe["arguments"], "edits": [["Zebra", 1]]}}, "no direction"),
        ({"checkpoint": {"name": "stylegan2/faces", "sha256": "0" * 64}}, "another version"),
    ):
        path.write_text(json.dumps({**recipe, **change}))
        with pytest.raises(UserError, match=words):
            last(events_of(page, "load_recipe")["od-edit"](bob, str(path)))
        assert theirs.wanted == {"Smiling": 2.5}, "nothing is lost"


def test_a_direction_of_ones_own(state, tmp_path):
    mine, ann, mystate = state
    np.save(tmp_path / "age.npy", np.random.RandomState(5).randn(1, 16))
    made = last(mine.take_direction(ann, str(tmp_path / "age.npy")))
    assert mystate.wanted == {"age": STRENGTH} and ("age", "age") in made[mine.part["ticks"]]["choices"]
    assert made[mine.sliders[3]]["label"] == "age" and "own=own" in made[mine.part["code"]]
    several = {name: torch.randn(16) for name in ("Smiling", "pose")}
    torch.save(several, tmp_path / "several.pt")
    last(mine.take_direction(ann, str(tmp_path / "several.pt")))
    assert list(mystate.own) == ["age", "Smiling (file)", "pose"]
    recipe = Recipe.from_json(last(mine.files(ann)) and recipe_text(mine, ann))
    assert set(recipe.arguments["own"]) == {"age", "Smiling (file)"}
    assert np.array_equal(np.asarray(recipe.run().result), np.asarray(mystate.made.result))
    before = dict(mystate.own), dict(mystate.wanted)
    np.save(tmp_path / "wide.npy", np.ones(512))
    torch.save({str(i): torch.randn(16) for i in range(3)}, tmp_path / "many.pt")
    for name, words in (("wide.npy", "16 numbers"), ("many.pt", "Up to 4"), ("none.npy", "not there")):
        with pytest.raises(UserError, match=words):
            last(mine.take_direction(ann, str(tmp_path / name)))
        assert (mystate.own, mystate.wanted) == before


def recipe_text(mine, visitor) -> str:
    visitor.kept["out_of_domain"].written = -1
    for update in mine.files(visitor):  # the folder goes with the event
        return Path(update[mine.part["recipe"]]).read_text()


def test_what_goes_wrong_leaves_everything_as_it_was(state, monkeypatch):
    mine, ann, mystate = state
    last(mine.tick(ann, ["Smiling"]))
    before = dict(mystate.wanted), mystate.mask, mystate.made

    def fails(*arguments, **more):
        raise UserError("There is no room.")

    monkeypatch.setattr(ood, "laid", fails)
    area = canvas.drawn((384, 384), layers={"keep": canvas.Layer(np.ones((8, 8), np.uint8))})
    area.pop("points")
    for again in (
        lambda: mine.tick(ann, ["Young"]),
        lambda: mine.slid(ann, 5.0, 0, 0),
        lambda: mine.soften(ann, 0.9, 0.9, False, False, "edit"),
        lambda: mine.paint(ann, area),
        lambda: mine.undo(ann),
    ):
        with pytest.raises(UserError, match="no room"):
            last(again())
        assert (mystate.wanted, mystate.mask, mystate.made) == before


def test_examples_and_what_is_missing(page):
    """The first example lies there at once; a press inverts it. A network without directions says so."""
    mine, ann = handlers(page), Visitor()
    made = last(mine.greet(ann, "stylegan2/faces"))
    assert (
        len(made[mine.part["examples"]]["tiles"]["items"]) == len(examples.EXAMPLES)
        and len(made[mine.part["stages"]]) == 1
    )
    assert "No encoder" in made[mine.part["missing"]] and "Diff-CAM" not in made[mine.part["missing"]]
    assert last(mine.greet(ann, "stylegan2/faces")) == {}, "once"
    bob = Visitor()
    bob.sent["out_of_domain"] = Sent("stylegan2/faces", None, 6, 0.5)
    last(mine.take_sent(bob, "stylegan2/faces", "auto", "2"))
    assert list(last(mine.greet(bob, "stylegan2/faces"))) == [mine.part["examples"]], "what was sent wins"
    gone = last(mine.clear(bob))
    assert gone[mine.part["stages"]] is None and bob.kept["out_of_domain"].found is None
    press = SimpleNamespace(key="1")
    shown = list(mine.example(ann, "stylegan2/faces", "auto", "3", press))
    mystate = ann.kept["out_of_domain"]
    assert mystate.wanted == {"Smiling": -4.0} and mystate.made is not None and len(shown) > 1
    bob = Visitor()
    missing = last(mine.example(bob, "stylegan2/cats", "auto", "2", press))[mine.part["missing"]]
    assert "No named directions" in missing and "plain difference" in missing
    assert list(bob.kept["out_of_domain"].wanted) == ["Direction 1"]
    assert bob.kept["out_of_domain"].made.by == "difference"


def test_what_is_offered_is_edited_until_somebody_asks_for_something(page, photo):
    mine, ann = handlers(page), Visitor()
    last(mine.greet(ann, "stylegan2/faces"))
    assert mine.part["stages"] in last(mine.first(ann, "stylegan2/faces", "auto", "2"))
    mystate = ann.kept["out_of_domain"]
    assert mystate.wanted == {"Smiling": -4.0} and mystate.made is not None
    known = mystate.known
    assert list(mine.first(ann, "stylegan2/faces", "auto", "2")) == [] and mystate.known is known, "once"

    bob = Visitor()
    last(mine.greet(bob, "stylegan2/faces"))
    asked = mine.look(bob, "stylegan2/faces", str(photo), "auto", "2")
    while bob.kept["out_of_domain"].offered:
        next(asked)
    assert list(mine.first(bob, "stylegan2/faces", "auto", "2")) == [], "a photograph of one's own has come"
    asked.close()


def test_a_tick_inverts_what_was_not_inverted_yet(page):
    mine, ann = handlers(page), Visitor()
    greeted = last(mine.greet(ann, "stylegan2/faces"))
    assert greeted[mine.part["ticks"]]["choices"], "what can change is there to be ticked"
    made = last(mine.tick(ann, ["Young"], "auto", "2"))
    mystate = ann.kept["out_of_domain"]
    assert mystate.wanted == {"Young": STRENGTH} and mystate.made is not None
    assert made[mine.part["ticks"]]["value"] == ["Young"]


def test_a_direction_is_ticked_as_strongly_as_its_attribute_bears(state):
    mine, ann, mystate = state
    mystate.tick(["Smiling", "Young"])
    assert mystate.wanted == {"Smiling": STRENGTHS["Smiling"], "Young": STRENGTH} and STRENGTHS["Smiling"] != STRENGTH
    mystate.wanted["Smiling"] = 1.5
    mystate.tick(["Smiling"])
    assert mystate.wanted == {"Smiling": 1.5}, "what is ticked already keeps its strength"


def test_what_is_ticked_during_a_search_is_there_when_it_is_over(page):
    mine, ann = handlers(page), Visitor()
    last(mine.greet(ann, "stylegan2/faces"))
    mystate = ann.kept["out_of_domain"]
    search = mine.first(ann, "stylegan2/faces", "auto", "30")
    next(search)
    assert mystate.searching and list(mine.tick(ann, ["Young"], "auto", "30")) == []
    last(search)
    assert mystate.wanted == {"Young": STRENGTH}, "and not what would have been shown"


def test_stop_keeps_what_was_found(page, photo):
    mine, ann = handlers(page), Visitor()
    for _update in mine.look(ann, "stylegan2/faces", str(photo), "auto", "500"):
        if ann.kept["out_of_domain"].searching:
            assert "Stopping" in mine.stop(ann)
    mystate = ann.kept["out_of_domain"]
    assert mystate.known is not None and "stopped after" in mystate.way.told and mystate.way.arguments is None
    last(mine.tick(ann, ["Young"]))
    assert mystate.made is not None and "Nothing is running" in mine.stop(ann)


def test_the_edit_goes_on_to_draggan(state):
    from pipelines import draggan

    mine, ann, mystate = state
    assert mine.sent(Visitor()) is None
    last(mine.tick(ann, ["Smiling"]))
    sent = mine.sent(ann)
    net = weights.load("stylegan2/faces")
    assert torch.equal(draggan.decode_latent(sent.latent, net), mystate.change.latent) and sent.network == net.info.name
