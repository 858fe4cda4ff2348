"""The cell that does all five things with one photograph."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gradio as gr

from weights.errors import UserError

from ... import controls, networks, results, tiles, uploads
from ...lifecycle import going, note, ran
from ...notebook import Cell, Notebook
from . import jobs

PROSE = """
What do the five papers make of the same face? Each does one thing that it is known for, in few steps. StyleGAN2 and
DragGAN show the network's own picture of the face, the other three the photograph with the change in it. Press a
picture to open its tab, with this photograph where the tab takes one.
"""
API = """What each of the five techniques makes of the face in a photograph. Yields while it runs; the last answer has
all pictures as one PNG, the Python that repeats it, what ran, the news and the pictures as the page shows them.

Args:
    photo: a photograph with a face in it.
"""
CODE = """
from PIL import Image
from pipelines import five_papers, pictures

photo = Image.open("your-photograph.png")
result = {one.technique: one.image for one in five_papers.five_papers(photo) if one.image is not None}
"""
SIDE = 256


def build(book: Notebook) -> Cell:
    with book.cell("five", "One face, five papers", PROSE) as cell:
        with cell.controls("Do all five", stop="always"):
            photo = controls.photograph(cell)
        with cell.result("All of them · PNG", recipes=False):
            board = tiles.board("What the five papers make of it", ["gt-large", "gt-papers"], elem_id=cell.id("papers"))

    def five_papers(visitor, photo) -> Iterator[dict]:
        yield from all_five(cell, board, visitor, photo)

    outputs = [cell.sheet, cell.code, cell.status, cell.news, board]
    cell.makes([board], [photo])
    inputs = [book.chooser.session, photo]
    cell.on(cell.run_button.click, five_papers, inputs, outputs, api_name="five_papers", api_description=API)
    cell.on(photo.upload, five_papers, inputs, outputs)
    cell.stops()
    cell.clears(photo, lambda visitor: iter([{board: gr.update(tiles=None), cell.news: "", **cell.cleared()}]), outputs)
    cell.finish()
    return cell


def all_five(cell: Cell, board: gr.HTML, visitor, photo) -> Iterator[dict]:
    from pipelines import animation
    from pipelines import five_papers as papers
    from pipelines.recipes import RUN_IN, SAVE

    if not photo:
        raise UserError("There is no photograph yet; choose one first.")
    picture = uploads.image(photo)
    references = {kind: networks.resolve(visitor, name, kind) for kind, name in papers.NETWORKS.items()}
    for reference in references.values():
        for far in networks.fetching(reference):
            yield {cell.news: far}
    began, found, waiting = time.perf_counter(), {}, list(papers.NAMES)
    yield {cell.news: going("Looking for the face")}
    with closing(jobs.five_papers(references, picture)) as steps:
        for result in steps:
            if result is None:
                continue
            found[result.technique] = result
            waiting.remove(result.technique)
            words = f"{len(found)} of {len(papers.NAMES)}" + (
                f": {papers.NAMES[waiting[0]]} is at work" if waiting else ""
            )
            yield {board: shown(found), cell.news: going(words)}
    there = [one for one in found.values() if one.image is not None]
    missing = [f"{papers.NAMES[one.technique]}: {one.words}" for one in found.values() if one.image is None]
    with results.folder() as folder:
        sheet = Path(folder) / "five-papers.png"
        captions = [papers.NAMES[one.technique] for one in there]
        animation.grid([[one.image for one in there]], captions=[captions]).save(sheet)
        yield {
            board: shown(found),
            cell.sheet: str(sheet),
            cell.code: RUN_IN + CODE + SAVE + "\n",
            cell.status: ran(f"{len(there) - 1} of 5 papers · {time.perf_counter() - began:.1f} s"),
            cell.news: note(" ".join(missing), "nb-error") if missing else "",
        }


def shown(found: dict) -> dict:
    from pipelines.five_papers import NAMES

    items = [
        tiles.Tile(name, one.image, f"{NAMES[name]}: {one.words}" if name != "photograph" else NAMES[name])
        for name, one in found.items()
        if one.image is not None
    ]
    return tiles.shown(items, columns=3, side=SIDE)
