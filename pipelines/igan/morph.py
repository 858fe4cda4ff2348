"""Two photographs: latents that go together, and one of them turns into the other (Zhu et al. 2016, section 4.3).

A change is read off the two generated pictures, so what counts is how *they* differ, and each is off its photograph in
its own way: edges lie a little beside the photograph's, and projected twice they do not lie beside them by the same
amount. Then the difference is read as motion. So the second latent is looked for with the first one's error as given:

    z1 = argmin |G(z1) - (x1 + F(G(z0) - x0))|^2

F is what the change from G(z0) to G(z1) does to a picture, so that the error goes where the edit takes it. F needs z1;
at first it is the identity, and then a few rounds of estimating it and searching on from the last z1 follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from .. import checks
from ..images import decode_image
from ..photographs import photograph
from ..progress import passed
from ..registry import recipe
from . import projection
from .flow import Fields, edited
from .latent_space import Latent, Network, Space
from .transfer import MAX_FRAMES, MIN_FRAMES, apply, change

# Mean square difference of photographs in [-1, 1] below which one may be an edit of the other: of seeded edits (motion
# to 5 % of the side, gains to 1.35) 99 % differ by less than 0.11, and of faces, flowers and cats 1 % of pairs by less
# than 0.16 (60 training photographs a set).
ALIKE = 0.12
ROUNDS = 2  # of estimating the change anew
AGAIN = 0.6  # of the steps, in each of these rounds


def pair(
    net: Network,
    image0: Image.Image | str,
    image1: Image.Image | str,
    steps: int = 100,
    *,
    z0: Latent | None = None,
) -> tuple[Tensor, Tensor]:
    """The latents ``[1, ...]``, on the CPU, of a photograph and of an edited version of it.

    The second picture is as far off its photograph as the first one, in the same way; ``project`` comes a little nearer
    to that photograph, but the difference of these two says more of the edit. Photographs that have little in common
    are projected one by one. It says ``progress.passed`` after each step of the search.

    Args:
        net: a DCGAN or a StyleGAN2.
        image0, image1: brought to the network's size by ``prepare``.
        steps: of each projection at most, 1 to 500; there are up to 2.2 times as many for the second latent.
        z0: the first one's latent, where it is known.

    Raises UserError.
    """
    space = Space(net)
    images = [projection.prepare(image, net) for image in (image0, image1)]
    steps = checks.integer(steps, "The number of steps", 1, 500)
    a = None if z0 is None else space.latent(z0).cpu()
    first, second = (np.asarray(image, np.float32) / 255 for image in images)
    alike = 4 * np.square(second - first).mean() <= ALIKE
    again = max(1, round(AGAIN * steps))
    total = steps * (1 if a is not None else 2) + (ROUNDS * again if alike else 0)
    done = 0

    def found(search: Iterator, at_most: int) -> Tensor:
        nonlocal done
        with closing(search):
            for last in search:
                passed(done + last.step, total)
        done += at_most
        return last.latent

    if a is None:
        a = found(projection.project(net, images[0], steps=steps, show_every=0), steps)
    if not alike:
        return a, found(projection.project(net, images[1], steps=steps, show_every=0), steps)
    error = _levels(space, a) - first
    b = found(projection.approach(space, a, second + error, steps), steps)
    for _ in range(ROUNDS):
        fields: Fields = change(net, a, b, 2).at(1)
        # The change is affine: of the difference of two pictures it leaves what it would add to both.
        carried = edited(fields, error) - edited(fields, np.zeros_like(error))
        b = found(projection.approach(space, b, second + carried, again), again)
    return a, b


@recipe("frames")
def morph(
    net: Network,
    image0: Image.Image | str,
    image1: Image.Image | str,
    frames: int = 16,
    *,
    z0: Latent | None = None,
    z1: Latent | None = None,
    smoothness: float = 1.0,
    colour_smoothness: float = 1.0,
    steps: int = 100,
) -> Iterator[Image.Image]:
    """One photograph turns into another: each is edited towards the other one, and the two are blended over time.

    The first frame is the first photograph, the last one the second, cut and resized to the first one's size where they
    differ. ``z0`` and ``z1`` are their latents; what is not given is looked for by ``pair``, in ``steps`` steps (1 to
    500) a projection, between the first two frames.

    Raises UserError: at once, for anything out of bounds.
    """
    image0, image1 = (photograph(decode_image(i) if isinstance(i, str) else i) for i in (image0, image1))
    if image1.size != image0.size:
        image1 = ImageOps.fit(image1, image0.size, Image.Resampling.LANCZOS)
    space = Space(net)
    z0, z1 = (None if z is None else space.latent(z) for z in (z0, z1))
    frames = checks.integer(frames, "The number of frames", MIN_FRAMES, MAX_FRAMES)
    steps = checks.integer(steps, "The number of steps", 1, 500)
    checks.number(smoothness, "The smoothness of the motion", 0.1, 10)
    checks.number(colour_smoothness, "The smoothness of the colours", 0.1, 10)

    def made() -> Iterator[Image.Image]:
        yield image0.copy()
        a, b = z0, z1
        if b is None:
            a, b = pair(net, image0, image1, steps, z0=a)
        elif a is None:
            b, a = pair(net, image1, image0, steps, z0=b)
        options = {"smoothness": smoothness, "colour_smoothness": colour_smoothness}
        there, back = change(net, a, b, frames, **options), change(net, b, a, frames, **options)
        for number in range(1, frames - 1):
            t = number / (frames - 1)
            yield Image.blend(apply(there, image0, t), apply(back, image1, 1 - t), t * t * (3 - 2 * t))
        yield image1.copy()

    return made()


@torch.inference_mode(False)
def _levels(space: Space, latent: Tensor) -> np.ndarray:
    """The picture of a latent as ``[R, R, 3]`` float32, from about 0 to 1."""
    picture = (space.pictures(latent)[0].numpy().transpose(1, 2, 0) + 1) / 2
    return np.broadcast_to(picture, (*picture.shape[:2], 3))
