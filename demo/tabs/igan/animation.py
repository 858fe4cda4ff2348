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

from ... import canvas, networks, results
from ...notebook import note, told
from . import jobs
from .handlers import Hands, desk_of, write
from .state import Desk
from .text import recipe_of

STEPS = 16  # of Play
BEAT_S = 0.07  # seconds between two of its pictures
KEPT_SIDE = 512  # of pictures that are kept for the slider
LEAST = 256  # pixels of a film


class Film:
    """Functions for events, beside those of ``hands``."""

    def __init__(self, hands: Hands):
        self.hands, self.part = hands, hands.part

    def ends(self, desk: Desk) -> tuple:
        desk.opened()
        if desk.candidate is None and not desk.rounds:
            raise UserError("There is nothing to play yet; paint something first.")
        return desk.beginning, desk.latent

    def frames(self, desk: Desk) -> Iterator[Image.Image]:
        """Seventeen pictures, the first and the last included; they are made once."""
        ends = self.ends(desk)
        if desk.frames is None or desk.frames[0] != ends:
            kept = []
            with closing(jobs.between(desk.start.reference, *ends, STEPS + 1)) as made:
                for image in made:
                    kept.append(small(image))
                    yield kept[-1]
            desk.frames = (ends, kept)
        else:
            yield from desk.frames[1]

    @told
    def play(self, visitor) -> Iterator[dict]:
        """From the first picture to what was found, on the pad."""
        desk = desk_of(visitor)
        number, told_at = desk.number, 0.0
        for i, image in enumerate(self.frames(desk)):
            time.sleep(max(0.0, BEAT_S - (time.perf_counter() - told_at)))
            told_at = time.perf_counter()
            if desk.number != number:  # somebody paints on
                return
            yield self.at(desk, image, i) | {self.part["play"]: gr.update(value=i)}

    @told
    def slide(self, visitor, place) -> Iterator[dict]:
        """One of the pictures on the way."""
        desk = desk_of(visitor)
        if place is None or not 0 <= place <= STEPS:
            raise UserError(f"The place on the way is a number from 0 to {STEPS}.")
        if desk.start is None or (desk.candidate is None and not desk.rounds):
            return
        pictures = list(self.frames(desk))
        yield self.at(desk, pictures[round(place)], round(place))

    def at(self, desk: Desk, image: Image.Image, place: int) -> dict:
        if place == STEPS:
            return self.hands.shown(desk)
        words = f"{desk.start.about}: step {place} of {STEPS} on the way"
        shown = image if image.size == desk.start.size else image.resize(desk.start.size, Image.Resampling.BICUBIC)
        return {self.part["board"]: gr.update(frame=canvas.frame(shown, words, passing=True))}

    @told
    def animate(self, visitor, frames, kind, fps) -> Iterator[dict]:
        """The way as a file."""
        from pipelines import animation, checks
        from pipelines.recipes import Recipe

        desk = desk_of(visitor)
        frames = checks.integer(frames, "The number of frames", 2, 240)
        checks.number(fps, "Frames a second", 1, 60)
        checks.choice(kind, "The file", animation.formats())
        first, last = self.ends(desk)
        start = desk.start
        recipe = Recipe(
            "igan.interpolate",
            start.checkpoint,
            start.sha256,
            {"z0": first, "z1": last, "frames": frames},
            {"format": kind, "fps": fps},
        )
        recipe.check()
        pictures = []
        with results.folder() as folder, closing(jobs.between(start.reference, first, last, frames)) as made:
            for image in made:
                pictures.append(image)
                yield {self.part["film_news"]: note(f"{len(pictures)} of {frames} frames")}
            factor = max(1, LEAST // start.resolution)
            size = tuple(v * factor for v in start.size)
            larger = [p.resize(size, Image.Resampling.BICUBIC) if factor > 1 else p for p in pictures]
            # There and back, so that it does not jump where it begins again, with a moment's rest at both ends.
            rest = max(1, round(fps / 3))
            turned = [*larger[:1] * rest, *larger, *larger[-1:] * rest, *larger[-2:0:-1]]
            name = f"{start.checkpoint.split('/')[-1].replace(':', '-')}-way"
            path = str(animation.save(turned, Path(folder) / f"{name}.{kind}", fps=fps))
            film = kind == "mp4"
            words = f"{frames} frames there, as many back, {networks.size_text(Path(path).stat().st_size)}"
            yield {
                self.part["film"]: None if film else path,
                self.part["video"]: path if film else None,
                self.part["file"]: gr.update(value=path, visible=True),
                self.part["film_news"]: note(words),
            }

    @told
    def save(self, visitor) -> Iterator[dict]:
        """The picture, its latent, the recipe and the candidates in one file."""
        desk = desk_of(visitor)
        recipe_of(desk)  # says so when nothing was painted
        with results.folder() as folder:
            there = write(desk, Path(folder))
            path = there["sheet"].with_suffix(".zip")
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
                for file in there.values():
                    packed.write(file, file.name)
                for i, candidate in enumerate(desk.candidates):
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
