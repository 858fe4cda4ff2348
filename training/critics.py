"""The discriminator of strided convolutions: DCGAN's (Radford et al. 2016) without norms, because R1 wants each picture
judged by itself.

It also serves a StyleGAN2 that is good already: a new StyleGAN2 discriminator of 128 px (equalised learning rates from
random weights) is still at chance after thousands of a trained generator's images, and the generator drifts meanwhile;
this one tells them from photographs after one thousand.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

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


def made(first: int, resolution: int, patches: int = 0) -> nn.Module:
    """``strided``, or ``Patches`` after so many halvings."""
    widths = halving_widths(first, resolution, first * WIDEST)
    if not 0 <= patches <= len(widths):
        raise ValueError(f"patches must be 0 to {len(widths)} halvings")
    return Patches(widths[:patches]) if patches else strided(widths)


class Patches(nn.Module):
    """Judges each place of a picture by its surroundings alone (Isola et al. 2017): ``[N, 3, R, R]`` -> ``[N, P]``.

    It says nothing of what the whole picture shows, so it is what a generator wants of which only the fine layers still
    learn: told of a crooked face, they could but shift its colours.

    Args:
        widths: feature maps after each halving; three of them see 38 px.
    """

    def __init__(self, widths: Sequence[int], slope: float = 0.2):
        super().__init__()
        ends = (3, *widths)
        self.config = {"widths": list(widths), "slope": slope}
        self.slope = slope
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in zip(ends, widths, strict=False))
        self.head = nn.Conv2d(widths[-1], 1, 3, 1, 1)
        for layer in (*self.downs, self.head):
            nn.init.kaiming_normal_(layer.weight, slope)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        for down in self.downs:
            x = nn.functional.leaky_relu(down(x), self.slope)
        return self.head(x).flatten(1)
