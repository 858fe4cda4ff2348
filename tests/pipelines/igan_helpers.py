"""What tests of iGAN share: what is drawn on a picture of 32 px, and when two pictures are the same."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIZE = 32


def paint(colour=(200, 60, 60), box=(8, 8, 20, 16), size=SIZE) -> Image.Image:
    rgba = np.zeros((size, size, 4), dtype=np.uint8)
    left, top, right, bottom = box
    rgba[top:bottom, left:right] = (*colour, 255)
    return Image.fromarray(rgba)


def same(a: Image.Image, b: Image.Image) -> bool:
    """Up to rounding: a picture in a batch is summed in another order than alone."""
    apart = np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int))
    return apart.max() <= 1 and (apart > 0).mean() < 0.01


def line(size=SIZE) -> np.ndarray:
    levels = np.zeros((size, size), dtype=np.uint8)
    levels[size // 2 : size // 2 + 2, size // 4 : 3 * size // 4] = 255
    return levels


WARP = {"source": (10, 10), "target": (20, 18), "size": 8}
