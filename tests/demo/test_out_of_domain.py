"""The out-of-domain tab as scripts and hands meet it, with tiny networks."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageDraw

import weights
from demo import canvas
from demo.session import Sent, Visitor
from demo.tabs.out_of_domain import examples, text
from demo.tabs.out_of_domain.edits import TICKED
from models.deghosting import Deghosting
from models.diffcam import DiffCAM
from pipelines import out_of_domain as ood
from pipelines import stylegan2
from pipelines.recipes import Recipe
from weights import hub, paths, store
from weights.errors import UserError

from .conftest import events_of, forget_all, give_directions, tiny

STAGES, WHOLE, STATUS, CODE, NEWS = range(5)
FACE, FULL, MASK, RECIPE = range(4)
NAMES = ("Smiling", "Bangs", "Young")
REAL = paths.EMBEDDED
STEPS = "12"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A generator of 32 px with an untrained Diff-CAM and deghosting network, directions, and what finds faces."""
    folder = tmp_path_factory.mktemp("embedded")
    generator = folder / "stylegan2" / "faces.safetensors"
    tiny(generator, 1)
    tiny(folder / "stylegan2" / "cats.safetensors", 2)
    (folder / "landmarks").mkdir()
    shutil.copyfile(REAL / "landmarks" / "faces.safetensors", folder / "landmarks" / "faces.safetensors")
    card = {"generator": "stylegan2/faces", "generator_sha256": hub.file_sha256(generator)}
    torch.manual_seed(3)
    diffcam = DiffCAM(NAMES, img_resolution=32, widths=(4, 8, 8), head=(8, 8))
    store.save(folder / "diffcam" / "faces.safetensors", diffcam, "diffcam", "network", card)
    widths = dict(store.load(generator).synthesis.widths)
    sizes = {"img_resolution": 32, "in_size": 16, "w_dim": 16, "rrdb_channels": 4, "rrdb_growth": 2, "num_rrdbs": 1}
    clean = Deghosting(widths=widths, **sizes)
    store.save(folder / "deghosting" / "faces.safetensors", clean, "deghosting", "network", card)
    give_directions(folder, NAMES, range(8))
    yield folder
    forget_all()


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """A face that nobody has, with a bar before it, on a plain ground."""
    net = store.load(REAL / "stylegan2" / "faces.safetensors")
    face = stylegan2.picture(net, stylegan2.latent(net, 4, 0.7)).resize((150, 150), Image.Resampling.BICUBIC)
    ImageDraw.Draw(face).rectangle([0, 130, 150, 142], fill=(20, 60, 160))
    ground = Image.new("RGB", (240, 240), (120, 140, 160))
    ground.paste(face, (45, 40))
    path = tmp_path_factory.mktemp("album") / "one.png"
    ground.save(path)
    return path


@pytest.fixture
def given(visitor, photo):
    """A visitor whose photograph is inverted."""
    answer = visitor("od_photo", photo=handle_file(photo), steps=STEPS)
    assert re.search(r"likeness \w+ .* inverted after 12 steps and ([1-9]|[1-4]\d) of tuning", answer[STATUS]), (
        "search and tuning"
    )
    return visitor


def value(answer):
    return answer["value"] if isinstance(answer, dict) and "value" in answer else answer


def pixels(path) -> np.ndarray:
    with Image.open(value(path)) as image:
        return np.asarray(image.convert("RGB"))


def stages(answer) -> dict[str, np.ndarray]:
    return {item["caption"].split(" ")[0]: pixels(item["image"]) for item in value(answer[STAGES])}


def refused(visitor, endpoint: str, words: str, **arguments) -> str:
    with pytest.raises(AppError) as caught:
        visitor(endpoint, **arguments)
    said = str(caught.value)
    assert re.search(words, said), said
    assert "\n" not in said and len(said) < 400 and "Traceback" not in said
    return said


def handlers(page):
    return next(fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == "soften").__wrapped__.__self__


def last(updates) -> dict:
    made: dict = {}
    for update in updates:
        made |= update
    return made


@pytest.fixture
def state(page, photo):
    """``(hands, visitor, state)`` with the photograph inverted, as events have it."""
    mine, ann = handlers(page), Visitor()
    last(mine.look(ann, "stylegan2/faces", str(photo), "auto", STEPS))
    return mine, ann, ann.kept["out_of_domain"]


@pytest.fixture
def once(monkeypatch):
    """From here on nothing may be inverted."""
    for module in (ood, importlib.import_module("pipelines.out_of_domain.edit")):
        monkeypatch.setattr(module, "invert", lambda *a, **k: pytest.fail("inverted again"))


# -- as scripts -------------------------------------------------------------------------------------------------------


def test_every_stage_is_shown(given, photo):
    answer = given("od_edit", edits={"Smiling": 4}, threshold=0.3, softness=0.4, cautious=False)
    made = stages(answer)
    assert list(made) == ["I", "I′", "T", "M", "F", "result"]
    assert all(picture.shape == (256, 256, 3) for picture in made.values())
    assert not np.array_equal(made["T"], made["I′"]) and not np.array_equal(made["result"], made["I"])
    assert (
        "smiling +4" in answer[STATUS]
        and "inside the mask (|I − I′|)" in answer[STATUS]
        and "(Diff-CAM)" in answer[STATUS]
    )
    before, after = answer[WHOLE]
    assert (pixels(before) != pixels(after)).any()


def test_what_has_to_be_said_of_an_edit():
    good = {"residual": 0.05, "poor": False, "wide": False, "stranger": False, "share": 0.1}
    assert text.warning(SimpleNamespace(**good)) == ""
    said = text.warning(SimpleNamespace(residual=0.2, poor=True, wide=True, stranger=True, share=0.8))
    assert "not be recognised" in said and "covers 80%" in said and "Inside the mask" in said
    assert text.warning(SimpleNamespace(**{**good, "poor": True, "residual": 0.2}), wanted=False) == ""
    assert "mask is empty" in text.warning(SimpleNamespace(**{**good, "residual": None}))


def test_the_files(given, photo, once):
    """Outside of the mask they are the photograph; the recipe makes the same face again."""
    given("od_edit", edits={"Smiling": 4, "Young": -2}, threshold=0.5, softness=0.2)
    files = given("od_files")
    face, full, mask, original = (pixels(f) for f in (files[FACE], files[FULL], files[MASK], photo))
    recipe = Recipe.from_json(Path(value(files[RECIPE])).read_text())
    made = recipe.run()
    assert np.array_equal(np.asarray(made.result), face) and recipe.arguments["edits"] == [
        ["Smiling", 4],
        ["Young", -2],
    ]
    outside = mask[..., 0] == 0
    assert 0 < outside.mean() < 1 and (face[outside] == np.asarray(made.photo)[outside]).all()
    assert full.shape == original.shape and (full != original).any() and (full[:, -8:] == original[:, -8:]).all()


def test_nothing_asked_for_gives_the_photograph_back(given, photo, once):
    for edits in ({}, {"Smiling": 0}):
        answer = given("od_edit", edits=edits)
        assert "As it is" in answer[STATUS] and answer[NEWS] == ""
        assert np.array_equal(pixels(given("od_files")[FULL]), pixels(photo))


def test_the_code_makes_the_photograph(given, photo, tmp_path, monkeypatch):
    answer = given("od_edit", edits={"Bangs": 3}, softness=0.5)
    full = pixels(given("od_files")[FULL])
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(photo, tmp_path / "your-photograph.png")
    names: dict = {}
    exec(answer[CODE], names)
    assert np.array_equal(full, np.asarray(names["result"]))


def test_a_drawing_counts(given, once):
    """What is painted to stay stays, and a script says with each call what is painted."""
    everything = np.ones((32, 32), np.uint8)
    drawing = canvas.drawn((384, 384), layers={"keep": canvas.Layer(everything)})
    drawing.pop("points")
    made = stages(given("od_edit", edits={"Smiling": 4}, drawing=drawing))
    assert np.array_equal(made["result"], made["I"])
    made = stages(given("od_edit", edits={"Smiling": 4}))
    assert not np.array_equal(made["result"], made["I"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"edits": {"Zebra": 1}}, "no direction"),
        ({"edits": {"Smiling": 1e9}}, "from -10 to 10"),
        ({"edits": {"Smiling": "much"}}, "a number"),
        ({"edits": ["Smiling"]}, "by direction"),
        ({"edits": {"Smiling": 1}, "drawing": {"size": [9, 9], "layers": {"mask": {}}}}, "can be painted"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, words, page, state):
    mine, ann, mystate = state
    last(mine.edit(ann, {"Bangs": 2}))
    made = mystate.made
    with pytest.raises(UserError, match=words) as caught:
        last(mine.edit(ann, **arguments))
    assert "\n" not in str(caught.value)
    assert mystate.wanted == {"Bangs": 2} and mystate.made is made, "what was there is still there"


def test_without_a_face_it_is_said(visitor):
    for endpoint, arguments in (("od_edit", {"edits": {}}), ("od_files", {}), ("od_compare", {}), ("od_slide", {})):
        refused(visitor, endpoint, "no face yet", **arguments)
    assert "Nothing is running" in visitor("od_stop")


def test_no_face_in_the_photograph(visitor, tmp_path):
    path = tmp_path / "nobody.png"
    Image.new("RGB", (300, 200), (120, 140, 160)).save(path)
    answer = visitor("od_photo", photo=handle_file(path), steps=STEPS)
    assert "No face was found" in answer[NEWS] and not answer[STATUS]
    answer = visitor("od_photo", photo=handle_file(path), steps="2", face="centre")
    assert "centre_crop" in answer[CODE] and re.search(r"after ([2-9]|[1-4]\d) steps", answer[STATUS])
    refused(visitor, "od_photo", "No encoder", photo=handle_file(path), method="encoder", face="centre")
    refused(visitor, "od_photo", "from 1 to 1,000", photo=handle_file(path), steps="0", face="centre")


def test_the_comparison(given):
    refused(given, "od_compare", "Nothing is to be changed")
    given("od_edit", edits={"Smiling": 3})
    gallery, table, status, code, sheet, recipe, news = given("od_compare", steps="3")
    captions = [item["caption"] for item in value(gallery)]
    assert captions == ["the photograph", "plain inversion", "hybrid inversion", "ours"] and news == ""
    assert "optimisation in w+" in table and "smiling +3" in status and "out_of_domain.compare(" in code
    ours = re.search(r"Ours</th>.*?<td>.*?</td><td>([\d.–]+)</td>", table)
    assert ours and float(ours[1]) == 0
    kept = Recipe.from_json(Path(value(recipe)).read_text())
    assert kept.arguments["steps"] == 3 and Path(value(sheet)).suffix == ".png"


def test_the_animation(given, once):
    refused(given, "od_slide", "Nothing is to be changed")
    given("od_edit", edits={"Smiling": 3, "Young": 1})
    strip, picture, _video, status, code, file, recipe, _news = given("od_slide", high=2, frames=4)
    assert status.count("smiling, 6 frames there and back") == 1 and "edits=[['Young', 1.0]]" in code
    with Image.open(value(file)) as film:
        assert film.n_frames >= 4
    frames = Recipe.from_json(Path(value(recipe)).read_text()).run()
    assert len(frames) == 4 and pixels(strip).shape[0] > 144 and picture
    refused(given, "od_slide", "no direction", direction="Zebra")
    refused(given, "od_slide", "200", frames=1000)


def test_visitors_have_desks_of_their_own(given, visitor, page, photo):
    from gradio_client import Client

    other = Client(page.local_url, verbose=False)
    try:
        with pytest.raises(AppError, match="no face yet"):
            other.predict(api_name="/od_edit", edits={})
    finally:
        other.close()


# -- as hands ---------------------------------------------------------------------------------------------------------


def test_sliders_do_not_invert_again(state, once, monkeypatch):
    """And those of the mask run no network but the deghosting one."""
    mine, ann, mystate = state
    made = last(mine.tick(ann, ["Smiling"]))
    assert mystate.wanted == {"Smiling": TICKED} and made[mine.sliders[0]]["visible"]
    assert made[mine.sliders[0]]["value"] == TICKED
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
    assert mystate.wanted == {"Smiling": TICKED, "Young": TICKED} and made[mine.sliders[2]]["label"] == "young"
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
    assert mystate.wanted == {"age": TICKED} and ("age", "age") in made[mine.part["ticks"]]["choices"]
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
