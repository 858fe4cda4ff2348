"""Cell 3: what the network sees at a point, and where else it sees the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
from PIL import Image

from weights.errors import UserError

from ... import canvas, controls, networks, results, running
from ...notebook import Cell, Notebook, note
from ...results import Result
from .display import state_of
from .handlers import Handlers

PROSE = r"""
How does it know that a mouth is still that mouth when it has moved? Not by its colours. On its way to the picture the
network makes a *feature map* $F$: for every place a long list of numbers, of which the three that differ most are shown
here as red, green and blue. Hair is like hair there, and a corner of a mouth like the other one. *Likeness* compares
one place with all others. With that a drag does two things in turn:

$$\mathcal L = \sum_i \sum_{q \in \Omega_1(p_i)} \bigl\| F(q) - F(q + d_i) \bigr\|_1
  + \lambda \bigl\| (F - F_0)(1 - M) \bigr\|_1
\qquad
p_i \leftarrow \arg\min_{q \in \Omega_2(p_i)} \bigl\| F(q) - f_i \bigr\|_1 .$$

First the latent $w^+$ takes a step down the slope of $\mathcal L$: within $r_1$ around every point $p_i$ the features a
little way along the arrow, $d_i$, should become what they are at the point; what the mask $M$ holds should stay. Then
the point is looked for again, within $r_2$, where the features are most like those it began with, $f_i$.
"""

API = """The feature map in which a point of the present picture of this session is searched for. Gives the picture,
the feature map and the likeness as PNG, what ran, the code, the three as one PNG and the recipe.

Args:
    drawing: a drawing as /draggan_drag takes it, whose first handle is the point; without one it is the middle.
    feature_resolution: pixels of the feature map as text; empty: as the drags have it.
"""


def build(book: Notebook, handlers: Handlers) -> Cell:
    with book.cell("look", "What the network looks at", PROSE) as cell:
        with cell.controls("Look", stop=None):
            gr.Markdown("The picture is the one above, the place its point 1.", elem_classes="nb-hint")
            size = controls.optional(cell, "features", "Feature map, px", placeholder="as the drags have it")
        with cell.result("The three · PNG"):
            with gr.Row(elem_classes="nb-looks"):
                pictures = [
                    controls.picture(cell, name, words)
                    for name, words in (
                        ("the-picture", "The picture, with the point"),
                        ("feature-map", "Feature map: its three main components as red, green and blue"),
                        ("likeness", "Likeness to the point: from the least (black) to the same (yellow)"),
                    )
                ]
    shown = [*pictures, cell.status, cell.code, cell.sheet, cell.recipe, cell.news]
    session = book.chooser.session

    def draggan_look(visitor, drawing=None, feature_resolution=None) -> Iterator[dict]:
        state = state_of(visitor)
        drawn = canvas.read(drawing)
        if state.start is None:
            raise UserError("There is no picture yet; show one in the cell above first.")
        x, y = drawn.points[0].handle if drawn.points else ((state.start.resolution - 1) / 2,) * 2
        arguments = {"x": x, "y": y, **state.made()}
        resolution = controls.number_or_none(feature_resolution, "The feature map")
        if resolution is not None:
            arguments["feature_resolution"] = resolution
        yield from carry_out(state.start.reference, arguments)

    def load(visitor, recipe) -> Iterator[dict]:
        reference = networks.resolve(visitor, recipe.checkpoint, book.chooser.technique)
        size_now = recipe.arguments.get("feature_resolution")
        for made in carry_out(reference, recipe.arguments, recipe.sha256):
            yield {**made, size: gr.update(value="" if size_now is None else str(size_now))}

    def carry_out(reference, arguments: dict, sha256: str | None = None) -> Iterator[dict]:
        from pipelines import animation

        for far in networks.fetching(reference):
            yield {cell.news: far}
        began, start = time.perf_counter(), None
        with results.folder() as folder:
            for event in running.run(running.PipelineCall(reference, "features.look", arguments, sha256=sha256)):
                if isinstance(event, running.Started):
                    start = event
                elif isinstance(event, running.Finished):
                    made = Result(event.value, {}, start.recipe, start.recipe.arguments, Path(folder))
                    look = event.value
                    images = [marked(look.image, arguments), look.colours, look.likeness]
                    recipe = made.file("look-recipe", ending="json")
                    recipe.write_text(start.recipe.to_json(), encoding="utf-8")
                    ran = (
                        f"{look.resolution} × {look.resolution} places of {look.channels} numbers · {start.title} · "
                        f"{time.perf_counter() - began:.2f} s on {start.device}"
                    )
                    sheet = animation.strip([image.resize((384, 384), Image.Resampling.NEAREST) for image in images])
                    names = ("picture", "features", "likeness")
                    files = [made.save(image, name) for image, name in zip(images, names, strict=True)]
                    rest = (note(ran, "nb-ran"), start.recipe.code(), made.save(sheet, "look"), str(recipe), "")
                    yield dict(zip(shown, (*files, *rest), strict=True))

    first, network = handlers.part, book.chooser.network
    cell.makes(pictures, [size, network, *(first[name] for name in ("seed", "truncation_psi", "board", "status"))])
    inputs, shown_on = [session, first["board"], size], {"show_progress_on": pictures}
    cell.on(
        cell.run_button.click, draggan_look, inputs, shown, api_name="draggan_look", api_description=API, **shown_on
    )
    cell.shows_itself(draggan_look, inputs, shown, **shown_on)
    cell.loads("features.look", load, [*shown, size], **shown_on)
    cell.finish()
    return cell


def marked(image: Image.Image, arguments: dict) -> Image.Image:
    """The picture with the point in it."""
    from pipelines import draggan

    point = (arguments["x"], arguments["y"])
    return draggan.draw(image, [point], [point], size=384)
