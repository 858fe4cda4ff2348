"""Histograms of oriented gradients that can be differentiated (Zhu et al. 2016, section 4.1; after Dalal, Triggs 2005).

An edge belongs to no direction more than to its line, so orientations are counted over half a turn. A gradient's
magnitude is shared between the two nearest of the orientations by how well it points along them, and between the four
nearest cells by bilinear weights: nothing jumps, so everything has a derivative.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

ORIENTATIONS = 8
CELL = 8  # pixels
EPS = 1e-3  # keeps the length of a gradient differentiable where there is none


def hog(x: Tensor, orientations: int = ORIENTATIONS, cell: int = CELL) -> Tensor:
    """``[N, 3 or 1, H, W]`` in [-1, 1] -> ``[N, orientations, H / cell, W / cell]``; no block is normalised.

    Orientation k is that of gradients at ``k / orientations`` of half a turn from the x axis (to the right), turning
    towards the y axis (downwards). H and W are multiples of the cell, which is even.
    """
    grey = (x.mean(dim=1, keepdim=True) + 1) / 2
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=x.device, dtype=x.dtype) / 4
    # The border is continued, so that a picture's edge is no edge in it.
    g = F.conv2d(F.pad(grey, [1, 1, 1, 1], mode="replicate"), torch.stack([sobel, sobel.T])[:, None])
    length = (g.square().sum(dim=1, keepdim=True) + EPS**2).sqrt()
    angles = torch.arange(orientations, device=x.device, dtype=x.dtype) * (math.pi / orientations)
    directions = torch.stack([angles.cos(), angles.sin()], dim=1)[:, :, None, None]
    along = F.conv2d(g, directions).abs()  # [N, orientations, H, W]: |g| |cos of the angle between|
    nearest = math.cos(math.pi / orientations)
    shares = F.relu(along - nearest * length) / (1 - nearest)
    return _cells(shares, cell)


def _cells(maps: Tensor, cell: int) -> Tensor:
    """Sums over cells with bilinear weights: each pixel counts for the cells around it, 1 in all but at the border."""
    ramp = 1 - ((torch.arange(2 * cell, device=maps.device, dtype=maps.dtype) + 0.5) / cell - 1).abs()
    for shape in ((2 * cell, 1), (1, 2 * cell)):
        kernel = ramp.reshape(1, 1, *shape).expand(maps.shape[1], -1, -1, -1)
        along_y = shape[0] > 1
        maps = F.conv2d(
            maps,
            kernel,
            stride=(cell, 1) if along_y else (1, cell),
            padding=(cell // 2, 0) if along_y else (0, cell // 2),
            groups=maps.shape[1],
        )
    return maps


def cells_of(mask: Tensor, cell: int = CELL) -> Tensor:
    """``[N, 1, H, W]`` from 0 to 1 -> ``[N, 1, H / cell, W / cell]``: 1 for each cell in which anything is marked.

    Only the cell's own pixels count, not the wider window of its histogram: a line asks for nothing beside it.
    """
    return (F.max_pool2d(mask, cell) > 0.5).to(mask.dtype)
