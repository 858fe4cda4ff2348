"""The arithmetic of a drag on the feature grid: motion supervision, point tracking, the mask (Pan et al. 2023, 3.2).

The network runs up to one block. The way back is only through what the regions around the handles see, where nothing
is held in place. Windows are sampled by multiplying crops of the feature map from both sides with a few rows of
interpolation weights, those of all handles together. Nothing is brought to the size of the picture, so a step costs the
same at 512 and at 1024 px.

Two things differ from the paper, both because handles on plain skin or fur wandered off while nothing had moved:

* A handle is known by a small patch of the features around it when it was placed, not by one column of them, and among
  equals the nearest is taken. A handle that cannot be moved is then seen to stay.
* The region around a handle is drawn towards those first features, one stride ahead, not towards its own present ones
  (as in FreeDrag, Ling et al. 2024): errors of one step are not carried into the next.

Positions here are (x, y) in cells of the feature grid, (0, 0) being the centre of the first one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.pullback import Box, Pictured, pullback
from models.stylegan2 import Generator

from ..latents import principal_axes

Point = tuple[float, float]

PITCH = 0.5  # cells between the samples of a window
FINE = 0.125  # cells: as exactly is a handle found
PATCH = 1.5  # radius in cells of the patch that is looked for
NEARER = 0.1  # what the edge of the searched window costs, in mean distances of features
WORTH_CUTTING = 64  # feature maps smaller than this have a whole gradient
# How far ahead a region is drawn, in cells. Beyond the target too: drawn less and less near it, handles came to rest a
# fifth of a cell before it (of 200 seeded drags on the 128 px faces every fifth).
STRIDE = 0.5


@dataclass(frozen=True)
class Options:
    """What a drag was asked to do, within bounds; see ``draggan.drag``.

    ``r1``, ``r2``, ``stop`` and ``near`` (a handle nearer to its target than this does not pull) in pixels of the
    picture; ``fixed`` [H, W] from 0 (may move) to 1 (must stay), or None.
    """

    mode: str
    space: str
    rows: int
    feature_resolution: int
    noise_mode: str
    lr: float
    r1: float
    r2: float
    stop: float
    near: float
    mask_weight: float
    mask_space: str
    latent_weight: float
    fixed: Tensor | None


class Rows:
    """The part of w+ that is optimised: its first rows, or one and the same change of all of them."""

    def __init__(self, w0: Tensor, options: Options):
        self.w0, self.rows, self.alike = w0, options.rows, options.space == "w"

    def free(self, w: Tensor) -> Tensor:
        """``[1, rows, w_dim]``, or ``[1, 1, w_dim]`` in the space w."""
        return w[:, : 1 if self.alike else self.rows].clone()

    def along_axes(self, gradient: Tensor) -> Tensor:
        """The gradient of ``free`` as that of the coordinates in which Adam steps; here they are the same."""
        return gradient

    def changed(self, free: Tensor, step: Tensor) -> Tensor:
        """``free`` after a step of those coordinates; a new tensor."""
        return free + step

    def assemble(self, free: Tensor) -> Tensor:
        """w+ ``[1, num_ws, w_dim]`` again. In the space w the rows keep their differences."""
        if self.alike:
            free = free + (self.w0[:, : self.rows] - self.w0[:, :1])
        return torch.cat([free, self.w0[:, self.rows :]], dim=1)


class PrincipalRows(Rows):
    """The same, stepping along the principal axes of w, in each as far as w varies there.

    Adam makes the steps of all coordinates equally long. w varies in a few dozen directions; along all others it soon
    lies where the mapping network never does. Of 10 pairs of ``benchmarks drag-landmarks``, five points on faces, 31 %
    of the distance is left instead of 36, and the latent is 0.7 instead of 1.0 times as far out as the network's own.
    """

    def __init__(self, net: Generator, w0: Tensor, options: Options):
        super().__init__(w0, options)
        self.axes = principal_axes(net).steps().to(w0.device)  # [w_dim, w_dim]

    def along_axes(self, gradient: Tensor) -> Tensor:
        return gradient @ self.axes.T

    def changed(self, free: Tensor, step: Tensor) -> Tensor:
        return free + step @ self.axes


class Engine:
    """A network, the latent from which a drag began, and options. Its methods take pixels of the picture."""

    def __init__(self, net: Generator, w0: Tensor, options: Options):
        self.net, self.options, self.rows = net, options, PrincipalRows(net, w0, options)
        self.cells = options.feature_resolution / net.img_resolution
        self.reach = max(PITCH, options.r2 * self.cells)
        self.radius = max(PITCH, options.r1 * self.cells)
        self.margin = max(self.radius, PATCH)
        holds = options.fixed is not None and options.mask_weight > 0
        self.colours = holds and options.mask_space == "picture"
        network = Pictured if self.colours else pullback
        self.network = network(net.synthesis, w0, options.rows, options.feature_resolution, options.noise_mode)
        self.fixed = self.first = None
        self.scale = 1.0
        if options.latent_weight or holds:
            first = self.network.forward(w0)[0]
            self.scale = float(first.square().mean().sqrt())
            if holds:
                self.first = self.averaged_picture() if self.colours else first
                self.fixed = _to_grid(options.fixed.to(first.device), options.feature_resolution)

    def averaged_picture(self) -> Tensor:
        """``[3, r, r]``: the colours of the last evaluation in the cells of the feature map."""
        return F.adaptive_avg_pool2d(self.network.picture, self.options.feature_resolution)[0]

    def cell(self, point: Point) -> Point:
        return (point[0] + 0.5) * self.cells - 0.5, (point[1] + 0.5) * self.cells - 0.5

    def pixel(self, cell: Point) -> Point:
        size = self.net.img_resolution
        return tuple(min(max((v + 0.5) / self.cells - 0.5, 0.0), size - 1.0) for v in cell)

    def templates(self, w: Tensor, handles: list[Point]) -> list[Tensor]:
        """Of each handle the features around it in the picture of ``w``: what is to be found again. ``[C, k, k]``."""
        features = self.network.forward(w)[0]
        window = _offsets(self.margin, features.device)
        return list(Windows(features, [self.cell(p) for p in handles], window).sampled)

    def look(self, free: Tensor) -> Look:
        return Look(self, free)


class Look:
    """One evaluation of the network. The next one of the same engine takes its place."""

    def __init__(self, engine: Engine, free: Tensor):
        self.engine, self.ws = engine, engine.rows.assemble(free)
        self.features = engine.network.forward(self.ws)[0]

    @torch.no_grad()
    def track(self, handles: list[Point], templates: list[Tensor]) -> list[Point]:
        """Where each template is now: the nearest neighbour within r2 (equation 3), then again between the cells."""
        engine, device = self.engine, self.features.device
        starts, patch = [engine.cell(p) for p in handles], _offsets(PATCH, device)
        wanted = torch.stack([_middle(t, len(patch)) for t in templates])  # [n, C, k, k]
        near, cost = starts, None
        start, last = torch.tensor(starts, device=device), engine.options.feature_resolution - 0.5
        for pitch, reach in ((PITCH, engine.reach), (FINE, PITCH - FINE)):
            steps = _offsets(reach, device, pitch)
            apart = self._apart(near, steps, pitch, patch, wanted)  # [n, m, m]
            cost = NEARER * apart.mean(dim=(1, 2), keepdim=True) / engine.reach if cost is None else cost
            here = torch.tensor(near, device=device)
            xs, ys = (here[:, :1] + steps)[:, None], (here[:, 1:] + steps)[:, :, None]
            apart = apart + cost * ((xs - start[:, :1, None]) ** 2 + (ys - start[:, 1:, None]) ** 2).sqrt()
            apart = apart.masked_fill((xs < -0.5) | (xs > last), math.inf)  # not out of the picture
            apart = apart.masked_fill((ys < -0.5) | (ys > last), math.inf)
            found = [divmod(v, len(steps)) for v in apart.flatten(1).argmin(dim=1).tolist()]
            middle = len(steps) // 2
            near = [
                (x + (j - middle) * pitch, y + (i - middle) * pitch) for (x, y), (i, j) in zip(near, found, strict=True)
            ]
        return [engine.pixel(p) for p in near]

    def _apart(self, at: list[Point], steps: Tensor, pitch: float, patch: Tensor, wanted: Tensor) -> Tensor:
        """Root of the weighted mean square between each template and the patch at every step from its place."""
        window = _offsets(float(steps[-1] + patch[-1]), steps.device, pitch)
        around = Windows(self.features, at, window).sampled  # [n, C, m, m]
        weights, apart = _bell(patch), round(PITCH / pitch)
        squares = F.conv2d(around.square().sum(dim=1, keepdim=True), weights[None, None], dilation=apart)[:, 0]
        products = F.conv2d(around.flatten(0, 1)[None], wanted * weights, dilation=apart, groups=len(at))[0]
        own = (wanted.square().sum(dim=1) * weights).sum(dim=(1, 2))[:, None, None]
        return (squares - 2 * products + own).clamp_min(0).sqrt()

    def gradient(
        self, handles: list[Point], targets: list[Point], pulling: list[bool], templates: list[Tensor]
    ) -> Tensor:
        """Of motion supervision (equation 1), mask and latent term, with respect to the free rows."""
        engine, options = self.engine, self.engine.options
        with torch.no_grad():
            pulled = [i for i, pulls in enumerate(pulling) if pulls]
            of_features = torch.zeros_like(self.features)
            if pulled:
                self._supervision(of_features, *([of[i] for i in pulled] for of in (handles, targets, templates)))
            if engine.colours:
                of_rows = engine.network.backward(of_features[None], of_picture=self._held_colours())
            elif engine.fixed is not None:
                held = (self.features - engine.first).sign_().mul_(engine.fixed)
                of_features = of_features.add_(held, alpha=options.mask_weight / held.numel())
                of_rows = engine.network.backward(of_features[None])
            else:
                box = self._pulled_box([handles[i] for i in pulled])
                if box is not None:
                    of_features = of_features[:, box[0] : box[1], box[2] : box[3]]
                of_rows = engine.network.backward(of_features[None], box)
            if options.latent_weight:
                away = (self.ws - engine.rows.w0).sign()[:, : options.rows]
                of_rows = of_rows + away * (options.latent_weight * engine.scale / self.ws.numel())
            return of_rows.sum(dim=1, keepdim=True) if engine.rows.alike else of_rows

    def _pulled_box(self, handles: list[Point]) -> Box | None:
        """The cells that the supervision of these handles reads; None for all."""
        r = self.engine.options.feature_resolution
        if not handles or r < WORTH_CUTTING:
            return None
        reach = self.engine.radius + STRIDE + PITCH
        xs, ys = zip(*(self.engine.cell(p) for p in handles), strict=True)
        top, left = (max(0, math.floor(min(v) - reach)) for v in (ys, xs))
        bottom, right = (min(r, math.ceil(max(v) + reach) + 1) for v in (ys, xs))
        return (top, bottom, left, right) if (bottom - top) * (right - left) < 0.7 * r * r else None

    def _held_colours(self) -> Tensor:
        """Gradient at the picture of the mask weight times the mean absolute change of the averages that must stay."""
        engine = self.engine
        held = (engine.averaged_picture() - engine.first).sign_().mul_(engine.fixed)
        size, cells = engine.network.picture.shape[-1], held.shape[-1]
        held *= engine.options.mask_weight / (len(held) * engine.fixed.sum() * (size // cells) ** 2)
        return F.interpolate(held[None], (size, size), mode="nearest")

    def _supervision(self, gradient: Tensor, handles, targets, templates) -> None:
        """Adds the gradient of each handle's mean ``|template - features ahead|`` over its disc (equation 1)."""
        engine, r = self.engine, self.engine.options.feature_resolution
        window = _offsets(engine.radius, gradient.device)
        disc = (window[:, None] ** 2 + window**2 <= engine.radius**2 + 1e-6).to(gradient.dtype)
        ahead, discs = [], []
        for handle, target in zip(handles, targets, strict=True):
            (x, y), goal = engine.cell(handle), engine.cell(target)
            length = math.dist((x, y), goal)
            ahead.append((x + (goal[0] - x) / length * STRIDE, y + (goal[1] - y) / length * STRIDE))
            inside = ((x + window > -1) & (x + window < r)) * ((y + window > -1) & (y + window < r))[:, None]
            discs.append(disc * inside)
        there = Windows(self.features, ahead, window)
        here = torch.stack([_middle(t, len(window)) for t in templates])
        disc = torch.stack(discs)[:, None]  # [n, 1, k, k]
        counted = (disc.sum(dim=(1, 2, 3), keepdim=True) * here.shape[1]).clamp_min(1)
        there.add_gradient(gradient, (there.sampled - here).sign_() * disc / counted)

    @torch.no_grad()
    def image(self) -> Tensor:
        """``[1, 3, H, W]``"""
        return self.engine.network.image(self.ws, self.engine.options.noise_mode)


class Windows:
    """Bilinear samples of ``features [C, h, w]`` around places: ``sampled [n, C, k, k]`` at ``offsets [k]`` both ways.

    Beyond the border the border goes on. The gradient is the same on every run, which that of gathering is not on CUDA.
    """

    def __init__(self, features: Tensor, at: list[Point], offsets: Tensor):
        places = torch.tensor(at, device=features.device, dtype=features.dtype)
        self.columns, self.left = _weights(places[:, :1] + offsets, features.shape[2])
        self.rows, self.top = _weights(places[:, 1:] + offsets, features.shape[1])
        self.high, self.wide = self.rows.shape[-1], self.columns.shape[-1]
        crops = torch.stack([features[self._crop(i)] for i in range(len(at))])  # [n, C, high, wide]
        self.sampled = self.rows[:, None] @ crops @ self.columns[:, None].mT

    def _crop(self, i: int) -> tuple[slice, slice, slice]:
        top, left = self.top[i], self.left[i]
        return slice(None), slice(top, top + self.high), slice(left, left + self.wide)

    def add_gradient(self, gradient: Tensor, of_sampled: Tensor) -> None:
        """Adds that of the features ``[C, h, w]``, where ``of_sampled [n, C, k, k]`` is that of ``sampled``."""
        of_crops = self.rows[:, None].mT @ of_sampled @ self.columns[:, None]
        for i, of_crop in enumerate(of_crops):
            gradient[self._crop(i)] += of_crop


def _weights(at: Tensor, size: int) -> tuple[Tensor, list[int]]:
    """``[n, k, c]`` interpolation weights of the ``c`` cells that the positions ``[n, k]`` of one place touch at most,
    and the first of these cells of each place.
    """
    at = at.clamp(0, size - 1)
    first, last = at[:, 0].long(), at[:, -1].long() + 2
    count = min(size, int((last - first).max()))
    first = first.clamp(max=size - count)
    cells = first[:, None] + torch.arange(count, device=at.device)
    return (1 - (at[:, :, None] - cells[:, None]).abs()).clamp_min(0), first.tolist()


def _offsets(reach: float, device: torch.device, pitch: float = PITCH) -> Tensor:
    n = math.ceil(reach / pitch - 1e-6)
    return torch.arange(-n, n + 1, device=device, dtype=torch.float32) * pitch


def _middle(template: Tensor, size: int) -> Tensor:
    first = (template.shape[-1] - size) // 2
    return template[:, first : first + size, first : first + size]


def _bell(offsets: Tensor) -> Tensor:
    """``[k, k]`` weights of a patch, falling off from its middle to nothing beyond its radius; their sum is 1."""
    squares = offsets[:, None] ** 2 + offsets**2
    radius = float(offsets[-1])
    weights = (squares / (-2 * (radius / 1.5) ** 2)).exp() * (squares <= radius**2 + PITCH**2 / 2)
    return weights / weights.sum()


def _to_grid(fixed: Tensor, resolution: int) -> Tensor:
    return F.interpolate(fixed[None, None], (resolution, resolution), mode="area")[0, 0]
