"""A discriminator of details: strided convolutions at full size, beside a discriminator that sees smaller pictures.

It has a rate and an R1 of its own. Without norms it learns quicker than the one beside it: at that one's rate and R1
its logits grew past 80 within 16,000 images, and the generator followed noise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from . import discriminators, losses

Update = Callable[[Tensor, torch.optim.Optimizer], None]


class DetailDiscriminator:
    """The network, its optimiser and its two losses.

    Args:
        first: feature maps of the first layer.
        resolution: pixels of the pictures, not reduced.
        optimizer: makes the optimiser of a network.
        prepared: augments pictures, ``(x [N, 3, R, R], generator) -> x``.
        autocast: makes the context of the precision in which the network runs.
        r1_gamma: weight of R1; 0 leaves it out.
        r1_every: steps between two updates by R1.
    """

    def __init__(
        self,
        first: int,
        resolution: int,
        device: str,
        optimizer: Callable[[torch.nn.Module], torch.optim.Optimizer],
        prepared: Callable[[Tensor, torch.Generator], Tensor],
        autocast: Callable[[], torch.autocast],
        r1_gamma: float,
        r1_every: int,
    ):
        widths = discriminators.halving_widths(first, resolution, first * discriminators.WIDEST)
        self.net = discriminators.strided(widths).to(device, memory_format=torch.channels_last)
        self.optimizer = optimizer(self.net)
        self.prepared, self.autocast = prepared, autocast
        self.r1_gamma, self.r1_every = r1_gamma, r1_every

    def logits(self, x: Tensor, rng: torch.Generator) -> Tensor:
        x = self.prepared(x, rng).contiguous(memory_format=torch.channels_last)
        with self.autocast():
            return self.net(x).float()

    def learn(self, real: Tensor, fake: Tensor, step: int, rng: torch.Generator, update: Update) -> dict[str, float]:
        """One update, by R1 too where its turn has come. Returns what the log says of it."""
        self.net.requires_grad_(True)
        logits_real, logits_fake = self.logits(real, rng), self.logits(fake.detach(), rng)
        update(losses.discriminator_loss(logits_real, logits_fake), self.optimizer)
        stats = {"detail_real": logits_real.mean().item(), "detail_fake": logits_fake.mean().item()}
        # Half-way between two turns of the discriminator beside it, so that no step pays for both.
        if self.r1_gamma and step % self.r1_every == self.r1_every // 2:
            x = real.detach().requires_grad_(True)
            penalty = losses.r1_penalty(self.logits(x, rng), x)
            update(penalty * (self.r1_gamma / 2 * self.r1_every), self.optimizer)
            stats["detail_r1"] = penalty.item()
        self.net.requires_grad_(False)
        return stats

    def generator_loss(self, fake: Tensor, rng: torch.Generator) -> Tensor:
        return losses.generator_loss(self.logits(fake, rng))
