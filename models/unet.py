"""A small U-Net (Ronneberger et al. 2015): what a pixel is, seen near and from afar."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _layer(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())


class UNet(nn.Module):
    """Maps ``[N, n_in, S, S]`` -> logits ``[N, n_out, S, S]``.

    Args:
        img_resolution: S, a multiple of ``2 ** (len(widths) - 1)``; ValueError otherwise.
        widths: channels at S, S/2, S/4 ...; at least two.
    """

    def __init__(self, img_resolution: int, n_in: int, n_out: int, widths: Sequence[int]):
        super().__init__()
        if len(widths) < 2 or img_resolution % (1 << (len(widths) - 1)):
            raise ValueError(f"{img_resolution} px cannot be halved {len(widths) - 1} times")
        self.config = {"img_resolution": img_resolution, "widths": list(widths)}
        self.img_resolution = img_resolution
        pairs = list(zip(widths, widths[1:], strict=False))
        self.first = nn.Sequential(_layer(n_in, widths[0]), _layer(widths[0], widths[0]))
        self.down = nn.ModuleList(nn.Sequential(_layer(a, b), _layer(b, b)) for a, b in pairs)
        self.up = nn.ModuleList(_layer(a + b, a) for a, b in reversed(pairs))
        self.last = nn.Conv2d(widths[0], n_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        # On a CPU few channels on large maps are a third quicker when the channels of a pixel lie together.
        x = self.first(x.contiguous(memory_format=torch.channels_last))
        maps = [x]
        for block in self.down:
            x = block(F.max_pool2d(x, 2))
            maps.append(x)
        maps.pop()
        for block in self.up:
            x = block(torch.cat([maps.pop(), F.interpolate(x, scale_factor=2, mode="nearest")], dim=1))
        return self.last(x)
