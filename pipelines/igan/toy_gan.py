"""A generator small enough to see whole: it learns to lay a square of latents onto data, while one looks on.

    for step in igan.ring(seed=0):
        step.image                               # None but for every show_every-th step; stop after any

    toy = igan.ToyGAN(shape="moons")
    *_, step = toy.train(until=1)                # one step; the next call goes on from there

The latents are two numbers from -1 to 1, the data are points of the plane, around a circle if nothing else is asked
for; generator and discriminator have three hidden layers each. A sheet has no hole and a ring has one, so the sheet has
to be bent together or stretched across the hole; where it is stretched, hardly any point falls. The recipe is what
makes such a game settle: logistic loss with R1 (Mescheder et al. 2018, eq. 9) at every step, Adam without momentum,
steps that become smaller, and the running average of the generator is what counts. What is shown, and that one may go
step by step and in slow motion, is in the manner of GAN Lab (Kahng et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from weights.errors import UserError

from .. import checks
from ..images import Mask
from ..optimisation.adam import Adam
from ..registry import recipe
from .toy_drawing import Drawing, Seen
from .toy_shapes import RADIUS, SHAPES, SPREAD, Shape, shape_of

__all__ = ["MAX_STEPS", "RADIUS", "SHAPES", "SPREAD", "STEPS", "RingStep", "ToyGAN", "ring"]

STEPS = 1000  # after which the generator's points are where the data are, for every seed that was tried
MAX_STEPS = 4000
WIDTH, LAYERS, BATCH = 64, 3, 128
LR, BETAS, R1, HALF_LIFE = 2e-3, (0.0, 0.99), 0.1, 50  # the half-life of the average is in steps
POINTS = 600  # of each kind that are drawn
NEAR = 0.15  # of the plane: a data point that has no made point so near is missed
MAX_SEED = 2**32 - 1
DISCRIMINATOR, BOTH = "discriminator", "both"


@dataclass(frozen=True)
class RingStep:
    """``points`` [600, 2] is what the averaged generator makes of latents that stay the same from step to step.

    ``image``: the square of latents and where it comes to lie, beside the data. ``surface``: what the discriminator
    says of each place of the plane, and the losses so far. Both are None on steps that are not shown. ``learnt`` says
    whose turn was over: in half steps the discriminator's comes first, else both had theirs. ``loss`` is the
    discriminator's, 2 log 2 = 1.386 when it cannot tell points from data (at step 0: before it has learnt anything).
    ``radius`` and ``spread`` are mean and deviation of the points' distance from the middle; the ring's are 1 and 0.08.
    ``data`` [600, 2] is what they are compared with.
    """

    step: int
    image: Image.Image | None
    loss: float
    done: bool
    points: np.ndarray
    radius: float
    spread: float
    data: np.ndarray
    surface: Image.Image | None = None
    learnt: str = BOTH

    @property
    def off(self) -> float:
        """How far a made point is from the nearest of the data, on average."""
        return float(self._distances().min(axis=1).mean())

    @property
    def missed(self) -> float:
        """Share of the data that no made point comes near."""
        return float((self._distances().min(axis=0) > NEAR).mean())

    @property
    def picture(self) -> Image.Image | None:
        """Both pictures, one above the other."""
        if self.image is None or self.surface is None:
            return None
        both = Image.new("RGB", (self.image.width, self.image.height + self.surface.height))
        both.paste(self.image, (0, 0))
        both.paste(self.surface, (0, self.image.height))
        return both

    def _distances(self) -> np.ndarray:
        return np.hypot(*(self.points[:, None] - self.data[None]).transpose(2, 0, 1))  # [points, data]


@recipe("steps", checkpoint="none")
def ring(
    steps: int = STEPS,
    seed: int = 0,
    show_every: int = 25,
    *,
    shape: str | Mask = "ring",
    until: int | None = None,
    size: int = 440,
    lines: int = 24,
) -> Iterator[RingStep]:
    """Trains the toy; it takes seconds.

    Args:
        steps: 1 to 4000. The step size falls along half a cosine to the end.
        seed: of the first weights, the latents and the data.
        show_every: every so many steps have pictures, so do the first and the last; 0: none has.
        shape: where the data lie: "ring", "moons", "clouds", or a mask of what is painted (``images.read_mask``), whose
            picture goes from -1.5 to 1.5 of the plane.
        until: the step after which it ends, if that is not the last.
        size: pixels of a side of each of the pictures' two squares, 64 to 1024.
        lines: cells of the grid a side, 2 to 64.

    Raises:
        UserError: at once, for anything out of bounds.
    """
    return ToyGAN(steps, seed, shape).train(until, show_every, size=size, lines=lines)


class ToyGAN:
    """Both networks as lists of weights and biases, the average of one of them, and how far they are.

    Args: see ``ring``. Raises UserError.
    """

    def __init__(self, steps: int = STEPS, seed: int = 0, shape: str | Mask = "ring"):
        self.steps = checks.integer(steps, "The number of steps", 1, MAX_STEPS)
        self.seed = checks.integer(seed, "The seed", 0, MAX_SEED)
        self.shape: Shape = shape_of(shape)
        self.step = 0
        self.losses: list[tuple[float, float]] = []  # the discriminator's and the generator's, by step
        self.random = torch.Generator().manual_seed(self.seed)
        with torch.inference_mode(False):
            self.g, self.d = self._network(2), self._network(1)
            self.average = [p.detach().clone() for p in self.g]
        self.adam_g, self.adam_d = Adam(self.g, BETAS), Adam(self.d, BETAS)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "random": self.random.get_state()}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self.random = torch.Generator()
        self.random.set_state(state["random"])

    def train(
        self,
        until: int | None = None,
        show_every: int = 25,
        *,
        halves: bool = False,
        size: int = 440,
        lines: int = 24,
    ) -> Iterator[RingStep]:
        """Goes on from where it is; a new one gives its step 0 first.

        Args:
            until: the step after which it ends, more than it has made; None for the last.
            halves: what the discriminator has learnt is given before the generator learns from it.

        The others and what is raised: see ``ring``.
        """
        show_every = checks.integer(show_every, "Showing", 0, MAX_STEPS)
        size = checks.integer(size, "The size", 64, 1024)
        lines = checks.integer(lines, "The number of lines", 2, 64)
        if self.step >= self.steps:
            raise UserError(f"All {self.steps} steps are made; ask for more steps, or train it anew.")
        until = self.steps if until is None else checks.integer(until, "The last step", self.step + 1, self.steps)
        return self._steps(until, show_every, halves, size, lines)

    def _steps(self, until: int, show_every: int, halves: bool, size: int, lines: int) -> Iterator[RingStep]:
        z = _latents(POINTS, torch.Generator().manual_seed(self.seed))
        data = self.shape.sample(POINTS, torch.Generator().manual_seed(self.seed)).numpy()
        drawing = Drawing(size, lines, data, z)

        def seen(loss: float, learnt: str = BOTH) -> RingStep:
            points, done = self.points(z), self.step == until and learnt == BOTH
            distance = np.hypot(*points.T)
            image = surface = None
            if show_every and (done or self.step % show_every == 0):
                image = drawing.picture(self.points(drawing.grid), points)
                surface = drawing.surface(
                    Seen(self.says(drawing.plane), points, self.pushes(points), self.losses, self.steps)
                )
            radius, spread = float(distance.mean()), float(distance.std())
            return RingStep(self.step, image, loss, done, points, radius, spread, data, surface, learnt)

        if self.step == 0:
            yield seen(self._first_loss())
        while self.step < until:
            lr = LR * 0.5 * (1 + math.cos(math.pi * self.step / self.steps))
            loss = self._teach_discriminator(lr)
            if halves:
                yield seen(loss, DISCRIMINATOR)
            self.losses.append((loss, self._teach_generator(lr)))
            self.step += 1
            yield seen(loss)

    def _network(self, outputs: int) -> list[Tensor]:
        sizes, found = (2, *[WIDTH] * LAYERS, outputs), []
        for a, b in zip(sizes, sizes[1:], strict=False):
            scale = 1.13 / a**0.5 * (1 if b == WIDTH else 0.5)
            found += [torch.randn(b, a, generator=self.random) * scale, torch.zeros(b)]
        return [p.requires_grad_(True) for p in found]

    # -- what they make and say

    @staticmethod
    def _generate(weights: list[Tensor], z: Tensor) -> Tensor:
        for i in range(0, len(weights) - 2, 2):
            z = torch.tanh(F.linear(z, weights[i], weights[i + 1]))
        return F.linear(z, *weights[-2:])  # [n, 2]

    def _judge(self, x: Tensor) -> Tensor:
        for i in range(0, len(self.d) - 2, 2):
            x = F.leaky_relu(F.linear(x, self.d[i], self.d[i + 1]), 0.2)
        return F.linear(x, *self.d[-2:])[:, 0]  # [n] logits

    @torch.no_grad()
    def points(self, z: Tensor) -> np.ndarray:
        """``[n, 2]``: where the averaged generator puts latents ``z`` [n, 2]."""
        return self._generate(self.average, z).numpy()

    @torch.no_grad()
    def says(self, x: Tensor) -> np.ndarray:
        """``[n]`` from 0 to 1: how likely the discriminator takes points ``x`` [n, 2] for data."""
        return torch.sigmoid(self._judge(x)).numpy()

    def pushes(self, points: np.ndarray) -> np.ndarray:
        """``[n, 2]``: where the discriminator would have points [n, 2] go, the negative slope of their loss."""
        with torch.inference_mode(False), torch.enable_grad():
            x = torch.tensor(points).requires_grad_(True)
            return -torch.autograd.grad(F.softplus(-self._judge(x)).sum(), x)[0].numpy()

    @torch.no_grad()
    def _first_loss(self) -> float:
        """The discriminator's as it is now, on points of their own, so that looking changes nothing."""
        random = torch.Generator().manual_seed(0)
        real = self.shape.sample(BATCH, random)
        fake = self._generate(self.average, _latents(BATCH, random))
        return float(F.softplus(-self._judge(real)).mean() + F.softplus(self._judge(fake)).mean())

    # -- how they learn

    def _teach_discriminator(self, lr: float) -> float:
        """Its loss without the penalty."""
        with torch.inference_mode(False), torch.enable_grad():
            real = self.shape.sample(BATCH, self.random).requires_grad_(True)
            fake = self._generate(self.g, _latents(BATCH, self.random)).detach()
            says_real, says_fake = self._judge(torch.cat([real, fake])).split(BATCH)
            loss = F.softplus(-says_real).mean() + F.softplus(says_fake).mean()
            slope = torch.autograd.grad(says_real.sum(), real, create_graph=True)[0]
            whole = loss + R1 / 2 * slope.square().sum(dim=1).mean()
            self.adam_d.step(self.d, torch.autograd.grad(whole, self.d), lr)
        return float(loss.detach())

    def _teach_generator(self, lr: float) -> float:
        """Its loss: 0.693 where the discriminator cannot tell."""
        with torch.inference_mode(False), torch.enable_grad():
            fooled = F.softplus(-self._judge(self._generate(self.g, _latents(BATCH, self.random)))).mean()
            self.adam_g.step(self.g, torch.autograd.grad(fooled, self.g), lr)
            with torch.no_grad():
                for mean, now in zip(self.average, self.g, strict=True):
                    mean.lerp_(now, 1 - 0.5 ** (1 / HALF_LIFE))
        return float(fooled.detach())


def _latents(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, 2, generator=generator) * 2 - 1
