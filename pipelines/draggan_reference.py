"""The authors' arithmetic of a drag, step by step, to compare with: everything at the size of the picture.

The whole picture is made on every step and the feature map resized to it; tracking returns whole pixels; radii are
rounded (but never to nothing, which at 64 px would leave no region). See ``draggan_motion`` for what is used.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .draggan_motion import Engine, Look, Point


class ReferenceLook(Look):
    def __init__(self, engine: ReferenceEngine, free: Tensor):
        self.engine, size, options = engine, engine.size, engine.options
        with torch.inference_mode(False), torch.enable_grad():
            self.free = free.detach().requires_grad_(True)
            self.ws = engine.assemble(self.free)
            self.picture, kept = engine.net.synthesis(
                self.ws,
                noise_mode=options.noise_mode,
                impl="reference",
                return_features=[options.feature_resolution],
            )
            self.features = F.interpolate(kept[options.feature_resolution], [size, size], mode="bilinear")
        self.map = self.features.detach()
        self.terms: dict[str, list[float]] = {}

    def templates(self, handles: list[Point]) -> Tensor:
        return torch.stack([self.map[0, :, round(y), round(x)] for x, y in handles])

    def _nearest(self, point: Point, template: Tensor) -> Point:
        size, r = self.engine.size, self.engine.r2
        x, y = (round(v) for v in point)
        top, left = max(y - r, 0), max(x - r, 0)
        patch = self.map[:, :, top : min(y + r + 1, size), left : min(x + r + 1, size)]
        apart = torch.linalg.norm(patch - template.reshape(1, -1, 1, 1), dim=1)[0]
        row, column = divmod(int(apart.argmin()), patch.shape[3])
        return float(left + column), float(top + row)

    def gradient(self, handles: list[Point], targets: list[Point], pulling: list[bool]) -> Tensor:
        """As ``Look.gradient``; ``terms`` then holds each L1 term before weighting: motion, mask, latent."""
        engine, options = self.engine, self.engine.options
        with torch.inference_mode(False), torch.enable_grad():
            motion = [
                self._supervision(handle, target)
                for handle, target, pulls in zip(handles, targets, pulling, strict=True)
                if pulls
            ]
            loss = sum(motion, start=self.features.new_zeros(()))
            mask = []
            if engine.fixed is not None:
                mask = [F.l1_loss(self.features * engine.fixed, engine.first * engine.fixed)]
                loss = loss + options.mask_weight * mask[0]
            latent = F.l1_loss(self.ws, engine.w0)
            loss = loss + options.latent_weight * latent
            grad = torch.autograd.grad(loss, self.free)[0]
        self.terms = {"motion": [t.item() for t in motion], "mask": [t.item() for t in mask], "latent": [latent.item()]}
        return grad

    def _supervision(self, handle: Point, target: Point) -> Tensor:
        size, device = self.engine.size, self.map.device
        x, y = (round(v) for v in handle)
        direction = torch.tensor([target[0] - x, target[1] - y], device=device)
        direction = direction / (torch.linalg.norm(direction) + 1e-7)
        # The authors measure distances on an axis that reaches from 0 to the width, not to the last pixel.
        axis = torch.linspace(0, size, size, device=device)
        rows, columns = torch.where(((axis[:, None] - y) ** 2 + (axis - x) ** 2) ** 0.5 < self.engine.r1)
        grid = torch.stack([columns + direction[0], rows + direction[1]], dim=-1) / (size - 1) * 2 - 1
        there = F.grid_sample(self.features, grid[None, None], align_corners=True).squeeze(2)
        return F.l1_loss(self.map[:, :, rows, columns], there)

    @torch.no_grad()
    def image(self) -> Tensor:
        return self.picture.detach()


class ReferenceEngine(Engine):
    looks = ReferenceLook

    def __init__(self, net, w0, options):
        # r = 1 would be the pixel itself; on the axis above even that may miss it, so two are the least.
        self.r1, self.r2 = max(2, round(options.r1)), max(1, round(options.r2))
        super().__init__(net, w0, options)

    def prepare_mask(self, fixed: Tensor) -> None:
        self.fixed = fixed[None, None]
        self.first = self.look(self.free(self.w0)).map
