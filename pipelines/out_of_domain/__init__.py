"""Out-of-domain editing by differential activations (Song et al., ECCV 2022). See ``edit``."""

from ..defaults import (
    BLENDS,
    MAX_EDITS,
    MAX_STRENGTH,
    METHODS,
    POOR,
    SOFTNESS,
    STEPS,
    THRESHOLD,
    TUNING,
    MaskOptions,
)
from ..images import decode_image, encode_image, encode_mask
from ..latents import encode_latent
from .edit import JUDGE, Compared, ComparisonStep, compare, edit, slide
from .mask import overlay
from .networks import Networks, decode_step, encode_step, gather, load, method_of, published
from .options import Options
from .stages import Changed, Inverted, OutOfDomainEdit, changed, composed, invert, inverted, laid, paste, soft_mask

__all__ = [
    "BLENDS",
    "Changed",
    "Compared",
    "ComparisonStep",
    "Inverted",
    "JUDGE",
    "MAX_EDITS",
    "MAX_STRENGTH",
    "METHODS",
    "MaskOptions",
    "Networks",
    "Options",
    "OutOfDomainEdit",
    "POOR",
    "SOFTNESS",
    "STEPS",
    "THRESHOLD",
    "TUNING",
    "changed",
    "compare",
    "composed",
    "decode_image",
    "decode_step",
    "edit",
    "encode_image",
    "encode_latent",
    "encode_mask",
    "encode_step",
    "gather",
    "invert",
    "inverted",
    "laid",
    "load",
    "method_of",
    "overlay",
    "paste",
    "published",
    "slide",
    "soft_mask",
]
