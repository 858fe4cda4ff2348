"""Directions that others have found, as files: ``.npy``, ``.pt`` and safetensors, read without running anything.

InterFaceGAN and its like keep a direction in w as an array ``[1, w_dim]``; those for StyleGAN and StyleGAN2 that go
round have one row for each layer, ``[18, 512]``. A ``.pt`` or safetensors file may hold several by name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError

import torch

from . import container, formats, isolation
from .errors import RefusedFile, shown
from .formats import torchfile
from .formats.checkpoint import Room, is_tensor, take_tensors
from .formats.records import LEGACY_START

LIMIT = 64 * 2**20  # bytes of a file
MOST = 64  # directions in a file


def read(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """The arrays of a file by name, float32, in whatever shape they have; a single one without a name gets the file's.

    Another process reads the file (see ``isolation``). Raises RefusedFile.
    """
    return isolation.directions(formats.check_file(path, LIMIT))


def arrays(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """As ``read``, in this process, which a hostile file may bring to its limits."""
    path = formats.check_file(path, LIMIT)
    room = Room(path.stat().st_size)
    with formats.guarded():
        with open(path, "rb") as file:
            start = file.read(512)
        if start.startswith(b"\x93NUMPY"):
            return _named(_array(path), path.stem, room)
        if start[:4] == b"PK\x03\x04":
            return _named(torchfile.read_zip(path), path.stem, room)
        if start.startswith(LEGACY_START):
            with formats.mapped(path) as data:
                return _named(torchfile.read_legacy(data), path.stem, room)
        if container.looks_like(start):
            return _named(container.read(path), path.stem, room)
    raise RefusedFile("This file holds no direction: it is neither a NumPy array nor a torch or safetensors file.")


def _array(path: Path) -> torch.Tensor:
    import numpy as np

    try:
        # Mapped, so that a header that promises more than the file has is noticed before room is made for it.
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        return torch.from_numpy(np.array(found, np.float32))
    except (ValueError, TypeError, OSError, EOFError, OverflowError, SyntaxError, RecursionError, TokenError):
        raise RefusedFile("This NumPy file is damaged, or holds something else than numbers.") from None


def _named(tree: object, name: str, room: Room) -> dict[str, torch.Tensor]:
    found = {name: tree} if is_tensor(tree) else tree
    if not isinstance(found, Mapping) or not found or not all(is_tensor(value) for value in found.values()):
        raise RefusedFile("This file holds no direction; a direction is one array of numbers, or several by name.")
    if len(found) > MOST:
        raise RefusedFile(f"This file holds {len(found)} arrays, and up to {MOST} directions are read from one.")
    return {shown(key): value for key, value in take_tensors(found, room).items()}
