"""Pictures of the toy: the square of latents beside its sheet, and what the discriminator says of the plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .toy_shapes import REACH

PAPER, DATA = (251, 250, 248), (190, 184, 175)
INK, RED, FAINT = (40, 36, 32), (217, 64, 31), (214, 209, 201)
TAKEN_FOR_DATA, TAKEN_FOR_MADE = (178, 216, 205), (250, 205, 178)  # where the discriminator is surest
CORNERS = np.array([[[217, 64, 31], [244, 170, 66]], [[66, 62, 140], [38, 150, 148]]], dtype=np.float64)
FINE = 4  # drawn so many times as large, and reduced: that smooths the edges
SUBDIVIDED = 4  # straight pieces of a line in each cell
PLANE = 48  # places a side where the discriminator is asked
ARROWS, LONGEST = 60, 0.3  # arrows that are drawn, and the length of the longest in the plane
FLAT = 0.02  # what is smaller is drawn small: certainty from 0 to 1, and slopes of the loss
HIGHEST = 2.5  # of the losses that are drawn


@dataclass(frozen=True)
class Seen:
    """What there is to see of a step.

    ``says`` [48 * 48] from 0 to 1 for ``Drawing.plane``; ``points`` and where they are pushed, [n, 2] each; ``losses``
    of the discriminator and the generator at each step so far, of ``steps`` in all.
    """

    says: np.ndarray
    points: np.ndarray
    pushes: np.ndarray
    losses: Sequence[tuple[float, float]]
    steps: int


class Drawing:
    """``grid`` [count², 2] and ``dots`` [n, 2] are the latents whose places in the plane ``picture`` wants."""

    def __init__(self, size: int, lines: int, data: np.ndarray, dots: Tensor):
        self.size, self.lines = size, lines
        self.side, self.unit = size * FINE, size * FINE / (2 * REACH)  # pixels, and how many make 1 of the plane
        self.count = lines * SUBDIVIDED + 1
        axis = torch.linspace(-1, 1, self.count)
        rows, columns = torch.meshgrid(axis, axis, indexing="ij")
        self.grid = torch.stack([columns, rows], dim=-1).reshape(-1, 2)  # one row of z after the other
        self.colours = _colours(self.grid.numpy()).reshape(self.count, self.count, 3)
        self.dot_colours = _rgb(_colours(dots.numpy()) * 0.72)
        self.paper = Image.new("RGB", (self.side, self.side), PAPER)
        self.square = self._panel(self.paper, self.grid.numpy() * 1.1, dots.numpy() * 1.1)
        self.data = data
        self._draw_dots(ImageDraw.Draw(self.paper), data, 0.016, [DATA] * len(data))
        across = (torch.arange(PLANE) + 0.5) * (2 * REACH / PLANE) - REACH
        y, x = torch.meshgrid(-across, across, indexing="ij")
        self.plane = torch.stack([x, y], dim=-1).reshape(-1, 2)  # from the upper left, row by row

    def picture(self, warped: np.ndarray, points: np.ndarray) -> Image.Image:
        """``warped`` is where the generator puts ``grid``, ``points`` where it puts ``dots``."""
        image = Image.new("RGB", (2 * self.size, self.size), PAPER)
        image.paste(self.square, (0, 0))
        image.paste(self._panel(self.paper, warped, points), (self.size, 0))
        return image

    def surface(self, seen: Seen) -> Image.Image:
        """What the discriminator says, with points and the way they are pushed; the losses beside it."""
        image = Image.new("RGB", (2 * self.size, self.size), PAPER)
        image.paste(self._said(seen), (0, 0))
        image.paste(self._curves(seen), (self.size, 0))
        return image

    def _said(self, seen: Seen) -> Image.Image:
        sure = (2 * seen.says - 1).reshape(PLANE, PLANE, 1)  # -1 made, 0 cannot tell, 1 data
        most = max(float(np.abs(sure).max()), FLAT)
        ends = np.where(sure > 0, TAKEN_FOR_DATA, TAKEN_FOR_MADE)
        ground = np.asarray(PAPER) + (ends - np.asarray(PAPER)) * np.abs(sure) / most
        ground = Image.fromarray(np.rint(ground).astype(np.uint8))
        ground = ground.resize((self.side, self.side), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(ground)
        self._draw_dots(draw, self.data, 0.016, [_rgb(np.asarray(DATA)[None] * 0.8)[0]] * len(self.data))
        self._draw_dots(draw, seen.points, 0.014, self.dot_colours)
        some = slice(None, None, max(1, len(seen.points) // ARROWS))
        ways = seen.pushes[some]
        ways = ways * (LONGEST / max(float(np.hypot(*ways.T).max()), FLAT))
        for start, way in zip(seen.points[some], ways, strict=True):
            self._arrow(draw, start, way)
        low, high = float(seen.says.min()), float(seen.says.max())
        words = f"taken for data: {100 * low:.0f} % to {100 * high:.0f} %"
        draw.text((0.03 * self.side, 0.97 * self.side), words, INK, ImageFont.load_default(0.036 * self.side), "ls")
        return ground.reduce(FINE)

    def _arrow(self, draw: ImageDraw.ImageDraw, start: np.ndarray, way: np.ndarray) -> None:
        end, width = start + way, max(1, round(0.012 * self.unit))
        draw.line(self._pixels(np.stack([start, end])).ravel().tolist(), fill=INK, width=width)
        along, across = 0.3 * way, 0.16 * np.array([-way[1], way[0]])
        head = np.stack([end, end - along + across, end - along - across])
        draw.polygon(self._pixels(head).ravel().tolist(), fill=INK)

    def _curves(self, seen: Seen) -> Image.Image:
        """Both losses by step, and dashed what they are when the discriminator cannot tell."""
        image = Image.new("RGB", (self.side, self.side), PAPER)
        draw, side = ImageDraw.Draw(image), self.side
        left, right, top, bottom = 0.13 * side, 0.95 * side, 0.07 * side, 0.88 * side
        font = ImageFont.load_default(0.036 * side)

        def place(step: float, loss: float) -> tuple[float, float]:
            x = left + (right - left) * step / seen.steps
            return x, bottom - (bottom - top) * min(loss, HIGHEST) / HIGHEST

        for level in (0, 1, 2):
            draw.line([place(0, level), place(seen.steps, level)], fill=FAINT, width=FINE)
            draw.text((left - 0.02 * side, place(0, level)[1]), str(level), INK, font, anchor="rm")
        for level in (math.log(2), 2 * math.log(2)):
            for i in range(0, 80, 2):
                ends = [place(seen.steps * j / 80, level) for j in (i, i + 1)]
                draw.line(ends, fill=DATA, width=FINE)
        for i, (name, colour) in enumerate((("discriminator", INK), ("generator", RED))):
            path = [place(step + 1, pair[i]) for step, pair in enumerate(seen.losses)]
            if len(path) > 1:
                draw.line(path, fill=colour, width=round(1.5 * FINE), joint="curve")
            elif path:
                x, y = path[0]
                draw.ellipse((x - 3 * FINE, y - 3 * FINE, x + 3 * FINE, y + 3 * FINE), fill=colour)
            draw.text((right, top + 0.05 * side * i), f"loss of the {name}", colour, font, anchor="rm")
        draw.text(place(0, 0), "0", INK, font, anchor="la")
        draw.text((right, bottom), f"step {seen.steps}", INK, font, anchor="ra")
        return image.reduce(FINE)

    def _panel(self, ground: Image.Image, warped: np.ndarray, points: np.ndarray) -> Image.Image:
        """The grid upon the ground. It fades where it is stretched: so much thinner lie the points there."""
        image = ground.copy()
        draw = ImageDraw.Draw(image)
        pixels = self._pixels(warped).reshape(self.count, self.count, 2)
        self._draw_cells(draw, pixels)
        width = max(1, round(0.007 * self.unit))
        self._draw_lines(draw, pixels, self.colours, width)
        self._draw_lines(draw, pixels.transpose(1, 0, 2), self.colours.transpose(1, 0, 2), width)
        self._draw_dots(draw, points, 0.012, self.dot_colours)
        return image.reduce(FINE)

    def _draw_cells(self, draw: ImageDraw.ImageDraw, pixels: np.ndarray) -> None:
        corners, s = pixels[::SUBDIVIDED, ::SUBDIVIDED], SUBDIVIDED
        cells = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=2)
        x, y = cells[..., 0], cells[..., 1]
        area = np.abs((x * np.roll(y, -1, axis=2) - y * np.roll(x, -1, axis=2)).sum(axis=2)).ravel() / 2
        solid = np.clip((self.unit * 2 / self.lines) ** 2 * 0.25 / np.maximum(area, 1), 0.02, 0.5)
        tints = _towards_paper(self.colours[s // 2 :: s, s // 2 :: s].reshape(-1, 3), solid)
        cells = cells.reshape(-1, 8).tolist()
        for i in np.argsort(-area, kind="stable"):  # the small ones lie on top
            draw.polygon(cells[i], fill=tints[i])

    def _draw_lines(self, draw: ImageDraw.ImageDraw, pixels: np.ndarray, colours: np.ndarray, width: int) -> None:
        path, tints = pixels[::SUBDIVIDED], colours[::SUBDIVIDED, :-1]
        pieces = np.concatenate([path[:, :-1], path[:, 1:]], axis=2)
        length = np.hypot(*(path[:, 1:] - path[:, :-1]).transpose(2, 0, 1)) / (self.unit * 2 / (self.count - 1))
        solid = np.clip(1.2 / np.maximum(length, 1e-6), 0.12, 1)
        shades = _towards_paper(tints.reshape(-1, 3), solid.ravel())
        for piece, shade in zip(pieces.reshape(-1, 4).tolist(), shades, strict=True):
            draw.line(piece, fill=shade, width=width)

    def _draw_dots(self, draw: ImageDraw.ImageDraw, where: np.ndarray, radius: float, colours: list) -> None:
        r = radius * self.unit
        for (x, y), colour in zip(self._pixels(where).tolist(), colours, strict=True):
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def _pixels(self, at: np.ndarray) -> np.ndarray:
        """The plane has its second axis upwards."""
        return (np.clip(at, -9, 9) * (1, -1) + REACH) * self.unit


def _colours(z: np.ndarray) -> np.ndarray:
    """A colour for each latent of the square, mixed of those of its corners."""
    u, v = ((z + 1) / 2).T[..., None]
    return (1 - v) * ((1 - u) * CORNERS[0, 0] + u * CORNERS[0, 1]) + v * ((1 - u) * CORNERS[1, 0] + u * CORNERS[1, 1])


def _towards_paper(colours: np.ndarray, solid: np.ndarray) -> list[tuple[int, int, int]]:
    return _rgb(np.asarray(PAPER) * (1 - solid[:, None]) + colours * solid[:, None])


def _rgb(colours: np.ndarray) -> list[tuple[int, int, int]]:
    return [tuple(row) for row in np.rint(colours).astype(int).tolist()]
