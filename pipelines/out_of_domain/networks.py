"""The networks that an out-of-domain edit needs, and what to say where one of them is not there yet.

Each belongs to a generator: an encoder and a deghosting network to the very file that they were trained with, Diff-CAM
and the occlusion network, which see pictures only, to every generator whose faces lie alike.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

import weights
from models import device_of
from models.stylegan2 import Generator
from weights import hub, latent_directions
from weights.errors import UserError

from .. import checks, directions, inversion, stylegan2
from ..defaults import MAX_EDITS, MAX_STRENGTH, METHODS, STEPS
from ..latents import encode_latent

NUMBERED = 8  # directions that are offered where none has a name
PARTS = ("encoder", "diffcam", "occlusion", "deghosting", "directions")
MISSING = {
    "encoder": "No encoder belongs to this network, so photographs are inverted by optimisation, which takes longer.",
    "diffcam": "No Diff-CAM network fits this one, so the mask is the plain difference of I′ and T.",
    "occlusion": "No network knows what lies before such faces, so the mask fades where the inversion is far off.",
    "deghosting": "No deghosting network belongs to this one, so the blend is left as it is.",
    "directions": "No named directions belong to this network, so those offered are numbered, from its weights (SeFa).",
}


@dataclass(frozen=True, eq=False)
class Networks:
    """A generator and what belongs to it; None for what is not there.

    Attributes:
        steps: what one unit of strength along each direction adds to w+, ``[1, num_ws, w_dim]`` on the CPU, by name. A
            unit is one standard deviation of w along the direction.
        hashes: SHA-256 of the file of each of ``PARTS`` that is in use, by part.
        missing: a sentence about each part that is not there, by part.
    """

    generator: Generator
    encoder: Any
    diffcam: Any
    deghosting: Any
    steps: Mapping[str, Tensor]
    hashes: Mapping[str, str | None] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    occlusion: Any = None

    @property
    def size(self) -> int:
        return self.generator.img_resolution

    @property
    def device(self) -> torch.device:
        return device_of(self.generator)


def load(name: str = "faces", device: str = "auto") -> Networks:
    """``load("faces")``: a StyleGAN2 of the catalogue with everything that belongs to it. Raises UserError."""
    return gather(weights.load(name if "/" in str(name) else f"stylegan2/{name}", device))


def gather(nets: Generator | Networks) -> Networks:
    """A loaded generator with what belongs to it; quick, because networks are shared. Raises UserError."""
    if isinstance(nets, Networks):
        return nets
    if not isinstance(nets, Generator):
        raise UserError("Edits of this kind need a StyleGAN2 network; load one first.")
    found = {
        "encoder": inversion.encoder_for(nets),
        "diffcam": _alike(nets, "diffcam"),
        "occlusion": _alike(nets, "occlusion"),
        "deghosting": _deghosting(nets),
    }
    hashes = {part: net.info.sha256 if net is not None else None for part, net in found.items()}
    named = {name: one.step() for name, one in directions.named(nets).items()}
    hashes["directions"] = _directions_hash(nets) if named else None
    steps = named or _numbered(nets)
    gone = [part for part, net in found.items() if net is None] + ([] if named else ["directions"])
    return Networks(nets, **found, steps=steps, hashes=hashes, missing={part: MISSING[part] for part in gone})


def published(nets: Networks, path: str | os.PathLike) -> dict[str, Tensor]:
    """Directions out of a file of one's own (.npy, .pt, .safetensors): step by name. Raises UserError."""
    return {name: found.step() for name, found in directions.read(path, nets.generator).items()}


def encode_step(nets: Networks, step: Tensor) -> str:
    """A step as text that JSON can carry; ``decode_step`` takes it back."""
    return encode_latent(step, nets.generator)


def decode_step(nets: Networks, text: str) -> Tensor:
    """``[1, num_ws, w_dim]`` on the CPU. Raises UserError."""
    return directions.decode(text, nets.generator).step()


def check_hashes(nets: Networks, parts: Mapping[str, str | None] | None) -> None:
    """Raises UserError where an edit was made with other networks than are here; ``parts`` as ``Networks.hashes``."""
    if parts is None:
        return
    if not isinstance(parts, Mapping) or not set(parts) <= set(PARTS):
        raise UserError(f"The parts of an edit are {', '.join(PARTS)}, each with the hash of its file.")
    for part, sha256 in parts.items():
        if part == "encoder":  # the latent is told, so it is not asked again
            continue
        here = nets.hashes.get(part)
        if here != sha256:
            was, now = (str(v)[:12] if v else "none" for v in (sha256, here))
            raise UserError(f"That recipe was made with another version of {part} (hash {was}, here {now}).")


def edits_of(
    nets: Networks, edits, own: Mapping[str, str] | None = None, apart: bool = False
) -> tuple[tuple[tuple[str, float], ...], dict]:
    """Checked (name, strength) pairs without those of strength 0, and the steps by name. Raises UserError.

    Args:
        edits: up to 12 pairs of a direction and a strength, -10 to 10; of one name that comes twice the sum counts.
        own: directions of one's own by name, as text of ``encode_step``.
        apart: named directions without what they have of the other named ones (``directions.apart``).
    """
    found = directions.decode_all(own, nets.generator)
    steps = {**nets.steps, **{name: one.step() for name, one in found.items()}}
    wanted: dict[str, float] = {}
    for pair in checks.sequence(edits, "The list of edits", 0, MAX_EDITS):
        name, value = checks.sequence(pair, "An edit (a direction and a strength)", 2, 2)
        if not isinstance(name, str) or name not in steps:
            raise UserError(f"There is no direction “{str(name)[:30]}” here; there are {', '.join(steps)}.")
        value = checks.number(value, f"The strength of {name}", -MAX_STRENGTH, MAX_STRENGTH)
        wanted[name] = checks.number(
            wanted.get(name, 0) + value, f"The strength of {name}", -MAX_STRENGTH, MAX_STRENGTH
        )
    if apart:
        named = directions.named(nets.generator)
        steps |= {name: directions.apart(named[name], named).step() for name in wanted if name in named}
    return tuple((name, value) for name, value in wanted.items() if value), steps


def method_of(nets: Networks, method: str | None) -> str:
    """The way to invert, checked: hybrid where there is an encoder and nothing is said, optimisation where none is."""
    if method is None:
        return "hybrid" if nets.encoder is not None else "optimisation"
    return checks.choice(method, "The way to invert", METHODS)


def search(nets: Networks, image: Image.Image, method: str, steps: int | None, seed: int, show_every: int) -> Iterator:
    """``inversion.invert`` by a method of this technique. Raises UserError."""
    own = {"optimisation": "w+"}.get(method, method)
    steps = STEPS[method] if steps is None else steps
    return inversion.invert(nets.generator, image, own, steps, seed=seed, show_every=show_every)


# -- what belongs to a generator


def _shipped(technique: str) -> Iterator[str]:
    return (f"{technique}/{short}" for short in weights.names(technique))


def _alike(net: Generator, technique: str):
    """One that was trained with this very generator, else one for faces that lie alike."""
    info = getattr(net, "info", None)
    if info is None:
        return None
    same = [name for name in _shipped(technique) if weights.card(name).get("generator_sha256") == info.sha256]
    alike = [name for name in _shipped(technique) if info.crop and weights.entry(name).crop == info.crop]
    name = next(iter(same + alike), None)
    return weights.load(name, device_of(net)) if name else None


def _deghosting(net: Generator):
    info = getattr(net, "info", None)
    if info is None:
        return None
    names = [name for name in _shipped("deghosting") if weights.card(name).get("generator_sha256") == info.sha256]
    if not names:
        return None
    found = weights.load(names[0], device_of(net))
    try:
        return found.attach(net)
    except ValueError:
        return None


def _directions_hash(net: Generator) -> str | None:
    file = latent_directions.belonging_to(net.info.sha256) if getattr(net, "info", None) is not None else None
    return hub.file_sha256(latent_directions.path_of(file.generator)) if file is not None else None


_numbers: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


@torch.no_grad()
def _numbered(net: Generator) -> dict[str, Tensor]:
    """Unnamed directions in the network's own weights, for want of named ones."""
    if net not in _numbers:
        found = stylegan2.directions(net, count=min(NUMBERED, net.w_dim))
        _numbers[net] = {
            f"Direction {name}": (stylegan2._spread(net, v) * v).expand(1, net.num_ws, -1).cpu().clone()
            for name, v in zip(found.names, found.vectors, strict=True)
        }
    return _numbers[net]
