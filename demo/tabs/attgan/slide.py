"""Cell 3: one attribute from one end to the other, as a strip and as an animation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from ... import controls, gpu, results
from ...controls import kinds
from ...networks import size_text
from ...notebook import PREVIEW_S, Cell, Notebook, going, note
from ...pictures import enlarged
from ...results import Result
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
STRIP = 7  # pictures of the strip
TILE = 144


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
            with gr.Row(elem_classes="nb-two"):
                low = gr.Slider(-2, 2, -1.5, step=0.05, label="From", elem_id=cell.id("low"), min_width=0)
                high = gr.Slider(-2, 2, 1.5, step=0.05, label="To", elem_id=cell.id("high"), min_width=0)
            with gr.Row(elem_classes="nb-two"):
                frames = gr.Slider(2, 200, 40, step=1, label="Frames, one way", elem_id=cell.id("frames"), min_width=0)
                fps = gr.Slider(1, 60, 20, step=1, label="Frames a second", elem_id=cell.id("fps"), min_width=0)
            kind = gr.Radio(kinds(), value="gif", label="File", elem_id=cell.id("format"))
            size = controls.file_size(cell)
        with cell.result("Animation file"):
            strip = controls.picture(cell, "strip", "From one end to the other")
            picture, video = controls.film(cell)
    shown = [strip, picture, video, cell.status, cell.code, cell.sheet, cell.recipe, cell.news]

    def attgan_slide(
        visitor, attribute, low=-1.5, high=1.5, frames=40, format="gif", fps=20, size="1x"
    ) -> Iterator[dict]:
        state = state_of(visitor)
        yield from made(state.face(), state.wanted, attribute, low, high, frames, format, fps, size)

    def made(found, wanted, attribute, low, high, frames, kind, fps, size) -> Iterator[dict]:
        from pipelines import animation

        output = controls.film_output(kind, fps, size)
        began, told = time.perf_counter(), 0.0
        others = {name: value for name, value in wanted.items() if name != attribute}
        arguments = {"attribute": attribute, "low": low, "high": high, "frames": frames, "attributes": others}
        pictures = []
        with closing(jobs.slide(found.reference, found.face, arguments)) as steps:
            for image in steps:
                pictures.append(image)
                if time.perf_counter() - told > gpu.pace(PREVIEW_S):
                    told = time.perf_counter()
                    yield {
                        picture: enlarged(image),
                        video: None,
                        cell.news: going(f"{len(pictures)} of {frames} frames"),
                    }
        with results.folder() as folder:
            recipe = recipe_for("attgan.slide", found, arguments, output)
            kept = Result(pictures, {}, recipe, recipe.arguments, Path(folder))
            # There and back, so that it does not jump where it begins again.
            film = [enlarged(image) for image in (*pictures, *pictures[-2:0:-1])]
            path = animation.save(film, kept.file("slide", attribute, ending=kind), fps=fps, size=size)
            places = np.linspace(0, len(pictures) - 1, min(STRIP, len(pictures))).round().astype(int)
            captions = [f"{low + (high - low) * i / (len(pictures) - 1):+.1f}" for i in places]
            row = animation.strip(
                [pictures[i].resize((TILE, TILE), Image.Resampling.BICUBIC) for i in places], captions
            )
            note_of = kept.file("slide-recipe", ending="json")
            note_of.write_text(recipe.to_json(), encoding="utf-8")
            seconds = time.perf_counter() - began
            amount = size_text(path.stat().st_size)
            call = f"result = list(attgan.slide(net, face, {', '.join(f'{k}={v!r}' for k, v in arguments.items())}))"
            save = f'animation.save(result, "animation.{kind}", fps={fps!r}, size={size!r})'
            yield {
                strip: kept.save(row, "strip"),
                picture: None if kind == "mp4" else str(path),
                video: str(path) if kind == "mp4" else None,
                cell.status: note(
                    f"{len(film)} frames there and back, {amount} · {found.title} · {seconds:.2f} s on {found.device}",
                    "nb-ran",
                ),
                cell.code: code(found, [call], save),
                cell.sheet: str(path),
                cell.recipe: str(note_of),
            }

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

    controls_of = [attribute, low, high, frames, kind, fps, size]
    cell.makes([strip, picture, video], [*controls_of, handlers.part["status"]])
    inputs = [book.chooser.session, *controls_of]
    cell.on(cell.run_button.click, attgan_slide, inputs, shown, api_name="attgan_slide", api_description=API)
    cell.shows_itself(attgan_slide, inputs, shown)
    loaded = cell.loads("attgan.slide", load, [*handlers.everything, *controls_of, *shown])
    handlers.writes(loaded, book.chooser.session)
    cell.stops()
    cell.finish()
    return cell
