"""The arithmetic of a drag on the feature grid: motion supervision, point tracking, the mask (Pan et al. 2023, 3.2).

The network runs up to one block, and only small windows of its feature map are looked at: each is a crop multiplied
from both sides with a few rows of interpolation weights, which samples it wherever wanted, at the pitch of the
picture's pixels, and gives the same gradient on every run. Nothing is brought to the size of the picture.

Positions are (x, y) in pixels of the picture, (0, 0) being the centre of the first one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.stylegan2 import Generator

Point = tuple[float, float]


@dataclass(frozen=True)
class Options:
    """What a drag was asked to do, in the units of the computation; see ``draggan.drag``.

    ``r1``, ``r2`` and ``near`` (a handle nearer to its target than this does not pull) in pixels of the picture;
    ``fixed`` [H, W] from 0 (may move) to 1 (must stay), or None.
    """

    mode: str
    space: str
    rows: int
    feature_resolution: int
    noise_mode: str
    lr: float
    r1: float
    r2: float
    near: float
    mask_weight: float
    latent_weight: float
    fixed: Tensor | None


def sample(features: Tensor, xs: Tensor, ys: Tensor, size: int) -> Tensor:
    """Bilinear samples of ``features [C, r, r]`` at the grid ``ys`` x ``xs`` -> ``[C, len(ys), len(xs)]``.

    ``size`` is the width of the picture in whose pixels the positions are; beyond the border the border goes on.
    """
    r = features.shape[-1]
    (rows, top, bottom), (columns, left, right) = (_weights(at, r, size) for at in (ys, xs))
    crop = features[:, top:bottom, left:right]
    return torch.einsum("ya,cab,xb->cyx", rows, crop, columns)


def _weights(at: Tensor, r: int, size: int) -> tuple[Tensor, int, int]:
    """``[n, k]`` interpolation weights of the cells first to last, which are all that the positions touch."""
    cell = ((at + 0.5) * (r / size) - 0.5).clamp(0, r - 1)
    first, last = int(cell.min()), min(r, int(cell.max()) + 2)
    cells = torch.arange(first, last, device=at.device, dtype=cell.dtype)
    return (1 - (cell[:, None] - cells).abs()).clamp_min(0), first, last


class Look:
    """One evaluation of the network: its features, and what is asked of them. Holds the graph until the gradient."""

    def __init__(self, engine: Engine, free: Tensor):
        self.engine = engine
        with torch.inference_mode(False), torch.enable_grad():
            self.free = free.detach().requires_grad_(True)
            self.ws = engine.assemble(self.free)
            self.features = engine.net.synthesis.features(
                self.ws, engine.options.feature_resolution, engine.options.noise_mode
            )[0]
        self.map = self.features.detach()

    def templates(self, handles: list[Point]) -> Tensor:
        """``[P, C]``, the features that are to be found again."""
        return torch.stack([self._at(self.map, p) for p in handles])

    def _at(self, features: Tensor, point: Point) -> Tensor:
        x, y = (torch.tensor([v], device=features.device, dtype=torch.float32) for v in point)
        return sample(features, x, y, self.engine.size)[:, 0, 0]

    @torch.no_grad()
    def track(self, handles: list[Point], templates: Tensor) -> list[Point]:
        """Where each template is now: the nearest neighbour within r2 (equation 3), then between the pixels."""
        return [self._nearest(p, t) for p, t in zip(handles, templates, strict=True)]

    def _nearest(self, point: Point, template: Tensor) -> Point:
        reach = self.engine.options.r2
        best = self._search(point, template, reach, 1.0)
        return self._search(best, template, 1.0, 0.125)

    def _search(self, point: Point, template: Tensor, reach: float, pitch: float) -> Point:
        size, n = self.engine.size, max(1, math.floor(reach / pitch))
        axis = torch.arange(-n, n + 1, device=self.map.device) * pitch
        xs, ys = ((v + axis) for v in point)
        xs, ys = (v[(v >= 0) & (v <= size - 1)] for v in (xs, ys))
        apart = torch.linalg.vector_norm(sample(self.map, xs, ys, size) - template[:, None, None], dim=0)
        i = int(apart.argmin())
        return float(xs[i % len(xs)]), float(ys[i // len(xs)])

    def gradient(self, handles: list[Point], targets: list[Point], pulling: list[bool]) -> Tensor:
        """Of motion supervision (equation 1), mask term and latent term, with respect to the free rows."""
        engine, options = self.engine, self.engine.options
        with torch.inference_mode(False), torch.enable_grad():
            loss = self.features.new_zeros(())
            for handle, target, pulls in zip(handles, targets, pulling, strict=True):
                if pulls:
                    loss = loss + self._supervision(handle, target)
            if engine.fixed is not None:
                loss = loss + options.mask_weight * ((self.features - engine.first).abs() * engine.fixed).mean()
            if options.latent_weight:
                loss = loss + options.latent_weight * F.l1_loss(self.ws, engine.w0)
            if not loss.requires_grad:
                return torch.zeros_like(self.free)
            return torch.autograd.grad(loss, self.free)[0]

    def _supervision(self, handle: Point, target: Point) -> Tensor:
        size, r1 = self.engine.size, self.engine.options.r1
        dx, dy = target[0] - handle[0], target[1] - handle[1]
        length = math.hypot(dx, dy)
        n = max(1, math.ceil(r1))
        axis = torch.arange(-n, n + 1, device=self.map.device, dtype=torch.float32)
        xs, ys = handle[0] + axis, handle[1] + axis
        disc = (axis[:, None] ** 2 + axis**2 <= r1**2).float()
        disc = disc * ((xs >= -0.5) & (xs <= size - 0.5)) * ((ys >= -0.5) & (ys <= size - 0.5))[:, None]
        here = sample(self.map, xs, ys, size)
        there = sample(self.features, xs + dx / length, ys + dy / length, size)
        return ((here - there).abs() * disc).sum() / (disc.sum() * len(here)).clamp_min(1)

    @torch.no_grad()
    def image(self) -> Tensor:
        """``[1, 3, H, W]``"""
        return self.engine.net.synthesis(self.ws.detach(), noise_mode=self.engine.options.noise_mode)


class Engine:
    """A network, the latent from which a drag began, and its options. ``look`` evaluates one latent."""

    looks = Look

    def __init__(self, net: Generator, w0: Tensor, options: Options):
        self.net, self.w0, self.options, self.size = net, w0, options, net.img_resolution
        self.fixed = self.first = None
        if options.fixed is not None and options.mask_weight:
            self.prepare_mask(options.fixed.to(w0.device))

    def prepare_mask(self, fixed: Tensor) -> None:
        r = self.options.feature_resolution
        self.fixed = F.interpolate(fixed[None, None], (r, r), mode="area")[0, 0]
        self.first = self.look(self.free(self.w0)).map

    def free(self, w: Tensor) -> Tensor:
        """What is optimised: the first rows of w+ ``[1, rows, w_dim]``, or one for all of them ``[1, 1, w_dim]``."""
        return w[:, : self.options.rows if self.options.space == "w+" else 1].clone()

    def assemble(self, free: Tensor) -> Tensor:
        """w+ ``[1, num_ws, w_dim]`` again. In the space w the first rows keep their differences."""
        rows = self.options.rows
        if self.options.space == "w":
            free = free + (self.w0[:, :rows] - self.w0[:, :1])
        return torch.cat([free, self.w0[:, rows:]], dim=1)

    def look(self, free: Tensor) -> Look:
        return self.looks(self, free)
