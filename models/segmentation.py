"""Where in an aligned face the person is, and where the hair: what an edit may touch and what it must leave alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import stored
from .diffcam import brought_to
from .unet import UNet

CLASSES = ("person", "hair")


@dataclass(frozen=True, eq=False)
class Parts:
    """``person`` and ``hair``, each ``[S, S]`` float32 in 0..1: how surely a pixel belongs to it."""

    person: np.ndarray
    hair: np.ndarray


@stored("segmentation", "network")
class SegmentationNet(UNet):
    """Pictures ``[N, 3, H, W]`` in [-1, 1] of the `celeba` crop -> logits ``[N, 2, S, S]``, in the order of CLASSES.

    A pixel of hair is one of the person too.

    Args:
        img_resolution: S; pictures of another size are brought to this one first.
        widths: channels at S, S/2, S/4 ...
    """

    def __init__(self, img_resolution: int = 128, widths: Sequence[int] = (12, 24, 40, 64, 64)):
        super().__init__(img_resolution, 3, len(CLASSES), widths)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(brought_to(x, self.img_resolution))

    def masks(self, x: Tensor) -> Tensor:
        """How surely each pixel of pictures ``[N, 3, H, W]`` is the person, and hair: ``[N, 2, H, W]`` in 0..1."""
        found = torch.sigmoid(self(x).float())
        return F.interpolate(found, size=x.shape[-2:], mode="bilinear", align_corners=False)
