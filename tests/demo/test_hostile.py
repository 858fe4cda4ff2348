"""Whatever a script sends to an endpoint: one sentence, and no file outside of an event's own folder."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import tempfile
from pathlib import Path

import gradio as gr
import pytest

from demo.visitors import Session
from pipelines import animation, registry
from pipelines.recipes import Recipe
from weights.errors import UserError

from .conftest import events_of

MARK = "escaped-from-its-folder"
PATHS = (f"gif/../../{MARK}", f"/{MARK}/{MARK}.gif\0")
WRONG = (5, [None], {"a": None}, {"size": [8, 8], "points": [{"handle": None, "target": None}]})
FORMATS = [*PATHS, "GIF", "", None, 5, ["gif"], {"gif": 1}, 'gif"); import os; print("']


def endpoints(page):
    return [fn for fn in page.fns.values() if fn.api_name and fn.api_visibility == "public" and fn.fn is not None]


def sent(page, event, values, session) -> Exception | None:
    """An event's first two answers; the error, if there is one."""

    async def call():
        iterator = None
        try:
            for _ in range(2):
                out = await page.process_api(block_fn=event, inputs=list(values), state=session, iterator=iterator)
                iterator = out.get("iterator")
                if not out.get("is_generating"):
                    return None
            return None
        except Exception as error:
            return error
        finally:
            if iterator is not None:
                await iterator.aclose()

    return asyncio.run(call())


@pytest.fixture
def watched(page, tmp_path, monkeypatch):
    """Event's folders lie deep in a folder of this test's own; whatever leaves them stays in sight."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    monkeypatch.chdir(deep)
    return tmp_path


def test_every_endpoint_refuses_what_does_not_fit(page, watched, caplog):
    """Each argument of each endpoint in turn, everything else as the page has it."""
    tried = set()
    session = Session(page)
    for event in endpoints(page):
        usual = [None if block.stateful else getattr(block, "value", None) for block in event.inputs]
        usual = [None if callable(value) else value for value in usual]
        for i, block in enumerate(event.inputs):
            if block.stateful or isinstance(block, gr.Checkbox):  # which takes anything for yes or no
                continue
            # Gradio itself knows what no number is; those that it lets pass are left.
            for value in (math.nan, [None]) if isinstance(block, (gr.Number, gr.Slider)) else (*PATHS, *WRONG):
                tried.add(event.api_name)
                with caplog.at_level(logging.ERROR, logger="demo.page"):
                    error = sent(page, event, [*usual[:i], value, *usual[i + 1 :]], session)
                assert not caplog.records, (event.api_name, block.label, value, caplog.records[0].exc_info)
                assert error is None or isinstance(error, gr.Error), (event.api_name, block.label, value)
    assert len(tried) > 25
    assert not list(watched.rglob(f"*{MARK}*")) and not os.path.exists(f"/{MARK}")
    assert not [path for path in watched.iterdir() if path.name != "a"]


@pytest.mark.parametrize("function", registry.everything())
def test_no_recipe_says_where_a_file_goes(function):
    """A recipe's format ends up in a file's name and in the code that the page shows."""
    parameters = [p for p in signature(function).values() if p.default is p.empty]
    arguments = {p.name: None for p in parameters[1 if registry.find(function).takes_network else 0 :]}
    Recipe(function, "stylegan2/faces", "0" * 64, arguments, {"format": "webp", "fps": 12}).check()
    for kind in FORMATS:
        recipe = Recipe(function, "stylegan2/faces", "0" * 64, arguments, {"format": kind})
        with pytest.raises(UserError, match="must be one of gif, webp, mp4"):
            recipe.check()
    for output in ({"fps": "x"}, {"fps": math.nan}, {"loop": 1}, {"path": "x"}, {"fps=0)#": 1}):
        with pytest.raises(UserError):
            Recipe(function, "stylegan2/faces", "0" * 64, arguments, output).check()
    for name in ('faces"); import os', "a b", ""):
        with pytest.raises(UserError, match="which checkpoint"):
            Recipe(function, name, "0" * 64, arguments).check()


def signature(function: str):
    import inspect

    return inspect.signature(Recipe(function, "", "")._function()).parameters


def test_a_recipe_s_format_is_refused_on_the_page(page, watched):
    from demo.session import Visitor

    recipe = {
        "ganbook": 1,
        "function": "stylegan2.interpolate",
        "checkpoint": {"name": "stylegan2/faces", "sha256": "0" * 64},
        "arguments": {"seeds": [1, 2], "frames": 2},
        "output": {"format": f"gif/../../{MARK}"},
    }
    path = watched / "recipe.json"
    path.write_text(json.dumps(recipe))
    with pytest.raises(UserError, match="must be one of gif"):
        list(events_of(page, "load_recipe")["sg2-interpolation"](Visitor(), path))
    assert not list(watched.rglob(f"*{MARK}*"))


@pytest.mark.parametrize("ending", [f"gif/../../{MARK}", "", ".gif", "gif ", None, 5, "/gif", "g\0if"])
def test_a_result_s_file_stays_in_its_folder(tmp_path, ending):
    from demo.results import Result

    folder = tmp_path / "own"
    made = Result(None, {}, Recipe("stylegan2.sample", "stylegan2/faces", ""), {}, folder)
    with pytest.raises(UserError, match="format of the file"):
        made.file("walk", ending=ending)
    for words in (("../../x",), ("/etc/passwd",), ("a\0b",), ("..",)):
        assert made.file(*words).parent == folder


def test_an_animation_is_written_beside_nothing_else(tmp_path):
    from PIL import Image

    frames = [Image.new("RGB", (8, 8))] * 2
    for name in (f"walk.gif/../../{MARK}", f"walk.{MARK}"):
        with pytest.raises(UserError, match="saved as"):
            animation.save(frames, tmp_path / "own" / name)
    assert not list(tmp_path.rglob("*"))


BAD_RECIPES = {
    "sample": {"seeds": None},
    "truncation": {"psi_levels": 5},
    "directions": {"amounts": [None]},
    "interpolation": {"frames": None},
}


@pytest.mark.parametrize("slug", BAD_RECIPES)
def test_recipes_with_values_of_the_wrong_kind(page, tmp_path, slug):
    from demo.session import Visitor

    handler = events_of(page, "load_recipe")[f"sg2-{slug}"]
    function = handler.cell.runs[0].function
    needed = {"seeds": [1, 2], "seed": 1, "amounts": {"1": 1}}
    known = signature(function)
    arguments = {**{k: v for k, v in needed.items() if k in known}, **BAD_RECIPES[slug]}
    recipe = {"ganbook": 1, "function": function, "checkpoint": {"name": "stylegan2/faces", "sha256": "0" * 64}}
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({**recipe, "arguments": arguments}))
    with pytest.raises(UserError):
        list(handler(Visitor(), path))


@pytest.mark.parametrize("drags", [None, 5, [], [None], [{}], [{"handles": None, "targets": None}]])
def test_a_recipe_without_drags(page, tmp_path, drags):
    import weights
    from demo.session import Visitor

    handler = events_of(page, "load_recipe")["dg-drag"]
    sha256 = weights.load("stylegan2/faces").info.sha256
    recipe = {"ganbook": 1, "function": "draggan.replay", "checkpoint": {"name": "stylegan2/faces", "sha256": sha256}}
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({**recipe, "arguments": {"drags": drags}}))
    with pytest.raises(UserError):
        list(handler(Visitor(), path))


def test_the_test_notices_a_file_that_gets_out(watched):
    """Where it looks, such a file would be found."""
    (Path(tempfile.gettempdir()) / ".." / f"{MARK}.gif").write_bytes(b"x")
    assert list(watched.rglob(f"*{MARK}*"))
