"""Energy distance between generated and real pictures in the embedding of a frozen network.

``2 E|f - r| - E|f - f'| - E|r - r'|`` with embeddings f of generated and r of real pictures (Székely and Rizzo 2013; as
a loss of a generator: Bellemare et al. 2017, "The Cramer Distance"). It is 0 only where the two distributions are the
same. Its gradient draws each picture towards the real ones and away from the other generated ones, so it notices what a
discriminator of single pictures does not: people who are too much alike. Nothing of it learns.

A batch is too small to stand for a distribution, so both expectations are over the embeddings of the last few hundred
pictures. They belong to the state of a run.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import parallel
from .augment import moved


class EnergyDistance(nn.Module):
    """The distance in ``embed(x [N, 3, R, R] in [-1, 1]) -> [N, D]`` of ``network``, which stays outside of the state.

    Args:
        size: how many embeddings of each kind it remembers.
        move: px by which pictures are moved at random before they are embedded.
    """

    def __init__(self, network: nn.Module, resolution: int, size: int = 1024, move: int = 0):
        super().__init__()
        self._network = (network,)  # a tuple hides it from the module's parameters and state
        with torch.no_grad():
            dimensions = network.embed(torch.zeros(1, 3, resolution, resolution)).shape[1]
        self.move = move
        self.register_buffer("real", torch.zeros(size, dimensions))
        self.register_buffer("generated", torch.zeros(size, dimensions))
        self.register_buffer("remembered", torch.zeros([], dtype=torch.long))  # of each kind; more than size at last

    def embed(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Pictures ``[N, 3, R, R]`` in [-1, 1], moved -> embeddings ``[N, D]``, float32, differentiable."""
        return self._network[0].embed(moved(x, self.move, rng)).float()

    def loss(self, generated: Tensor, real: Tensor) -> Tensor | None:
        """What of the distance depends on these embeddings, halved; None until enough are remembered to compare with.

        ``generated`` and ``real`` ``[N, D]``, as many of each. Both are remembered afterwards, those of every process.
        """
        size, known = len(self.real), int(self.remembered)
        loss = None
        if known >= size // 2:
            # Copies, since they are overwritten before the gradient is taken; a slice past the end ends there.
            towards = torch.cdist(generated, self.real[:known].clone()).mean()
            apart = torch.cdist(generated, self.generated[:known].clone()).mean()
            loss = towards - apart
        self._remember(generated.detach(), real.detach())
        return loss

    @torch.no_grad()
    def distance(self) -> float:
        """The energy distance of what is remembered."""
        known = min(int(self.remembered), len(self.real))
        r, f = self.real[:known], self.generated[:known]

        def within(x: Tensor) -> Tensor:
            return torch.cdist(x, x).sum() / max(known * (known - 1), 1)  # a vector's distance to itself is no sample

        return float(2 * torch.cdist(f, r).mean() - within(r) - within(f))

    def _remember(self, generated: Tensor, real: Tensor) -> None:
        generated, real = parallel.gathered(generated), parallel.gathered(real)
        places = (int(self.remembered) + torch.arange(len(real))) % len(self.real)
        self.generated[places], self.real[places] = generated, real
        self.remembered += len(real)
