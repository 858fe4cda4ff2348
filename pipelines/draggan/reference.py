"""The authors' arithmetic of a drag, step by step, to compare with: everything at the size of the picture.

The whole picture is made on every step and the feature map resized to it; tracking returns whole pixels; radii are
rounded (but never to nothing, which at 64 px would leave no region). See ``motion`` for what is used.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.stylegan2 import Generator

from .motion import Options, Point, Rows


class ReferenceEngine:
    """``motion.Engine``'s methods as the authors' program computes them."""

    def __init__(self, net: Generator, w0: Tensor, options: Options):
        self.net, self.options, self.rows = net, options, Rows(w0, options)
        # With a radius of 0 the disc is empty: what the authors would have below 86 px.
        self.r1, self.r2 = max(1, round(options.r1)), max(1, round(options.r2))
        self.fixed = self.first = None
        if options.fixed is not None:
            self.fixed = options.fixed.to(w0.device)[None, None]
            self.first = self.look(self.rows.free(w0)).map

    def templates(self, w: Tensor, handles: list[Point]) -> list[Tensor]:
        features = ReferenceLook(self, self.rows.free(w)).map
        return [features[0, :, round(y), round(x)] for x, y in handles]

    def look(self, free: Tensor) -> ReferenceLook:
        return ReferenceLook(self, free)


class ReferenceLook:
    def __init__(self, engine: ReferenceEngine, free: Tensor):
        self.engine, options = engine, engine.options
        size = engine.net.img_resolution
        with torch.inference_mode(False), torch.enable_grad():
            self.free = free.detach().clone().requires_grad_(True)
            ws = engine.rows.assemble(self.free)
            self.picture, kept = engine.net.synthesis(
                ws, noise_mode=options.noise_mode, impl="reference", return_features=[options.feature_resolution]
            )
            self.features = F.interpolate(kept[options.feature_resolution], [size, size], mode="bilinear")
            self.whole = ws
        self.ws, self.map = ws.detach(), self.features.detach()
        self.terms: dict[str, list[float]] = {}

    @torch.no_grad()
    def track(self, handles: list[Point], templates: list[Tensor]) -> list[Point]:
        """The pixel whose features are nearest in a square of half-width r2, cut off at the border."""
        size, r, found = self.engine.net.img_resolution, self.engine.r2, []
        for point, template in zip(handles, templates, strict=True):
            x, y = (round(v) for v in point)
            top, left = max(y - r, 0), max(x - r, 0)
            patch = self.map[:, :, top : min(y + r + 1, size), left : min(x + r + 1, size)]
            apart = torch.linalg.norm(patch - template.reshape(1, -1, 1, 1), dim=1)[0]
            row, column = divmod(int(apart.argmin()), patch.shape[3])
            found.append((float(left + column), float(top + row)))
        return found

    def gradient(
        self, handles: list[Point], targets: list[Point], pulling: list[bool], templates: list[Tensor]
    ) -> Tensor:
        """Of the loss with respect to the free rows; ``terms`` then holds each L1 term before weighting."""
        engine, options = self.engine, self.engine.options
        with torch.inference_mode(False), torch.enable_grad():
            pairs = zip(handles, targets, pulling, strict=True)
            motion = [self._supervision(handle, target) for handle, target, pulls in pairs if pulls]
            loss = sum(motion, start=self.features.new_zeros(()))
            mask = []
            if engine.fixed is not None:
                mask = [F.l1_loss(self.features * engine.fixed, engine.first * engine.fixed)]
                loss = loss + options.mask_weight * mask[0]
            latent = F.l1_loss(self.whole, engine.rows.w0)
            loss = loss + options.latent_weight * latent
            loss.backward(inputs=[self.free])
        self.terms = {"motion": [t.item() for t in motion], "mask": [t.item() for t in mask], "latent": [latent.item()]}
        return self.free.grad

    def _supervision(self, handle: Point, target: Point) -> Tensor:
        size, device = self.engine.net.img_resolution, self.map.device
        x, y = (round(v) for v in handle)
        direction = torch.tensor([target[0] - x, target[1] - y], device=device)
        direction = direction / (torch.linalg.norm(direction) + 1e-7)
        # The authors measure distances on an axis that reaches from 0 to the width, not to the last pixel.
        axis = torch.linspace(0, size, size, device=device)
        rows, columns = torch.where(((axis[:, None] - y) ** 2 + (axis - x) ** 2) ** 0.5 < self.engine.r1)
        grid = torch.stack([columns + direction[0], rows + direction[1]], dim=-1) / (size - 1) * 2 - 1
        there = F.grid_sample(self.features, grid[None, None], align_corners=True).squeeze(2)
        return F.l1_loss(self.map[:, :, rows, columns], there)

    def image(self) -> Tensor:
        """``[1, 3, H, W]``"""
        return self.picture.detach()
