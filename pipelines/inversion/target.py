"""The picture that an inversion is after, as a network makes its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from models import device_of
from models.stylegan2 import Generator
from weights.errors import UserError

from ..photographs import photograph


def prepare(
    image: Image.Image, net: Generator, align: Callable[[Image.Image], Image.Image] | None = None
) -> Image.Image:
    """A photograph as ``net`` makes its pictures: RGB, square, ``img_resolution`` pixels.

    ``align`` brings a face to the place where the network has it; without one the middle is cut out. Raises UserError.
    """
    if not isinstance(net, Generator):
        raise UserError("Photographs are inverted for StyleGAN2 networks; load one first.")
    image = photograph(image)
    if align is not None:
        image = align(image)
    size = net.img_resolution
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


def tensor(image: Image.Image, net: Generator) -> Tensor:
    """``[1, 3, H, W]`` in [-1, 1] on the network's device."""
    levels = torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1)[None]
    return (levels / 127.5 - 1).to(device_of(net))
