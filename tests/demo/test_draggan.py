"""The DragGAN tab without a browser: as scripts meet it, and as its own functions do."""

from __future__ import annotations

import json
import pickle
import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageSequence

import weights
from demo import canvas, networks
from demo.session import Sent, Visitor
from demo.tabs.draggan import examples, jobs, photo
from demo.tabs.draggan.display import enlarged
from demo.tabs.draggan.state import MAX_FRAMES, MAX_PULLS, Frame, State
from weights.errors import UserError

from .conftest import events_of

SIZE = 32
SHEET, COMPARE, LATENT, RECIPE, CODE, STATUS, NEWS = range(7)


def drawing(*points, mask=None, size=SIZE) -> dict:
    layers = {} if mask is None else {"mask": canvas.Layer(np.asarray(mask, np.uint8))}
    return canvas.drawn((size, size), points or [((8, 10), (20, 18))], layers)


def arguments(**changes) -> dict:
    return {"network": "stylegan2/faces", "seed": 4, "drawing": drawing(), "steps": 5, **changes}


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def run(code: str) -> list:
    names: dict = {}
    exec(code, names)
    return names["result"]


def events(page, name: str):
    """The function behind an event of the tab."""
    found = events_of(page, name)
    mine = [event for cell, event in found.items() if cell.startswith("dg-")] or list(found.values())
    return mine[0] if mine else next(fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == name)


def handlers(page):
    return events(page, "stop").__self__


def last(updates) -> dict:
    """What an event has made of each component in the end, by name."""
    made: dict = {}
    for update in updates:
        made |= update
    return made


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
    from gradio_client import Client

    clients = [Client(page.local_url, verbose=False) for _ in range(2)]
    answers = [c.predict(api_name="/draggan_drag", **arguments(seed=s)) for c, s in zip(clients, (4, 9), strict=True)]
    assert not np.array_equal(pixels(answers[0][SHEET]), pixels(answers[1][SHEET]))
    assert clients[0].predict(api_name="/draggan_undo")[SHEET] is None
    third = Client(page.local_url, verbose=False)
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
    # It stays with its photograph: the next picture is of the network that it was tuned from.
    other = last(handlers(page).open(ann, name, None, 5, 0.7))
    assert other[part["network"]]["value"] == "stylegan2/faces" and other[part["seed"]]["interactive"]
    assert ann.kept["draggan"].start.reference.name == "stylegan2/faces"
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


# -- as the page's own functions --------------------------------------------------------------------------------------


def test_a_recipe_that_is_loaded_back(page, visitor):
    from pipelines.recipes import Recipe

    visitor("draggan_drag", **arguments())
    answer = visitor("draggan_drag", **arguments(drawing=drawing(((25, 5), (20, 12))), r2="20"))
    load, part, ann = events(page, "load_recipe"), handlers(page).part, Visitor()
    made = last(load(ann, answer[RECIPE]))
    assert made[part["code"]].strip() == answer[CODE].strip() and np.array_equal(
        np.asarray(ann.kept["draggan"].image), pixels(answer[SHEET])
    )
    assert made[part["seed"]]["value"] == 4 and made[part["r2"]]["value"] == "20" and made[part["lr"]]["value"] == ""
    # The canvas has the points of the last drag; they can be taken back one after another.
    undone = last(events(page, "undo")(ann))
    assert undone[part["board"]]["value"]["points"] == [{"handle": [25, 5], "target": [20, 12]}]
    assert len(ann.kept["draggan"].pulls) == 1

    recipe = json.loads(Path(answer[RECIPE]).read_text())
    for change, words in (
        ({"function": "stylegan2.sample"}, "argument"),
        ({"arguments": {**recipe["arguments"], "drags": [{"handles": [[1, 2]]}]}}, "handles and targets"),
        ({"arguments": {**recipe["arguments"], "drags": []}}, "entries"),
        ({"checkpoint": {"name": "stylegan2/faces", "sha256": "0" * 64}}, "another version"),
    ):
        wrong = Path(answer[RECIPE]).with_name("wrong.json")
        wrong.write_text(json.dumps({**recipe, **change}))
        with pytest.raises(UserError, match=words):
            last(load(ann, str(wrong)))
    other = Recipe("stylegan2.sample", "stylegan2/faces", "0" * 64, {"seeds": "1"})
    wrong.write_text(other.to_json())
    with pytest.raises(UserError, match="another cell"):
        last(load(ann, str(wrong)))


def test_the_picture_at_another_size(page):
    mine, ann = handlers(page), Visitor()
    assert mine.part["sheet"] not in last(mine.resized(ann, "2x")), "there is no picture yet, and no file of it"
    last(mine.drag(ann, "stylegan2/faces", None, 4, 0.7, drawing(), *defaults(page, steps=2)))
    whole = ann.kept["draggan"].image
    for size, side in (("4x", 4 * SIZE), ("512", 512), ("1x", SIZE)):
        for made in mine.resized(ann, size):
            found = pixels(made[mine.part["sheet"]])
        assert np.array_equal(found, np.asarray(whole.resize((side, side), Image.Resampling.LANCZOS)))
    with pytest.raises(UserError, match="size"):
        list(mine.resized(ann, "enormous"))


def test_a_latent_that_is_loaded_back(page, visitor, tmp_path):
    answer = visitor("draggan_drag", **arguments())
    take, part, ann = events(page, "take_latent"), handlers(page).part, Visitor()
    made = last(take(ann, "stylegan2/faces", answer[LATENT]))
    shown = np.asarray(ann.kept["draggan"].image).astype(int)
    assert np.abs(shown - pixels(answer[SHEET])).max() <= 1
    assert made[part["status"]] == "" and made[part["board"]]["frame"]["running"] is False
    # A drag from there has a recipe that holds the latent itself.
    done = last(handlers(page).drag(ann, "stylegan2/faces", None, 4, 0.7, drawing(), *defaults(page, steps=3)))
    assert "latent=" in done[part["code"]]
    assert np.array_equal(np.asarray(run(done[part["code"]])[-1].image), np.asarray(ann.kept["draggan"].image))
    (tmp_path / "no.safetensors").write_bytes(b"no latent at all")
    for wrong in (str(tmp_path / "no.safetensors"), str(tmp_path / "nowhere"), None):
        with pytest.raises(UserError):
            last(take(ann, "stylegan2/faces", wrong))


def defaults(page, **changes) -> list:
    found = handlers(page)
    return [changes.get(name, found.part[name].value) for name in found.parameters]


def test_the_picture_follows_its_controls(page):
    mine, part, ann = handlers(page), handlers(page).part, Visitor()
    shown = last(mine.greet(ann, "stylegan2/faces", None, 4, 0.7))[part["board"]]["frame"]
    assert shown["size"] == [SIZE, SIZE] and shown["alt"].endswith("seed 4")
    made = last(mine.open(ann, "stylegan2/faces", None, 5, 0.7))
    assert part["seed"] not in made, "somebody may be typing there"
    assert float(made[part["lr"]]["placeholder"]) > 0 and "value" not in made[part["lr"]]
    assert list(last(mine.greet(ann, "stylegan2/faces", None, 4, 0.7))) == [], "it is there already"
    assert last(mine.follow(ann, "stylegan2/faces", None, 4, 0.7)) == {}
    other = last(mine.follow(ann, "stylegan2/cats", None, 4, 0.7))[part["board"]]
    assert other["frame"]["picture"] != shown["picture"] and "value" not in other, "what is drawn stays"
    for seed, psi in ((None, 0.7), (4, None), (-3, 0.7)):
        with pytest.raises(UserError):
            last(mine.open(ann, "stylegan2/faces", None, seed, psi))


def test_looking_through_the_list_downloads_nothing(page, monkeypatch):
    monkeypatch.setattr(weights, "fetch", lambda *a, **k: pytest.fail("fetched"))
    mine, ann = handlers(page), Visitor()
    made = last(mine.follow(ann, "stylegan2/ffhq-1024", None, 4, 0.7))
    assert made[mine.part["board"]]["frame"]["picture"] is None and "fetch" in made[mine.part["news"]]


def test_a_new_picture_keeps_what_was_drawn_before_it_was_pulled(page):
    mine, ann = handlers(page), Visitor()
    mask = np.zeros((16, 16))
    mask[:8] = 1
    drawn = drawing(((8, 10), (20, 18)), mask=mask)
    last(mine.drag(ann, "stylegan2/faces", None, 4, 0.7, drawn, *defaults(page, steps=3)))
    opened = last(mine.open(ann, "stylegan2/faces", None, 5, 0.7))[mine.part["board"]]
    assert opened["value"] == drawn and opened["frame"]["alt"].endswith("seed 5")


def test_stop_before_its_turn(page):
    mine, ann = handlers(page), Visitor()
    mine.ask(ann)
    assert "Stopping" in mine.stop(ann)
    made = last(mine.drag(ann, "stylegan2/faces", None, 4, 0.7, drawing(), *defaults(page)))
    assert "before it began" in made[mine.part["news"]] and "Nothing" in mine.stop(ann)
    mine.ask(ann)
    assert (
        "nb-ran"
        in last(mine.drag(ann, "stylegan2/faces", None, 4, 0.7, drawing(), *defaults(page, steps=2)))[
            mine.part["status"]
        ]
    )


def test_another_picture_ends_the_drag_that_runs(page):
    """The old drag writes nothing on the state any more, and leaves the canvas with the new picture."""
    mine, ann, seen = handlers(page), Visitor(), []
    begun = threading.Event()

    def pull():
        for update in mine.drag(
            ann, "stylegan2/faces", None, 4, 0.7, drawing(), *defaults(page, steps=500, stop_distance="0.05")
        ):
            seen.append(update)
            begun.set()

    thread = threading.Thread(target=pull)
    thread.start()
    assert begun.wait(60)
    new = last(mine.open(ann, "stylegan2/faces", None, 5, 0.7))[mine.part["board"]]["frame"]
    thread.join(60)
    assert not thread.is_alive() and ann.kept["draggan"].pulls == []
    assert seen[-1][mine.part["board"]]["frame"] == new and not new["running"]


def test_an_example_lends_its_parameters(page):
    """Another picture has the usual ones again."""
    mine, ann = handlers(page), Visitor()
    example = next(e for e in examples.EXAMPLES.values() if "lr" in e.options)
    played = last(mine.play_example(ann, example))
    assert played[mine.part["lr"]]["value"] == f"{example.options['lr']:g}"
    again = last(mine.open(ann, "stylegan2/cats", None, 4, 0.7))
    assert again[mine.part["lr"]]["value"] == "" and again[mine.part["lr"]]["placeholder"]
    assert "value" not in last(mine.open(ann, "stylegan2/cats", None, 5, 0.7))[mine.part["lr"]], "once"


def test_what_was_sent_wins(page):
    """Over the picture that the tab begins with, whichever is ready first."""
    mine, ann = handlers(page), Visitor()
    ann.sent["draggan"] = Sent("stylegan2/cats", None, 6, 0.5)
    last(mine.take_sent(ann))
    assert last(mine.greet(ann, "stylegan2/faces", None, 4, 0.7)) == {}
    assert ann.kept["draggan"].start.made["seed"] == 6


def test_what_other_tabs_send(page):
    mine, ann = handlers(page), Visitor()
    last(mine.take_sent(ann))  # nothing was sent: nothing happens
    assert ann.kept["draggan"].start is None
    ann.sent["draggan"] = Sent("stylegan2/cats", None, 6, 0.5)
    assert list(last(mine.greet(ann, "stylegan2/faces", None, 4, 0.7))) == [], "it is on its way"
    made = last(mine.take_sent(ann))
    assert made[mine.part["network"]]["value"] == "stylegan2/cats" and made[mine.part["seed"]]["value"] == 6
    assert made[mine.part["truncation_psi"]]["value"] == 0.5 and "draggan" not in ann.sent
    assert made[mine.part["board"]]["frame"]["alt"].endswith("seed 6")


def test_what_it_sends_to_other_tabs(page):
    """The picture as it stands: by its seed as long as nothing was pulled, then by its latent."""
    mine, ann = handlers(page), Visitor()
    assert mine.sent(ann) is None
    last(mine.open(ann, "stylegan2/faces", None, 4, 0.5))
    assert mine.sent(ann) == Sent("stylegan2/faces", None, 4, 0.5)
    last(mine.drag(ann, "stylegan2/faces", None, 4, 0.5, drawing(), *defaults(page, steps=3)))
    sent = mine.sent(ann)
    assert sent.network == "stylegan2/faces" and sent.seed is None
    from pipelines import draggan, stylegan2

    net = weights.load("stylegan2/faces")
    image = stylegan2.picture(net, draggan.decode_latent(sent.latent, net))
    assert np.array_equal(np.asarray(image), np.asarray(ann.kept["draggan"].image))


def test_what_the_sample_cell_sends(page):
    """The picture that stands there, whatever its controls say by now."""
    from demo.tabs.stylegan2 import sample

    ann, run = Visitor(), events(page, "stylegan2_sample")
    assert sample.sent(ann) is None
    last(run(ann, "stylegan2/cats", None, "12, 40", 0.6, "const", 0))
    assert sample.sent(ann) == Sent("stylegan2/cats", None, 12, 0.6)
    sample.pressed(ann, SimpleNamespace(index=1))
    assert sample.sent(ann).seed == 40
    with pytest.raises(UserError):
        last(run(ann, "stylegan2/faces", None, "none", 0.1, "const", 0))
    assert sample.sent(ann) == Sent("stylegan2/cats", None, 40, 0.6), "what failed has replaced nothing"


def test_what_passes_to_a_worker_can_be_pickled(page):
    """On ZeroGPU the work is done in another process; everything that goes there and comes back is pickled."""
    reference = networks.Reference("stylegan2/faces")
    start = pickle.loads(pickle.dumps(jobs.opened(reference, {"seed": 1, "truncation_psi": 0.7})))
    drag = {"handles": [[3, 4]], "targets": [[9, 9]], "steps": 2}
    steps = pickle.loads(pickle.dumps(list(jobs.pulled(reference, start.w, None, drag))))
    more = list(jobs.pulled(reference, start.w, steps[-1], drag | {"handles": [list(p) for p in steps[-1].handles]}))
    assert [step.step for step in steps] == [0, 1, 2] and [step.step for step in more] == [2, 3, 4]


# -- the state ---------------------------------------------------------------------------------------------------------


class Step:
    def __init__(self, step: int, size: int = 8):
        self.step, self.image, self.done = step, Image.new("RGB", (size, size), (step % 256, 0, 0)), None
        self.handles, self.targets = ((1.0, 2.0),), ((3.0, 4.0),)


def test_a_long_drag_keeps_few_pictures():
    pull = State().begin({}, {})
    for number in range(10 * MAX_FRAMES):
        pull.take(Step(number))
        assert len(pull.frames) <= MAX_FRAMES
    shown = [frame.image().getpixel((0, 0))[0] for frame in pull.frames]
    assert shown[0] == 0 and shown[-1] == (10 * MAX_FRAMES - 1) % 256 and pull.steps == 10 * MAX_FRAMES - 1


def test_large_pictures_are_kept_small():
    frame = Frame.of(Step(1, 1024))
    assert frame.image().size == (512, 512) and len(frame.data) < 100_000
    assert frame.points() == ([(0.25, 0.75)], [(1.25, 1.75)]), "the middle of a pixel is not that of its half"


def test_a_desk_holds_so_many_drags():
    state = State()
    for _ in range(MAX_PULLS):
        pull = state.begin({}, {})
        pull.take(Step(0))
        pull.take(Step(1))
        pull.running = False
    with pytest.raises(UserError, match=str(MAX_PULLS)):
        state.begin({}, {})
    with pytest.raises(UserError, match="Nothing has been dragged"):
        State().recipe()


def test_drags_that_changed_nothing_are_no_drags():
    state = State()
    state.begin({}, {"points": 1}).take(Step(0))
    assert state.last is None and state.frames == [] and state.undo() is None


# -- examples ---------------------------------------------------------------------------------------------------------


def test_examples_fit_their_networks():
    for example in examples.EXAMPLES.values():
        assert weights.entry(example.network).shipped
        for size in (64, 128):
            drag = example.drag(size)
            places = np.array([drag["handles"], drag["targets"]])
            assert places.min() >= 0 and places.max() <= size - 1 and len(drag["handles"]) == len(drag["targets"])
    titles = [example.title for example in examples.EXAMPLES.values()]
    assert len(set(titles)) == len(titles)
