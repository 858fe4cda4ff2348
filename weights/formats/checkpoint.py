"""What every reader hands over, and the checks that hold for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from ..errors import RefusedFile, shown
from .records import TensorRecord


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


def is_tensor(value: object) -> bool:
    return isinstance(value, (torch.Tensor, TensorRecord))


def shape_of(value: torch.Tensor | TensorRecord) -> tuple[int, ...]:
    return tuple(value.size if isinstance(value, TensorRecord) else value.shape)


def shapes_of(state: Mapping) -> dict[str, tuple[int, ...]]:
    return {name: shape_of(value) for name, value in state.items()}


def take_tensors(state: Mapping, file_size: int) -> dict[str, torch.Tensor]:
    """Brings a state dict into memory: float32 (counters stay integers), contiguous, finite, nothing shared.

    Raises RefusedFile where together they are more than the file can hold, or a value is NaN or infinite.
    """
    total = 0
    for name, value in state.items():
        count = 1
        for n in shape_of(value):
            count *= n
        total += 4 * count
        if isinstance(value, torch.Tensor) and (value.layout != torch.strided or value.device.type != "cpu"):
            raise RefusedFile(f"The tensor {shown(name)} is stored in a form that no checkpoint needs.")
    if total > 4 * file_size + 2**16:  # honest files hold every number once, in half precision at least
        raise RefusedFile("This checkpoint unfolds to far more numbers than it holds, so it is not read.")
    taken = {}
    for name, value in state.items():
        tensor = value.tensor() if isinstance(value, TensorRecord) else value.detach()
        if tensor.is_complex():
            raise RefusedFile(f"The tensor {shown(name)} holds complex numbers, which no network here uses.")
        if tensor.is_floating_point():
            tensor = tensor.to(torch.float32)
            if not torch.isfinite(tensor).all():
                raise RefusedFile(f"The tensor {shown(name)} holds values that are no numbers (NaN or infinite).")
        taken[str(name)] = tensor.clone(memory_format=torch.contiguous_format)
    return taken


def without_prefix(state: Mapping, prefix: str = "module.") -> dict:
    """Training on several GPUs puts ``module.`` before every name."""
    if state and all(isinstance(name, str) and name.startswith(prefix) for name in state):
        return {name[len(prefix) :]: value for name, value in state.items()}
    return dict(state)
