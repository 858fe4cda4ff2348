"""Strokes for a first look with one click. Places are shares of the picture's side, so that they suit any network."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from ... import canvas

CELLS = 256
RED = (205, 40, 34)


def colour(size: int) -> dict:
    """A red stroke across the middle."""
    image = Image.new("RGBA", (CELLS, CELLS))
    ImageDraw.Draw(image).line(_at((0.32, 0.5), (0.66, 0.54)), fill=(*RED, 255), width=round(0.13 * CELLS))
    return canvas.drawn((size, size), layers={"colour": canvas.Layer.of(image)}, patches=())


def line(size: int) -> dict:
    """An arch over the middle."""
    image = Image.new("L", (CELLS, CELLS))
    (box_from, box_to) = _at((0.2, 0.22), (0.72, 0.86))
    ImageDraw.Draw(image).arc([*box_from, *box_to], 190, 340, fill=255, width=round(0.03 * CELLS))
    cells = (np.asarray(image) > 0).astype(np.uint8)
    return canvas.drawn((size, size), layers={"sketch": canvas.Layer(cells)}, patches=())


def push(size: int) -> dict:
    """The middle, pushed upwards."""
    side = max(3, round(0.28 * size))
    x, y, to = (round(v * size) + (side % 2 - 1) / 2 for v in (0.48, 0.46, 0.36))
    return canvas.drawn((size, size), patches=[canvas.Patch((x, y), (x, to), side)])


def _at(*places: tuple[float, float]) -> list[tuple[float, float]]:
    return [(x * CELLS, y * CELLS) for x, y in places]


EXAMPLES = {"red": ("a red stroke", colour), "line": ("a line", line), "push": ("a push", push)}
