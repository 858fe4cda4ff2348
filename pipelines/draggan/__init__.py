"""DragGAN (Pan et al. 2023): handles are pulled to targets by optimising the latent of a picture. See ``drag``."""

from ..images import encode_mask
from ..latents import decode_latent, encode_latent, load_latent, save_latent
from .drag import DragState, DragStep, drag, replay
from .drawing import draw, frames
from .options import MAX_POINTS, MAX_STEPS, MODES, Defaults, defaults

__all__ = [
    "Defaults",
    "DragState",
    "DragStep",
    "MAX_POINTS",
    "MAX_STEPS",
    "MODES",
    "decode_latent",
    "defaults",
    "drag",
    "draw",
    "encode_latent",
    "encode_mask",
    "frames",
    "load_latent",
    "replay",
    "save_latent",
]
