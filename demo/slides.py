"""One quantity from one end to the other, as a strip and as an animation: cells of AttGAN and of out of domain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from . import controls, gpu, results
from .networks import size_text
from .notebook import PREVIEW_S, Cell, going, note
from .pictures import enlarged
from .results import Result

STRIP = 7  # pictures of the strip
TILE = 144  # px


class Slide:
    """The controls of such a cell, which are made inside of ``cell.controls``, and its results.

    Args:
        limit: the sliders go from its negative to it.
        low, high, frames, fps: what they stand at.
    """

    def __init__(self, cell: Cell, limit: float, low: float, high: float, step: float, frames: int, fps: int):
        self.cell = cell
        with gr.Row(elem_classes="nb-two"):
            ends = [
                gr.Slider(-limit, limit, value, step=step, label=label, elem_id=cell.id(name), min_width=0)
                for name, label, value in (("low", "From", low), ("high", "To", high))
            ]
        with gr.Row(elem_classes="nb-two"):
            self.frames = gr.Slider(
                2, 200, frames, step=1, label="Frames, one way", elem_id=cell.id("frames"), min_width=0
            )
            self.fps = gr.Slider(1, 60, fps, step=1, label="Frames a second", elem_id=cell.id("fps"), min_width=0)
        kind = gr.Radio(controls.kinds(), value="gif", label="File", elem_id=cell.id("format"))
        self.controls = [*ends, self.frames, kind, self.fps, controls.file_size(cell)]

    def results(self) -> None:
        """Makes what shows the strip and the film."""
        with self.cell.result("Animation file"):
            self.strip = controls.picture(self.cell, "strip", "From one end to the other")
            self.picture, self.video = controls.film(self.cell)
        self.pictures = [self.strip, self.picture, self.video]

    @property
    def outputs(self) -> list:
        """All that a run writes to, once the cell is whole."""
        cell = self.cell
        return [*self.pictures, cell.status, cell.code, cell.sheet, cell.recipe, cell.news]

    def film(
        self,
        steps: Iterable[Image.Image],
        name: str,
        ends: tuple[float, float],
        count: int,
        output: dict[str, Any],
        recipe: Callable,
        found,
        words: str,
        code: Callable[[str], str],
    ) -> Iterator[dict]:
        """Frames as they come, then the strip, the film there and back, and what can be taken away.

        Args:
            steps: ``count`` pictures; closed when the visitor stops.
            name: of what changes, for the file.
            ends: its values at the first and the last picture.
            output: of ``controls.film_output``.
            recipe: gives what the pictures were made with.
            found: the face, for the network's ``title`` and its ``device``.
            words: what changes, for readers.
            code: the Python that repeats it, around the line that saves the film.
        """
        from pipelines import animation

        began, told, pictures = time.perf_counter(), 0.0, []
        with closing(steps):
            for image in steps:
                pictures.append(image)
                if time.perf_counter() - told > gpu.pace(PREVIEW_S):
                    told = time.perf_counter()
                    far = going(f"{len(pictures)} of {count} frames")
                    yield {self.picture: enlarged(image), self.video: None, self.cell.news: far}
        kind, saved = output["format"], {"fps": output["fps"], "size": output.get("size", "1x")}
        with results.folder() as folder:
            made_with = recipe()
            kept = Result(pictures, {}, made_with, made_with.arguments, Path(folder))
            # There and back, so that it does not jump where it begins again.
            frames = [enlarged(image) for image in (*pictures, *pictures[-2:0:-1])]
            path = animation.save(frames, kept.file("slide", name, ending=kind), **saved)
            places = np.linspace(0, len(pictures) - 1, min(STRIP, len(pictures))).round().astype(int)
            values = np.linspace(*ends, len(pictures))
            row = animation.strip(
                [pictures[i].resize((TILE, TILE), Image.Resampling.BICUBIC) for i in places],
                [f"{values[i]:+.1f}" for i in places],
            )
            note_of = kept.file("slide-recipe", ending="json")
            note_of.write_text(made_with.to_json(), encoding="utf-8")
            said = f"{words}, {len(frames)} frames there and back, {size_text(path.stat().st_size)} · {found.title}"
            said += f" · {time.perf_counter() - began:.2f} s on {found.device}"
            film = str(path)
            yield {
                self.strip: kept.save(row, "strip"),
                self.picture: None if kind == "mp4" else film,
                self.video: film if kind == "mp4" else None,
                self.cell.status: note(said, "nb-ran"),
                self.cell.code: code(
                    f'animation.save(result, "animation.{kind}", fps={saved["fps"]!r}, size={saved["size"]!r})'
                ),
                self.cell.sheet: film,
                self.cell.recipe: str(note_of),
            }
