"""The discriminator of strided convolutions: DCGAN's (Radford et al. 2016) without norms, because R1 wants each picture
judged by itself.

It also serves a StyleGAN2 that is good already: a new StyleGAN2 discriminator of 128 px (equalised learning rates from
random weights) is at chance for the first thousands of a trained generator's images. Beside the same still pictures,
after 300 steps of 16, its loss was 1.38 of 1.39, that of the strided one 0.61, at five times as many images a second of
a core. The StyleGAN2 one came to 0.7 to 1.0 after 24,000 to 32,000 images, and was back at 1.35 after 12,000 of a
generator that learnt, too. What the strided one is worse at are large shapes: a generator of 128 px that learns from it
alone for long gets cleaner pictures and drifts from photographs at 16 to 64 px.
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
