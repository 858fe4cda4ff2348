"""The average of pictures of a StyleGAN2."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .. import stylegan2
from ..registry import recipe


@recipe("image")
def average(net, seeds, truncation_psi: float = 0.7) -> Image.Image:
    """The mean of the pictures of some seeds. ``seeds`` as ``stylegan2.sample`` takes them. Raises UserError."""
    pictures = stylegan2.sample(net, seeds, truncation_psi)
    mean = np.mean([np.asarray(one, np.float32) for one in pictures], axis=0)
    return Image.fromarray(mean.round().astype(np.uint8))
