"""The DragGAN tab as scripts meet it: drags, and photographs that are looked for."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from demo import networks
from demo.session import Visitor
from demo.tabs.draggan import photo
from demo.tabs.draggan.display import enlarged
from weights.errors import UserError

from .conftest import client_of, last
from .draggan_helpers import (
    CODE,
    COMPARE,
    NEWS,
    RECIPE,
    SHEET,
    SIZE,
    STATUS,
    arguments,
    defaults,
    drawing,
    events,
    handlers,
    pixels,
    run,
)

# -- as a script ------------------------------------------------------------------------------------------------------


def test_the_code_makes_the_picture(visitor):
    answer = visitor("draggan_drag", **arguments())
    steps = run(answer[CODE])
    assert steps[-1].step == 5 and np.array_equal(pixels(answer[SHEET]), np.asarray(steps[-1].image))
    assert "nb-ran" in answer[STATUS] and answer[NEWS] == ""
    before, after = (pixels(side) for side in answer[COMPARE])
    assert before.shape == after.shape and not np.array_equal(before, after)


def test_the_recipe_makes_the_picture(visitor):
    from pipelines.recipes import Recipe

    mask = np.zeros((64, 64))
    mask[10:50, :40] = 1
    answer = visitor(
        "draggan_drag", **arguments(drawing=drawing(mask=mask), painted="fixed", r1="50", space="w", lr="0.05")
    )
    recipe = Recipe.from_json(Path(answer[RECIPE]).read_text())
    (drag,) = recipe.arguments["drags"]
    assert drag["painted"] == "fixed" and drag["r1"] == 50 and drag["space"] == "w" and drag["lr"] == 0.05
    assert "mode" not in drag and "r2" not in drag, "what is as the function has it need not be said"
    assert np.array_equal(pixels(answer[SHEET]), np.asarray(recipe.run()[-1].image))


def test_going_on_with_other_points_and_taking_it_back(visitor):
    first = visitor("draggan_drag", **arguments())
    handles = run(first[CODE])[-1].handles
    more = drawing((handles[0], (20, 18)), ((25, 5), (25, 12)))
    second = visitor("draggan_drag", **arguments(drawing=more))
    drags = json.loads(Path(second[RECIPE]).read_text())["arguments"]["drags"]
    assert [len(drag["handles"]) for drag in drags] == [1, 2] and [drag["steps"] for drag in drags] == [5, 5]
    steps = run(second[CODE])
    assert steps[-1].step == 10 and np.array_equal(pixels(second[SHEET]), np.asarray(steps[-1].image))
    undone = visitor("draggan_undo")
    assert np.array_equal(pixels(undone[SHEET]), pixels(first[SHEET])) and undone[CODE].strip() == first[CODE].strip()
    assert visitor("draggan_undo")[SHEET] is None, "nothing is pulled any more"
    assert "no drag" in visitor("draggan_undo")[NEWS]
    again = visitor("draggan_drag", **arguments())
    assert np.array_equal(pixels(again[SHEET]), pixels(first[SHEET]))
    assert visitor("draggan_reset")[SHEET] is None


def test_another_seed_begins_afresh(visitor):
    visitor("draggan_drag", **arguments())
    other = visitor("draggan_drag", **arguments(seed=5))
    recipe = json.loads(Path(other[RECIPE]).read_text())["arguments"]
    assert recipe["seed"] == 5 and len(recipe["drags"]) == 1


def test_stopping(visitor):
    """Another request of the same session stops it, and what was done until then is whole."""
    job = visitor.client.submit(api_name="/draggan_drag", **arguments(steps=500, stop_distance="0.05"))
    deadline = time.monotonic() + 120
    while not job.outputs():
        assert time.monotonic() < deadline and not job.done(), "it never began"
        time.sleep(0.02)
    assert "Stopping" in visitor("draggan_stop")
    answer = job.result(timeout=60)
    made = json.loads(Path(answer[RECIPE]).read_text())["arguments"]["drags"][0]["steps"]
    assert 0 < made < 500
    assert np.array_equal(pixels(answer[SHEET]), np.asarray(run(answer[CODE])[-1].image))
    assert "Nothing is running" in visitor("draggan_stop")


def test_two_visitors_do_not_meet(page):
    clients = [client_of(page.local_url) for _ in range(2)]
    answers = [c.predict(api_name="/draggan_drag", **arguments(seed=s)) for c, s in zip(clients, (4, 9), strict=True)]
    assert not np.array_equal(pixels(answers[0][SHEET]), pixels(answers[1][SHEET]))
    assert clients[0].predict(api_name="/draggan_undo")[SHEET] is None
    third = client_of(page.local_url)
    assert "no drag" in third.predict(api_name="/draggan_undo")[NEWS]
    more = clients[1].predict(api_name="/draggan_drag", **arguments(seed=9))
    assert len(json.loads(Path(more[RECIPE]).read_text())["arguments"]["drags"]) == 2, "hers goes on"


def test_animations(visitor, tmp_path):
    from gradio_client.exceptions import AppError

    from pipelines import animation

    with pytest.raises(AppError, match="nothing to animate"):
        visitor("draggan_animate")
    visitor("draggan_drag", **arguments())
    visitor("draggan_drag", **arguments(drawing=drawing(((25, 5), (25, 12)))))
    for kind in animation.formats():
        file = visitor("draggan_animate", format=kind, fps=10)[0]
        file = file["value"] if isinstance(file, dict) else file
        assert Path(file).suffix == f".{kind}"
        if kind == "gif":
            with Image.open(file) as film:
                assert film.size == (256, 256)
                # Six pictures of each drag, of which one is in both, and a second to look at the end.
                assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(film)) == 1100 + 1000
    large = visitor("draggan_animate", format="webp", size="2x")[0]
    with Image.open(large["value"] if isinstance(large, dict) else large) as film:
        assert film.size == (512, 512)
    bare = visitor("draggan_animate", format="webp", points=False)[0]
    assert Path(bare["value"] if isinstance(bare, dict) else bare).stat().st_size > 100


NAN = float("nan")
WRONG = {
    "no point": ({"drawing": None}, "no point yet"),
    "no target": ({"drawing": drawing(((1, 2), None))}, "Point 1 has no target"),
    "another picture": ({"drawing": drawing(((1, 2), (3, 4)), size=64)}, "another picture"),
    "not a drawing": ({"drawing": {"points": 7}}, "size"),
    "not a number": ({"drawing": {"size": [32, 32], "points": [{"handle": ["x", 1], "target": [1, 2]}]}}, "number"),
    "a million points": ({"drawing": {"size": [32, 32], "points": [{}] * 10**6}}, "entries"),
    "everything held": ({"drawing": drawing(mask=np.ones((8, 8))), "painted": "fixed"}, "held"),
    "no steps": ({"steps": 0}, "minimum"),
    "too many steps": ({"steps": 10**9}, "maximum"),
    "a step size in words": ({"lr": "fast"}, "step size"),
    "a huge step size": ({"lr": "1e9"}, "step size"),
    "no radius": ({"r1": "0"}, "r1"),
    "rows that are not there": ({"rows": "99"}, "rows"),
    "a feature map that is not there": ({"feature_resolution": "7"}, "feature resolution"),
    "an unknown network": ({"network": "stylegan2/dogs"}, "no checkpoint"),
    "somebody else's network": ({"network": "own:000000000000"}, "load the file"),
    "a seed below zero": ({"seed": -1}, "minimum"),
    "a truncation without end": ({"truncation_psi": 1e9}, "maximum"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(what, visitor):
    from gradio_client.exceptions import AppError

    changes, words = WRONG[what]
    with pytest.raises(AppError) as refused:
        visitor("draggan_drag", **arguments(**changes))
    sentence = str(refused.value)
    assert re.search(words, sentence), sentence
    assert "\n" not in sentence and len(sentence) < 250 and "Traceback" not in sentence


def test_what_went_wrong_leaves_the_picture_alone(visitor):
    from gradio_client.exceptions import AppError

    first = visitor("draggan_drag", **arguments())
    with pytest.raises(AppError):
        visitor("draggan_drag", **arguments(drawing=drawing(((1, 2), None))))
    with pytest.raises(AppError):
        visitor("draggan_drag", **arguments(steps=0))
    visitor("draggan_drag", **arguments())
    assert np.array_equal(pixels(visitor("draggan_undo")[SHEET]), pixels(first[SHEET]))


def test_when_the_time_is_over_what_was_done_stays(visitor, monkeypatch):
    from gradio_client.exceptions import AppError

    visitor("draggan_drag", **arguments(steps=1))  # the network is there now
    # No machine gets through all of this: nothing goes that far, and being stuck does not end it early.
    far = drawing(((8, 10), (SIZE - 4, SIZE - 4)))
    monkeypatch.setenv("GANBOOK_TIME_LIMIT", "0.2")
    with pytest.raises(AppError, match="seconds allowed"):
        visitor("draggan_drag", **arguments(drawing=far, steps=500, patience=500, stop_distance="0.05"))
    monkeypatch.delenv("GANBOOK_TIME_LIMIT")
    more = visitor("draggan_drag", **arguments(steps=1))
    drags = json.loads(Path(more[RECIPE]).read_text())["arguments"]["drags"]
    assert len(drags) == 3 and 0 < drags[1]["steps"] < 500
    assert np.array_equal(pixels(more[SHEET]), np.asarray(run(more[CODE])[-1].image))


def test_what_the_network_looks_at(page, visitor):
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError, match="no picture yet"):
        visitor("draggan_look", drawing=drawing())
    visitor("draggan_drag", **arguments())
    picture, colours, likeness, status, code, sheet, recipe, news = visitor("draggan_look", drawing=drawing())
    made = run(code)
    assert np.array_equal(pixels(colours), np.asarray(made.colours)) and "latent=" in code
    assert np.array_equal(pixels(likeness), np.asarray(made.likeness)) and "nb-ran" in status and news == ""
    again = last_look(page, Visitor(), recipe)
    [found] = [value for label, value in again.items() if label.startswith("Feature map")]
    assert np.array_equal(found, pixels(colours))
    with pytest.raises(AppError, match="feature resolution"):
        visitor("draggan_look", drawing=drawing(), feature_resolution="5")


def last_look(page, who, recipe: str) -> dict:
    """The pictures of cell 3 after a recipe was loaded, by their labels."""
    load = [b for b in page.blocks.values() if b.elem_id == "dg-look-recipe-load"][0]
    fn = next(fn for fn in page.fns.values() if fn.targets and fn.targets[0][0] == load._id)
    found = {}
    for made in fn.fn(who, recipe):  # the files are there until the next one is asked for
        found |= {p.label: pixels(v) for p, v in made.items() if isinstance(v, str) and v.endswith(".png")}
    return found


SHOWN, MADE, FOUND, PYTHON, RAN, TUNED = range(6)


@pytest.fixture
def photograph(tmp_path):
    """A landscape in more than one sense."""
    x, y = np.meshgrid(np.linspace(0, 1, 90), np.linspace(0, 1, 60))
    path = tmp_path / "photograph.png"
    Image.fromarray((np.stack([x, y, 1 - x * y], axis=2) * 255).astype(np.uint8)).save(path)
    return path


def found_by(code: str, photograph: Path, folder: Path, monkeypatch) -> np.ndarray:
    """What the Code view's Python finds for the photograph."""
    monkeypatch.chdir(folder)
    (folder / "your-photograph.jpg").write_bytes(photograph.read_bytes())
    return np.asarray(enlarged(run(code)))


def test_a_photograph(page, visitor, photograph, tmp_path, monkeypatch):
    from gradio_client import handle_file

    wish = {"network": "stylegan2/faces", "photo": handle_file(photograph), "steps": 20}
    answer = visitor("draggan_invert", **wish, zoom=2, across=0.9, down=0.1)
    left = visitor("draggan_invert", **wish)
    cut = pixels(answer[SHOWN])
    assert cut.shape[0] == cut.shape[1] and cut[..., 0].min() > 120, "the right half was asked for"
    assert np.array_equal(pixels(answer[MADE]), found_by(answer[PYTHON], photograph, tmp_path, monkeypatch))
    assert "20 steps" in answer[RAN] and "distance" in answer[RAN]
    assert not np.array_equal(pixels(left[MADE]), pixels(answer[MADE]))
    # The latent is a file that the canvas takes.
    ann = Visitor()
    last(events(page, "take_latent")(ann, "stylegan2/faces", left[FOUND]))
    start = ann.kept["draggan"].start
    assert np.abs(np.asarray(enlarged(start.image)).astype(int) - pixels(left[MADE])).max() <= 2


def test_a_face_in_a_photograph_is_laid_straight(page, visitor, photograph, tmp_path, monkeypatch):
    """What the network is shown is the face as its training pictures have it; networks of cats are shown the square."""
    from gradio_client import handle_file

    from pipelines import faces

    def found(image, crop, size):  # the networks of these tests make no faces that anybody would find
        assert crop == "celeba"
        return faces.centre_crop(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), size)

    monkeypatch.setattr(faces, "align", found)
    wish = {"network": "stylegan2/faces", "photo": handle_file(photograph), "steps": 10}
    answer, square = visitor("draggan_invert", **wish), visitor("draggan_invert", **wish, straight=False)
    with Image.open(photograph) as picture:
        wanted = found(picture.convert("RGB"), "celeba", photo.ALIGNED).image
        assert np.array_equal(pixels(answer[SHOWN]), np.asarray(enlarged(wanted)))
        cats = photo.part_of(picture, networks.Reference("stylegan2/cats"), True, 1, 0.5, 0.5)
    assert not np.array_equal(pixels(answer[SHOWN]), pixels(square[SHOWN]))
    assert "faces.align(photo" in answer[PYTHON] and "photo.crop(" in square[PYTHON]
    assert np.array_equal(pixels(answer[MADE]), found_by(answer[PYTHON], photograph, tmp_path, monkeypatch))
    assert cats.code.startswith("photo.crop") and not cats.said


def test_a_network_tuned_to_a_photograph(page, photograph, tmp_path, monkeypatch):
    ann, part = Visitor(), handlers(page).part
    finding = photo.Finding(
        {n: n for n in ("shown", "made", "latent", "latent_npz", "code", "status", "network", "news")}, ann, "stylegan2"
    )
    made = last(finding.run("stylegan2/faces", None, str(photograph), (True, 1, 0.5, 0.5), "w", 10, True, 12))
    name = ann.latest("stylegan2")
    assert name.startswith("own:") and "tuned in 12" in made["status"] and made["network"]["visible"]
    code = made["code"]
    assert np.abs(found_by(code, photograph, tmp_path, monkeypatch).astype(int) - np.asarray(made["made"])).max() <= 1
    # On to the canvas, with the network that is this visitor's alone.
    assert ann.own[name].base == "stylegan2/faces"
    ann.sent["draggan"] = photo.sent(ann)
    opened = last(handlers(page).take_sent(ann))
    assert opened[part["network"]]["value"] == name
    assert np.abs(np.asarray(enlarged(ann.kept["draggan"].image)).astype(int) - np.asarray(made["made"])).max() <= 2
    done = last(handlers(page).drag(ann, name, None, 4, 0.7, drawing(), *defaults(page, steps=2)))
    assert "weights.read" in done[part["code"]]
    assert not opened[part["seed"]]["interactive"], "a photograph has no seed"

    # Back into the photograph, which is as it was outside of the square, pixel for pixel.
    assert done[part["paste"]]["visible"] and not done[part["full"]]["visible"]
    pasted = last(handlers(page).pasted(ann))
    before, after = pasted[part["whole"]]["value"]
    assert before.size == after.size and pasted[part["full"]]["visible"]
    with Image.open(photograph) as given:
        whole, given = np.asarray(ann.kept["draggan"].whole()), np.asarray(given.convert("RGB"))
    box = photo.square((given.shape[1], given.shape[0]), 1, 0.5, 0.5)
    inside = np.zeros(given.shape[:2], bool)
    inside[box[1] : box[3], box[0] : box[2]] = True
    assert whole.shape == given.shape and (whole != given).any()
    assert np.array_equal(whole[~inside], given[~inside])
    # It stays with its photograph: the next picture is of the network that it was tuned from.
    other = last(handlers(page).open(ann, name, None, 5, 0.7))
    assert other[part["network"]]["value"] == "stylegan2/faces" and other[part["seed"]]["interactive"]
    assert ann.kept["draggan"].start.reference.name == "stylegan2/faces"
    seeded = last(handlers(page).drag(ann, "stylegan2/faces", None, 5, 0.7, drawing(), *defaults(page, steps=2)))
    assert not seeded[part["paste"]]["visible"]
    with pytest.raises(UserError, match="no dragged photograph"):
        last(handlers(page).pasted(ann))
    with pytest.raises(UserError, match="load the file"):
        last(handlers(page).drag(Visitor(), name, None, 4, 0.7, drawing(), *defaults(page, steps=2)))


def test_a_search_can_be_stopped(visitor, photograph):
    from gradio_client import handle_file

    assert "Nothing is running" in visitor("draggan_invert_stop")
    job = visitor.client.submit(
        api_name="/draggan_invert", network="stylegan2/faces", photo=handle_file(photograph), steps=1000
    )
    deadline = time.monotonic() + 120
    while len(job.outputs()) < 3:
        assert time.monotonic() < deadline and not job.done(), "it never began"
        time.sleep(0.02)
    assert "Stopping" in visitor("draggan_invert_stop")
    answer = job.result(timeout=60)
    assert "Stopped after" in answer[RAN] and Path(answer[FOUND]).stat().st_size > 100


@pytest.mark.parametrize("what", ["nothing", "no picture", "too small", "another network"])
def test_photographs_that_are_none(what, visitor, photograph, tmp_path):
    from gradio_client import handle_file
    from gradio_client.exceptions import AppError

    wrong = tmp_path / "wrong.png"
    wrong.write_bytes(b"no picture at all")
    if what == "too small":
        Image.new("RGB", (6, 6)).save(wrong)
    chosen = {"nothing": None, "another network": handle_file(photograph)}.get(what, handle_file(wrong))
    network = "faces/yunet" if what == "another network" else "stylegan2/faces"
    with pytest.raises(AppError) as refused:
        visitor("draggan_invert", network=network, photo=chosen, steps=10)
    assert len(str(refused.value)) < 200 and str(refused.value).endswith(".")


def test_the_square_stays_in_the_photograph():
    for size in ((90, 60), (60, 90), (16, 4000)):
        for zoom in (1, 1.5, 8):
            for across, down in ((0, 0), (0.5, 0.5), (1, 1), (0.3, 0.9)):
                left, top, right, bottom = photo.square(size, zoom, across, down)
                assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
                assert right - left == bottom - top
    assert photo.square((90, 60), 1, 0.5, 0.5) == (15, 0, 75, 60)
