"""Drawing that the manifold answers (Zhu et al. 2016, section 4.1): the pictures nearest to what was drawn.

``z* = argmin sum_g |f_g(G(z)) - v_g|^2 + lambda_s |z - z0|^2 + E_D`` (eq. 5), f_g being the colours and the edges that
the brushes ask for. Many starts run as one batch; those that come near enough are the candidates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from weights.errors import UserError

from .. import checks
from ..images import Mask, to_pil
from ..optimisation.adam import Adam
from ..registry import recipe
from .constraints import Constraints, Edits, Warp, constraints, rounds
from .latent_space import Latent, Network, Space

MAX_STARTS = 256
MAX_STEPS = 1000
BETAS = (0.9, 0.999)
SPREAD = 0.5  # of starts around z0, of the prior's width
KEPT_COST = 2.0  # candidates cost at most so many times the mean of the best half


@dataclass(frozen=True)
class Candidate:
    """``latent`` and the ``start`` that it belongs to (z0, or its own random start), ``[1, ...]`` on the CPU.

    ``cost`` is all that is made small, ``errors`` the mean square differences of ``colour`` (levels in [-1, 1]) and
    ``sketch`` (histograms) where they were asked for. ``number`` says which of the starts it is, in all steps the same.
    """

    latent: Tensor
    start: Tensor
    image: Image.Image
    cost: float
    errors: dict[str, float]
    number: int = 0


@dataclass(frozen=True)
class BrushStep:
    """``candidates``: the best first. ``average``: their mean picture, weighted by exp(-(c - mean) / deviation).

    Steps that are not shown have no candidates and no average; the first (step 0, before anything moved) and the last
    (``done``) always have. ``best`` is the least cost.
    """

    step: int
    candidates: tuple[Candidate, ...]
    average: Image.Image | None
    best: float
    done: bool


@recipe("steps")
def brush(
    net: Network,
    colour: Image.Image | np.ndarray | str | None = None,
    sketch: Mask | None = None,
    warp: Sequence[Warp | Mapping] | None = None,
    z0: Latent | None = None,
    *,
    fixed: Sequence[Edits | Mapping] | None = None,
    starts: int = 16,
    steps: int = 40,
    lr: float = 0.1,
    sketch_weight: float = 0.2,
    smoothness: float = 5.0,
    realism: float = 0.0,
    top_k: int = 16,
    seed: int = 0,
    show_every: int = 1,
) -> Iterator[BrushStep]:
    """Pictures that follow what was drawn, nearer with every step.

    Args:
        net: a DCGAN or a StyleGAN2 (whose latents are w).
        colour, sketch, warp: as ``Edits`` has them; at least one of them, or something fixed.
        z0: the latent to start from and to stay near; from scratch without one.
        fixed: rounds of drawing (``Edits``, or tables with its fields) that go on being asked for.
        starts: latents that are tried at once, 1 to 256 (the authors': 64).
        steps: of Adam, 1 to 1000.
        lr: its step size in free numbers (``latent_space``), 0.001 to 1.
        sketch_weight: of the edges beside the colours, 0 to 10.
        smoothness: lambda_s, 0 to 100; counts only with z0.
        realism: lambda_D of ``E_D = lambda_D log(1 - D(G(z)))``, 0 to 10; above 0 the network needs a discriminator.
        top_k: at most so many candidates, 1 to 64.
        seed: of the starts.
        show_every: every so many steps have candidates; 0: only the first and the last.

    Raises:
        UserError: at once, for anything out of bounds, and if nothing is drawn.
    """
    space = Space(net)
    start = None if z0 is None else space.latent(z0)
    drawn = [*rounds(fixed), Edits(colour, sketch, warp, start)]
    asked = constraints(space, drawn)
    starts = checks.integer(starts, "The number of starts", 1, MAX_STARTS)
    realism = checks.number(realism, "The weight of realism", 0, 10)
    if realism and getattr(net, "discriminator", None) is None:
        raise UserError("This network has no discriminator to ask for realism; set its weight to 0.")
    search = _Search(
        space,
        asked,
        checks.number(sketch_weight, "The weight of the sketch", 0, 10),
        checks.number(smoothness, "The smoothness", 0, 100),
        realism,
        start,
    )
    seed = checks.integer(seed, "The seed", 0, 2**32 - 1)
    return search.run(
        space.random(starts, seed) if start is None else space.near(start, starts, seed, SPREAD),
        checks.integer(steps, "The number of steps", 1, MAX_STEPS),
        checks.number(lr, "The step size", 1e-3, 1),
        checks.integer(top_k, "The number of candidates", 1, 64),
        checks.integer(show_every, "Showing", 0, MAX_STEPS),
    )


class _Search:
    def __init__(
        self,
        space: Space,
        asked: Constraints,
        sketch_weight: float,
        smoothness: float,
        realism: float,
        start: Tensor | None,
    ):
        self.space, self.asked, self.start = space, asked, start
        self.sketch_weight, self.smoothness, self.realism = sketch_weight, smoothness, realism

    def run(self, latents: Tensor, steps: int, lr: float, top_k: int, show_every: int) -> Iterator[BrushStep]:
        starts = latents if self.start is None else self.start.expand(len(latents), *self.start.shape[1:])
        free = self.space.free(latents)
        adam = Adam([free], BETAS)
        for step in range(steps + 1):
            done = step == steps
            images, costs, errors, gradient = self._evaluate(free, last=done)
            best = float(costs.min())
            if done or not step or (show_every and step % show_every == 0):
                latents = self.space.bind(free).detach()
                yield self._shown(step, latents, starts, images, costs, errors, top_k, done)
            else:
                yield BrushStep(step, (), None, best, False)
            if not done:
                adam.step([free], [gradient], lr)

    def _evaluate(self, free: Tensor, last: bool) -> tuple[Tensor, Tensor, dict[str, Tensor], Tensor | None]:
        """Pictures, costs ``[N]``, errors, and the gradient of the summed costs (None for the ``last`` look)."""
        with torch.inference_mode(False), torch.set_grad_enabled(not last):
            free = free.detach().clone().requires_grad_(not last)
            latents = self.space.bind(free)
            images = self.space.images(latents)
            errors = self.asked.errors(images)
            weights = {"colour": 1.0, "sketch": self.sketch_weight}
            costs = sum(weights[name] * error for name, error in errors.items())
            if self.start is not None and self.smoothness:
                costs = costs + self.smoothness * self.space.apart(latents, self.start)
            if self.realism:
                costs = costs - self.realism * F.softplus(self.space.net.discriminator(images)[:, 0])
            gradient = None if last else torch.autograd.grad(costs.sum(), free)[0]
        return images.detach(), costs.detach(), {k: v.detach() for k, v in errors.items()}, gradient

    def _shown(
        self,
        step: int,
        latents: Tensor,
        starts: Tensor,
        images: Tensor,
        costs: Tensor,
        errors: dict[str, Tensor],
        top_k: int,
        done: bool,
    ) -> BrushStep:
        order = ranked(costs, top_k)
        pictures = to_pil(images[order])
        latents, starts = latents[order].cpu(), starts[order].cpu()
        values = {name: error[order].tolist() for name, error in errors.items()}
        found = tuple(
            Candidate(
                latents[i : i + 1],
                starts[i : i + 1],
                pictures[i],
                float(costs[k]),
                {name: error[i] for name, error in values.items()},
                k,
            )
            for i, k in enumerate(order)
        )
        average = to_pil(mean_picture(images[order], costs[order]))[0]
        return BrushStep(step, found, average, found[0].cost, done)


def ranked(costs: Tensor, top_k: int) -> list[int]:
    """Which of the starts are candidates, the best first: those that cost at most twice the mean of the best half."""
    order = costs.argsort(stable=True)[:top_k].tolist()
    half = max(len(order) // 2, 1)
    best = float(costs[order[:half]].mean())
    # Realism lets costs fall below zero, where twice the mean would be less than the mean.
    most = best + (KEPT_COST - 1) * abs(best) + 1e-10
    return [k for k in order if float(costs[k]) <= most] or order[:1]


def mean_picture(images: Tensor, costs: Tensor) -> Tensor:
    """``[1, 3, H, W]``: the mean of pictures, weighted by exp(-(c - mean) / deviation) of their costs."""
    spread = costs.std(unbiased=False) + 1e-10
    weights = (-(costs - costs.mean()) / spread).exp()
    return (images * (weights / weights.sum())[:, None, None, None]).sum(dim=0, keepdim=True)


@recipe("frames")
def interpolate(net: Network, z0: Latent, z1: Latent, frames: int = 16) -> Iterator[Image.Image]:
    """Pictures from one latent to another in a straight line; the first and the last are theirs.

    ``frames``: 2 to 512. Raises UserError at once.
    """
    space = Space(net)
    a, b = space.latent(z0, "The first latent"), space.latent(z1, "The last latent")
    count = checks.integer(frames, "The number of frames", 2, 512)
    return _pictures(space, [space.between(a, b, i / (count - 1)) for i in range(count)])


def _pictures(space: Space, latents: Sequence[Tensor]) -> Iterator[Image.Image]:
    for latent in latents:
        yield to_pil(space.pictures(latent))[0]
