"""A generator small enough to see whole: it learns to lay a square of latents onto a ring, while one looks on.

    for step in igan_manifold.ring(seed=0):
        step.image                               # None but for every show_every-th step; stop after any

The latents are two numbers from -1 to 1, the data are points of the plane around a circle, generator and discriminator
have three hidden layers each. A sheet has no hole and a ring has one, so the sheet has to be bent together or stretched
across the hole; where it is stretched, hardly any point falls. The recipe is what makes such a game settle: logistic
loss with R1 (Mescheder et al. 2018, eq. 9) at every step, Adam without momentum, steps that become smaller, and the
running average of the generator is what counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from .. import checks
from ..adam import Adam
from ..registry import recipe

RADIUS, SPREAD = 1.0, 0.08  # of the data: mean and deviation of the distance from the middle
STEPS = 1000  # after which the generator's points are where the data are, for every seed that was tried
MAX_STEPS = 4000
WIDTH, LAYERS, BATCH = 64, 3, 128
LR, BETAS, R1, HALF_LIFE = 2e-3, (0.0, 0.99), 0.1, 50  # the half-life of the average is in steps
POINTS = 600  # of each kind that are drawn
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class RingStep:
    """``points`` [600, 2] is what the averaged generator makes of latents that stay the same from step to step.

    ``image``: the square of latents and where it comes to lie, beside the data; None on steps that are not shown.
    ``loss`` is the discriminator's, 2 log 2 = 1.386 when it cannot tell points from data (at step 0: before it has
    learnt anything). ``radius`` and ``spread`` are mean and deviation of the points' distance from the middle; the
    data's are 1 and 0.08.
    """

    step: int
    image: Image.Image | None
    loss: float
    done: bool
    points: np.ndarray
    radius: float
    spread: float


@recipe("steps", checkpoint="none")
def ring(
    steps: int = STEPS, seed: int = 0, show_every: int = 25, *, size: int = 440, lines: int = 24
) -> Iterator[RingStep]:
    """Trains the toy; it takes seconds.

    Args:
        steps: 1 to 4000. The step size falls along half a cosine to the end.
        seed: of the first weights, the latents and the data.
        show_every: every so many steps have an image, so do the first and the last; 0: none has.
        size: pixels of a side of each of the image's two squares, 64 to 1024.
        lines: cells of the grid a side, 2 to 64.

    Raises:
        UserError: at once, for anything out of bounds.
    """
    steps = checks.integer(steps, "The number of steps", 1, MAX_STEPS)
    seed = checks.integer(seed, "The seed", 0, MAX_SEED)
    show_every = checks.integer(show_every, "Showing", 0, MAX_STEPS)
    size = checks.integer(size, "The size", 64, 1024)
    lines = checks.integer(lines, "The number of lines", 2, 64)
    return _steps(steps, seed, show_every, size, lines)


def _steps(steps: int, seed: int, show_every: int, size: int, lines: int) -> Iterator[RingStep]:
    toy = _Toy(seed)
    z = _latents(POINTS, torch.Generator().manual_seed(seed))
    drawing = _Drawing(size, lines, data(POINTS, torch.Generator().manual_seed(seed)).numpy(), z)
    for step in range(steps + 1):
        loss = toy.update(LR * 0.5 * (1 + math.cos(math.pi * (step - 1) / steps))) if step else toy.loss()
        points, done = toy.points(z), step == steps
        distance = np.hypot(*points.T)
        shown = show_every and (done or step % show_every == 0)
        image = drawing.picture(toy.points(drawing.grid), points) if shown else None
        yield RingStep(step, image, loss, done, points, float(distance.mean()), float(distance.std()))


def data(count: int, generator: torch.Generator) -> Tensor:
    """``[count, 2]`` points of the ring."""
    angle = torch.rand(count, generator=generator) * 2 * math.pi
    radius = RADIUS + SPREAD * torch.randn(count, generator=generator)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)


def _latents(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, 2, generator=generator) * 2 - 1


class _Toy:
    """Both networks as lists of weights and biases, and the average of one of them."""

    def __init__(self, seed: int):
        self.random = torch.Generator().manual_seed(seed)
        with torch.inference_mode(False):
            self.g, self.d = self._network(2), self._network(1)
            self.average = [p.detach().clone() for p in self.g]
        self.adam_g, self.adam_d = Adam(self.g, BETAS), Adam(self.d, BETAS)

    def _network(self, outputs: int) -> list[Tensor]:
        sizes, found = (2, *[WIDTH] * LAYERS, outputs), []
        for a, b in zip(sizes, sizes[1:], strict=False):
            scale = 1.13 / a**0.5 * (1 if b == WIDTH else 0.5)
            found += [torch.randn(b, a, generator=self.random) * scale, torch.zeros(b)]
        return [p.requires_grad_(True) for p in found]

    def generate(self, weights: list[Tensor], z: Tensor) -> Tensor:
        for i in range(0, len(weights) - 2, 2):
            z = torch.tanh(F.linear(z, weights[i], weights[i + 1]))
        return F.linear(z, *weights[-2:])

    def judge(self, x: Tensor) -> Tensor:
        for i in range(0, len(self.d) - 2, 2):
            x = F.leaky_relu(F.linear(x, self.d[i], self.d[i + 1]), 0.2)
        return F.linear(x, *self.d[-2:])[:, 0]

    @torch.no_grad()
    def points(self, z: Tensor) -> np.ndarray:
        return self.generate(self.average, z).numpy()

    @torch.no_grad()
    def loss(self) -> float:
        """The discriminator's as it is now, on points of their own, so that looking changes nothing."""
        random = torch.Generator().manual_seed(0)
        real, fake = data(BATCH, random), self.generate(self.average, _latents(BATCH, random))
        return float(F.softplus(-self.judge(real)).mean() + F.softplus(self.judge(fake)).mean())

    def update(self, lr: float) -> float:
        """One step of both; the discriminator's loss without the penalty."""
        with torch.inference_mode(False), torch.enable_grad():
            real = data(BATCH, self.random).requires_grad_(True)
            fake = self.generate(self.g, _latents(BATCH, self.random)).detach()
            says_real, says_fake = self.judge(torch.cat([real, fake])).split(BATCH)
            loss = F.softplus(-says_real).mean() + F.softplus(says_fake).mean()
            slope = torch.autograd.grad(says_real.sum(), real, create_graph=True)[0]
            whole = loss + R1 / 2 * slope.square().sum(dim=1).mean()
            self.adam_d.step(self.d, torch.autograd.grad(whole, self.d), lr)
            fooled = F.softplus(-self.judge(self.generate(self.g, _latents(BATCH, self.random)))).mean()
            self.adam_g.step(self.g, torch.autograd.grad(fooled, self.g), lr)
            with torch.no_grad():
                for mean, now in zip(self.average, self.g, strict=True):
                    mean.lerp_(now, 1 - 0.5 ** (1 / HALF_LIFE))
        return float(loss.detach())


# -- the picture: the square of latents on the left; the data, the warped square and its points on the right

PAPER, DATA = (251, 250, 248), (190, 184, 175)
CORNERS = np.array([[[217, 64, 31], [244, 170, 66]], [[66, 62, 140], [38, 150, 148]]], dtype=np.float64)
FINE = 4  # drawn so many times as large, and reduced: that smooths the edges
REACH = 1.5  # of the plane that is seen
SUBDIVIDED = 4  # straight pieces of a line in each cell


class _Drawing:
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
        self._draw_dots(ImageDraw.Draw(self.paper), data, 0.016, [DATA] * len(data))

    def picture(self, warped: np.ndarray, points: np.ndarray) -> Image.Image:
        """``warped`` is where the generator puts ``grid``, ``points`` where it puts ``dots``."""
        image = Image.new("RGB", (2 * self.size, self.size), PAPER)
        image.paste(self.square, (0, 0))
        image.paste(self._panel(self.paper, warped, points), (self.size, 0))
        return image

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
