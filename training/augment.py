"""Adaptive discriminator augmentation (Karras et al. 2020, "Training GANs with Limited Data").

Each transformation is applied to each image with probability p, independently, to real and generated images alike;
what stays below p = 0.8 or so does not leak into the generator. Geometric ones are one bilinear resampling with
mirrored borders, colour ones one affine map, so that a batch costs two passes whatever p is.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def _matrix(n: int, **entries: Tensor) -> Tensor:
    m = torch.eye(3).repeat(n, 1, 1)
    for key, value in entries.items():
        m[:, int(key[1]), int(key[2])] = value
    return m


def augment(x: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """``[N, 3, H, W]`` -> the same shape, differentiable. p in 0..1; p = 0 gives x back untouched."""
    if p <= 0:
        return x
    n = x.shape[0]

    def uniform(low=0.0, high=1.0):
        return torch.rand(n, generator=generator) * (high - low) + low

    def normal(std):
        return torch.randn(n, generator=generator) * std

    def sometimes(value, neutral, probability=p):
        return torch.where(uniform() < probability, value, torch.full_like(value, neutral))

    # Geometry, as maps from output to input coordinates in [-1, 1].
    g = _matrix(n, m00=sometimes(torch.where(uniform() < 0.5, -1.0, 1.0), 1.0))
    quarter = sometimes((uniform(0, 4)).floor(), 0.0) * (math.pi / 2)
    g = g @ _matrix(n, m00=quarter.cos(), m01=-quarter.sin(), m10=quarter.sin(), m11=quarter.cos())
    g = g @ _matrix(n, m02=sometimes(uniform(-0.25, 0.25), 0.0), m12=sometimes(uniform(-0.25, 0.25), 0.0))
    scale = sometimes(torch.exp2(normal(0.2)), 1.0)
    g = g @ _matrix(n, m00=scale, m11=scale)
    # Rotation before and after the anisotropic scaling, each with the probability that makes the pair p.
    p_rot = 1 - math.sqrt(max(1 - p, 0.0))
    angle = sometimes(uniform(-math.pi, math.pi), 0.0, p_rot)
    g = g @ _matrix(n, m00=angle.cos(), m01=-angle.sin(), m10=angle.sin(), m11=angle.cos())
    aniso = sometimes(torch.exp2(normal(0.2)), 1.0)
    g = g @ _matrix(n, m00=aniso, m11=1 / aniso)
    angle = sometimes(uniform(-math.pi, math.pi), 0.0, p_rot)
    g = g @ _matrix(n, m00=angle.cos(), m01=-angle.sin(), m10=angle.sin(), m11=angle.cos())
    g = g @ _matrix(n, m02=sometimes(normal(0.25), 0.0), m12=sometimes(normal(0.25), 0.0))

    # Colour, as [3, 4] maps.
    luma = torch.full((3,), 1 / math.sqrt(3))
    vv = torch.outer(luma, luma)
    eye = torch.eye(3)
    c = eye.repeat(n, 1, 1) * sometimes(torch.exp2(normal(0.5)), 1.0)[:, None, None]
    shift = sometimes(normal(0.2), 0.0)
    flip = sometimes((uniform() < 0.5).float(), 0.0)
    c = (eye - 2 * vv * flip[:, None, None]) @ c
    theta = sometimes(uniform(-math.pi, math.pi), 0.0)[:, None, None]
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    c = (eye * theta.cos() + cross * theta.sin() + vv * (1 - theta.cos())) @ c
    saturation = sometimes(torch.exp2(normal(1.0)), 1.0)[:, None, None]
    c = (vv + (eye - vv) * saturation) @ c

    device, dtype = x.device, x.dtype
    x = x.float()
    grid = F.affine_grid(g[:, :2].to(device), list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    x = torch.einsum("nij,njhw->nihw", c.to(device), x) + shift.to(device)[:, None, None, None]
    return x.to(dtype)


def moved(x: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Pictures ``[N, C, H, W]`` moved together by up to ``most`` px either way, the borders mirrored.

    Strided convolutions see every second pixel in another way, and what learns from them gets a mesh of that period. A
    picture that lies elsewhere each time has none.
    """
    if not most:
        return x
    top, left = torch.randint(0, 2 * most + 1, (2,), generator=generator).tolist()
    return F.pad(x, [most] * 4, mode="reflect")[:, :, top : top + x.shape[2], left : left + x.shape[3]]


class AdaptiveProbability:
    """p follows the discriminator: up while E[sign(D(real))] is above the target, down while it is below."""

    def __init__(self, target: float = 0.6, images_to_full: float = 500_000, p: float = 0.0):
        self.target, self.images_to_full, self.p = target, images_to_full, p
        self.signs = self.observed = 0.0  # since p moved last; several processes exchange theirs before it moves

    def observe(self, logits_real: Tensor) -> None:
        self.signs += logits_real.detach().sign().sum().item()
        self.observed += logits_real.numel()

    def adjust(self) -> float | None:
        """Moves p by the images seen since the last call; returns the statistic r_t."""
        if not self.observed:
            return None
        r_t = self.signs / self.observed
        if self.target > 0:
            step = self.observed / self.images_to_full
            self.p = min(max(self.p + math.copysign(step, r_t - self.target), 0.0), 0.8)
        self.signs = self.observed = 0.0
        return r_t
