"""Occlusion: what of a photograph lies before the face, or is otherwise nothing that its generator makes.

A small U-Net (Ronneberger et al. 2015) sees the photograph I and what the generator makes of it, I' (ours; Song et al.
2022 leave such things to the mask of the edit alone).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from . import stored
from .diffcam import brought_to
from .unet import UNet


@stored("occlusion", "network")
class OcclusionNet(UNet):
    """Two pictures ``[N, 3, H, W]`` in [-1, 1], I and I' -> logits ``[N, 1, S, S]`` of what does not belong.

    Args:
        img_resolution: S; pictures of another size are brought to this one first.
        widths: channels at S, S/2, S/4 ...
    """

    def __init__(self, img_resolution: int = 64, widths: Sequence[int] = (16, 32, 64, 96)):
        super().__init__(img_resolution, 9, 1, widths)

    def forward(self, photo: Tensor, inverted: Tensor) -> Tensor:
        photo, inverted = (brought_to(x, self.img_resolution) for x in (photo, inverted))
        return super().forward(torch.cat([photo, inverted, photo - inverted], dim=1))

    def mask(self, photo: Tensor, inverted: Tensor) -> Tensor:
        """How surely each pixel of the photographs ``[N, 3, H, W]`` does not belong: ``[N, 1, H, W]`` in 0..1."""
        found = torch.sigmoid(self(photo, inverted).float())
        return F.interpolate(found, size=photo.shape[-2:], mode="bilinear", align_corners=False)
