"""The encoder in the loop: photographs encoded to w+ and reconstructed by the generator while it learns.

Each photograph gives the generator a direct gradient (pixels, features, identity), and the encoder learns to invert
it. The rows of w+ stay near one w, and a small discriminator in w brings the encoder's w and the mapping network's
together (the latent part of ALAE, Pidhorskyi et al. 2020, and of e4e, Tov et al. 2021), so that what is learnt from
reconstructions serves sampled pictures, and the other way round.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.encoders import Encoder
from models.stylegan2 import Generator

from .encoder import halved


class LatentDiscriminator(nn.Module):
    """w ``[N, w_dim]`` -> logits ``[N, 1]``: high for the mapping network's, low for the encoder's."""

    def __init__(self, w_dim: int, width: int = 256):
        super().__init__()
        norm = nn.utils.parametrizations.spectral_norm
        self.layers = nn.Sequential(
            norm(nn.Linear(w_dim, width)),
            nn.LeakyReLU(0.2),
            norm(nn.Linear(width, width)),
            nn.LeakyReLU(0.2),
            norm(nn.Linear(width, 1)),
        )

    def forward(self, w: Tensor) -> Tensor:
        return self.layers(w)


class Reconstruction(nn.Module):
    """The encoder, its average, and the discriminator in w; all of a run's state that the encoder adds.

    Args:
        G: the generator; its number of rows and w_dim count.
        widths: of the encoder.
        steady: the encoder's norms keep their statistics, see ``take_statistics``. Without, each norm takes those of
            the few photographs of a step while it learns, and of four photographs an encoder learns to rely on them:
            alone, every twentieth photograph then has a latent of which no picture can be made.
    """

    SIZE = 128  # pixels that the encoder looks at, whatever the generator's size

    def __init__(self, G: Generator, name: str, widths: tuple[int, ...], steady: bool = False):
        super().__init__()
        self.steady = steady
        self.encoder = Encoder(name, self.SIZE, G.num_ws, G.w_dim, widths).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.encoder).eval().requires_grad_(False)
        self.latent_discriminator = LatentDiscriminator(G.w_dim)

    def start(self, encoder: Encoder) -> None:
        """Takes the weights of a trained encoder. Raises RuntimeError when its layers are others."""
        for net in (self.encoder, self.average):
            net.load_state_dict(encoder.state_dict())

    def encode(self, x: Tensor, net: Encoder | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Photographs ``[N, 3, R, R]`` -> w0 ``[N, w_dim]``, deltas and w+ ``[N, num_ws, w_dim]``."""
        net = net or self.encoder
        if self.steady:
            net.eval()
        w0, deltas = net.offsets(x.contiguous(memory_format=torch.channels_last))
        return w0[:, 0], deltas, net.latent(w0 + deltas)

    @torch.no_grad()
    def take_statistics(self, batches: Sequence[Tensor]) -> None:
        """Gives the norms the statistics of photographs ``[N, 3, R, R]``, N large, over all ``batches``."""
        for net in (self.encoder, self.average):
            norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
            usual = [norm.momentum for norm in norms]
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # the plain mean of all batches
            net.train()
            for x in batches:
                net.offsets(x.contiguous(memory_format=torch.channels_last))
            net.eval()
            for norm, momentum in zip(norms, usual, strict=True):
                norm.momentum = momentum

    def latent_discriminator_loss(self, mapped: Tensor, encoded: Tensor) -> Tensor:
        """Hinge loss of the discriminator in w."""
        D = self.latent_discriminator
        return F.relu(1 - D(mapped.detach())).mean() + F.relu(1 + D(encoded.detach())).mean()

    def latent_generator_loss(self, mapped: Tensor, encoded: Tensor) -> Tensor:
        """What draws the two distributions of w together, from both sides."""
        D = self.latent_discriminator
        return D(mapped).mean() - D(encoded).mean()

    def inherit(self, state: dict[str, Tensor]) -> None:
        """Takes the state of a run at half the resolution: new fine rows begin as copies of the last one."""
        own = self.state_dict()
        grown = {}
        for key, value in state.items():
            if key in own and own[key].shape != value.shape:
                value = self._repeat_last_row(value, own[key].shape)
            grown[key] = value
        self.load_state_dict(grown)

    def _repeat_last_row(self, value: Tensor, shape: torch.Size) -> Tensor:
        w_dim = self.encoder.w_dim
        missing = (shape[0] - value.shape[0]) // w_dim
        if missing < 1 or value.shape[1:] != shape[1:]:
            raise ValueError(f"the encoder's {list(value.shape)} does not grow to {list(shape)}")
        return torch.cat([value, *[value[-w_dim:]] * missing])


def pixel_loss(made: Tensor, x: Tensor, halvings: int = 2) -> Tensor:
    """Mean absolute difference ``[N, 3, R, R]`` at the full size, a half and a quarter, averaged."""
    difference = made - x
    total = difference.abs().mean()
    for _ in range(halvings):
        difference = halved(difference)
        total = total + difference.abs().mean()
    return total / (halvings + 1)


def feature_loss(found: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Mean absolute difference of feature maps, each in units of its own deviation, their mean."""
    each = []
    for a, b in zip(found, wanted, strict=True):
        a, b = a.float(), b.float()
        each.append((a - b).abs().mean() / b.std().clamp_min(1e-8))
    return torch.stack(each).mean()


def identity_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """``1 - cos`` of embeddings ``[N, D]``, averaged."""
    return (1 - F.cosine_similarity(found.float(), wanted.float(), dim=1)).mean()
