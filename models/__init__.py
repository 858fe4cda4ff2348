"""The networks: plain ``nn.Module`` definitions, no files, no pages, nothing else of ganbook imported.

A network that is kept in a file says so: ``@stored("stylegan2", "generator")``. Its constructor takes JSON values and
keeps them in ``self.config``.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import nn

C = TypeVar("C", bound="type[nn.Module]")
_STORED: dict[tuple[str, str], type[nn.Module]] = {}


def stored(technique: str, kind: str) -> Callable[[C], C]:
    """Decorates the class that a file of this technique and kind becomes."""

    def register(network: C) -> C:
        _STORED[technique, kind] = network
        return network

    return register


def device_of(net: nn.Module) -> torch.device:
    """Where a network computes: all of its parameters are on one device."""
    return next(net.parameters()).device


@functools.cache
def all_stored() -> dict[tuple[str, str], type[nn.Module]]:
    """(technique, kind) -> class, of all networks that are kept in files. Imports every module here, and torch."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(_STORED)
