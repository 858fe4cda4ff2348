"""Directions in w that have names and ship beside a generator: ``weights/embedded/directions``.

A file holds one tensor ``[w_dim]`` of length 1 for each attribute; its configuration names the generator and the hash
of that generator's file, because the latent space of another training has nothing to do with this one.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import container, hub, paths, store
from .errors import RefusedFile, shown

if TYPE_CHECKING:
    import torch

TECHNIQUE, KIND = "directions", "vectors"
DAMAGED = "This file of directions is damaged; fetch the project again, or make it with `make train-directions`."


@dataclass(frozen=True)
class LatentDirection:
    """``vector [w_dim]`` of length 1, float32; ``spread`` is the standard deviation of w along it, ``rows`` those rows
    of w+ on which it changes its attribute with the least change of others.
    """

    name: str
    vector: torch.Tensor
    spread: float
    rows: tuple[int, ...]


@dataclass(frozen=True)
class DirectionsFile:
    """What a file holds: ``found`` by name in the order of the file, whose generator, by name and by ``sha256``."""

    generator: str
    sha256: str
    found: dict[str, LatentDirection]
    card: dict


def path_of(generator: str) -> Path:
    """``"stylegan2/faces"`` -> the file of its directions, whether or not it is there."""
    return paths.embedded(f"directions/{generator.split('/')[-1]}")


def write(
    path: str | os.PathLike,
    generator: str,
    sha256: str,
    num_ws: int,
    found: Mapping[str, LatentDirection],
    card: dict | None = None,
) -> None:
    """Writes a file of directions; raises as ``store.save``."""
    config = {
        "generator": generator,
        "sha256": sha256,
        "num_ws": num_ws,
        "names": list(found),
        "spread": {name: one.spread for name, one in found.items()},
        "rows": {name: list(one.rows) for name, one in found.items()},
    }
    store.write(path, {name: one.vector for name, one in found.items()}, TECHNIQUE, KIND, config, card)


def read(path: str | os.PathLike) -> DirectionsFile:
    """A file of directions, checked. Raises RefusedFile."""
    path = Path(path)
    header = store.header(path)
    if (header["technique"], header["kind"]) != (TECHNIQUE, KIND):
        raise RefusedFile(f"This file holds no directions but a {shown(header['kind'], 20)}.")
    config = header["config"]
    state = container.read(path)
    try:
        generator, sha256, num_ws, names = (config[key] for key in ("generator", "sha256", "num_ws", "names"))
        sound = isinstance(generator, str) and isinstance(sha256, str) and type(num_ws) is int and 0 < num_ws <= 64
        sound = sound and set(names) == set(state) and len({v.shape for v in state.values()}) == 1
        found = {}
        for name in names:
            vector, spread = state[name].float(), float(config["spread"][name])
            rows = tuple(config["rows"][name])
            sound = sound and vector.ndim == 1 and abs(float(vector.norm()) - 1) < 1e-2 and 0 < spread < 1e6
            sound = sound and len(rows) > 0 and all(type(row) is int and 0 <= row < num_ws for row in rows)
            found[name] = LatentDirection(name, vector, spread, rows)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RefusedFile(DAMAGED) from None
    if not sound:
        raise RefusedFile(DAMAGED)
    return DirectionsFile(generator, sha256, found, header["card"])


def names_for(generator: str) -> tuple[str, ...]:
    """The names of the directions that ship for a shipped generator, in the order of the file; torch is not loaded.

    Empty where there are none, or only those of an earlier state of it.
    """
    path = path_of(generator)
    if generator.split("/")[0] != "stylegan2" or not path.is_file():
        return ()
    try:
        config = store.header(path)["config"]
        fits = (config["generator"], config["sha256"]) == (generator, hub.file_sha256(paths.embedded(generator)))
        return tuple(map(str, config["names"])) if fits else ()
    except (RefusedFile, KeyError, TypeError, OSError):
        return ()


def belonging_to(sha256: str) -> DirectionsFile | None:
    """The file that ships for the generator whose file has this hash; None if there is none, or only a stale one."""
    for path in sorted((paths.EMBEDDED / "directions").glob("*.safetensors")):
        found = _kept(path, path.stat().st_mtime_ns)
        if found.sha256 == sha256:
            return found
    return None


@functools.lru_cache(maxsize=8)
def _kept(path: Path, _changed: int) -> DirectionsFile:
    return read(path)
