"""Between tensors ``[N, 3, H, W]`` in [-1, 1] and pictures."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_pil(x: Tensor) -> list[Image.Image]:
    """RGB pictures; values beyond [-1, 1] are clipped."""
    x = (x.detach().float() * 127.5 + 127.5).round_().clamp_(0, 255).to(torch.uint8)
    if x.shape[1] == 1:
        x = x.expand(-1, 3, -1, -1)
    return [Image.fromarray(a) for a in x.permute(0, 2, 3, 1).contiguous().cpu().numpy()]


# Control points of a dark-to-bright map whose lightness rises evenly, so that it also reads in grey.
_HEAT = np.array(
    [
        [13, 10, 35],
        [61, 18, 92],
        [120, 28, 109],
        [181, 45, 97],
        [229, 83, 66],
        [249, 142, 35],
        [250, 205, 79],
        [252, 253, 191],
    ],
    dtype=np.float32,
)


def heat_map(values: Tensor | np.ndarray, size: int | None = None, high: float | None = None) -> Image.Image:
    """``[H, W]`` non-negative numbers as colours, black to pale yellow.

    ``high`` is the brightest value (the largest if not given); ``size`` enlarges by whole pixels, so that small maps
    keep their squares.
    """
    v = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=np.float32)
    high = float(v.max()) if high is None else high
    t = np.clip(v / max(high, 1e-12), 0, 1) * (len(_HEAT) - 1)
    i = np.minimum(t.astype(int), len(_HEAT) - 2)
    rgb = _HEAT[i] + (t - i)[..., None] * (_HEAT[i + 1] - _HEAT[i])
    image = Image.fromarray(rgb.round().astype(np.uint8))
    if size is not None and size > max(image.size):
        factor = size // max(image.size)
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    return image
