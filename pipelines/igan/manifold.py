"""The manifold, seen: a toy whose whole latent space fits on paper, and a plane through a real one.

for step in igan.ring(seed=0): ...       # a square is laid onto a ring (see ``toy_gan``)
plane = igan.slice(net, seed=1)          # 7 x 7 pictures of a plane through the latent of seed 1
plane.picture, plane.text(row, column)            # as one picture; the latent of one of them
igan.slice(net, seed=1, x=0.5)           # the same plane, further to the right
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from weights.errors import UserError

from .. import checks, progress
from ..images import to_pil
from ..latents import encode_latent
from ..registry import recipe
from .latent_space import MAX_BATCH, MAX_SEED, PSI, Network, Space
from .toy_gan import RingStep, ToyGAN, ring

__all__ = ["RingStep", "Slice", "ToyGAN", "ring", "slice"]

MAX_ROWS, FARTHEST = 15, 10
MAX_SIDE = 4096  # pixels of the picture of all tiles
LOGISTIC = math.pi / 12**0.5  # deviation of atanh of a uniform latent: its free numbers


@dataclass(frozen=True)
class Slice:
    """Pictures of a plane, row by row; x grows to the right and y downwards, as in a picture.

    ``latents`` [rows, rows, ...] on the CPU; ``axes`` are the two directions, free numbers for one step of 1, and
    ``origin`` what is at (0, 0), of the latents' shape. ``places``: (x, y) of every tile.
    """

    images: tuple[tuple[Image.Image, ...], ...]
    latents: Tensor
    origin: Tensor
    axes: tuple[Tensor, Tensor]
    places: tuple[tuple[tuple[float, float], ...], ...]

    @property
    def picture(self) -> Image.Image:
        """All tiles, side by side without gaps."""
        tile = self.images[0][0].size[0]
        sheet = Image.new("RGB", (tile * len(self.images), tile * len(self.images)))
        for i, row in enumerate(self.images):
            for j, image in enumerate(row):
                sheet.paste(image, (j * tile, i * tile))
        return sheet

    def text(self, row: int, column: int) -> str:
        """The latent of a tile as text that recipes carry and ``Space.latent`` takes. Raises UserError."""
        last = len(self.images) - 1
        row, column = checks.integer(row, "The row", 0, last), checks.integer(column, "The column", 0, last)
        return encode_latent(self.latents[row, column][None])


@recipe("plane")
@torch.no_grad()
def slice(
    net: Network,
    seed: int = 0,
    x: float = 0.0,
    y: float = 0.0,
    reach: float = 1.5,
    rows: int = 7,
    size: int | None = None,
    *,
    corners: Sequence | None = None,
) -> Slice:
    """A square window on a plane through the latent space of a DCGAN or a StyleGAN2.

    The plane goes through the latent of the seed, in two directions of the seed, at right angles to each other; a step
    of 1 along either is as long as the prior's latents are. It lies in the free numbers behind the latents (``Space``)
    and is bent back where it would leave the prior, so that every tile is a latent that the network knows.

    Args:
        x, y: the middle of the window on the plane, -10 to 10; at (0, 0) is the latent of the seed itself.
        reach: from the middle to the outermost tiles, 0.01 to 10.
        rows: tiles a side, 1 to 15.
        size: pixels of a tile, 8 to 1024; the network's own size where all tiles stay under 4096 pixels a side.
        corners: three latents (seeds, tensors, texts) that span the plane instead: with x, y = 0 and a reach of 1 they
            are in the corners at the upper left, the upper right and the lower left.

    Raises:
        UserError: for anything out of bounds, and for latents of another network or that lie on one line.
    """
    space = Space(net)
    x, y = checks.number(x, "x", -FARTHEST, FARTHEST), checks.number(y, "y", -FARTHEST, FARTHEST)
    reach, rows = checks.number(reach, "The reach", 0.01, FARTHEST), checks.integer(rows, "The tiles", 1, MAX_ROWS)
    largest = min(1024, MAX_SIDE // rows)
    size = min(space.size, largest) if size is None else checks.integer(size, "The size of a tile", 8, largest)
    if corners is None:
        origin, axes = _through_seed(space, seed)
        given = (origin,)
    else:
        origin, axes = _through_three(space, corners)
        given = (origin - axes[0] - axes[1], origin + axes[0] - axes[1], origin - axes[0] + axes[1])
    line = [reach * (2 * i / (rows - 1) - 1) if rows > 1 else 0.0 for i in range(rows)]
    places = tuple(tuple((x + dx, y + dy) for dx in line) for dy in line)
    free = torch.cat([origin + a * axes[0] + b * axes[1] for row in places for a, b in row])
    latents = space.bind(_held(space, free, given))
    tiles: list[Image.Image] = []
    batch = max(1, min(MAX_BATCH, 2**20 // space.size**2))
    for part in latents.split(batch):
        tiles += [_sized(image, size) for image in to_pil(space.pictures(part))]
        progress.passed(len(tiles), rows * rows)
    images = tuple(tuple(tiles[i * rows : (i + 1) * rows]) for i in range(rows))
    latents = latents.cpu().reshape(rows, rows, *latents.shape[1:])
    return Slice(images, latents, origin.cpu(), (axes[0].cpu(), axes[1].cpu()), places)


def _through_seed(space: Space, seed: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Free numbers ``[1, dim]`` of the seed's latent, and two directions: towards two other latents of the prior.

    For a StyleGAN2 that matters: w fills its space unevenly, and most directions lead out of it at once.
    """
    seed = checks.integer(seed, "The seed", 0, MAX_SEED)
    origin = space.free(space.random(1, seed))
    others = (seed * 2654435761 + 1) % 2**32  # never the seed itself, whose first direction would be its own latent
    first, second = space.free(space.random(2, others)).split(1)
    second = second - first * ((second * first).sum() / first.square().sum())
    length = space.dim**0.5 * (LOGISTIC if _bounded(space) else 1)
    return origin, (first * (length / first.norm()), second * (length / second.norm()))


def _bounded(space: Space) -> bool:
    return not space.is_style and space.net.prior == "uniform"


def _held(space: Space, free: Tensor, given: Sequence[Tensor]) -> Tensor:
    """No w farther from the mean than those that were given, or than random ones are; z has its bounds in ``bind``."""
    if not space.is_style:
        return free
    most = max(PSI * space.dim**0.5, *(float(latent.norm(dim=-1).max()) for latent in given))
    return free * (most / free.norm(dim=-1, keepdim=True).clamp_min(1e-12)).clamp_max(1)


def _through_three(space: Space, corners: Sequence) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    names = ("The first corner", "The second corner", "The third corner")
    found = checks.sequence(corners, "The corners", 3, 3)
    a, b, c = (space.latent(value, name) for value, name in zip(found, names, strict=True))
    a, b = space.alike(a, b)
    a, c = space.alike(a, c)
    b, c = space.alike(b, c)
    a, b, c = space.free(a), space.free(b), space.free(c)
    right, down = (b - a) / 2, (c - a) / 2
    u, v = right.flatten().double(), down.flatten().double()
    across = v - u * (u @ v) / (u @ u).clamp_min(1e-30)
    if min(float(u.norm()), float(across.norm())) < 1e-4 * max(1.0, float(v.norm())):
        raise UserError("These three latents lie on one line, and a plane needs a third beside it; choose another one.")
    return a + right + down, (right, down)


def _sized(image: Image.Image, size: int) -> Image.Image:
    if image.width == size:
        return image
    return image.resize((size, size), Image.Resampling.LANCZOS if size < image.width else Image.Resampling.BICUBIC)
