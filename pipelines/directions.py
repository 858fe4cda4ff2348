"""Directions in w and w+ along which attributes change: those that ship, and those of files.

    net = weights.load("stylegan2/faces")
    smiling = directions.named(net)["Smiling"]
    w = directions.apply(stylegan2.latent(net, 3), smiling, 3.0)
    image = stylegan2.picture(net, w)

One unit of strength is one standard deviation of w along the direction, whatever the direction comes from, so that the
same number means as much in every network and for every file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.stylegan2 import Generator
from weights import direction_files, latent_directions
from weights.errors import UserError

from . import checks
from .latents import decode_latent, encode_latent

MAX_STRENGTH = 20.0
MAX_OWN = 12  # directions of one's own in a call
SPREAD_OF = 2048  # latents from which the deviation of w along a direction is taken
LARGEST = 1e4  # of a number in a step


@dataclass(frozen=True, eq=False)
class Direction:
    """``vectors [num_ws, w_dim]`` float32 on the CPU: what one unit adds to each row of w+. ``rows``: those of them
    that it moves of its own accord; a direction in w has the same vector in every row, and may still leave some alone.
    """

    name: str
    vectors: Tensor
    rows: tuple[int, ...]

    def step(self, rows: Sequence[int] | None = None) -> Tensor:
        """What one unit adds to w+, ``[1, num_ws, w_dim]``: in its own rows, or in those that are named."""
        chosen = list(self.rows if rows is None else rows)
        found = torch.zeros_like(self.vectors)
        found[chosen] = self.vectors[chosen]
        return found[None]


def named(net: Generator) -> dict[str, Direction]:
    """The named directions that ship for this very state of a generator, by name; empty where there are none."""
    info = getattr(net, "info", None)
    file = latent_directions.belonging_to(info.sha256) if info is not None else None
    return {
        name: Direction(name, (one.spread * one.vector).expand(net.num_ws, -1).clone(), one.rows)
        for name, one in (file.found if file is not None else {}).items()
    }


def read(path: str | os.PathLike, net: Generator) -> dict[str, Direction]:
    """Directions out of a file, made to the measure of a generator, by name.

    Args:
        path: ``.npy``, ``.pt`` or safetensors, of arrays ``[w_dim]``, ``[1, w_dim]`` (w) or ``[num_ws, w_dim]`` (w+;
            rows of zeros are left alone); of what length they are does not matter.

    Raises UserError: no such file, something else in it, or directions of another latent space.
    """
    w = _some_w(net)
    return {name: _fitted(name, array, w, net) for name, array in direction_files.read(path).items()}


def _fitted(name: str, array: Tensor, w: Tensor, net: Generator) -> Direction:
    shape = "x".join(map(str, array.shape))
    array = array[0] if array.ndim == 3 and len(array) == 1 else array
    if array.ndim == 1 or (array.ndim == 2 and len(array) == 1):
        array = array.reshape(1, -1).expand(net.num_ws, -1)
    if array.ndim != 2 or array.shape[1] != net.w_dim or not array.is_floating_point():
        raise UserError(f"“{name[:40]}” has the shape {shape}; a direction in w has {net.w_dim} numbers here.")
    if len(array) != net.num_ws:
        raise UserError(f"“{name[:40]}” has {len(array)} rows, and the latents of this network have {net.num_ws}.")
    length = array.norm(dim=1)
    rows = tuple(torch.nonzero(length > 1e-6 * length.max()).flatten().tolist()) if length.max() > 0 else ()
    if not rows:
        raise UserError(f"“{name[:40]}” holds nothing but zeros, which lead nowhere.")
    array = array / length[list(rows)].square().mean().sqrt()
    # The mean variance over its rows: of a direction in w, that along it.
    spread = float((w @ array[list(rows)].T).var(dim=0).mean().sqrt())
    if not spread > 0:
        raise UserError(f"“{name[:40]}” leads to where this network has no latents.")
    return Direction(name, (spread * array).contiguous(), rows)


@torch.no_grad()
def _some_w(net: Generator) -> Tensor:
    """Latents ``[SPREAD_OF, w_dim]`` on the CPU, the same at each call."""
    where = net.mapping.w_avg.device
    z = torch.randn(SPREAD_OF, net.z_dim, generator=torch.Generator().manual_seed(0)).to(where)
    c = torch.eye(net.c_dim, device=where)[torch.arange(SPREAD_OF, device=where) % net.c_dim] if net.c_dim else None
    return net.mapping(z, c)[:, 0].float().cpu()


def apply(latent: Tensor, direction: Direction, strength: float, rows: Sequence[int] | None = None) -> Tensor:
    """w+ ``[N, num_ws, w_dim]`` moved by ``strength`` units, -20 to 20; ``rows``: others than the direction's own."""
    strength = checks.number(strength, f"The strength of {direction.name}", -MAX_STRENGTH, MAX_STRENGTH)
    if not isinstance(latent, Tensor) or latent.ndim != 3 or latent.shape[1:] != direction.vectors.shape:
        raise UserError("A direction moves latents w+ of its own network; take them from stylegan2.latent.")
    return latent + strength * direction.step(rows).to(latent)


def orthogonal(direction: Direction, others: Sequence[Direction]) -> Direction:
    """``direction`` without what it has of ``others`` (conditional manipulation, InterFaceGAN section 3.3).

    In every row of w+ it is projected onto what is perpendicular to all of the others there; what is left is as long,
    over all rows, as it was before. Raises UserError where nothing is left.
    """
    if not others:
        return direction
    left = torch.zeros_like(direction.vectors)
    for row in direction.rows:
        basis, size, _ = torch.linalg.svd(torch.stack([o.vectors[row] for o in others]).double().T, full_matrices=False)
        basis = basis[:, size > 1e-6 * size.max().clamp_min(1e-30)]
        v = direction.vectors[row].double()
        left[row] = (v - basis @ (basis.T @ v)).float()
    length = direction.vectors[list(direction.rows)].norm()
    if left.norm() < 1e-4 * length:
        raise UserError(f"{direction.name} consists of the other directions; nothing is left of it.")
    return replace(direction, vectors=left * (length / left.norm()))


def apart(direction: Direction, found: Mapping[str, Direction]) -> Direction:
    """``direction`` without what it has of all others of ``found``. Raises UserError where nothing is left."""
    return orthogonal(direction, [other for name, other in found.items() if name != direction.name])


# -- in and out ----------------------------------------------------------------------------------------------------


def encode(direction: Direction) -> str:
    """A direction as text that JSON can carry, exact; ``decode`` takes it back."""
    return encode_latent(direction.step())


def decode(text: str, net: Generator, name: str = "direction") -> Direction:
    """Raises UserError for text that is no direction of this network."""
    try:
        vectors = decode_latent(text, net)[0]
    except UserError:
        raise UserError(f"This text is not a direction of {net.num_ws} x {net.w_dim} numbers.") from None
    if not bool(torch.isfinite(vectors).all()) or float(vectors.abs().max()) > LARGEST:
        raise UserError("This direction contains NaN or very large values; load its file again.")
    return Direction(name, vectors, tuple(torch.nonzero(vectors.norm(dim=1)).flatten().tolist()))


def decode_all(own: Mapping[str, str] | None, net: Generator) -> dict[str, Direction]:
    """Directions of one's own by name, each as text of ``encode``. Raises UserError."""
    own = {} if own is None else own
    if not isinstance(own, Mapping) or len(own) > MAX_OWN:
        raise UserError(f"Directions of one's own are given by name, at most {MAX_OWN}.")
    return {str(name)[:60]: decode(text, net, str(name)[:60]) for name, text in own.items()}
