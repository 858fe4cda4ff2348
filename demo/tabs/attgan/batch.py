"""Cell 4: the same change in many photographs, as a zip."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import gradio as gr
from PIL import Image

from weights.errors import UserError

from ... import controls, networks, results, uploads
from ...networks import size_text
from ...notebook import Cell, Notebook, going, note
from . import jobs
from .display import state_of
from .handlers import Handlers
from .text import summary_of

PROSE = """
What is ticked in the first cell, done to the most prominent face of each of many photographs. They come back whole, in
one zip; where no face is found, the list says so.
"""
API = """Changes attributes in many photographs. Gives pictures of the results, what ran, the zip, and the news.

Args:
    network: a checkpoint such as attgan/faces.
    photos: up to 50 photographs.
    changes: intensities by name, such as {"Eyeglasses": 1}; none: those of this session's face.
    local: true: only where the attribute lies; false: the network's whole picture, as in the paper.
"""
MOST = 50
TILE = 320
NO_FACE = "No face was found."  # nobody is there to choose the middle instead


def build(book: Notebook, handlers: Handlers) -> Cell:
    with book.cell("batch", "Many photographs", PROSE) as cell:
        with cell.controls("Change them all", stop="always"):
            photos = gr.File(
                label="Photographs",
                file_count="multiple",
                file_types=["image"],
                height=170,
                elem_id=cell.id("upload"),
                elem_classes="nb-upload",
            )
            changes = gr.JSON(None, visible=False, label="Changes")
        with cell.result("All of them · ZIP", recipes=False):
            gallery = controls.tiles(cell, "gallery", "The photographs, changed")

    def attgan_batch(visitor, network=None, photos=None, changes=None, local=True) -> Iterator[dict]:
        wanted = wishes(state_of(visitor).wanted if changes is None else changes)
        paths = [Path(path) for path in photos or []]
        if not paths:
            raise UserError("There are no photographs yet; choose some first.")
        if len(paths) > MOST:
            raise UserError(f"Up to {MOST} photographs at a time; there are {len(paths)}.")
        if not wanted:
            raise UserError("Nothing is to be changed; tick something in the first cell.")
        reference = networks.resolve(visitor, network, book.chooser.technique)
        for far in networks.fetching(reference):
            yield {cell.news: far}
        began, tiles, missed = time.perf_counter(), [], []
        with results.folder() as folder:
            path = Path(folder) / "changed.zip"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
                for i, (name, image, why) in enumerate(each(reference, paths, wanted, bool(local))):
                    if image is None:
                        missed.append(f"{name}: {why}")
                    else:
                        file = Path(folder) / f"{i + 1:02d}-{Path(name).stem[:150]}.png"
                        image.save(file, compress_level=1)
                        packed.write(file, file.name)
                        image.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
                        image.save(file)
                        tiles.append((str(file), name))
                    yield {gallery: list(tiles), cell.news: going(f"{i + 1} of {len(paths)}")}
            seconds = time.perf_counter() - began
            ran = f"{len(tiles)} of {len(paths)} changed: {summary_of(wanted)} · {size_text(path.stat().st_size)}"
            yield {
                gallery: tiles,
                cell.status: note(f"{ran} · {seconds:.1f} s", "nb-ran"),
                cell.sheet: str(path) if tiles else None,
                cell.code: code(reference, wanted, bool(local)),
                cell.news: note(" ".join(missed), "nb-error") if missed else "",
            }

    def each(reference, paths, wanted, local) -> Iterator:
        """One at a time, so that no more than one photograph is in memory."""
        from pipelines import faces

        for path in paths:
            try:
                photo = uploads.image(path)
            except UserError as error:
                yield path.name, None, str(error)
                continue
            with closing(jobs.many(reference, [(path.name, photo)], wanted, local)) as done:
                for name, image, why in done:
                    yield name, image, NO_FACE if why == faces.NO_FACE else why

    network = book.chooser.network
    cell.makes([gallery], [network, photos, handlers.part["status"]])
    inputs = [book.chooser.session, network, photos, changes, handlers.part["local"]]
    outputs = [gallery, cell.status, cell.code, cell.sheet, cell.news]
    cell.on(cell.run_button.click, attgan_batch, inputs, outputs, api_name="attgan_batch", api_description=API)
    cell.stops()
    cell.finish()
    return cell


def wishes(changes) -> dict[str, float]:
    """Intensities by name as numbers; whether the network has such names it finds out itself. Raises UserError."""
    from pipelines import attgan, checks

    if not isinstance(changes, Mapping):
        raise UserError("Attributes are given by name, such as Eyeglasses: 1.")
    most = attgan.MAX_INTENSITY
    return {
        str(name): checks.number(value, f"The intensity of {attgan.shown(name)}", -most, most)
        for name, value in changes.items()
    }


def code(reference: networks.Reference, wanted: dict[str, float], local: bool) -> str:
    """Python that does the same with every picture of a folder."""
    from pipelines.recipes import RUN_IN, SAVE

    load = 'weights.read("your-file")' if reference.sha256 else f'weights.load("{reference.name}")'
    return f"""{RUN_IN}
from pathlib import Path

import weights
from PIL import Image
from pipelines import attgan, faces, pictures

net = {load}
wanted, result = {wanted!r}, {{}}
for path in sorted(Path("your-photographs").iterdir()):
    photo = Image.open(path)
    aligned = faces.align(photo, crop=net.info.crop or "celeba", size=net.img_size or 128)
    face = attgan.encode(net, aligned.image, local={local})
    still, edit = attgan.edit(net, face, {{}}), attgan.edit(net, face, wanted)
    result[path.name] = attgan.paste(photo, aligned, face, still, edit, wanted)
{SAVE}
"""
