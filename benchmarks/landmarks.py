"""Landmarks read steadily, and what moving them by a warp of the picture alone gives: what a drag can be compared with.

dlib's reading of one small picture wobbles: finest rows of w+ that move nothing shift the landmarks of 128 px faces by
half a pixel. A face moves five landmarks by three pixels on the way to another one, so a reading is repeated, shifted
and mirrored, and the mean taken.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SHIFTS = ((0, 0), (2, 1), (-2, -1), (1, -2), (-1, 2))  # x, y in pixels
# Of each of dlib's 68 landmarks the one on the other side of the face.
OPPOSITE = [
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31), *range(35, 30, -1),  # nose
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,  # eyes
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),  # lips
]  # fmt: skip


def steady(images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """``judges.landmarks`` of ``images [N, 3, R, R]``, the mean of ten readings, and whether half of them found a face.

    Where no reading found one, the landmarks are 0: leave them out.
    """
    from training import judges

    size, most = images.shape[-1], max(max(map(abs, shift)) for shift in SHIFTS)
    total = np.zeros((len(images), 68, 2), np.float32)
    readings = np.zeros(len(images), np.float32)
    wide = F.pad(images, (most,) * 4, mode="replicate")
    for x, y in SHIFTS:
        shifted = wide[:, :, most - y : most - y + size, most - x : most - x + size]
        for mirrored in (False, True):
            points, detected = judges.landmarks(shifted.flip(3) if mirrored else shifted)
            if mirrored:
                points = points[:, OPPOSITE] * (-1, 1) + (size - 1, 0)
            total += np.where(detected[:, None, None], points - (x, y), 0)
            readings += detected
    return total / np.maximum(readings, 1)[:, None, None], readings >= len(SHIFTS)


def warped(image: Tensor, start: np.ndarray, goal: np.ndarray) -> Tensor:
    """``image [1, 3, R, R]`` bent so that the points ``start [n, 2]`` come to lie at ``goal``: a thin-plate spline.

    The corners and the middles of the sides stay. No generator has part in it, so it has no face to be true to.
    """
    from scipy.interpolate import RBFInterpolator

    size = image.shape[-1]
    ends = np.linspace(0, size - 1, 3)
    frame = np.array([(x, y) for x in ends for y in ends if (x, y) != (ends[1], ends[1])])
    # Each place of the result is looked up where it came from.
    back = RBFInterpolator(
        np.vstack([goal, frame]), np.vstack([start, frame]), kernel="thin_plate_spline", smoothing=1e-3
    )
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).reshape(-1, 2)
    places = torch.from_numpy(back(grid)).float().reshape(1, size, size, 2)
    places = (places + 0.5) / size * 2 - 1
    return F.grid_sample(image, places, mode="bicubic", padding_mode="border", align_corners=False).clamp(-1, 1)
