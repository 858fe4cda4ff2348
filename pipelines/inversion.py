"""A picture's latent: the w or w+ from which a generator makes it best, and a generator tuned to make it better.

    photo = inversion.prepare(Image.open("me.jpg"), net)
    for step in inversion.invert(net, photo):
        step.image, step.loss                    # stop after any
    for tuned in inversion.tune(net, photo, step.latent):
        pass
    draggan.drag(tuned.net, step.latent, ...)

``METHODS`` are the ways to a latent by name; each is a function like ``_optimise``.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from models.stylegan2 import Generator
from weights import store
from weights.errors import UserError

from . import checks, distances
from .adam import Adam
from .distances import Distance
from .draggan_arguments import latent as checked_latent
from .draggan_arguments import spread
from .images import to_pil

MAX_STEPS = 5000
MAX_SIDE = 12_000  # pixels of a photograph
CANDIDATES = 128  # latents of which the nearest is where optimisation starts
SHARED = 0.4  # of the steps of "w+" are made with one w for all rows
STEP = 0.1  # Adam's step size in deviations of w
APART = 0.02  # weight of the rows' mean square distance from their mean, in deviations of w


@dataclass(frozen=True)
class InversionStep:
    """``latent`` w+ [1, num_ws, w_dim] on the CPU, ``loss`` its distance, ``l2`` the mean square of pixels in [-1, 1].

    ``image`` is what the generator makes of it, None on steps that are not shown. The last step (``done``) has the best
    latent of all.
    """

    step: int
    latent: Tensor
    image: Image.Image | None
    loss: float
    l2: float
    done: bool


@dataclass(frozen=True)
class TuneStep:
    """``net`` is the tuned copy, on the last step (``done``) alone; ``image`` as in ``InversionStep``."""

    step: int
    image: Image.Image | None
    loss: float
    l2: float
    done: bool
    net: Generator | None


def prepare(
    image: Image.Image, net: Generator, align: Callable[[Image.Image], Image.Image] | None = None
) -> Image.Image:
    """A photograph as ``net`` makes its pictures: RGB, square, ``img_resolution`` pixels.

    ``align`` brings a face to the place where the network has it; without one the middle is cut out. Raises UserError.
    """
    if not isinstance(image, Image.Image):
        raise UserError("Choose a picture first.")
    if min(image.size) < 8 or max(image.size) > MAX_SIDE:
        raise UserError(
            f"A picture of 8 to {MAX_SIDE:,} pixels a side can be used; this one is {image.width} x {image.height}."
        )
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(ground, image.convert("RGBA"))
    image = image.convert("RGB")
    if align is not None:
        image = align(image)
    size = net.img_resolution
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


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
            after a while of one for all).
        steps: 1 to 5000.
        lr: Adam's step size in deviations of w, 0.001 to 1; it falls to zero along half a cosine.
        seed: of the latents of which the nearest is the start.
        start: w or w+ to start from instead.
        class_index: of conditional networks; 0 when not given.
        show_every: every so many steps have an image, so do the first and the last; 0: none has.
        distance: what is made small; ``distances.visible`` when not given.

    Raises:
        UserError: at once, for anything out of bounds.
    """
    checks.choice(method, "The method", tuple(METHODS))
    target = _tensor(prepare(image, net), net)
    steps = checks.integer(steps, "The number of steps", 1, MAX_STEPS)
    lr = checks.number(lr, "The step size", 1e-3, 1)
    seed = checks.integer(seed, "The seed", 0, 2**32 - 1)
    show_every = checks.integer(show_every, "Showing", 0, MAX_STEPS)
    c = checks.integer(0 if class_index is None else class_index, "The class", 0, max(0, net.c_dim - 1))
    found = None if start is None else checked_latent(net, start)
    task = _Task(net, target, steps, lr, seed, found, c, show_every, distance or distances.visible)
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

    def shown(self, step: int, last: bool = False) -> bool:
        return bool(self.show_every) and (last or step % self.show_every == 0)


def _tensor(image: Image.Image, net: Generator) -> Tensor:
    levels = torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1)[None]
    return (levels / 127.5 - 1).to(net.synthesis.b4.const.device)


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
        gradient = torch.autograd.grad(loss + APART * apart, free)[0]
    if alike:
        gradient = gradient.sum(dim=1, keepdim=True).expand_as(gradient)
    return image.detach(), float(loss.detach()), gradient


METHODS: dict[str, Callable[[_Task], Iterator[InversionStep]]] = {
    "w+": lambda task: _optimise(task, rows_apart=True),
    "w": lambda task: _optimise(task, rows_apart=False),
}


# -- pivotal tuning ------------------------------------------------------------------------------------------------


def tune(
    net: Generator,
    image: Image.Image,
    w: Tensor,
    steps: int = 350,
    *,
    lr: float | None = None,
    stop_loss: float = 0.02,
    locality: float = 0.0,
    seed: int = 0,
    show_every: int = 10,
    distance: Distance | None = None,
) -> Iterator[TuneStep]:
    """Pivotal tuning (Roich et al. 2022): a copy of the network learns to make the picture from ``w``, which stays.

    Edits that work around ``w`` then work on the picture. The network itself, which others use, is not touched.

    Args:
        w: w+ ``[1, num_ws, w_dim]`` or w, the pivot: what ``invert`` found.
        steps: 1 to 5000.
        lr: Adam's step size, 1e-6 to 0.1; theirs (3e-4) when not given, 1e-3 on networks of less than 256 px.
        stop_loss: tuning ends when the distance is no larger; 0: never.
        locality: weight of the distance between the copy's pictures and the network's at latents near the pivot, so
            that the copy stays itself elsewhere (their section 3.3), 0 to 100. Doubles the time.
        seed: of those latents. show_every, distance: as for ``invert``.

    Raises:
        UserError: at once, for anything out of bounds.
    """
    target = _tensor(prepare(image, net), net)
    w = checked_latent(net, w)
    steps = checks.integer(steps, "The number of steps", 1, MAX_STEPS)
    usual = 3e-4 if net.img_resolution >= 256 else 1e-3
    lr = usual if lr is None else checks.number(lr, "The step size", 1e-6, 0.1)
    stop_loss = checks.number(stop_loss, "The loss to stop at", 0, 100)
    locality = checks.number(locality, "The locality weight", 0, 100)
    seed = checks.integer(seed, "The seed", 0, 2**32 - 1)
    show_every = checks.integer(show_every, "Showing", 0, MAX_STEPS)
    return _tuning(net, target, w, steps, lr, stop_loss, locality, seed, show_every, distance or distances.visible)


def _tuning(net, target, w, steps, lr, stop_loss, locality, seed, show_every, distance):
    with torch.inference_mode(False):
        tuned = copy.deepcopy(net)
        weights = [parameter.requires_grad_(True) for parameter in tuned.synthesis.parameters()]
        adam = Adam(weights)
    random = torch.Generator().manual_seed(seed)
    for step in range(steps + 1):
        with torch.inference_mode(False), torch.enable_grad():
            picture = tuned.synthesis(w, noise_mode="const", dtype=torch.float32)
            loss = distance(picture, target)[0]
            value = float(loss.detach())
            done = step == steps or value <= stop_loss
            if not done:
                if locality:
                    loss = loss + locality * _strayed(net, tuned, w, random, distance)
                gradients = torch.autograd.grad(loss, weights)
        shown = show_every and (done or step % show_every == 0)
        image = to_pil(picture)[0] if shown else None
        l2 = float(distances.pixels(picture.detach(), target)[0])
        yield TuneStep(step, image, value, l2, done, _finished(tuned, net) if done else None)
        if done:
            return
        with torch.inference_mode(False):
            adam.step(weights, gradients, lr)


def _strayed(net, tuned, w, random, distance) -> Tensor:
    """How far the copy's picture is from the network's at a latent one deviation of w from the pivot."""
    with torch.no_grad():
        z = torch.randn(1, net.z_dim, generator=random).to(w.device)
        c = torch.eye(net.c_dim, device=w.device)[:1] if net.c_dim else None
        way = net.mapping(z, c) - w
        near = w + way * (spread(net) * math.sqrt(net.w_dim) / way.norm(dim=2, keepdim=True).clamp_min(1e-6))
        before = net.synthesis(near, noise_mode="const", dtype=torch.float32)
    return distance(tuned.synthesis(near, noise_mode="const", dtype=torch.float32), before)[0]


def _finished(tuned: Generator, net: Generator) -> Generator:
    """Frozen, and with a name and a hash of its own, so that nobody takes it for the network it came from."""
    tuned.eval().requires_grad_(False)
    info = getattr(net, "info", None)
    if info is not None:
        digest = hashlib.sha256()
        for name, value in sorted(tuned.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        title = f"{info.title or info.name}, tuned to a picture"
        tuned.info = dataclasses.replace(info, name=f"{info.name}+tuned", sha256=digest.hexdigest(), title=title)
    return tuned


def save_network(path: str | os.PathLike, net: Generator) -> Path:
    """Writes a tuned network as a file that ``weights.read`` takes. Raises UserError."""
    info = getattr(net, "info", None)
    card = {"tuned_from": getattr(info, "name", None), "crop": getattr(info, "crop", None)}
    try:
        store.save(path, net, "stylegan2", "generator", card)
    except OSError as error:
        raise UserError("The tuned network could not be written; choose another place.") from error
    return Path(path)
