"""The latent of a photograph, found three ways (Zhu et al. 2016, section 3).

``z* = argmin |G(z) - x|^2 + lambda |C(G(z)) - C(x)|^2`` with pixels and the features C of ``perceptual``; by L-BFGS-B
from a random latent (eq. 2), by a predictor network in one pass (eq. 3), or from the predictor's answer on (hybrid).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from weights.errors import UserError

from .. import checks, faces
from ..images import decode_image, to_pil
from ..optimisation import perceptual
from ..optimisation.callback_iterator import iterate
from ..photographs import photograph
from ..registry import recipe
from .latent_space import Latent, Network, Space

METHODS = ("optimisation", "predictor", "hybrid")
CROPS = ("middle", "face")
MAX_STEPS = 1000
TOLERANCE = 1e-6
STARTS = 64  # latents of which the nearest is where a hybrid starts that has no predictor


@dataclass(frozen=True)
class ProjectionStep:
    """``latent [1, ...]`` on the CPU; ``loss`` what is made small, ``l2`` the mean square of pixels in [-1, 1].

    ``image`` is what the generator makes of it, None on steps that are not shown. The last step (``done``) has the best
    latent of all; ``note`` is a sentence for the reader where something had to be done another way.
    """

    step: int
    latent: Tensor
    image: Image.Image | None
    loss: float
    l2: float
    done: bool
    note: str = ""


def prepare(image: Image.Image | str, net: Network, crop: str = "middle") -> Image.Image:
    """A photograph as ``net`` makes its pictures: RGB, upright, square, ``img_resolution`` pixels.

    ``crop``: ``middle`` (the largest square in the middle), or ``face`` (the face that is found, laid where the network
    has faces). Text is that of ``images.encode_image``. Raises UserError, also when there is no face.
    """
    image = photograph(decode_image(image) if isinstance(image, str) else image)
    size = net.img_resolution
    if checks.choice(crop, "The crop", CROPS) == "face":
        wanted = getattr(getattr(net, "info", None), "crop", None) or "celeba"
        return faces.align(image, crop=wanted).image.resize((size, size), Image.Resampling.LANCZOS)
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


@recipe("steps")
def project(
    net: Network,
    image: Image.Image | str,
    method: str = "hybrid",
    steps: int = 200,
    seed: int = 0,
    feature_weight: float = 0.002,
    show_every: int = 5,
    crop: str = "middle",
    start: Latent | None = None,
) -> Iterator[ProjectionStep]:
    """Looks for the latent of a picture; every iteration of L-BFGS-B is a step.

    Args:
        net: a DCGAN, or a StyleGAN2, whose latent is then one w.
        image: brought to the network's size by ``prepare``.
        method: ``optimisation``, ``predictor`` or ``hybrid``. A network without a predictor refuses the second, and its
            hybrid starts from the nearest of 64 latents.
        steps: at most so many iterations, 1 to 1000.
        seed: of the latents that an optimisation starts from.
        feature_weight: lambda, 0 to 10; 0 compares pixels alone.
        show_every: every so many steps have an image, so do the first and the last; 0: none has.
        start: a latent from which an optimisation or a hybrid begins instead: that of a picture much like this one, so
            that the way between the two is a short one.

    Raises:
        UserError: at once, for anything out of bounds.
    """
    space = Space(net)
    target = _tensor(prepare(image, net, crop), space)
    method = checks.choice(method, "The method", METHODS)
    steps = checks.integer(steps, "The number of steps", 1, MAX_STEPS)
    seed = checks.integer(seed, "The seed", 0, 2**32 - 1)
    weight = checks.number(feature_weight, "The weight of the features", 0, 10)
    show_every = checks.integer(show_every, "Showing", 0, MAX_STEPS)
    predictor = getattr(net, "predictor", None)
    if method == "predictor" and predictor is None:
        raise UserError("This network has no predictor; choose optimisation or hybrid.")
    first = None if start is None else space.latent(start)
    return _Task(space, target, weight, show_every).run(method, steps, seed, first)


def approach(space: Space, start: Tensor, levels: np.ndarray, steps: int) -> Iterator[ProjectionStep]:
    """Looks for the latent whose picture is nearest to one that need not be a photograph; the last step's is it.

    Args:
        start: the latent to search from.
        levels: ``[R, R, 3]``, from about 0 to 1. Compared by pixels alone: networks of features know photographs.
        steps: at most so many iterations of L-BFGS-B.
    """
    with torch.inference_mode(False):
        target = torch.from_numpy(np.ascontiguousarray(levels, np.float32)).permute(2, 0, 1)[None] * 2 - 1
        task = _Task(space, target.to(space.device), 0.0, 0)
        start = space.latent(start)
    return task.run("hybrid", steps, 0, start)


def features_in_use(net: Network) -> str:
    """In words, whose features a projection compares."""
    return perceptual.chosen(net).words


@torch.inference_mode(False)
def _tensor(image: Image.Image, space: Space) -> Tensor:
    levels = torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1)[None]
    return (levels / 127.5 - 1).to(space.device)


class _Task:
    """One picture and what it is compared by; a new one for each call."""

    def __init__(self, space: Space, target: Tensor, weight: float, show_every: int):
        self.space, self.target, self.weight, self.show_every = space, target, weight, show_every
        self.features = perceptual.chosen(space.net) if weight else None
        with torch.inference_mode(False), torch.no_grad():
            self.wanted = self.features.maps(target) if self.features else []

    def run(self, method: str, steps: int, seed: int, start: Tensor | None) -> Iterator[ProjectionStep]:
        note = ""
        if start is None or method == "predictor":
            start, note = self._start(method, seed)
        if method == "predictor":
            loss, l2, image, _gradient = self._evaluate(self.space.free(start))
            yield ProjectionStep(0, start.cpu(), to_pil(image)[0], loss, l2, True, note)
            return
        search = iterate(lambda report: self._search(self.space.free(start), steps, report), "projection")
        try:
            for step, free, (loss, l2, image) in search:
                done = step < 0
                shown = done or (self.show_every and step % self.show_every == 0)
                picture = to_pil(image)[0] if shown and self.show_every else None
                latent = self.space.bind(free).detach().cpu()
                yield ProjectionStep(abs(step) - done, latent, picture, loss, l2, done, note)
        finally:
            search.close()

    @torch.no_grad()
    def _start(self, method: str, seed: int) -> tuple[Tensor, str]:
        space, predictor = self.space, getattr(self.space.net, "predictor", None)
        if method != "optimisation" and predictor is not None:
            return predictor(self.target).float(), ""
        if method == "optimisation":
            return space.random(1, seed), ""
        latents = space.random(STARTS, seed)
        apart = (space.pictures(latents) - self.target.cpu()).square().mean(dim=(1, 2, 3))
        words = f"This network has no predictor, so the search began at the nearest of {STARTS} latents."
        return latents[int(apart.argmin())][None], words

    def _evaluate(self, free: Tensor) -> tuple[float, float, Tensor, Tensor]:
        """Loss, mean square of pixels, the picture ``[1, 3, H, W]`` and the loss's gradient by ``free``."""
        with torch.inference_mode(False), torch.enable_grad():
            free = free.detach().clone().requires_grad_(True)
            image = self.space.images(self.space.bind(free))
            l2 = loss = (image - self.target).square().mean()
            if self.features is not None:
                loss = l2 + self.weight * self.features.apart(image, self.wanted)[0]
            (gradient,) = torch.autograd.grad(loss, free)
        return float(loss.detach()), float(l2.detach()), image.detach(), gradient

    def _search(self, start: Tensor, steps: int, report) -> None:
        """Reports ``(iteration, free numbers, (loss, l2, picture))``; the best at the end as ``-iterations - 1``."""
        from scipy.optimize import minimize  # half a second to import, which a page that only opens need not wait

        shape, device = start.shape, start.device
        known: dict[bytes, tuple] = {}
        best: list = []

        def tensor(x: np.ndarray) -> Tensor:
            return torch.from_numpy(x.astype(np.float32)).reshape(shape).to(device)

        def value(x: np.ndarray) -> tuple[float, np.ndarray]:
            free = tensor(x)
            loss, l2, image, gradient = self._evaluate(free)
            known.clear()
            known[x.tobytes()] = (loss, l2, image)
            if not best or loss < best[1][0]:
                best[:] = free, (loss, l2, image)
            return loss, gradient.double().cpu().numpy().ravel()

        def told(x: np.ndarray) -> None:
            nonlocal made
            made += 1
            at = known.get(x.tobytes())  # the accepted point is nearly always the one evaluated last
            free = tensor(x)
            report((made, free, at or self._evaluate(free)[:3]))

        made = 0
        x0 = start.double().cpu().numpy().ravel()
        report((0, start, self._evaluate(start)[:3]))
        minimize(value, x0, jac=True, method="L-BFGS-B", tol=TOLERANCE, callback=told, options={"maxiter": steps})
        report((-made - 1, *best))
