"""The DragGAN tab's own functions: recipes, pictures, what other tabs send; its state and its examples."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pickle
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import weights
from demo import networks
from demo.session import Sent, Visitor
from demo.tabs.draggan import examples, jobs
from demo.tabs.draggan.display import strayed
from demo.tabs.draggan.state import MAX_FRAMES, MAX_PULLS, Frame, State
from weights.errors import UserError

from .conftest import last
from .draggan_helpers import (
    CODE,
    LATENT,
    RECIPE,
    SHEET,
    SIZE,
    arguments,
    defaults,
    drawing,
    events,
    handlers,
    pixels,
    run,
)

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
    example = dataclasses.replace(examples.EXAMPLES["open"], options={"lr": 0.02})
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
    assert image == ann.kept["draggan"].image


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
    def __init__(self, step: int, size: int = 8, strayed: bool = False):
        self.strayed, self.away = strayed, 2.5 if strayed else 1.0
        self.step, self.image, self.done = step, Image.new("RGB", (size, size), (step % 256, 0, 0)), None
        self.handles, self.targets = ((1.0, 2.0),), ((3.0, 4.0),)


def test_a_long_drag_keeps_few_pictures():
    pull = State().begin(None, {}, {})
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
        pull = state.begin(None, {}, {})
        pull.take(Step(0))
        pull.take(Step(1))
        pull.running = False
    with pytest.raises(UserError, match=str(MAX_PULLS)):
        state.begin(None, {}, {})
    with pytest.raises(UserError, match="Nothing has been dragged"):
        State().recipe()


def test_the_way_back_to_where_a_picture_had_not_strayed():
    state = State()
    pull = state.begin(None, {}, {})
    for number in range(6):
        pull.take(Step(number, strayed=number >= 4))
    assert pull.way_back == 3 and "2.5 times" in strayed(pull) and "Go back" in strayed(pull)
    assert state.go_back() is pull and pull.steps == 3 and not pull.last.strayed and pull.recipe()["steps"] == 3
    assert len(state.frames) == 4 and pull.stopped and pull.way_back is None and state.go_back() is None

    state = State()
    pull = state.begin(None, {}, {})
    for number in range(3):
        pull.take(Step(number, strayed=number > 0))
    assert pull.way_back is None and state.go_back() is None, "nothing of it would be left"
    assert "Go back" not in strayed(pull)


def test_a_drag_that_strays_offers_the_way_back(page, monkeypatch):
    mine, ann = handlers(page), Visitor()
    drag = importlib.import_module("pipelines.draggan.drag")
    none = last(mine.back(ann))
    assert "not strayed" in none[mine.part["news"]]
    pull = ("stylegan2/faces", None, 4, 0.7, drawing(), *defaults(page, steps=8))
    calm = last(mine.drag(ann, *pull))
    assert not calm[mine.part["back"]]["visible"] and calm[mine.part["news"]] == ""
    assert calm[mine.part["board"]]["frame"]["before"].startswith("data:image")
    last(mine.reset(ann))

    monkeypatch.setattr(drag, "STRAYED", 0.0)
    monkeypatch.setattr(drag, "STRAYED_FROM_START", 0.0)
    all_of_it = last(mine.drag(ann, *pull))
    assert "strayed" in all_of_it[mine.part["news"]] and not all_of_it[mine.part["back"]]["visible"]
    last(mine.reset(ann))

    farther = iter([0.0, *map(float, range(9))])
    monkeypatch.setattr(drag, "away", lambda net, w: next(farther))
    monkeypatch.setattr(drag, "STRAYED", 5.5)
    made = last(mine.drag(ann, *pull))
    assert made[mine.part["back"]]["value"] == "Back to step 5" and "strayed" in made[mine.part["news"]]
    back = last(mine.back(ann))
    assert "Stopped after 5 steps" in back[mine.part["status"]] and not back[mine.part["back"]]["visible"]
    there = ann.kept["draggan"].last
    drawn = back[mine.part["board"]]["value"]["points"]
    assert [p["handle"] for p in drawn] == [list(h) for h in there.handles] and there.step == 5
    monkeypatch.undo()
    again = ann.kept["draggan"].recipe().run()[-1]
    assert np.array_equal(np.asarray(again.image), np.asarray(there.image)), "its recipe stops there as well"


def test_drags_that_changed_nothing_are_no_drags():
    state = State()
    state.begin(None, {}, {"points": 1}).take(Step(0))
    assert state.last is None and state.frames == [] and state.undo() is None


def test_a_drag_of_a_picture_that_went_does_not_begin():
    """Between a drag's last look at the picture and its first step another picture can come."""
    state, old, new = State(), SimpleNamespace(resolution=64), SimpleNamespace(resolution=64)
    state.put(old)
    first = state.begin(old, {}, {})
    state.put(new)
    kept = state.begin(new, {}, {})
    assert first.stopped and state.begin(old, {}, {}) is None
    assert state.pulls == [kept] and not kept.stopped, "and does not end that of the new one"


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
