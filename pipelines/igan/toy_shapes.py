"""Where the data of the toy lie: a ring, two moons, three clouds, or what somebody has painted."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from weights.errors import UserError

from ..images import Mask, read_mask

RADIUS, SPREAD = 1.0, 0.08  # of the ring: mean and deviation of the distance from the middle
REACH = 1.5  # of the plane that is seen, from the middle to each edge
CELLS = 128  # of what is painted, a side
CLOUD = 0.1  # deviation of a cloud
SHAPES = ("ring", "moons", "clouds")


class Shape(Protocol):
    """A distribution of points of the plane."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """``[count, 2]`` points, each coordinate about -1.5 to 1.5."""
        ...


class Ring:
    """Around a circle."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        angle = torch.rand(count, generator=generator) * 2 * math.pi
        radius = RADIUS + SPREAD * torch.randn(count, generator=generator)
        return radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)


class Moons:
    """Two half circles, one hanging into the other: two pieces that one sheet has to cover."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        angle = torch.rand(count, generator=generator) * math.pi
        lower = torch.rand(count, generator=generator) < 0.5
        arc = torch.stack([angle.cos(), angle.sin()], dim=1) * 0.8
        arc = torch.where(lower[:, None], torch.tensor([0.4, 0.2]) - arc, arc - torch.tensor([0.4, 0.2]))
        return arc + 0.06 * torch.randn(count, 2, generator=generator)


class Clouds:
    """Three of them, far apart: a generator may leave one out (mode collapse), and strings points between them."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        angle = torch.randint(3, (count,), generator=generator) * (2 * math.pi / 3) + math.pi / 2
        middle = torch.stack([angle.cos(), angle.sin()], dim=1)
        return middle + CLOUD * torch.randn(count, 2, generator=generator)


class Painted:
    """Evenly over what is painted in a picture of the plane; where it is half painted, half as dense."""

    def __init__(self, mask: Mask):
        levels = read_mask(mask, CELLS).flatten().double()
        if not float(levels.sum()):
            raise UserError("Nothing is painted yet; paint where the data should lie.")
        self.shares = levels.cumsum(0) / levels.sum()

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        cell = torch.searchsorted(self.shares, torch.rand(count, generator=generator, dtype=torch.float64), right=True)
        cell = cell.clamp_max(len(self.shares) - 1)
        place = torch.stack([cell % CELLS, cell // CELLS], dim=1) + torch.rand(count, 2, generator=generator)
        return (place * (2 * REACH / CELLS) - REACH) * torch.tensor([1.0, -1.0])  # pictures have y downwards


def shape_of(shape: str | Mask) -> Shape:
    """One of ``SHAPES``, or of a mask. Raises UserError."""
    if isinstance(shape, str) and len(shape) <= 20:  # the text of a mask is longer
        try:
            return {"ring": Ring, "moons": Moons, "clouds": Clouds}[shape]()
        except KeyError:
            raise UserError(f"The data can be {', '.join(SHAPES)}, or what is painted.") from None
    return Painted(shape)
