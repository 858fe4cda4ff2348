"""Pivotal tuning (Roich et al. 2022): a copy of a network learns to make a picture from a latent that stays."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from models.stylegan2 import Generator
from weights import store
from weights.errors import UserError

from .. import checks
from ..images import to_pil
from ..latents import spread, w_plus
from ..optimisation import distances
from ..optimisation.adam import Adam
from ..optimisation.distances import Distance
from .target import prepare, tensor

MAX_STEPS = 5000


@dataclass(frozen=True)
class TuneStep:
    """``net`` is the tuned copy, on the last step (``done``) alone; ``image`` as in ``InversionStep``."""

    step: int
    image: Image.Image | None
    loss: float
    l2: float
    done: bool
    net: Generator | None


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
    target = tensor(prepare(image, net), net)
    w = w_plus(net, w)
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
        card = {key: value for key, value in (info.card or {}).items() if key != "encoder"}  # not that of the copy
        changes = {"name": f"{info.name}+tuned", "sha256": digest.hexdigest(), "title": title, "card": card}
        tuned.info = dataclasses.replace(info, **changes)
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
