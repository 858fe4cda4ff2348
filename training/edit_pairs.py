"""Pairs for the out-of-domain networks: the same latent before and after an edit of one attribute, made on the fly."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import weights
from models.stylegan2 import Generator
from weights import container, latent_directions, paths, store
from weights.errors import UserError

from . import loop

ENCODER = "faces"
STATISTICS = 4096  # latents from which the spread along a direction is taken


@dataclass(frozen=True)
class Directions:
    """``vectors [K, w_dim]`` of length 1, their names, and the standard deviation of w along each, ``spread [K]``.

    ``rows [K, num_ws]`` is 1 where a row of w+ is moved.
    """

    names: tuple[str, ...]
    vectors: Tensor
    spread: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.names)


@torch.no_grad()
def directions(net: Generator, path: str | Path | None = None, names: Sequence[str] = ()) -> Directions:
    """Directions in w of a file (safetensors: one tensor ``[w_dim]`` or ``[1, w_dim]`` a name), for a generator.

    Args:
        path: None: those that ship for the faces.
        names: which of them; none: all, in the order of the alphabet.

    Raises:
        UserError: no such file or name, or directions of another latent space.
    """
    path = Path(path) if path else paths.embedded("directions/faces")
    if not path.is_file():
        raise UserError(f"There are no directions at {path.name}; name a file with --directions.")
    found = container.read(path)
    unknown = [name for name in names if name not in found]
    if unknown:
        raise UserError(f"The directions in {path.name} have no {unknown[0]}; there are {', '.join(sorted(found))}.")
    chosen = tuple(names) or tuple(sorted(found))
    vectors = [found[name].float().flatten() for name in chosen]
    if not vectors or any(v.shape != (net.w_dim,) for v in vectors):
        raise UserError(f"The directions in {path.name} belong to another latent space than that of this generator.")
    rows = torch.ones(len(chosen), net.num_ws)
    if container.native(container.header(path)[1]) is not None:  # ours says which rows of w+ each of them moves
        for row, name in zip(rows, chosen, strict=True):
            row.zero_()[list(latent_directions.read(path).found[name].rows)] = 1
    return with_spread(net, chosen, torch.stack(vectors), rows)


def random_directions(net: Generator, count: int, seed: int = 0) -> Directions:
    """Orthogonal ones that mean nothing in particular: to try the trainers without a classifier."""
    rows = torch.randn(net.w_dim, count, generator=torch.Generator().manual_seed(seed))
    return with_spread(net, tuple(f"Direction {i + 1}" for i in range(count)), torch.linalg.qr(rows)[0].T)


@torch.no_grad()
def with_spread(net: Generator, names: tuple[str, ...], vectors: Tensor, rows: Tensor | None = None) -> Directions:
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    device = next(net.parameters()).device
    z = torch.randn(STATISTICS, net.z_dim, generator=torch.Generator().manual_seed(0)).to(device)
    w = net.mapping(z)[:, 0]
    vectors = vectors.to(device)
    rows = torch.ones(len(names), net.num_ws) if rows is None else rows
    return Directions(names, vectors, (w @ vectors.T).std(dim=0), rows.to(device))


def network(where: str, device: str) -> nn.Module:
    """A network by the name of a checkpoint, or by a file of ours."""
    return store.load(where).to(device) if Path(where).suffix == ".safetensors" else weights.load(where, device)


def encoder(where: str, device: str) -> nn.Module | None:
    """The network that says the w+ of a photograph: ``auto`` is the one that ships, if it does; ``none``: None."""
    if where == "none" or (where == "auto" and ENCODER not in weights.names("encoder")):
        return None
    return network("encoder/faces" if where == "auto" else where, device)


@torch.no_grad()
def latents(net: Generator, count: int, rng: torch.Generator, psi: tuple[float, float] = (0.6, 1.0)) -> Tensor:
    """w+ ``[count, num_ws, w_dim]`` of random z, each truncated by a psi of its own."""
    device = net.mapping.w_avg.device
    z = torch.randn(count, net.z_dim, generator=rng)
    truncation = (torch.rand(count, 1, 1, generator=rng) * (psi[1] - psi[0]) + psi[0]).to(device)
    return net.mapping.w_avg + truncation * (net.mapping(z.to(device)) - net.mapping.w_avg)


def chosen_edits(found: Directions, count: int, rng: torch.Generator, strength: tuple[float, float]):
    """Which attribute ``[count]`` is edited, and by how much: a signed number of standard deviations ``[count]``."""
    label = torch.randint(0, len(found), (count,), generator=rng)
    alpha = torch.rand(count, generator=rng) * (strength[1] - strength[0]) + strength[0]
    return label, torch.where(torch.rand(count, generator=rng) < 0.5, -alpha, alpha)


def edited(w: Tensor, found: Directions, label: Tensor, alpha: Tensor) -> Tensor:
    """``w + alpha n`` for each of w+ ``[N, num_ws, w_dim]``, alpha ``[N]`` in standard deviations along n."""
    label = label.to(w.device)
    step = found.vectors[label] * (found.spread[label] * alpha.to(w.device))[:, None]
    return w + step[:, None] * found.rows[label][:, :, None]


@torch.no_grad()
def rendered(net: Generator, w: Tensor) -> Tensor:
    """Pictures ``[N, 3, R, R]`` in [-1, 1], as they are shown."""
    return net.synthesis(w, noise_mode="const").clamp(-1, 1)


def smooth_masks(count: int, size: int, rng: torch.Generator) -> Tensor:
    """``[count, 1, size, size]`` in 0..1, with soft borders anywhere."""
    noise = torch.rand(count, 1, 5, 5, generator=rng)
    return ((F.interpolate(noise, size=(size, size), mode="bilinear", align_corners=True) - 0.3) / 0.4).clamp(0, 1)


def options(p: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """What every trainer on such pairs is asked besides its own options."""
    add = p.add_argument
    add("--generator", default="stylegan2/faces", help="name or safetensors file of the StyleGAN2 network")
    add("--encoder", default="auto", help="name or file of its encoder; auto: the one that ships, if any; none")
    add("--directions", default=None, help="safetensors file of directions in w; those that ship if not given")
    add("--random-directions", type=int, default=0, help="so many without meaning instead, to try the trainer")
    add("--attrs", nargs="+", default=[], help="which of the directions; all if not given")
    add("--strength", type=float, nargs=2, default=[0.5, 4.0], help="in standard deviations of w")
    return run_options(p)


def run_options(p: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """How long, on what and on how much of the data a trainer runs: of all trainers for photographs out of domain."""
    add = p.add_argument
    add("--precision", default="fp32", choices=tuple(loop.PRECISIONS))
    add("--minutes", type=float, default=None)
    add("--device", default="auto")
    add("--threads", type=int, default=None)
    add("--limit", type=int, default=None, help="photographs, at most")
    add("--seed", type=int, default=0)
    return p


class Pairs:
    """What edits are made of: the generator, its directions, and an encoder with photographs where there are any."""

    def __init__(self, args: argparse.Namespace, device: str):
        self.net = network(args.generator, device)
        if args.random_directions:
            self.directions = random_directions(self.net, args.random_directions, args.seed)
        else:
            self.directions = directions(self.net, args.directions, args.attrs)
        self.encoder = encoder(args.encoder, device) if args.data else None
        self.device, self.strength = device, tuple(args.strength)

    def edit(self, w: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures before and after, the attributes ``[N]`` and the strengths ``[N]``."""
        label, alpha = chosen_edits(self.directions, len(w), rng, self.strength)
        before = rendered(self.net, w)
        after = rendered(self.net, edited(w, self.directions, label, alpha))
        return before, after, label, alpha

    @torch.no_grad()
    def latents(self, photographs: Tensor | None, count: int, rng: torch.Generator) -> Tensor:
        """w+ of the photographs ``[M, 3, R, R]``, M at most ``count``, and of random faces for the rest."""
        if photographs is None or self.encoder is None:
            return latents(self.net, count, rng)
        w = self.encoder(photographs.to(self.device)).float()
        rest = count - len(w)
        return torch.cat([w, latents(self.net, rest, rng)]) if rest else w
