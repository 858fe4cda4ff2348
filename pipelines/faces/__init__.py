"""A face out of a photograph, and an edit back into it. See ``align``."""

from ..photographs import photograph
from .align import NO_FACE, AlignedFace, align, centre_crop, paste
from .detection import Face, detect, landmarks_of
from .geometry import CROPS

__all__ = [
    "AlignedFace",
    "CROPS",
    "Face",
    "NO_FACE",
    "align",
    "centre_crop",
    "detect",
    "landmarks_of",
    "paste",
    "photograph",
]
