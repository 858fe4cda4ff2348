"""Cell 3: one attribute from one end to the other, as a strip and as an animation."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from ... import controls
from ...notebook import Cell, Notebook
from ...slides import Slide
from . import jobs
from .batch import wishes
from .display import state_of
from .handlers import Handlers
from .text import code, recipe_for

PROSE = r"""
In the paper training tells the decoder only *yes* and *no*, $+0.5$ and $-0.5$, and it makes sense of what lies between
and beyond. Ours was shown everything from faint to full, $-1$ to $1$; what is further out is its own idea. What else is
changed in the first cell stays changed.
"""
API = """One attribute of the face of this session from one intensity to another. Gives the strip, then the animation
as a picture (GIF, WebP) or as a video (MP4), what ran, the Python that repeats it, the file, the recipe and the news.

Args:
    attribute: such as Young.
    low, high: intensities, -2 to 2.
    frames: of the animation, 2 to 200.
    format: gif, webp or mp4.
    fps: frames per second, 1 to 60.
    size: 1x, 2x, 4x, or the pixels of the longer side.
"""


def build(book: Notebook, handlers: Handlers) -> Cell:
    from weights.attributes import ATTRS

    with book.cell("slide", "One attribute, step by step", PROSE) as cell:
        with cell.controls("Make the animation", stop="always"):
            gr.Markdown("The face is the one above.", elem_classes="nb-hint")
            attribute = gr.Dropdown(
                [(name.replace("_", " ").lower(), name) for name in ATTRS],
                value="Young",
                label="Attribute",
                allow_custom_value=True,
                elem_id=cell.id("attribute"),
            )
            slide = Slide(cell, 2, -1.5, 1.5, step=0.05, frames=40, fps=20)
        slide.results()
    out = slide.outputs

    def attgan_slide(
        visitor, attribute, low=-1.5, high=1.5, frames=40, format="gif", fps=20, size="1x"
    ) -> Iterator[dict]:
        state = state_of(visitor)
        yield from made(state.face(), state.wanted, attribute, low, high, frames, format, fps, size)

    def made(found, wanted, attribute, low, high, frames, kind, fps, size) -> Iterator[dict]:
        from pipelines import attgan

        output = controls.film_output(kind, fps, size)
        others = {name: value for name, value in wanted.items() if name != attribute}
        arguments = {"attribute": attribute, "low": low, "high": high, "frames": frames, "attributes": others}
        call = f"result = list(attgan.slide(net, face, {', '.join(f'{k}={v!r}' for k, v in arguments.items())}))"
        yield from slide.film(
            jobs.slide(found.reference, found.face, arguments),
            attribute,
            (low, high),
            frames,
            output,
            lambda: recipe_for("attgan.slide", found, arguments, output),
            found,
            attgan.shown(attribute),
            lambda save: code(found, [call], save),
        )

    def load(visitor, recipe) -> Iterator[dict]:
        photo, found = yield from handlers.held(visitor, recipe, cell.news)
        output, given = recipe.output or {}, {"low": -2.0, "high": 2.0, "frames": 9, **recipe.arguments}
        others = wishes(given.get("attributes") or {})
        values = [given["attribute"], given["low"], given["high"], given["frames"]]
        values += [output.get("format", "gif"), output.get("fps", 20), output.get("size", "1x")]
        laid = None
        for shown in made(found, others, *values):
            if laid is None:  # by now it is known that the recipe's values are sound
                laid = handlers.lay(visitor, photo, found, others)
                laid |= {c: gr.update(value=v) for c, v in zip(controls_of, values, strict=True)}
            yield laid | shown

    controls_of = [attribute, *slide.controls]
    cell.makes(slide.pictures, [*controls_of, handlers.part["status"]])
    inputs = [book.chooser.session, *controls_of]
    cell.on(cell.run_button.click, attgan_slide, inputs, out, api_name="attgan_slide", api_description=API)
    cell.shows_itself(attgan_slide, inputs, out)
    loaded = cell.loads("attgan.slide", load, [*handlers.everything, *controls_of, *out])
    handlers.writes(loaded, book.chooser.session)
    cell.stops()
    cell.finish()
    return cell
