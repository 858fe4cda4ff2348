"""iGAN: paint, and the nearest pictures of a generator answer (Zhu et al. 2016).

    net = weights.load("igan/shoes")
    for step in igan.brush(net, colour=rgba):            # step.candidates, the best first; stop after any
        pass
    for step in igan.project(net, photograph):           # step.latent
        pass
    frames = igan.transfer(net, photograph, step.latent, edited)    # at the photograph's own size

Every function of the technique is here; latents are tensors, seeds, or the text of ``encode_latent``.
"""

from __future__ import annotations

from PIL import Image
from torch import Tensor

from ..images import to_pil
from ..latents import decode_latent, encode_latent
from .brush import BrushStep, Candidate, brush, interpolate
from .constraints import Edits, Warp, constraints, encode_colour
from .latent_space import Latent, Network, Space
from .manifold import RingStep, Slice, ToyGAN, ring, slice
from .morph import morph, pair
from .projection import METHODS, ProjectionStep, features_in_use, prepare, project
from .transfer import Change, apply, change, transfer

__all__ = [
    "METHODS",
    "BrushStep",
    "Candidate",
    "Change",
    "Edits",
    "Latent",
    "Network",
    "ProjectionStep",
    "RingStep",
    "Slice",
    "Space",
    "ToyGAN",
    "Warp",
    "apply",
    "brush",
    "change",
    "constraints",
    "decode_latent",
    "encode_colour",
    "encode_latent",
    "features_in_use",
    "interpolate",
    "morph",
    "pair",
    "picture",
    "prepare",
    "project",
    "ring",
    "sample",
    "slice",
    "transfer",
]


def sample(net: Network, seed: int = 1) -> Tensor:
    """The latent ``[1, ...]`` of a seed, on the CPU. Raises UserError."""
    return Space(net).latent(seed).cpu()


def picture(net: Network, latent: Latent) -> Image.Image:
    """What a generator makes of a latent. Raises UserError."""
    space = Space(net)
    return to_pil(space.pictures(space.latent(latent)))[0]
