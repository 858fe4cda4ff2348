"""How far two pictures are apart, without a downloaded network.

A distance is a function of two batches ``[N, 3, H, W]`` in [-1, 1] that gives ``[N]`` and can be differentiated; what
takes one takes any such function, so that LPIPS fits in where its weights are at hand.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Distance = Callable[[Tensor, Tensor], Tensor]

SMALLEST = 8  # pixels: the coarsest level of the pyramid is no smaller


def pixels(a: Tensor, b: Tensor) -> Tensor:
    """Mean square over pixels and colours, ``[N]``."""
    return (a - b).square().mean(dim=(1, 2, 3))


def structure(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of Laplacian pyramids (Bojanowski et al. 2018), coarse levels counting most, ``[N]``.

    Edges that are a little off cost little on the coarse levels, where a plain mean square would rather blur them.
    """
    total, weight = a.new_zeros(len(a)), 0.0
    difference = a - b  # the pyramid is linear, so one will do
    size = a.shape[-1]
    while True:
        small = _halved(difference) if min(difference.shape[2:]) >= 2 * SMALLEST else None
        level = difference if small is None else difference - _doubled(small)
        share = (size / difference.shape[-1]) ** 0.5
        total = total + share * level.abs().mean(dim=(1, 2, 3))
        weight += share
        if small is None:
            return total / weight
        difference = small


def visible(a: Tensor, b: Tensor) -> Tensor:
    """``pixels + structure``, both of about the same size for pictures of the same subject, ``[N]``."""
    return pixels(a, b) + structure(a, b)


def _halved(x: Tensor) -> Tensor:
    """Blurred with [1, 3, 3, 1] / 8 both ways, every other pixel taken."""
    kernel = torch.tensor([1.0, 3.0, 3.0, 1.0], device=x.device, dtype=x.dtype) / 8
    kernel = torch.outer(kernel, kernel)[None, None].repeat(x.shape[1], 1, 1, 1)
    return F.conv2d(F.pad(x, [1, 1, 1, 1], mode="replicate"), kernel, stride=2, groups=x.shape[1])


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
