"""A picture's latent: the w or w+ from which a generator makes it best, and a generator tuned to make it better.

    photo = inversion.prepare(Image.open("me.jpg"), net)
    for step in inversion.invert(net, photo):
        step.image, step.loss                    # stop after any
    for tuned in inversion.tune(net, photo, step.latent):
        pass
    draggan.drag(tuned.net, step.latent, ...)

``METHODS`` are the ways to a latent by name; each is a function like ``_optimise``. An encoder says it in one pass, and
is a good place for an optimisation to begin (``encoder_for`` tells which networks have one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.encoders import Encoder, GradualStyleEncoder
from models.stylegan2 import Generator

from .. import checks
from ..images import to_pil
from ..latents import spread, w_plus
from ..optimisation import distances
from ..optimisation.adam import Adam
from ..optimisation.distances import Distance
from . import encoders
from .target import prepare, tensor
from .tuning import MAX_STEPS

CANDIDATES = 128  # latents of which the nearest is where optimisation starts
SHARED = 0.4  # of the steps of "w+" are made with one w for all rows
STEP = 0.1  # Adam's step size in deviations of w
APART = 0.02  # weight of the rows' mean square distance from their mean, in deviations of w
# The same of the distance from what an encoder said. A latent that has gone far from it makes a better likeness and
# worse edits (Tov et al. 2021): this costs 3 % of the distance, and of a hundred edits two or three more succeed.
NEAR = 0.15


@dataclass(frozen=True)
class InversionStep:
    """``latent`` w+ [1, num_ws, w_dim] on the CPU, ``loss`` its distance, ``l2`` the mean square of pixels in [-1, 1].

    ``image`` is what the generator makes of it, None on steps that are not shown. The last step (``done``) has the best
    latent of all. ``net``: where the network was tuned to the photograph, the tuned copy, on the last step alone; and
    ``tuned``, the steps that it took.
    """

    step: int
    latent: Tensor
    image: Image.Image | None
    loss: float
    l2: float
    done: bool
    net: Generator | None = None
    tuned: int = 0


def invert(
    net: Generator,
    image: Image.Image,
    method: str = "w+",
    steps: int = 400,
    *,
    lr: float = STEP,
    seed: int = 0,
    start: Tensor | None = None,
    class_index: int | None = None,
    show_every: int = 10,
    distance: Distance | None = None,
) -> Iterator[InversionStep]:
    """Looks for the latent of a picture.

    Args:
        image: brought to the network's size by ``prepare``.
        method: ``"w"`` (one w for all rows: farther from the picture, easier to edit) or ``"w+"`` (a w for each row,
            after a while of one for all) by optimisation, ``"encoder"`` (one pass of the network's encoder, one step),
            or ``"hybrid"`` (w+ by optimisation from where the encoder says).
        steps: 1 to 5000; an encoder takes none.
        lr: Adam's step size in deviations of w, 0.001 to 1; it falls to zero along half a cosine.
        seed: of the latents of which the nearest is the start.
        start: w or w+ to start from instead (of the encoder's too).
        class_index: of conditional networks; 0 when not given.
        show_every: every so many steps have an image, so do the first and the last; 0: none has.
        distance: what is made small; ``distances.visible`` when not given.

    Raises:
        UserError: at once, for anything out of bounds, and for a method that needs an encoder where there is none.
    """
    checks.choice(method, "The method", tuple(METHODS))
    target = tensor(prepare(image, net), net)
    steps = checks.integer(steps, "The number of steps", 1, MAX_STEPS)
    lr = checks.number(lr, "The step size", 1e-3, 1)
    seed = checks.integer(seed, "The seed", 0, 2**32 - 1)
    show_every = checks.integer(show_every, "Showing", 0, MAX_STEPS)
    c = checks.integer(0 if class_index is None else class_index, "The class", 0, max(0, net.c_dim - 1))
    found = None if start is None else w_plus(net, start)
    encoder = None
    if method == "encoder" or (method == "hybrid" and found is None):
        encoder = encoders.needed(net)
    task = _Task(net, target, steps, lr, seed, found, c, show_every, distance or distances.visible, encoder)
    return METHODS[method](task)


@dataclass(frozen=True)
class _Task:
    """What a method is given: a network, the picture ``[1, 3, H, W]`` in [-1, 1], and checked values."""

    net: Generator
    target: Tensor
    steps: int
    lr: float
    seed: int
    start: Tensor | None
    class_index: int
    show_every: int
    distance: Distance
    encoder: Encoder | GradualStyleEncoder | None = None
    near: float = 0.0  # weight of the mean square distance from the start

    def shown(self, step: int, last: bool = False) -> bool:
        return bool(self.show_every) and (last or step % self.show_every == 0)


@torch.no_grad()
def _nearest(task: _Task) -> Tensor:
    """The nearest to the picture of many latents, each also drawn to the average, and the average: ``[1, w_dim]``."""
    net, device = task.net, task.target.device
    z = np.random.RandomState(task.seed).randn(CANDIDATES // 2, net.z_dim)
    z = torch.from_numpy(z).float().to(device)
    c = None
    if net.c_dim:
        c = torch.zeros(len(z), net.c_dim, device=device)
        c[:, task.class_index] = 1
    w = net.mapping(z, c)[:, 0]
    mean = net.mapping.w_avg if net.mapping.w_avg_beta is not None else w.mean(dim=0)
    w = torch.cat([mean[None], w, mean.lerp(w, 0.5)])
    batch = max(1, min(16, 2**20 // net.img_resolution**2))
    apart = []
    for part in w.split(batch):
        images = net.synthesis(part[:, None].repeat(1, net.num_ws, 1), noise_mode="const")
        apart.append(task.distance(images, task.target.expand(len(images), -1, -1, -1)))
    return w[torch.cat(apart).argmin()][None]


def _optimise(task: _Task, rows_apart: bool) -> Iterator[InversionStep]:
    """Adam on one w, and with ``rows_apart`` then on the rows of w+ each for itself."""
    net = task.net
    unit = spread(net)
    w = _nearest(task)[:, None].repeat(1, net.num_ws, 1) if task.start is None else task.start
    together = task.steps if not rows_apart else (math.ceil(SHARED * task.steps) if task.start is None else 0)
    adam = Adam([w])
    best = None
    for step in range(task.steps + 1):
        if step == together and rows_apart:
            adam = Adam([w])
        image, loss, gradient = _evaluate(task, w, unit, alike=step < together)
        l2 = float(distances.pixels(image, task.target)[0])
        if best is None or loss < best[0]:
            best = (loss, l2, w)
        if step == task.steps:
            break
        picture = to_pil(image)[0] if task.shown(step) else None
        yield InversionStep(step, w.cpu().clone(), picture, loss, l2, False)
        lr = task.lr * unit * 0.5 * (1 + math.cos(math.pi * step / task.steps)) * min(1.0, (step + 1) / 10)
        with torch.inference_mode(False):
            w = w.clone()  # the best so far stays as it was
            adam.step([w], [gradient], lr)
    loss, l2, w = best
    with torch.no_grad():
        picture = to_pil(net.synthesis(w, noise_mode="const"))[0] if task.shown(0, last=True) else None
    yield InversionStep(task.steps, w.cpu().clone(), picture, loss, l2, True)


def _evaluate(task: _Task, w: Tensor, unit: float, alike: bool) -> tuple[Tensor, float, Tensor]:
    """The picture of w+, its distance, and the gradient ``[1, num_ws, w_dim]`` (the same in all rows if ``alike``)."""
    with torch.inference_mode(False), torch.enable_grad():
        free = w.detach().clone().requires_grad_(True)
        image = task.net.synthesis(free, noise_mode="const", dtype=torch.float32)
        loss = task.distance(image, task.target)[0]
        apart = (free - free.mean(dim=1, keepdim=True)).square().mean() / unit**2
        total = loss + APART * apart
        if task.near:
            total = total + task.near * (free - task.start).square().mean() / unit**2
        gradient = torch.autograd.grad(total, free)[0]
    if alike:
        gradient = gradient.sum(dim=1, keepdim=True).expand_as(gradient)
    return image.detach(), float(loss.detach()), gradient


def _encoded(task: _Task) -> Tensor:
    """What the encoder says, w+ ``[1, num_ws, w_dim]``."""
    with torch.inference_mode(False), torch.no_grad():
        return task.encoder(task.target.clone()).float()


def _in_one_pass(task: _Task) -> Iterator[InversionStep]:
    w = _encoded(task)
    with torch.no_grad():
        image = task.net.synthesis(w, noise_mode="const")
        loss, l2 = (float(d(image, task.target)[0]) for d in (task.distance, distances.pixels))
    yield InversionStep(0, w.cpu(), to_pil(image)[0] if task.shown(0, last=True) else None, loss, l2, True)


def _hybrid(task: _Task) -> Iterator[InversionStep]:
    start = _encoded(task) if task.start is None else task.start
    yield from _optimise(replace(task, start=start, near=NEAR), rows_apart=True)


METHODS: dict[str, Callable[[_Task], Iterator[InversionStep]]] = {
    "w+": lambda task: _optimise(task, rows_apart=True),
    "w": lambda task: _optimise(task, rows_apart=False),
    "encoder": _in_one_pass,
    "hybrid": _hybrid,
}
