"""Adam (Kingma, Ba 2015) for a handful of tensors. torch's own loads its compiler on first use, which takes seconds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Adam:
    """Moments of tensors; ``step`` changes the tensors it is given in place, as ``torch.optim.Adam`` does."""

    def __init__(self, tensors: Sequence[Tensor], betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8):
        self.betas, self.eps, self.steps = betas, eps, 0
        with torch.inference_mode(False):
            self.moments = [(torch.zeros_like(t), torch.zeros_like(t)) for t in tensors]

    @torch.no_grad()
    def step(self, tensors: Sequence[Tensor], gradients: Sequence[Tensor], lr: float) -> None:
        b1, b2 = self.betas
        self.steps += 1
        for tensor, gradient, (m, v) in zip(tensors, gradients, self.moments, strict=True):
            m.lerp_(gradient, 1 - b1)
            v.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
            size = (v / (1 - b2**self.steps)).sqrt_().add_(self.eps)
            tensor.addcdiv_(m, size, value=-lr / (1 - b1**self.steps))
