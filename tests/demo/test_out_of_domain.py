"""The out-of-domain tab as scripts meet it, with tiny networks."""

# ruff: noqa: F401, F811 (fixtures are imported under the names by which tests ask for them)

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from demo import canvas
from demo.tabs.out_of_domain import text
from pipelines.recipes import Recipe
from weights.errors import UserError

from .conftest import client_of, last, refused
from .out_of_domain_helpers import (
    CODE,
    FACE,
    FULL,
    MASK,
    NEWS,
    RECIPE,
    STATUS,
    STEPS,
    WHOLE,
    given,
    once,
    photo,
    pixels,
    shelf,
    stages,
    state,
    value,
)


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


def test_whose_mask_it_is():
    found = SimpleNamespace(title="Faces", size=32, device="cpu")
    for recoloured, words in (((), "mask for blond hair (Diff-CAM)"), (("Blond_Hair",), "mask: the hair of the photo")):
        made = SimpleNamespace(residual=None, named="Blond_Hair", recoloured=recoloured)
        state = SimpleNamespace(found=found, made=made, wanted={"Blond_Hair": 3.0}, known=None, way=None)
        assert words in text.facts(state)


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
    other = client_of(page.local_url)
    try:
        with pytest.raises(AppError, match="no face yet"):
            other.predict(api_name="/od_edit", edits={})
    finally:
        other.close()
