"""Which functions recipes may call: each says so itself, with ``@recipe``.

A technique's module is imported when a recipe asks for it, not before: torch comes with it.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

F = TypeVar("F", bound=Callable)


@dataclass(frozen=True)
class RecipeFunction:
    """``result`` is what the shown code calls what the function gives.

    ``checkpoint`` stands in the recipe of a function that takes no network, and ``fingerprint`` gives the hash of what
    it depends on; None for functions whose first argument is a network.
    """

    result: str
    checkpoint: str | None = None
    fingerprint: Callable[[], str] | None = None

    @property
    def takes_network(self) -> bool:
        return self.checkpoint is None


_FOUND: dict[str, RecipeFunction] = {}


def recipe(
    result: str, checkpoint: str | None = None, fingerprint: Callable[[], str] | None = None
) -> Callable[[F], F]:
    """Decorates a function that recipes may call, as ``"stylegan2.sample"``: its module below ``pipelines``, its name.

    Args:
        result: how the shown code names what it gives; ``frames`` and ``steps`` come one after another.
        checkpoint: for a function that takes no network, what stands in its recipe instead.
        fingerprint: for such a function, the hash of the networks that it uses by itself.
    """

    def register(function: F) -> F:
        module = function.__module__.split(".")[1]
        _FOUND[f"{module}.{function.__name__}"] = RecipeFunction(result, checkpoint, fingerprint)
        return function

    return register


def find(name: str) -> RecipeFunction | None:
    """The function that a recipe calls ``name``; None if there is none."""
    module = name.split(".")[0]
    if name not in _FOUND and module in _modules():
        importlib.import_module(f"{__package__}.{module}")
    return _FOUND.get(name)


def everything() -> dict[str, RecipeFunction]:
    """All of them, by name; imports every technique."""
    for module in _modules():
        importlib.import_module(f"{__package__}.{module}")
    return dict(_FOUND)


def _modules() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(sys.modules[__package__].__path__)]
