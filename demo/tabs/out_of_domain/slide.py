"""Cell 3: one direction from one strength to another, as a strip and as an animation."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from weights.errors import UserError

from ... import controls
from ...notebook import Cell, Notebook
from ...slides import Slide
from . import jobs
from .display import state_of
from .handlers import Handlers
from .text import call, code, recipe_for, shown

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
            slide = Slide(cell, 8, 0, 4, step=0.1, frames=24, fps=16)
        slide.results()
    out = slide.outputs

    def od_slide(
        visitor, direction="", low=0.0, high=4.0, frames=24, format="gif", fps=16, size="1x"
    ) -> Iterator[dict]:
        yield from made(state_of(visitor), direction, low, high, frames, format, fps, size)

    def made(state, name, low, high, frames, kind, fps, size) -> Iterator[dict]:
        found = state.ready()
        name = named(state, name)
        output = controls.film_output(kind, fps, size)
        arguments = {"direction": name, "low": low, "high": high, "frames": frames, **state.options()}
        arguments["edits"] = [pair for pair in arguments["edits"] if pair[0] != name]
        own = {"own": state.own} if state.own else {}
        yield from slide.film(
            jobs.slid(found.reference, state.known, {**arguments, **own}),
            name,
            (low, high),
            frames,
            output,
            lambda: recipe_for("out_of_domain.slide", state, arguments, output),
            found,
            shown(name),
            lambda save: code(state, [f"result = list({call('slide', state, arguments)})"], save),
        )

    def load(visitor, recipe) -> Iterator[dict]:
        output = recipe.output or {}
        given = {"low": 0.0, "high": 3.0, "frames": 24, "edits": [], "apart": False, **handlers.held(recipe)}
        said = [output.get("format", "gif"), output.get("fps", slide.fps.value), output.get("size", "1x")]
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

    controls_of = [direction, *slide.controls]
    session = book.chooser.session
    cell.makes(slide.pictures, [*controls_of, handlers.part["status"]])
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
