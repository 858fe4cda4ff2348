"""The latents of a generator as iGAN wants them: free numbers to optimise, pictures of many at once, one text each.

A latent is ``z [N, z_dim]`` of a DCGAN, or ``w [N, w_dim]`` or ``w+ [N, num_ws, w_dim]`` of a StyleGAN2. ``free`` are
numbers without bounds behind it, about 1 in size whatever the network, so that one step size serves all: a uniform
prior's are bounded by tanh, as in Zhu et al. 2016; w is counted in its deviations from its mean.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from models import device_of
from models.dcgan import DCGAN
from models.stylegan2 import Generator as StyleGAN2
from weights.errors import UserError

from .. import checks
from ..latents import decode_latent

# What calls take as a network, and as a latent: a tensor, a seed, or the text of ``encode_latent``.
Network: TypeAlias = DCGAN | StyleGAN2
Latent: TypeAlias = Tensor | int | str

EDGE = 0.999  # a bounded latent nearer to 1 than this has no free numbers that a step could move
REACH = 1.25  # a normal latent may be so much longer than its prior's are
SAMPLES = 1024  # latents from which the mean and deviations of w are taken
PSI = 0.8  # of random starts on a StyleGAN2: nearer to the mean they look more like pictures
MAX_SEED = 2**32 - 1
MAX_BATCH = 32  # pictures at a time where nobody waits for all of them together


class Space:
    """The latents of one network. It holds nothing that a visitor made and may be shared."""

    def __init__(self, net: Network):
        if not isinstance(net, (DCGAN, StyleGAN2)):
            raise UserError("This network makes no pictures from latents; choose a DCGAN or a StyleGAN2.")
        self.net = net
        self.is_style = isinstance(net, StyleGAN2)
        self.size, self.device = net.img_resolution, device_of(net)
        self.dim = net.w_dim if self.is_style else net.z_dim
        if self.is_style:
            with torch.inference_mode(False):  # gradients go through them, whoever made the space
                w = self._mapped(SAMPLES, 0)
                self.mean, self.unit = w.mean(dim=0), w.std(dim=0).clamp_min(1e-3 * float(w.std()))

    # -- between latents, free numbers and pictures ------------------------------------------------------------------

    def free(self, latents: Tensor) -> Tensor:
        """Numbers without bounds, of the same shape, from which ``bind`` makes these latents again."""
        if self.is_style:
            return (latents - self.mean) / self.unit
        if self.net.prior == "uniform":
            return torch.atanh(latents.clamp(-EDGE, EDGE))
        return latents.clone()

    def bind(self, free: Tensor) -> Tensor:
        """Latents of free numbers; differentiable."""
        if self.is_style:
            return self.mean + self.unit * free
        if self.net.prior == "uniform":
            return torch.tanh(free)
        most = REACH * self.dim**0.5
        length = free.norm(dim=-1, keepdim=True).clamp_min(1e-12)
        return free * (most / length).clamp_max(1)

    def images(self, latents: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """``[N, 3, R, R]`` in about [-1, 1]; differentiable, all at once."""
        if not self.is_style:
            return self.net(latents)
        ws = latents if latents.ndim == 3 else latents[:, None].expand(-1, self.net.num_ws, -1)
        return self.net.synthesis(ws, noise_mode="const", dtype=dtype)

    @torch.no_grad()
    def pictures(self, latents: Tensor) -> Tensor:
        """``images`` a few at a time, without gradients, on the CPU."""
        return torch.cat([self.images(part.to(self.device)).float().cpu() for part in latents.split(MAX_BATCH)])

    def apart(self, a: Tensor, b: Tensor) -> Tensor:
        """Mean square difference of latents ``[N]``, as those of a uniform prior have it: 2/3 for two at random."""
        difference = (a - b) / (self.unit * 3**0.5) if self.is_style else a - b
        return difference.square().flatten(1).mean(dim=1)

    # -- where latents come from -------------------------------------------------------------------------------------

    def random(self, count: int, seed: int) -> Tensor:
        """``[count, dim]`` latents of the prior; the first ones of a seed are the same whatever the count."""
        if self.is_style:
            return self.mean.lerp(self._mapped(count, seed), PSI)
        generator = torch.Generator().manual_seed(checks.integer(seed, "The seed", 0, MAX_SEED))
        return self.net.sample_z(count, generator).to(self.device)

    def near(self, latent: Tensor, count: int, seed: int, spread: float = 0.5) -> Tensor:
        """``count`` latents around one, each coordinate up to ``spread`` of the prior's width away (iGAN: 0.5)."""
        generator = torch.Generator().manual_seed(checks.integer(seed, "The seed", 0, MAX_SEED))
        step = (torch.rand(count, self.dim, generator=generator) * 2 - 1) * spread
        step = step.to(self.device)
        if self.is_style:
            step = step * 3**0.5 * self.unit
            return latent + (step[:, None] if latent.ndim == 3 else step)
        if self.net.prior == "uniform":
            return (latent + step).clamp(-EDGE, EDGE)
        return latent + step * 3**0.5

    def between(self, a: Tensor, b: Tensor, t: float) -> Tensor:
        """The latent t of the way from a to b, in a straight line: both priors' sets are convex, w is flat."""
        a, b = self.alike(a, b)
        return a.lerp(b, t) if t < 1 else b.clone()

    def alike(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Two latents in the same form: w becomes w+ where the other one is."""
        if self.is_style and a.ndim != b.ndim:
            a, b = (x if x.ndim == 3 else x[:, None].repeat(1, self.net.num_ws, 1) for x in (a, b))
        return a, b

    def latent(self, value: Latent, name: str = "The latent") -> Tensor:
        """One latent ``[1, ...]`` on the network's device: a tensor, a seed, or the text of ``encode_latent``.

        Raises UserError for what this network does not take.
        """
        if isinstance(value, str):
            value = decode_latent(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self.random(1, checks.integer(value, "The seed", 0, MAX_SEED))
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise UserError(f"{name} must be a seed or what a projection or the brushes gave.")
        with torch.inference_mode(False):
            value = value.detach().to(device=self.device, dtype=torch.float32, copy=True)
        shapes = [(self.dim,)] + ([(self.net.num_ws, self.dim)] if self.is_style else [])
        found = tuple(value.shape[1:]) if value.ndim > 1 and value.shape[0] == 1 else tuple(value.shape)
        if found not in shapes:
            wanted = " or ".join(" x ".join(map(str, shape)) for shape in shapes)
            raise UserError(f"{name} belongs to another network: this one takes {wanted} numbers.")
        if not bool(torch.isfinite(value).all()) or float(value.abs().max()) > 1e4:
            raise UserError(f"{name} contains NaN or very large values; start from another one.")
        value = value.reshape(1, *found)
        return value if self.is_style or self.net.prior == "normal" else value.clamp(-1, 1)

    @torch.no_grad()
    def _mapped(self, count: int, seed: int) -> Tensor:
        net = self.net
        generator = torch.Generator().manual_seed(checks.integer(seed, "The seed", 0, MAX_SEED))
        z = torch.randn(count, net.z_dim, generator=generator).to(self.device)
        c = torch.eye(net.c_dim, device=self.device)[torch.arange(count) % net.c_dim] if net.c_dim else None
        return net.mapping(z, c)[:, 0]
