"""Cell 2: every attribute turned over, one at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
from PIL import Image

from ... import controls, results
from ...notebook import Cell, Notebook, note
from ...results import Result
from . import jobs
from .display import state_of
from .handlers import Handlers
from .text import code, recipe_for

PROSE = """
The same face thirteen times, each with one attribute flipped: what it had it loses, what it lacked it gets. First
the reconstruction, with nothing changed: whatever differs there from the photograph is the network's doing, not the
attribute's. The face is encoded once for all of them.
"""
API = """Every attribute of the face of this session flipped. Gives pictures with captions (the reconstruction
first), what ran, the Python that repeats it, all of them as one PNG, the recipe, and the news.

Args:
    intensity: 0 to 2; 1 is usual.
"""
TILE = 192
# What a face without an attribute is called, where it is not "no" and its name.
LOST = {
    "Bald": "not bald",
    "Male": "not male",
    "Mouth_Slightly_Open": "mouth closed",
    "No_Beard": "beard",
    "Young": "not young",
}


def build(book: Notebook, handlers: Handlers) -> Cell:
    with book.cell("flips", "Every attribute, one at a time", PROSE) as cell:
        with cell.controls("Flip each", stop=None):
            gr.Markdown("The face is the one above.", elem_classes="nb-hint")
            intensity = gr.Slider(0, 2, 1, step=0.05, label="How strongly", elem_id=cell.id("intensity"))
        with cell.result():
            gallery = controls.tiles(cell, "gallery", "Reconstruction, then each attribute flipped")
    shown = [gallery, cell.status, cell.code, cell.sheet, cell.recipe, cell.news]

    def attgan_flips(visitor, intensity=1.0) -> Iterator[dict]:
        yield from made(state_of(visitor).face(), intensity)

    def made(found, intensity) -> Iterator[dict]:
        from pipelines import animation, attgan

        began = time.perf_counter()
        pictures = jobs.flips(found, intensity)
        seconds = time.perf_counter() - began
        with results.folder() as folder:
            recipe = recipe_for("attgan.flips", found, {"intensity": intensity})
            kept = Result(pictures, {}, recipe, recipe.arguments, Path(folder))
            turned = [
                LOST.get(n, f"no {attgan.shown(n)}") if has else attgan.shown(n) for n, has in found.face.has.items()
            ]
            captions = [attgan.RECONSTRUCTION.lower(), *turned]
            sheet = animation.strip(
                [image.resize((TILE, TILE), Image.Resampling.BICUBIC) for image in pictures.values()], captions
            )
            path = kept.file("flips-recipe", ending="json")
            path.write_text(recipe.to_json(), encoding="utf-8")
            ran = f"{len(pictures)} pictures · {found.title} · {seconds:.2f} s on {found.device}"
            yield {
                gallery: kept.save_all(list(pictures.values()), captions),
                cell.status: note(ran, "nb-ran"),
                cell.code: code(found, [f"result = attgan.flips(net, face, {intensity!r})"]),
                cell.sheet: kept.save(sheet, "flips"),
                cell.recipe: str(path),
            }

    def load(visitor, recipe) -> Iterator[dict]:
        photo, found = yield from handlers.held(visitor, recipe, cell.news)
        strongly = recipe.arguments.get("intensity", 1.0)
        for shown in made(found, strongly):
            yield handlers.lay(visitor, photo, found) | {intensity: gr.update(value=strongly)} | shown

    cell.makes([gallery], [intensity, handlers.part["status"]])
    inputs = [book.chooser.session, intensity]
    cell.on(cell.run_button.click, attgan_flips, inputs, shown, api_name="attgan_flips", api_description=API,
            show_progress_on=gallery)  # fmt: skip
    cell.shows_itself(attgan_flips, inputs, shown, show_progress_on=gallery)
    outputs = [*handlers.everything, intensity, *shown]
    handlers.writes(cell.loads("attgan.flips", load, outputs, show_progress_on=gallery), book.chooser.session)
    cell.finish()
    return cell
