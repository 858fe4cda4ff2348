"""A generator that begins by drawing what a finished one draws from the same latents (knowledge distillation).

On two cores the adversarial loss alone needs a day before a small network draws faces. The pictures of a finished
generator give it a direct gradient from the first step, as photographs do in ``reconstruction``, and need no encoder:
their latents are known. The mapping network is the teacher's, so that a seed means the same person in all its pupils.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from models.stylegan2 import Generator
from weights import store
from weights.atomic import replacing
from weights.errors import UserError

from . import reconstruction

BATCH = 32


class Teacher:
    """Pictures of a finished generator at the pupil's size, drawn once, and their latents.

    Args:
        path: the teacher's ``.safetensors``.
        G: the pupil, which gets the teacher's mapping network. Raises UserError where their latents differ, or
            the teacher's pictures are smaller.
        count: pictures; every second one mixes the styles of two latents.
        folder: where they are kept for this run, when it goes on, and for others beside it.
    """

    def __init__(self, path: str, G: Generator, count: int, folder: Path):
        teacher = store.load(path)
        latents = ("z_dim", "c_dim", "w_dim", "mapping_layers")
        if wrong := [name for name in latents if G.config[name] != teacher.config[name]]:
            raise UserError(f"The teacher's latents are others; give its {', '.join(wrong)}.")
        if G.c_dim or teacher.img_resolution < G.img_resolution:
            raise UserError("A teacher has no classes, and pictures at least as large as the network's.")
        G.mapping.load_state_dict(teacher.mapping.state_dict())
        rng = torch.Generator().manual_seed(count)
        self.ws = _latents(teacher, count, G.num_ws, rng)
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
        kept = folder / f"{Path(path).stem}-{digest}-{G.img_resolution}px-{count}.pt"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            pictures = _drawn(teacher, self.ws, G.img_resolution)
            with replacing(kept) as beside:
                torch.save(pictures, beside)
        self.pictures = torch.load(kept, map_location="cpu", weights_only=True)
        self.rows = G.num_ws

    def batch(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """``n`` latents w+ ``[n, num_ws, w_dim]`` for the pupil, and pictures ``[n, 3, R, R]`` in [-1, 1] of them."""
        index = torch.randint(0, len(self.ws), (n,), generator=rng)
        return self.ws[index, : self.rows], self.pictures[index].float() / 127.5 - 1


@torch.no_grad()
def _latents(teacher: Generator, count: int, rows: int, rng: torch.Generator) -> Tensor:
    """w+ ``[count, num_ws, w_dim]``; rows beyond the pupil's are as its last."""
    one, other = (teacher.mapping(torch.randn(count, teacher.z_dim, generator=rng)) for _ in range(2))
    cut = torch.randint(1, rows, (count,), generator=rng)
    cut[::2] = teacher.num_ws
    return torch.where((torch.arange(teacher.num_ws) < cut[:, None])[..., None], one, other)


@torch.no_grad()
def _drawn(teacher: Generator, ws: Tensor, size: int) -> Tensor:
    """uint8 ``[N, 3, size, size]``, reduced from the teacher's size."""
    parts = []
    for some in ws.split(BATCH):
        x = teacher.synthesis(some, noise_mode="const").clamp(-1, 1)
        x = F.avg_pool2d(x, x.shape[-1] // size) if x.shape[-1] > size else x
        parts.append((x * 127.5 + 127.5).round().to(torch.uint8))
    return torch.cat(parts)


def loss(made: Tensor, wanted: Tensor, perceptual, pixels: float, features: float) -> Tensor:
    """Difference of the pupil's pictures ``[N, 3, r, r]`` to the teacher's, weighted.

    ``perceptual``: frozen features.
    """
    with torch.no_grad():
        maps = perceptual(wanted)
    return pixels * reconstruction.pixel_loss(made, wanted) + features * reconstruction.feature_loss(
        perceptual(made), maps
    )
