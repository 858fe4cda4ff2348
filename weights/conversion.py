"""Foreign files turned into our own: what the reader process does (see ``reader``), with torch, and nothing else.

A file is read, completed, held against the network that it describes, and written as safetensors. The process that
asked reads the result, and never the file.
"""

from __future__ import annotations

from pathlib import Path

import torch

from . import container, direction_files, formats, store
from .errors import RefusedFile
from .formats import Checkpoint

W_AVG_SAMPLES = 10_000  # the estimate is then off by a hundredth of the deviation of w
MAX_MAPPING = 2048  # units of a mapping network whose average is estimated; published ones have 512


def convert(path: str, part: str, limit: int, folder: str, card: dict) -> dict:
    """Writes a part of a checkpoint file as ``PART.safetensors`` into ``folder``, and the encoder beside a generator.

    Args:
        part: ``generator``, ``discriminator`` or ``encoder``.
        limit: largest file in bytes.
        card: what is added to the card of each.

    Returns:
        ``{"parts": [part, ...]}``: what was written.

    Raises:
        RefusedFile: whatever is wrong with the file.
        NoRoom: the disk is full.
    """
    checkpoint = _write(path, part, limit, folder, card)
    parts = [part]
    if "encoder" in checkpoint.card:  # the file goes after this, and its encoder may be asked for at any later time
        _write(path, "encoder", limit, folder, card)
        parts.append("encoder")
    return {"parts": parts}


def directions(path: str, folder: str) -> dict:
    """Writes the arrays of a file of directions as tensors ``0``, ``1``, ... of ``directions.safetensors``.

    Returns ``{"names": [...]}`` in their order. Raises RefusedFile, NoRoom.
    """
    found = direction_files.arrays(path)
    container.write(Path(folder) / "directions.safetensors", {str(i): v for i, v in enumerate(found.values())}, {})
    return {"names": list(found)}


def _write(path: str, part: str, limit: int, folder: str, card: dict) -> Checkpoint:
    checkpoint = formats.read(path, part, limit)
    with formats.guarded():
        _complete(checkpoint)
        _built(checkpoint)  # nothing is kept that does not fit together
    card = {**checkpoint.card, **card, "layout": checkpoint.layout}
    target = Path(folder) / f"{part}.safetensors"
    store.write(target, checkpoint.state, checkpoint.technique, checkpoint.kind, checkpoint.config, card)
    checkpoint.state = {}  # the other part is read next, and both together may be large
    return checkpoint


def _complete(checkpoint: Checkpoint) -> None:
    """Files of rosinality's training lack the average latent: it is the mean of the mapping's output."""
    if not checkpoint.needs_w_avg:
        return
    sizes = [checkpoint.config.get(key) or 0 for key in ("z_dim", "c_dim", "w_dim", "layer_features", "embed_features")]
    if max(sizes) > MAX_MAPPING:
        raise RefusedFile("This checkpoint has no average latent, and its mapping is too wide to estimate one.")
    net = _built(checkpoint)
    z = torch.randn(W_AVG_SAMPLES, net.z_dim, generator=torch.Generator().manual_seed(0))
    c = torch.eye(net.c_dim)[torch.arange(W_AVG_SAMPLES) % net.c_dim] if net.c_dim else z[:, :0]
    with torch.no_grad():
        parts = [net.mapping(*pair)[:, 0] for pair in zip(z.split(1000), c.split(1000), strict=True)]
    checkpoint.state["mapping.w_avg"] = torch.cat(parts).mean(dim=0)
    checkpoint.needs_w_avg = False


def _built(checkpoint: Checkpoint) -> torch.nn.Module:
    return store.build(checkpoint.technique, checkpoint.kind, checkpoint.config, checkpoint.state)
