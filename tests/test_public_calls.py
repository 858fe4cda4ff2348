"""Every function that a package offers says what it takes and gives; mypy reads tests/public_calls.py for the rest."""

from __future__ import annotations

import importlib
import inspect

import pytest

PACKAGES = (
    "weights",
    *(f"pipelines.{name}" for name in ("stylegan2", "attgan", "animation", "recipes", "history", "features")),
    *(f"pipelines.{name}" for name in ("draggan", "igan", "inversion", "out_of_domain", "faces", "directions")),
)


def offered(name: str) -> dict:
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    own = [n for n, v in vars(module).items() if not n.startswith("_") and getattr(v, "__module__", None) == name]
    found = {n: getattr(module, n) for n in listed or own}
    return {n: value for n, value in found.items() if inspect.isfunction(value)}


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_offered_is_typed(name):
    untyped = []
    for called, function in offered(name).items():
        signature = inspect.signature(function)
        untyped += [f"{called}({p.name})" for p in signature.parameters.values() if p.annotation is p.empty]
        untyped += [f"{called} ->"] if signature.return_annotation is signature.empty else []
    assert offered(name) and not untyped
