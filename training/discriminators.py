"""A discriminator of strided convolutions: DCGAN's (Radford et al. 2016) without norms.

R1 wants each picture judged by itself, hence no batch norm. Beside a trained generator it learns within a few hundred
steps, where a new StyleGAN2 discriminator of 128 px is at chance for thousands of images. It is worse at large shapes:
a generator that learns from it alone for long drifts from photographs at 16 to 64 px.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from models.dcgan import Discriminator

WIDEST = 8  # times the first layer's width


def strided(widths: Sequence[int], kernel: int = 4) -> Discriminator:
    """A new one with so many feature maps after each halving, down to 4 px."""
    D = Discriminator(widths, kernel=kernel, norm="none", bias=True)
    for layer in D.downs:  # without norms, weights of deviation 0.02 would let the signal die on its way
        nn.init.kaiming_normal_(layer.weight, D.slope)
    return D


def halving_widths(first: int, resolution: int, widest: int | None = None) -> tuple[int, ...]:
    """``(w, 2w, 4w, ...)``, a width for each halving down to 4 px, none above ``widest``."""
    count = resolution.bit_length() - 3
    if count < 1 or 4 << count != resolution:
        raise ValueError("the resolution must be 8, 16, 32, 64, ...")
    return tuple(min(first << i, widest or first << i) for i in range(count))
