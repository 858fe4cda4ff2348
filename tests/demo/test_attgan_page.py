"""The AttGAN tab's own functions: boxes, sliders, examples, recipes."""

# ruff: noqa: F401, F811 (fixtures are imported under the names by which tests ask for them)

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from demo import networks, photographs
from demo.pictures import fitted
from demo.session import Sent, Visitor
from demo.tabs.attgan import batch, jobs
from demo.tabs.attgan.handlers import SEEDS
from demo.tabs.attgan.text import odds_table
from pipelines import attgan, faces
from pipelines.recipes import Recipe
from weights import store
from weights.attributes import ATTRS
from weights.errors import UserError

from .attgan_helpers import (
    MADE,
    RECIPE,
    album,
    handlers,
    looked,
    people,
    photo,
    pixels,
    press,
    run,
    sheet,
    shelf,
    ticked,
    unchanged,
    value,
)
from .conftest import last

# -- recipes -----------------------------------------------------------------------------------------------------------


def test_a_recipe_that_is_loaded_back(page, visitor, photo):
    visitor("attgan_face", photo=photo, has={"Male": True})
    answer = visitor("attgan_edit", changes={"Bald": 1.5, "Young": -1})
    files = [value(v) for v in visitor("attgan_files")]
    mine, ann = handlers(page), Visitor()
    made = last(loader(page, "edit")(ann, files[RECIPE]))
    assert np.array_equal(np.asarray(made[mine.part["made"]]), pixels(answer[MADE]))
    state = ann.kept["attgan"]
    assert state.wanted == {"Bald": 1.5, "Young": -1} and state.found.face.has["Male"]
    told = {update["label"]: update["value"] for slider, update in made.items() if slider in mine.sliders and
            update["visible"]}  # fmt: skip
    assert told["bald"] == 1.5 and told["young"] == -1 and len(told) == 13
    assert "Bald" in made[mine.part["ticks"]]["value"] and "Young" not in made[mine.part["ticks"]]["value"]
    assert made[mine.part["network"]]["value"] == "attgan/faces" and made[mine.part["photo"]] is None
    written = last(mine.files(ann))
    assert Path(written[mine.part["recipe"]]).name.endswith(".json")

    recipe = json.loads(Path(files[RECIPE]).read_text())
    wrong = Path(files[RECIPE]).with_name("wrong.json")
    for change, words in (
        ({"function": "attgan.flips"}, "argument"),
        ({"function": "attgan.flips", "arguments": {"image": recipe["arguments"]["image"]}}, "another cell"),
        ({"arguments": {**recipe["arguments"], "image": "no picture"}}, "holds no picture"),
        ({"arguments": {**recipe["arguments"], "image": 7}}, "holds no face"),
        ({"arguments": {**recipe["arguments"], "attributes": {"Male": 1e6}}}, "from -2 to 2"),
        ({"arguments": {**recipe["arguments"], "attributes": ["Male"]}}, "by name"),
        ({"arguments": {**recipe["arguments"], "attributes": []}}, "by name"),
        ({"arguments": {**recipe["arguments"], "has": ["Male"]}}, "by name"),
        ({"arguments": {**recipe["arguments"], "has": {"Zebra": True}}}, "no attribute"),
        ({"checkpoint": {"name": "attgan/faces", "sha256": "0" * 64}}, "another version"),
        ({"checkpoint": {"name": "stylegan2/faces", "sha256": "0" * 64}}, "not a network for this tab"),
        ({"checkpoint": {"name": "own:000000000000", "sha256": "0" * 64}}, "load the file"),
    ):
        wrong.write_text(json.dumps({**recipe, **change}))
        with pytest.raises(UserError, match=words):
            last(loader(page, "edit")(ann, str(wrong)))
        assert state.wanted == {"Bald": 1.5, "Young": -1} and ann.kept["attgan"] is state, "nothing is lost"


def loader(page, cell: str):
    button = next(b for b in page.blocks.values() if b.elem_id == f"ag-{cell}-recipe-load")
    return next(fn.fn for fn in page.fns.values() if any(t[0] == button._id for t in fn.targets))


def test_recipes_of_the_other_cells(page, visitor, photo, tmp_path):
    """They bring the face with them, and their controls."""
    by_id = {block.elem_id: block for block in page.blocks.values() if getattr(block, "elem_id", None)}
    visitor("attgan_face", photo=photo)
    visitor("attgan_edit", changes={"Male": 2})
    flips = visitor("attgan_flips", intensity=0.5)
    slide = visitor("attgan_slide", attribute="Young", low=-1, high=2, frames=4, format="webp", fps=5)
    mine, ann = handlers(page), Visitor()
    shown = []
    for update in loader(page, "flips")(ann, value(flips[4])):
        gallery = update.get(by_id["ag-flips-gallery"])
        shown = [pixels(path) for path, _caption in gallery] if gallery else shown
        made = update
    assert len(shown) == 14 and made[by_id["ag-flips-intensity"]]["value"] == 0.5
    again = Recipe.from_json(Path(value(flips[4])).read_text()).run()
    assert np.array_equal(shown[5], np.asarray(list(again.values())[5]))
    assert mine.part["crop"] in made and ann.kept["attgan"].wanted == {}
    made = last(loader(page, "slide")(ann, value(slide[6])))
    values = {name: made[by_id[f"ag-slide-{name}"]]["value"] for name in ("attribute", "low", "frames", "format")}
    assert values == {"attribute": "Young", "low": -1, "frames": 4, "format": "webp"}
    assert ann.kept["attgan"].wanted == {"Male": 2} and "6 frames there and back" in made[by_id["ag-slide-status"]]
    for cell, recipe, changes in (
        ("flips", flips[4], {"intensity": 1e9}),
        ("slide", slide[6], {"frames": 10**9}),
        ("slide", slide[6], {"attribute": "Zebra"}),
    ):
        wrong, text = tmp_path / "wrong.json", json.loads(Path(value(recipe)).read_text())
        wrong.write_text(json.dumps({**text, "arguments": {**text["arguments"], **changes}}))
        bob = Visitor()
        with pytest.raises(UserError):
            last(loader(page, cell)(bob, str(wrong)))
        assert not bob.kept or bob.kept["attgan"].found is None, "nothing has changed"
    with pytest.raises(UserError, match="another cell"):
        last(loader(page, "flips")(Visitor(), value(slide[6])))


# -- as the page's own functions --------------------------------------------------------------------------------------


@pytest.fixture
def state(page, album):
    """A face with black hair and bangs: ``tick(names)``, ``move(name=value)`` and what they make of the page."""
    mine, ann = handlers(page), Visitor()
    has = dict.fromkeys(ATTRS, False) | {"Black_Hair": True, "Bangs": True}
    last(mine.look(ann, "attgan/faces", str(album("one.png")), None, has))
    state = SimpleNamespace(mine=mine, ann=ann, state=ann.kept["attgan"], ticks=["Bangs", "Black_Hair"])

    def sliders() -> list:
        told = mine.values(state.state)
        return [told[name] for name in state.state.found.names] + [0] * (len(mine.sliders) - 13)

    def tick(*names: str) -> dict:
        made = last(mine.tick(ann, list(names), *sliders()))
        return made

    def move(**values: float) -> dict:
        moved = sliders()
        for name, number in values.items():
            moved[state.state.found.names.index(name)] = number
        return last(mine.slid(ann, *moved))

    state.tick, state.move = tick, move
    state.first = np.asarray(state.state.found.reconstruction)
    return state


def news(state, made: dict) -> str:
    return made[state.mine.part["news"]]


def test_a_box_ticked_and_unticked(state):
    made = state.tick("Bangs", "Black_Hair", "Eyeglasses")
    assert state.state.wanted == {"Eyeglasses": 1.0} and state.mine.part["ticks"] not in made, (
        "the boxes are as they were"
    )
    assert not np.array_equal(np.asarray(state.state.edited), state.first)
    state.tick("Bangs", "Black_Hair")
    assert state.state.wanted == {} and np.array_equal(np.asarray(state.state.edited), state.first)
    assert np.array_equal(np.asarray(state.state.whole()), np.asarray(state.state.photo))
    state.tick("Black_Hair")
    assert state.state.wanted == {"Bangs": -1.0}, "what it has is taken away"
    state.tick("Black_Hair", "Bangs")
    assert state.state.wanted == {}


def test_of_two_that_contradict_the_last_stays(state):
    made = state.tick("Bangs", "Black_Hair", "Blond_Hair")
    assert "Blond hair replaces black hair" in news(state, made)
    assert made[state.mine.part["ticks"]]["value"] == ["Bangs", "Blond_Hair"]
    made = state.tick("Bangs", "Blond_Hair", "Brown_Hair")
    assert "rown hair replaces blond hair" in news(state, made) and state.state.wanted == {"Brown_Hair": 1.0}
    assert made[state.mine.part["ticks"]]["value"] == ["Bangs", "Brown_Hair"]
    made = state.tick("Bangs")
    assert state.state.wanted == {}, "and the face has its own hair again"
    assert made[state.mine.part["ticks"]]["value"] == ["Bangs", "Black_Hair"] and not news(state, made)
    made = state.tick("Bangs", "Black_Hair", "Blond_Hair")
    made = state.tick("Bangs", "Blond_Hair", "Black_Hair")
    assert state.state.wanted == {} and "Black hair replaces blond hair" in news(state, made)


def test_several_boxes_at_once(state):
    """As when somebody is faster than the machine."""
    made = state.tick("Bangs", "Black_Hair", "Blond_Hair", "Bald", "Brown_Hair", "Male")
    assert state.state.wanted == {"Bald": 1.0, "Brown_Hair": 1.0, "Male": 1.0}
    assert made[state.mine.part["ticks"]]["value"] == ["Bald", "Brown_Hair", "Male"]
    assert (
        "brown hair replaces blond hair" in news(state, made).lower()
        and "bald replaces bangs" in news(state, made).lower()
    )


def test_sliders(state):
    made = state.move(Young=1.5)
    assert state.state.wanted == {"Young": 1.5} and "Young" in made[state.mine.part["ticks"]]["value"]
    assert state.mine.sliders[ATTRS.index("Young")] not in made, "the hand may have moved it on meanwhile"
    made = state.move(Young=-0.5)
    assert state.state.wanted == {} and np.array_equal(np.asarray(state.state.edited), state.first)
    made = state.move(Blond_Hair=1)
    black = state.mine.sliders[ATTRS.index("Black_Hair")]
    assert "replaces black hair" in news(state, made) and made[black]["value"] == -0.5
    state.move(Male=1)
    assert state.state.wanted == {"Blond_Hair": 1, "Male": 1}, "what is only covered is not wished away"
    state.move(Black_Hair=0.5)
    assert state.state.wanted == {"Blond_Hair": 1, "Male": 1, "Black_Hair": 0.5}, "who asks for both gets both"
    state.move(Blond_Hair=-0.5, Male=-0.5)
    assert np.array_equal(np.asarray(state.state.edited), state.first)
    undone = last(state.mine.undo(state.ann))
    assert state.state.wanted == {} and not news(state, undone)
    for slider, told in zip(state.mine.sliders, state.mine.values(state.state).values(), strict=False):
        assert undone[slider]["value"] == told


def test_an_emptied_number_moves_nothing(state):
    state.move(Young=1)
    state.move(Young=None)
    assert state.state.wanted == {"Young": 1}
    assert unchanged(state.mine.slid(Visitor(), *[0] * len(state.mine.sliders)))


def test_files_are_of_the_newest_edit(state, monkeypatch):
    state.tick("Bangs", "Black_Hair", "Male")
    first = last(state.mine.files(state.ann))
    assert {state.mine.part[name] for name in ("sheet", "full", "recipe")} == set(first)
    assert list(last(state.mine.files(state.ann))) == [state.mine.part["sheet"]], "they are there already"
    state.tick("Bangs", "Black_Hair")
    whole = state.state.whole

    def meanwhile(*args):
        state.state.version += 1
        return whole(*args)

    monkeypatch.setattr(state.state, "whole", meanwhile)
    assert list(last(state.mine.files(state.ann))) == [state.mine.part["sheet"]], "they would be old"


def test_an_edit_of_the_last_face_is_left_out(state, album, monkeypatch):
    """Another photograph came while it was made."""
    edited = jobs.edited

    def slow(found, wanted):
        made = edited(found, wanted)
        last(state.mine.look(state.ann, "attgan/faces", str(album("other.png"))))
        return made

    monkeypatch.setattr(jobs, "edited", slow)
    assert unchanged([state.tick("Bangs", "Black_Hair", "Male")]) and state.state.wanted == {}


def test_edits_stay_where_they_belong_or_do_not(page, album):
    """The box is unticked and ticked; what is wanted stays, and the next face is edited as this one was."""
    mine, ann = handlers(page), Visitor()
    last(mine.look(ann, "attgan/faces", str(album("one.png"))))
    kept = ann.kept["attgan"]
    usual = last(mine.edit(ann, {"Eyeglasses": 2}))
    assert kept.found.face.local and usual[mine.part["local"]] is True
    whole = last(mine.keep(ann, False))
    assert not kept.found.face.local and kept.wanted == {"Eyeglasses": 2} and mine.part["local"] not in whole
    assert (np.asarray(whole[mine.part["made"]]) != np.asarray(usual[mine.part["made"]])).any()
    assert "local=False" in whole[mine.part["code"]] and whole[mine.part["status"]] != usual[mine.part["status"]]
    assert last(mine.look(ann, "attgan/faces", str(album("other.png"))))[mine.part["local"]] is False
    last(mine.edit(ann, {"Eyeglasses": 2}))
    again = last(mine.keep(ann, True))
    assert kept.found.face.local and "local=True" in again[mine.part["code"]]
    assert list(last(mine.keep(ann, True))) == [], "as it is"
    assert list(last(mine.keep(Visitor(), False))) == [], "no face yet"


def test_the_middle_of_a_photograph_may_be_anything(page, album):
    mine, ann = handlers(page), Visitor()
    last(mine.look(ann, "attgan/faces", str(album("one.png")), "centre"))
    assert not ann.kept["attgan"].found.face.local and ann.kept["attgan"].local


def test_the_tab_is_opened(page):
    mine, ann = handlers(page), Visitor()
    made = last(mine.greet(ann, "attgan/faces"))
    assert len(made[mine.part["examples"]]["tiles"]["items"]) == 1 + len(SEEDS) and ann.kept["attgan"].found is not None
    assert made[mine.part["crop"]].size == (384, 384) and "nb-ran" in made[mine.part["status"]]
    assert mine.part["photo"] not in made, "a photograph that is put there at this moment stays"
    found = ann.kept["attgan"].found
    # What is said of the astronaut is what the shipped classifier gets wrong, and stands in what she has.
    aligned = faces.align(photographs.photograph(), photographs.found()[0], size=128).image
    told = attgan.attributes(
        aligned, store.load(Path(__file__).parents[2] / "weights" / "embedded" / "attributes" / "faces.safetensors")
    )
    for name, has in photographs.HAS.items():
        assert found.face.has[name] is has and (told[name] > 0.5) is not has
    assert list(last(mine.greet(ann, "attgan/faces"))) == [], "it is there already"
    first = ann.kept["attgan"].found
    names: dict = {}
    exec(made[mine.part["code"]], names)  # it needs no file: the face is made, too
    assert np.array_equal(np.asarray(names["result"]), np.asarray(ann.kept["attgan"].whole()))
    other = last(mine.example(ann, "attgan/faces", press(2)))
    assert ann.kept["attgan"].found is not first and other[mine.part["photo"]] is None
    for number in range(1 + len(SEEDS)):
        last(mine.example(ann, "attgan/faces", press(number)))
        assert ann.kept["attgan"].found.which == 0, f"no face is found in example {number}"


def test_what_was_sent_wins(page, monkeypatch):
    """Over the face that the tab begins with: also where that was begun first and is ready last."""
    mine, ann = handlers(page), Visitor()
    sent, found = Sent("stylegan2/faces", None, 6, 0.5), jobs.found

    def slow(*given, **more):
        monkeypatch.setattr(jobs, "found", found)
        ann.sent["attgan"] = sent
        last(mine.take_sent(ann, "attgan/faces"))
        return found(*given, **more)

    monkeypatch.setattr(jobs, "found", slow)
    made = last(mine.greet(ann, "attgan/faces"))
    assert mine.part["crop"] not in made and "seed=6" in ann.kept["attgan"].found.source
    bob = Visitor()
    bob.sent["attgan"] = sent
    last(mine.take_sent(bob, "attgan/faces"))
    assert list(last(mine.greet(bob, "attgan/faces"))) == [mine.part["examples"]]
    assert "seed=6" in bob.kept["attgan"].found.source


def test_a_photograph_that_is_taken_away(page, album):
    mine, ann = handlers(page), Visitor()
    last(mine.chosen(ann, "attgan/faces", str(album("one.png"))))
    assert last(mine.chosen(ann, "attgan/faces", None)) == {}, "no complaint"
    gone = last(mine.clear(ann))
    assert gone[mine.part["made"]] is None and gone[mine.part["status"]] == "" and gone[mine.part["news"]] == ""
    assert ann.kept["attgan"].found is None


def test_what_other_tabs_send(page):
    mine, ann = handlers(page), Visitor()
    assert unchanged(mine.take_sent(ann, "attgan/faces"))
    ann.sent["attgan"] = Sent("stylegan2/faces", None, 6, 0.5)
    greeted = last(mine.greet(ann, "attgan/faces"))
    assert list(greeted) == [mine.part["examples"]], "another face is on its way"
    made = last(mine.take_sent(ann, "attgan/faces"))
    assert "attgan" not in ann.sent and made[mine.part["crop"]].size == (384, 384)
    assert {mine.part[name] for name in ("sheet", "full", "recipe")} <= set(made) and made[mine.part["full"]]
    with pytest.raises(UserError, match="load the file"):
        ann.sent["attgan"] = Sent("own:000000000000", None, 6, 0.5)
        last(mine.take_sent(ann, "attgan/faces"))


def test_the_same_network_again_changes_nothing(page, state):
    state.tick("Bangs", "Black_Hair", "Male")
    assert unchanged(state.mine.follow(state.ann, "attgan/faces")) and state.state.wanted == {"Male": 1.0}
    assert unchanged(state.mine.follow(Visitor(), "attgan/faces"))


def test_what_passes_to_a_worker_can_be_pickled(page, album):
    """On ZeroGPU the work is done in another process; everything that goes there and comes back is pickled."""
    from pipelines import faces

    reference, photo = networks.Reference("attgan/faces"), Image.open(album("one.png")).convert("RGB")
    found = pickle.loads(pickle.dumps(jobs.found(reference, photo, pickle.loads(pickle.dumps(faces.detect(photo))), 0)))
    image, odds = pickle.loads(pickle.dumps(jobs.edited(found, {"Male": 1.0})))
    assert image.size == (64, 64) and set(ATTRS) <= set(odds)
    assert len(pickle.loads(pickle.dumps(jobs.flips(found, 1.0)))) == 14
    slid = list(jobs.slide(reference, found.face, {"attribute": "Male", "frames": 2, "attributes": {}}))
    assert len(pickle.loads(pickle.dumps(slid))) == 2


def test_large_photographs_are_shown_small():
    assert fitted(Image.new("RGB", (4000, 100))).size == (1024, 26)
    assert fitted(Image.new("RGB", (16, 4000))).size == (4, 1024)
    assert fitted(Image.new("RGB", (96, 48))).size == (384, 192)
    assert fitted(Image.new("RGB", (500, 400))).size == (500, 400)


def test_bars():
    html = odds_table({"Male": 0.2, "Young": 0.9}, {"Male": 0.7, "Young": 0.85})
    assert ticked(html) == ["young", "male"] and "20% → 70%" in html and "85%" in html and html.count("nb-moved") == 1
    assert "&lt;b&gt;" in odds_table({"<b>": 0.5}), "names come out of files"


def test_wishes_for_many():
    assert batch.wishes({"Male": "1", "Young": -2}) == {"Male": 1.0, "Young": -2.0}
    for wrong in (None, [], "Male", {"Male": 3}):
        with pytest.raises(UserError):
            batch.wishes(wrong)
