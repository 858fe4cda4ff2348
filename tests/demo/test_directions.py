"""The cell of directions: by name where the network has names, and out of a visitor's own files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import weights
from demo.session import Visitor
from pipelines import stylegan2
from weights.errors import UserError

from .conftest import client_of
from .test_page import cells_of, load


def handler(page, name: str):
    return next(fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == name)


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def own(tmp_path) -> Path:
    path = tmp_path / "age.npy"
    np.save(path, np.random.RandomState(0).randn(1, 16))
    return path


def test_by_name(visitor):
    """A named direction moves the rows that are its own, or those that are asked for."""
    picture, ran, code, *_ = visitor("stylegan2_move", seed=4, Smiling=2, Bangs=-1)
    assert "smiling by 2" in ran and "'Smiling': 2" in code and "apart" not in code and "own" not in code
    net = weights.load("stylegan2/faces")
    made = stylegan2.move(net, 4, {"Smiling": 2, "Bangs": -1})
    assert np.array_equal(pixels(picture), np.asarray(made))
    rows = stylegan2.move(net, 4, {"Smiling": 2, "Bangs": -1}, layers="2-5")
    other = stylegan2.move(net, 4, {"Smiling": 2, "Bangs": -1}, layers="0-1")
    assert np.array_equal(np.asarray(rows), np.asarray(made)) and not np.array_equal(np.asarray(other), made)
    apart = stylegan2.move(net, 4, {"Smiling": 2}, apart=True)
    assert not np.array_equal(np.asarray(apart), np.asarray(stylegan2.move(net, 4, {"Smiling": 2})))
    gallery, ran, *_ = visitor("stylegan2_move_strip", seed=4, direction="Young")
    assert len(gallery) == 9 and "young, 9 amounts" in ran


def test_out_of_a_file(visitor, own, tmp_path):
    news, *_ = visitor("stylegan2_direction", path=handle_file(own))
    assert "age" in news
    picture, ran, code, _sheet, recipe, _news = visitor("stylegan2_move", seed=4, own_1=2)
    assert "age by 2" in ran
    names: dict = {}
    exec(code, names)
    assert np.array_equal(np.asarray(names["result"]), pixels(picture))
    assert list(json.loads(Path(recipe).read_text())["arguments"]["own"]) == ["age"]
    gallery, ran, *_ = visitor("stylegan2_move_strip", seed=4, direction="age")
    assert "age, 9 amounts" in ran and len({pixels(g["image"]).tobytes() for g in gallery}) == 9
    np.save(tmp_path / "wide.npy", np.ones(512))
    torch.save({str(i): torch.ones(16) for i in range(5)}, tmp_path / "many.pt")
    for name, words in (("wide.npy", "16 numbers"), ("many.pt", "Up to 4")):
        with pytest.raises(AppError, match=words):
            visitor("stylegan2_direction", path=handle_file(tmp_path / name))


def test_visitors_do_not_see_each_others_directions(visitor, page, own):
    visitor("stylegan2_direction", path=handle_file(own))
    other = client_of(page.local_url)
    try:
        with pytest.raises(AppError, match="not in the list"):
            other.predict(api_name="/stylegan2_move_strip", direction="age")
    finally:
        other.close()


def test_a_recipe_brings_its_directions_along(page, own, visitor):
    visitor("stylegan2_direction", path=handle_file(own))
    answer = visitor("stylegan2_move", seed=4, own_1=2, Young=1.5)
    mine = cells_of(page)["directions"]
    for made in load(mine, answer[-2]):
        after = made[mine.runs[0].outputs[0]]
        after = pixels(after) if isinstance(after, str) else np.asarray(after.convert("RGB"))
    assert np.array_equal(after, pixels(answer[0]))
    inputs = mine.runs[0].inputs
    slot = made[inputs["own_1"]]
    assert slot["visible"] and slot["value"] == 2 and slot["label"] == "age" and list(made[inputs["own"]]) == ["age"]
    assert made[inputs["Young"]]["value"] == 1.5 and made[inputs["Smiling"]]["value"] == 0
    assert not made[inputs["own_2"]]["visible"]


def test_another_network(page, own):
    """Sliders of names that it does not have go, and stand at zero; so do files that do not fit it."""
    fit, take = handler(page, "fit"), handler(page, "stylegan2_direction")
    inputs = cells_of(page)["directions"].runs[0].inputs
    ann = Visitor()
    *_, update = take(ann, "stylegan2/faces", str(own), {})
    mine = update[next(c for c, v in update.items() if isinstance(v, dict) and "age" in v)]
    group, *named = fit(ann, "stylegan2/cats", mine, "Smiling")
    assert not group["visible"] and all(not u["visible"] and u["value"] == 0 for u in named[:3])
    kept, chosen, first, *rest = named[3:]
    assert kept == mine and chosen["value"] == "1" and first["visible"] and not rest[0]["visible"]
    group, *named = fit(ann, "stylegan2/faces", {"age": "AAAA"}, "Smiling")
    assert group["visible"] and all(u["visible"] and "value" not in u for u in named[:3])
    kept, chosen, first, *_ = named[3:]
    assert kept == {} and chosen["value"] == "Smiling" and not first["visible"]
    assert set(inputs) >= {"Smiling", "Bangs", "Young", "own_1", "direction_8", "apart"}


@pytest.mark.parametrize(
    ("amounts", "more", "words"),
    [
        ({"Zebra": 1}, {}, "no direction .Zebra.*Smiling"),
        ({"Smiling": 99}, {}, "from -20 to 20"),
        ({"Smiling": 1}, {"own": {"age": "no text"}}, "not a direction"),
        ({"Smiling": 1}, {"own": 3}, "by name"),
    ],
)
def test_what_cannot_be_done_is_said(page, amounts, more, words):
    with pytest.raises(UserError, match=words):
        stylegan2.move(weights.load("stylegan2/faces"), 1, amounts, **more)
