"""Cell 3: one direction from one strength to another, as a strip and as an animation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gradio as gr
import numpy as np

from weights.errors import UserError

from ... import controls, gpu, results
from ...controls import kinds
from ...networks import size_text
from ...notebook import PREVIEW_S, Cell, Notebook, going, note
from ...pictures import enlarged
from ...results import Result
from . import jobs
from .display import state_of
from .handlers import Handlers
from .text import call, code, recipe_for, shown, tile

PROSE = r"""
The strength $\alpha$ from one end to the other, with everything else that is edited above held as it is. The mask grows
with the strength and stays where the far end has it, so that nothing flickers; at $\alpha = 0$ the frame is the
photograph.
"""
API = """One direction of the face of this session from one strength to another. Gives the strip, then the animation as
a picture (GIF, WebP) or as a video (MP4), what ran, the Python that repeats it, the file, the recipe and the news.

Args:
    direction: such as Smiling; empty: the first one that is edited.
    low, high: strengths, -10 to 10.
    frames: of the animation, 2 to 200.
    format: gif, webp or mp4.
    fps: frames per second, 1 to 60.
    size: 1x, 2x, 4x, or the pixels of the longer side.
"""
STRIP = 7  # pictures of the strip
TILE = 144


def build(book: Notebook, handlers: Handlers) -> Cell:
    with book.cell("slide", "One direction, step by step", PROSE) as cell:
        with cell.controls("Make the animation", stop="always"):
            gr.Markdown("Face, mask and other edits are those above.", elem_classes="nb-hint")
            direction = gr.Textbox(
                "",
                label="Direction",
                info="empty: the first one ticked",
                placeholder="such as Smiling",
                max_length=60,
                elem_id=cell.id("direction"),
            )
            with gr.Row(elem_classes="nb-two"):
                low = gr.Slider(-8, 8, 0, step=0.1, label="From", elem_id=cell.id("low"), min_width=0)
                high = gr.Slider(-8, 8, 4, step=0.1, label="To", elem_id=cell.id("high"), min_width=0)
            with gr.Row(elem_classes="nb-two"):
                frames = gr.Slider(2, 200, 24, step=1, label="Frames, one way", elem_id=cell.id("frames"), min_width=0)
                fps = gr.Slider(1, 60, 16, step=1, label="Frames a second", elem_id=cell.id("fps"), min_width=0)
            kind = gr.Radio(kinds(), value="gif", label="File", elem_id=cell.id("format"))
            size = controls.file_size(cell)
        with cell.result("Animation file"):
            strip = controls.picture(cell, "strip", "From one end to the other")
            picture, video = controls.film(cell)
    out = [strip, picture, video, cell.status, cell.code, cell.sheet, cell.recipe, cell.news]

    def od_slide(
        visitor, direction="", low=0.0, high=4.0, frames=24, format="gif", fps=16, size="1x"
    ) -> Iterator[dict]:
        yield from made(state_of(visitor), direction, low, high, frames, format, fps, size)

    def made(state, name, low, high, frames, kind, fps, size) -> Iterator[dict]:
        from pipelines import animation

        found = state.ready()
        name = named(state, name)
        output = controls.film_output(kind, fps, size)
        began, told = time.perf_counter(), 0.0
        arguments = {"direction": name, "low": low, "high": high, "frames": frames, **state.options()}
        arguments["edits"] = [pair for pair in arguments["edits"] if pair[0] != name]
        own, pictures = {"own": state.own} if state.own else {}, []
        with closing(jobs.slid(found.reference, state.known, {**arguments, **own})) as steps:
            for image in steps:
                pictures.append(image)
                if time.perf_counter() - told > gpu.pace(PREVIEW_S):
                    told = time.perf_counter()
                    far = going(f"{len(pictures)} of {frames} frames")
                    yield {picture: enlarged(image), video: None, cell.news: far}
        with results.folder() as folder:
            recipe = recipe_for("out_of_domain.slide", state, arguments, output)
            kept = Result(pictures, {}, recipe, recipe.arguments, Path(folder))
            # There and back, so that it does not jump where it begins again.
            film = [enlarged(image) for image in (*pictures, *pictures[-2:0:-1])]
            path = animation.save(film, kept.file("slide", name, ending=kind), fps=fps, size=size)
            places = np.linspace(0, len(pictures) - 1, min(STRIP, len(pictures))).round().astype(int)
            captions = [f"{low + (high - low) * i / (len(pictures) - 1):+.1f}" for i in places]
            row = animation.strip([tile(pictures[i]).resize((TILE, TILE)) for i in places], captions)
            text = kept.file("slide-recipe", ending="json")
            text.write_text(recipe.to_json(), encoding="utf-8")
            ran = f"{shown(name)}, {len(film)} frames there and back, {size_text(path.stat().st_size)} · {found.title}"
            seconds = time.perf_counter() - began
            yield {
                strip: kept.save(row, "strip"),
                picture: None if kind == "mp4" else str(path),
                video: str(path) if kind == "mp4" else None,
                cell.status: note(f"{ran} · {seconds:.2f} s on {found.device}", "nb-ran"),
                cell.code: code(
                    state,
                    [f"result = list({call('slide', state, arguments)})"],
                    f'animation.save(result, "animation.{kind}", fps={fps!r}, size={size!r})',
                ),
                cell.sheet: str(path),
                cell.recipe: str(text),
            }

    def load(visitor, recipe) -> Iterator[dict]:
        output = recipe.output or {}
        given = {"low": 0.0, "high": 3.0, "frames": 24, "edits": [], "apart": False, **handlers.held(recipe)}
        said = [output.get("format", "gif"), output.get("fps", fps.value), output.get("size", "1x")]
        controls.film_output(*said)
        named = {name: given[name] for name in ("direction", "low", "high", "frames", "edits", "apart")}

        def begin(reference, known, own):
            return jobs.slid(reference, known, {**named, **own})

        for update in handlers.lay(visitor, recipe, given, begin):
            laid = update
        values = [given["direction"], given["low"], given["high"], given["frames"], *said]
        laid |= {c: gr.update(value=v) for c, v in zip(controls_of, values, strict=True)}
        for update in made(state_of(visitor), *values):
            yield laid | update

    controls_of = [direction, low, high, frames, kind, fps, size]
    session = book.chooser.session
    cell.makes([strip, picture, video], [*controls_of, handlers.part["status"]])
    cell.on(cell.run_button.click, od_slide, [session, *controls_of], out, api_name="od_slide", api_description=API)
    handlers.writes(cell.loads("out_of_domain.slide", load, [*handlers.everything, *controls_of, *out]), session)
    cell.stops()
    cell.finish()
    return cell


def named(state, name) -> str:
    """The direction that is meant, in whichever case it was written; the first one edited where none is."""
    if name:
        alike = {n.lower().replace("_", " "): n for n in state.names}
        return alike.get(str(name).strip().lower().replace("_", " "), name)
    chosen = next((n for n, v in state.wanted.items() if v), None)
    if chosen is None:
        raise UserError("Nothing is to be changed; tick something in the first cell, or name a direction.")
    return chosen
