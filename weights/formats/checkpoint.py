"""What every reader hands over, and the checks that hold for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from ..errors import RefusedFile, shown
from .records import ArrayRecord, TensorRecord


@dataclass
class Checkpoint:
    """One network of a file: our module's name, constructor arguments and state dict."""

    technique: str
    kind: str
    config: dict
    state: dict[str, torch.Tensor]
    layout: str
    card: dict = field(default_factory=dict)
    needs_w_avg: bool = False  # the file holds no average latent: it has to be estimated


MAX_TENSORS = 10_000  # of one network; an e4e file has some 1,500
MAX_NAME = 256  # characters of a tensor's name


class Room:
    """How many bytes the tensors of one file may take together, however often the file names them."""

    def __init__(self, file_size: int):
        self.file_size = file_size
        self.left = 2 * file_size + 2**16  # honest files hold every number once, in half precision at least

    def take(self, nbytes: int) -> None:
        """Raises RefusedFile where it was too much."""
        self.left -= nbytes
        if self.left < 0:
            raise RefusedFile("This checkpoint unfolds to far more numbers than it holds, so it is not read.")


def is_tensor(value: object) -> bool:
    return isinstance(value, (torch.Tensor, TensorRecord))


def shape_of(value: torch.Tensor | TensorRecord | ArrayRecord) -> tuple[int, ...]:
    return tuple(value.size if isinstance(value, TensorRecord) else value.shape)


def shapes_of(state: Mapping) -> dict[str, tuple[int, ...]]:
    return {name: shape_of(value) for name, value in state.items()}


def check_names(state: Mapping) -> None:
    """Raises RefusedFile for more tensors than any network has, and for names that are none."""
    if len(state) > MAX_TENSORS:
        raise RefusedFile(f"This checkpoint names {len(state):,} tensors, more than any network has.")
    if any(len(name) > MAX_NAME for name in state if isinstance(name, str)):
        raise RefusedFile("This checkpoint uses longer names than any network has, so it is not read.")


def nbytes(value: torch.Tensor | TensorRecord | ArrayRecord) -> int:
    """Bytes of a tensor once ``take_tensors`` has it in memory."""
    if isinstance(value, ArrayRecord):
        each = 4 if value.kind is None or value.kind.kind[0] == "f" else value.kind.dtype().itemsize
    else:
        each = 4 if value.dtype.is_floating_point else value.dtype.itemsize
    return each * math.prod(shape_of(value))


def take_tensors(state: Mapping, room: Room) -> dict[str, torch.Tensor]:
    """Brings a state dict into memory: float32 (counters stay integers), contiguous, finite, nothing shared.

    Raises RefusedFile, before anything is built, where together they are more than the file can hold; and where a
    value is NaN or infinite.
    """
    check_names(state)
    for name, value in state.items():
        room.take(nbytes(value))
        if isinstance(value, torch.Tensor) and (value.layout != torch.strided or value.device.type != "cpu"):
            raise RefusedFile(f"The tensor {shown(name)} is stored in a form that no checkpoint needs.")
    taken = {}
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            if value.is_complex():
                raise RefusedFile(f"The tensor {shown(name)} holds complex numbers, which no network here uses.")
            kind = torch.float32 if value.is_floating_point() else value.dtype
            tensor = value.detach().to(kind, copy=True, memory_format=torch.contiguous_format)
        else:
            tensor = value.tensor()
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise RefusedFile(f"The tensor {shown(name)} contains NaN or infinite values.")
        taken[str(name)] = tensor
    return taken


def without_prefix(state: Mapping, prefix: str = "module.") -> dict:
    """Training on several GPUs puts ``module.`` before every name."""
    if state and all(isinstance(name, str) and name.startswith(prefix) for name in state):
        return {name[len(prefix) :]: value for name, value in state.items()}
    return dict(state)
