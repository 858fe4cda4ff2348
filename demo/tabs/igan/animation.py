"""The way from the first picture to what was found: played on the pad, as a film, and everything in one file."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gradio as gr
from PIL import Image

from weights.errors import UserError

from ... import canvas, controls, networks, results
from ...lifecycle import going, note
from . import jobs
from .display import state_of, write
from .handlers import Handlers
from .state import State
from .text import recipe_of

STEPS = 16  # of Play
BEAT_S = 0.07  # seconds between two of its pictures
KEPT_SIDE = 512  # of pictures that are kept for the slider
LEAST = 256  # pixels of a film


class Film:
    """Functions for events, beside those of ``hands``."""

    def __init__(self, handlers: Handlers):
        self.handlers, self.part = handlers, handlers.part

    def ends(self, state: State) -> tuple:
        state.opened()
        if state.candidate is None and not state.rounds:
            raise UserError("There is nothing to play yet; paint something first.")
        return state.beginning, state.latent

    def frames(self, state: State) -> Iterator[Image.Image]:
        """Seventeen pictures, the first and the last included; they are made once."""
        ends = self.ends(state)
        if state.frames is None or state.frames[0] != ends:
            kept = []
            with closing(jobs.between(state.start.reference, *ends, STEPS + 1)) as made:
                for image in made:
                    kept.append(small(image))
                    yield kept[-1]
            state.frames = (ends, kept)
        else:
            yield from state.frames[1]

    def play(self, visitor) -> Iterator[dict]:
        """From the first picture to what was found, on the pad."""
        state = state_of(visitor)
        number, told_at = state.number, 0.0
        for i, image in enumerate(self.frames(state)):
            time.sleep(max(0.0, BEAT_S - (time.perf_counter() - told_at)))
            told_at = time.perf_counter()
            if state.number != number:  # somebody paints on
                return
            yield self.at(state, image, i) | {self.part["play"]: gr.update(value=i)}

    def slide(self, visitor, place) -> Iterator[dict]:
        """One of the pictures on the way."""
        state = state_of(visitor)
        if place is None or not 0 <= place <= STEPS:
            raise UserError(f"The place on the way is a number from 0 to {STEPS}.")
        if state.start is None or (state.candidate is None and not state.rounds):
            return
        pictures = list(self.frames(state))
        yield self.at(state, pictures[round(place)], round(place))

    def at(self, state: State, image: Image.Image, place: int) -> dict:
        if place == STEPS:
            return self.handlers.shown(state)
        words = f"{state.start.about}: step {place} of {STEPS} on the way"
        shown = image if image.size == state.start.size else image.resize(state.start.size, Image.Resampling.BICUBIC)
        return {self.part["board"]: gr.update(frame=canvas.frame(shown, words, passing=True))}

    def animate(self, visitor, frames, kind, fps, size="1x") -> Iterator[dict]:
        """The way as a file."""
        from pipelines import checks
        from pipelines.recipes import Recipe

        state = state_of(visitor)
        frames = checks.integer(frames, "The number of frames", 2, 240)
        output = controls.film_output(kind, fps, size or "1x")
        first, last = self.ends(state)
        start = state.start
        recipe = Recipe(
            "igan.interpolate",
            start.checkpoint,
            start.sha256,
            {"z0": first, "z1": last, "frames": frames},
            output,
        )
        recipe.check()
        pictures = []
        with results.folder() as folder, closing(jobs.between(start.reference, first, last, frames)) as made:
            for image in made:
                pictures.append(image)
                yield {self.part["film_news"]: going(f"{len(pictures)} of {frames} frames")}
            factor = max(1, LEAST // start.resolution)
            side = tuple(v * factor for v in start.size)
            larger = [p.resize(side, Image.Resampling.BICUBIC) if factor > 1 else p for p in pictures]
            # There and back, so that it does not jump where it begins again, with a moment's rest at both ends.
            rest = max(1, round(fps / 3))
            turned = [*larger[:1] * rest, *larger, *larger[-1:] * rest, *larger[-2:0:-1]]
            name = f"{start.checkpoint.split('/')[-1].replace(':', '-')}-way"
            file = Path(folder) / f"{name}.{kind}"
            path = str((yield from results.written(turned, file, self._film_news, fps=fps, size=size or "1x")))
            film = kind == "mp4"
            words = f"{len(turned)} frames there and back, {networks.size_text(Path(path).stat().st_size)}"
            yield {
                self.part["film"]: None if film else path,
                self.part["video"]: path if film else None,
                self.part["file"]: gr.update(value=path, visible=True),
                self.part["film_news"]: note(words),
            }

    def _film_news(self, words: str) -> dict:
        return {self.part["film_news"]: note(words)}

    def save(self, visitor) -> Iterator[dict]:
        """The picture, its latent, the recipe and the candidates in one file."""
        state = state_of(visitor)
        if state.candidate is None and state.rounds and state.fixed:
            recipe, candidates = state.fixed  # nothing was painted since: the picture is the one that was fixed
        else:
            recipe, candidates = recipe_of(state), state.candidates  # says so when nothing was painted
        with results.folder() as folder:
            there = write(state, Path(folder), recipe)
            path = there["sheet"].with_suffix(".zip")
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
                for file in there.values():
                    packed.write(file, file.name)
                for i, candidate in enumerate(candidates):
                    packed.writestr(f"candidates/{i + 1:02d}.png", png(candidate.image))
            yield {self.part["save_file"]: str(path)}


def small(image: Image.Image) -> Image.Image:
    if max(image.size) <= KEPT_SIDE:
        return image
    return image.resize((KEPT_SIDE, KEPT_SIDE), Image.Resampling.LANCZOS)


def png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()
