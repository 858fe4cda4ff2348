"""The page as scripts and visitors meet it: every endpoint, its code, its recipe, its progress, its end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

import weights
from demo import gpu, notebook, runs

from .conftest import events_of

# Endpoint -> arguments for a short run, and the position of its pictures among what it gives.
CELLS = {
    "stylegan2_sample": {"seeds": "3, 7-8", "noise_mode": "none"},
    "stylegan2_truncation": {"seed": 2, "psis": "0, 0.7, 1", "coarse": 0.2},
    "stylegan2_truncation_picture": {"seed": 2, "truncation_psi": 1.2, "truncation_cutoff": 3},
    "stylegan2_mix": {"row_seeds": "1-2", "col_seeds": "5-7", "layers": "middle"},
    "stylegan2_interpolate": {"seeds": "1, 4", "frames": 5, "space": "z", "easing": "smooth", "fps": 10},
    "stylegan2_noise": {"seed": 5, "count": 3},
    "stylegan2_move": {"seed": 4, "layers": "coarse", "direction_1": 3, "Smiling": -2, "apart": True},
    "stylegan2_move_strip": {"seed": 4, "direction": "2"},
}


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def shown(name: str, result) -> list[np.ndarray]:
    """The pictures of an endpoint's answer."""
    first = result[0]
    if name == "stylegan2_mix":
        return [pixels(result[-3])]
    return [pixels(path) for path in ([item["image"] for item in first] if isinstance(first, list) else [first])]


def made_by_code(name: str, code: str, folder: Path, monkeypatch) -> list[np.ndarray]:
    """Runs what the Code view shows, as a reader would, and gives the pictures in its ``result``."""
    monkeypatch.chdir(folder)
    names: dict = {}
    exec(code, names)
    result = names["result"]
    if name == "stylegan2_mix":  # the page shows the grid with its headers
        from pipelines import animation, stylegan2

        heads = [stylegan2.sample(names["net"], s, noise_mode="const") for s in ("1-2", "5-7")]
        words = [[f"seed {seed}" for seed in seeds] for seeds in ((1, 2), (5, 6, 7))]
        result = [animation.grid(result, *heads, row_captions=words[0], col_captions=words[1])]
    elif name == "stylegan2_interpolate":
        assert (folder / "animation.gif").is_file()
        result = result[:1]
    elif name == "stylegan2_noise":
        result = result.images
    elif name == "stylegan2_move":
        result = [result]
    return [np.asarray(image) for image in result]


@pytest.mark.parametrize("name", CELLS)
def test_the_code_makes_the_picture(name, visitor, tmp_path, monkeypatch):
    result = visitor(name, **CELLS[name])
    code, recipe = result[-4], Path(result[-2])
    made = made_by_code(name, code, tmp_path, monkeypatch)
    if name == "stylegan2_interpolate":  # a GIF is not without loss
        with Image.open(result[0]) as film:  # frames that are alike may have become one
            assert sum(frame.info["duration"] for frame in ImageSequence.Iterator(film)) == 500
        assert np.abs(shown(name, result)[0].astype(int) - made[0]).mean() < 6
    else:
        pictures = shown(name, result)
        assert len(pictures) == len(made)
        assert all(np.array_equal(a, b) for a, b in zip(pictures, made, strict=True))
    assert json.loads(recipe.read_text())["function"].startswith("stylegan2.")
    assert "nb-ran" in result[-5] and result[-1] == ""


def cells_of(page) -> dict[str, notebook.Cell]:
    """The cells of the StyleGAN2 tab."""
    return {fn.cell.slug: fn.cell for name, fn in events_of(page, "load_recipe").items() if name.startswith("sg2-")}


def load(cell: notebook.Cell, path):
    """What a recipe's button yields."""
    from demo.lifecycle import read_recipe
    from demo.session import Visitor

    return cell._load_recipe(Visitor(), read_recipe(path, [run.function for run in cell.runs]))


SLUGS = {
    "stylegan2_sample": "sample",
    "stylegan2_truncation": "truncation",
    "stylegan2_truncation_picture": "truncation",
    "stylegan2_mix": "mixing",
    "stylegan2_interpolate": "interpolation",
    "stylegan2_noise": "noise",
    "stylegan2_move": "directions",
    "stylegan2_move_strip": "directions",
}


def taken(name: str, cell: notebook.Cell, values: dict) -> list[np.ndarray]:
    """The pictures among an event's values, as they come from its function."""
    if name == "stylegan2_mix":
        found = [values[cell.sheet]]
    else:
        found = values[next(r for r in cell.runs if r.outputs[0] in values and values[r.outputs[0]]).outputs[0]]
        found = [item[0] for item in found] if isinstance(found, list) else [found]
    return [pixels(f) if isinstance(f, str) else np.asarray(f.convert("RGB")) for f in found]


@pytest.mark.parametrize("name", CELLS)
def test_a_loaded_recipe_restores_controls_and_pixels(name, visitor, page):
    result = visitor(name, **CELLS[name])
    before = shown(name, result)
    cell = cells_of(page)[SLUGS[name]]
    for last in load(cell, result[-2]):
        after = taken(name, cell, last)  # the files go when the event is over
    assert len(before) == len(after) and all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    run = next(r for r in cell.runs if r.function == json.loads(Path(result[-2]).read_text())["function"])
    for control, value in CELLS[name].items():
        assert last[run.inputs[control]]["value"] == value, control
    assert last[cell.book.chooser.network]["value"] == "stylegan2/faces"
    assert last[cell.code].strip() == result[-4]


def test_recipes_that_do_not_fit(page, tmp_path, visitor):
    from weights.errors import UserError

    path = Path(visitor("stylegan2_sample", seeds="1")[-2])
    recipe = json.loads(path.read_text())
    cells = cells_of(page)

    def refused(cell: str, match: str, **changes):
        changed = tmp_path / "changed.json"
        changed.write_text(json.dumps({**recipe, **changes}))
        with pytest.raises(UserError, match=match):
            list(load(cells[cell], changed))

    refused("mixing", "another cell")
    refused("sample", "another version", checkpoint={**recipe["checkpoint"], "sha256": "0" * 64})
    refused("sample", "file of someone's own", checkpoint={"name": "own:123456789012", "sha256": "0" * 64})
    refused("sample", "no checkpoint called", checkpoint={"name": "stylegan2/zebra", "sha256": "0" * 64})
    refused("sample", "does not have", function="os.system")
    refused("sample", "not take", arguments={"seeds": "1", "path": "/etc"})
    refused("sample", "cell 2", arguments={"seeds": "1", "truncation_cutoff": 2})
    refused("truncation", "At most 1", arguments={"seeds": "1-16"})
    refused("sample", "Truncation psi", arguments={"seeds": "1", "truncation_psi": 1e9})


# -- the rest of what scripts see


def test_stop_closes_the_work(page, monkeypatch):
    """Closing the event's iterator, as Gradio does on Stop, ends the pipeline's iterator at once."""
    from demo.session import Visitor
    from pipelines import stylegan2

    ended = []

    def endless(net, seeds, **rest):
        try:
            while True:
                yield Image.new("RGB", (8, 8))
        finally:
            ended.append(True)

    monkeypatch.setattr(stylegan2, "interpolate", endless)
    cell = cells_of(page)["interpolation"]
    run = cell.runs[0]
    monkeypatch.setattr(runs, "PREVIEW_S", 0)
    values = [c.value for c in run.inputs.values()]
    # The recipe is made from the replaced function's signature, which takes seeds and anything.
    monkeypatch.setattr("pipelines.recipes.Recipe.check", lambda self: None)
    steps = cell._handler(run, "x", "")(Visitor(), "stylegan2/faces", None, *values)
    next(steps)
    steps.close()
    assert ended == [True]


def test_long_work_can_be_cancelled_by_scripts(visitor):
    job = visitor.client.submit(seeds="1-8", frames=600, api_name="/stylegan2_interpolate")
    while not job.outputs():
        assert not job.done()
    job.cancel()
    assert len(visitor("stylegan2_sample", seeds="1")[0]) == 1


def test_every_public_event_is_documented_and_every_other_private(page):
    public = {fn.api_name: fn for fn in page.fns.values() if fn.api_visibility == "public"}
    assert set(public) == {
        *CELLS,
        "five_papers",
        "stylegan2_history",
        "stylegan2_parameter_count",
        "stylegan2_direction",
        "fetch_checkpoint",
        "load_checkpoint",
        "draggan_drag",
        "draggan_stop",
        "draggan_back",
        "draggan_paste",
        "draggan_undo",
        "draggan_reset",
        "draggan_animate",
        "draggan_look",
        "draggan_invert",
        "draggan_invert_stop",
        "attgan_face",
        "attgan_edit",
        "attgan_files",
        "attgan_flips",
        "attgan_slide",
        "attgan_batch",
        "igan_brush",
        "igan_choose",
        "igan_fix",
        "igan_restart",
        "igan_stop",
        "igan_animate",
        "igan_save",
        "igan_project",
        "igan_project_stop",
        "igan_paint_on",
        "igan_transfer",
        "igan_morph",
        "igan_ring",
        "igan_ring_step",
        "igan_plane",
        "od_photo",
        "od_edit",
        "od_files",
        "od_stop",
        "od_compare",
        "od_slide",
    }
    for name, fn in public.items():
        words = fn.api_description or fn.fn.__doc__
        assert words and "Args:" in words, name
    assert all(fn.api_visibility == "private" for fn in page.fns.values() if fn.api_name not in public)


def test_what_computes_shares_one_lane(page):
    computing = [fn for fn in page.fns.values() if str(fn.api_name).startswith("stylegan2_")]
    assert computing and all(fn.concurrency_id == gpu.LANE["concurrency_id"] for fn in computing)
    assert page._queue.max_size == gpu.QUEUE


def test_live_controls_keep_only_the_latest(page):
    live = [fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "").endswith("_live")]
    assert len(live) == 2 and all(fn.trigger_mode == "always_last" for fn in live)


def test_a_moved_slider_downloads_nothing(page, monkeypatch):
    from demo.session import Visitor

    monkeypatch.setattr(weights, "fetch", lambda *a, **k: pytest.fail("fetched"))
    live = events_of(page, "stylegan2_move_live")["sg2-directions"]
    values = [c.value for c in live.cell.runs[0].inputs.values()]
    (only,) = live(Visitor(), "stylegan2/ffhq-1024", None, *values)
    assert all(value["__type__"] == "update" and "value" not in value for value in only.values())


def test_progress_is_told_to_few_components(page):
    """Gradio's page searches all of itself for each of them, at every message of every event."""
    events = page.get_config_file()["dependencies"]
    assert all(e["show_progress_on"] == [] for e in events if e["show_progress"] == "hidden")
    told = set()
    for event in events:
        shown_on = event["outputs"] if event["show_progress_on"] is None else event["show_progress_on"]
        told |= set(shown_on) if event["backend_fn"] else set()
    assert 10 < len(told) < 30


def test_ids_are_there_and_unique(page):
    ids = [b.elem_id for b in page.blocks.values() if b.elem_id]
    assert len(ids) == len(set(ids))
    interactive = ("textbox", "number", "slider", "dropdown", "radio", "checkbox", "button", "file", "gallery", "image")
    nameless = [b for b in page.blocks.values() if b.get_block_name() in interactive and not b.elem_id]
    assert not nameless
    shown = [b for b in page.blocks.values() if b.get_block_name() in (*interactive, "video", "code")]
    assert not [b.elem_id for b in shown if b.get_block_name() != "button" and not b.label]
    assert not [b.elem_id for b in shown if b.get_block_name() == "button" and not b.value]


def test_what_a_visitor_holds_is_small(page):
    import pickle

    states = [b for b in page.blocks.values() if b.get_block_name() == "state"]
    assert len(states) == 2, "the visitor, and the directions of the visitor's own files"
    assert all(len(pickle.dumps(state.value)) < 1000 for state in states)


def test_parameters_of_the_flower_experiment(visitor):
    table, command, code, recipe, news = visitor(
        "stylegan2_parameter_count",
        resolution=128,
        mapping_layers=4,
        z_dim=256,
        w_dim=256,
        channel_base=16384,
        channel_max=512,
    )
    assert "24.5 M" in table and table.count("20.9 M") == 2
    assert "--mapping-layers 4 --z-dim 256 --w-dim 256" in command
    names: dict = {}
    exec(code, names)
    assert f"{names['result']['total'] / 1e6:.1f}" == "20.9" and news == ""
    from pipelines.recipes import Recipe

    assert Recipe.from_json(Path(recipe).read_text(encoding="utf-8")).run() == names["result"]


def test_the_command_that_is_shown_is_one_that_exists():
    from demo.tabs.stylegan2 import training

    words = training.command_for(training.AFTER).split()
    assert words[:4] == ["python", "-m", "training", "stylegan2"]
    from training.stylegan2 import parser

    given = parser().parse_args(words[4:])
    assert (given.mapping_layers, given.z_dim, given.w_dim, given.resolution) == (4, 256, 256, 128)


def test_an_animation_that_is_too_large_says_so_at_once(page, monkeypatch):
    from demo.session import Visitor
    from pipelines import animation
    from weights.errors import UserError

    monkeypatch.setattr(animation, "MAX_PIXELS", 32 * 32 * 10)
    cell = cells_of(page)["interpolation"]
    (run,) = cell.runs
    values = {name: control.value for name, control in run.inputs.items()}
    steps = cell._handler(run, "x", "")(Visitor(), "stylegan2/faces", None, *{**values, "frames": 600}.values())
    with pytest.raises(UserError, match="at most 10 frames"):
        assert sum(1 for _ in steps) < 5


def test_a_box_that_is_being_filled_in_raises_no_alarm(page):
    from demo.session import Visitor

    live = events_of(page, "stylegan2_move_live")["sg2-directions"]
    values = {name: control.value for name, control in live.cell.runs[0].inputs.items()}
    (only,) = live(Visitor(), "stylegan2/faces", None, *{**values, "seed": None}.values())
    assert "is empty" in only[live.cell.news]


def test_the_history_cell_without_its_networks_says_so(visitor, shelf):
    if (shelf / "history").exists():
        pytest.skip("the networks are there already")
    with pytest.raises(Exception, match="weights/embedded"):
        visitor("stylegan2_history", seed=1)


def test_the_history_cell_shows_pictures_and_measurements(visitor, history_shelf):
    html, ran, code, sheet, recipe, news = visitor("stylegan2_history", seed=2)
    assert html.count("<section") == 4 and html.count("<img") == 4 * 8 + 2 * 4 + 4
    for number in ("12.5", "1.4", "0.3", "5"):
        assert f"<td>{number}</td>" in html, number
    assert "seed 2" in ran and news == ""
    names: dict = {}
    exec(code, names)
    from pipelines import animation
    from pipelines.recipes import Recipe

    seeds = [f"seed {seed}" for seed in range(2, 10)]
    for made in (names["result"], Recipe.from_json(Path(recipe).read_text(encoding="utf-8")).run()):
        want = animation.grid(list(made.samples.values()), captions=[seeds] * 4)
        assert np.array_equal(pixels(sheet), np.asarray(want))


def test_recipes_of_the_cells_without_a_network_set_their_controls(page, history_shelf, tmp_path):
    from pipelines import recipes
    from weights.errors import UserError

    by_id = {block.elem_id: block for block in page.blocks.values() if getattr(block, "elem_id", None)}
    for slug, recipe in (
        ("history", recipes.make("history.compare", seed=3)),
        ("training", recipes.make("stylegan2.parameter_count", resolution=32, z_dim=64)),
    ):
        path = tmp_path / f"{slug}.json"
        path.write_text(recipe.to_json(), encoding="utf-8")
        button = by_id[f"sg2-{slug}-recipe-load"]
        load = next(f.fn for f in page.fns.values() if any(t[0] == button._id for t in f.targets))
        (shown,) = load(None, str(path))
        updates = {c.elem_id.split("-", 2)[2]: u for c, u in shown.items() if isinstance(u, dict)}
        values = {name: u["value"] for name, u in updates.items() if "value" in u}
        for name, value in recipe.arguments.items():
            assert values[name.replace("_", "-")] == value
        code = shown[by_id[f"sg2-{slug}-code"]]
        assert all(f"{name}={value}" in code for name, value in recipe.arguments.items())
        path.write_text(recipe.to_json().replace('"seed": 3', '"seed": -3').replace('"z_dim": 64', '"z_dim": 1e9'))
        with pytest.raises(UserError):
            list(load(None, str(path)))
