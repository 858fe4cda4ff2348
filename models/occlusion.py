"""Occlusion: what of a photograph lies before the face, or is otherwise nothing that its generator makes.

A small U-Net (Ronneberger et al. 2015) sees the photograph I and what the generator makes of it, I' (ours; Song et al.
2022 leave such things to the mask of the edit alone).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import stored
from .diffcam import brought_to


def _layer(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())


@stored("occlusion", "network")
class OcclusionNet(nn.Module):
    """Two pictures ``[N, 3, H, W]`` in [-1, 1], I and I' -> logits ``[N, 1, S, S]`` of what does not belong.

    Args:
        img_resolution: S; pictures of another size are brought to this one first.
        widths: channels at S, S/2, S/4 ...
    """

    def __init__(self, img_resolution: int = 64, widths: Sequence[int] = (16, 32, 64, 96)):
        super().__init__()
        if len(widths) < 2 or img_resolution % (1 << (len(widths) - 1)):
            raise ValueError(f"{img_resolution} px cannot be halved {len(widths) - 1} times")
        self.config = {"img_resolution": img_resolution, "widths": list(widths)}
        self.img_resolution = img_resolution
        pairs = list(zip(widths, widths[1:], strict=False))
        self.first = nn.Sequential(_layer(9, widths[0]), _layer(widths[0], widths[0]))
        self.down = nn.ModuleList(nn.Sequential(_layer(a, b), _layer(b, b)) for a, b in pairs)
        self.up = nn.ModuleList(_layer(a + b, a) for a, b in reversed(pairs))
        self.last = nn.Conv2d(widths[0], 1, 1)

    def forward(self, photo: Tensor, inverted: Tensor) -> Tensor:
        photo, inverted = (brought_to(x, self.img_resolution) for x in (photo, inverted))
        x = self.first(torch.cat([photo, inverted, photo - inverted], dim=1))
        maps = [x]
        for block in self.down:
            x = block(F.max_pool2d(x, 2))
            maps.append(x)
        maps.pop()
        for block in self.up:
            x = block(torch.cat([maps.pop(), F.interpolate(x, scale_factor=2, mode="nearest")], dim=1))
        return self.last(x)

    def mask(self, photo: Tensor, inverted: Tensor) -> Tensor:
        """How surely each pixel of the photographs ``[N, 3, H, W]`` does not belong: ``[N, 1, H, W]`` in 0..1."""
        found = torch.sigmoid(self(photo, inverted).float())
        return F.interpolate(found, size=photo.shape[-2:], mode="bilinear", align_corners=False)
