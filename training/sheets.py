"""Sample sheets: a grid of pictures of fixed latents, the same at every tick, so that progress can be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_uint8(x: Tensor) -> np.ndarray:
    """``[N, 3, H, W]`` in [-1, 1] -> ``[N, H, W, 3]`` uint8."""
    return (x.float() * 127.5 + 128).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def grid(x: Tensor, columns: int) -> Image.Image:
    """Pictures ``[N, 3, H, W]`` side by side; N must be a multiple of ``columns``."""
    tiles = to_uint8(x)
    n, h, w, _ = tiles.shape
    tiles = tiles.reshape(n // columns, columns, h, w, 3).transpose(0, 2, 1, 3, 4)
    return Image.fromarray(tiles.reshape(n // columns * h, columns * w, 3))


def kept(picture: Image.Image) -> Image.Image:
    """A sheet as it lies beside a card: in 256 colours of its own, dithered, in less than half of the bytes."""
    picture = picture.convert("RGB")
    return picture.quantize(palette=picture.quantize(256), dither=Image.Dither.FLOYDSTEINBERG)


@torch.no_grad()
def sample(net, count: int, seed: int = 0, psi: float = 1.0, batch: int = 64, **synthesis) -> Tensor:
    """``[count, 3, R, R]`` pictures of seeded latents (and seeded classes where the network has any), on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    device = next(net.parameters()).device
    z = torch.randn(count, net.z_dim, generator=generator)
    c = torch.eye(net.c_dim)[torch.randint(0, net.c_dim, (count,), generator=generator)] if net.c_dim else None
    synthesis.setdefault("noise_mode", "const")
    parts = []
    for i in range(0, count, batch):
        ci = None if c is None else c[i : i + batch].to(device)
        parts.append(net(z[i : i + batch].to(device), ci, truncation_psi=psi, **synthesis).float().cpu())
    return torch.cat(parts)


def save_sheet(net, path: str | Path, rows: int = 6, columns: int = 10, seed: int = 0, psi: float = 0.8, **kw) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    grid(sample(net, rows * columns, seed, psi, **kw), columns).save(path)
