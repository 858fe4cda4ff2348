"""The latent of a photograph, and a generator tuned to it. See ``invert``."""

from weights import has_encoder

from .encoders import encoder_for
from .invert import METHODS, InversionStep, invert
from .target import prepare
from .tuning import TuneStep, save_network, tune

__all__ = [
    "InversionStep",
    "METHODS",
    "TuneStep",
    "encoder_for",
    "has_encoder",
    "invert",
    "prepare",
    "save_network",
    "tune",
]
