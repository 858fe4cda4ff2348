"""What lies around the crop of a face in its photograph, so that an edit does not end where the crop does."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from models import regions
from models.landmarks import celeba_landmarks
from models.segmentation import Parts

from ..photographs import photograph
from . import geometry
from .align import AlignedFace
from .paste import margin
from .segmentation import parts


def around(photo: Image.Image, aligned: AlignedFace) -> Parts:
    """The parts of the photograph in the crop ``celeba`` with a fifth of its side more on each side.

    Args:
        photo: the photograph that ``aligned`` was cut from.
    """
    more = margin(aligned.size)
    wide = geometry.resample(photograph(photo), geometry.widened(aligned.transform, more), aligned.size + 2 * more)
    return parts(Image.fromarray(wide))


def beyond(known: Parts, attributes: Iterable[str], size: int) -> np.ndarray | None:
    """Where edits of these attributes may show, for ``paste``; None where that of one is not known.

    Args:
        known: of ``around``, for a crop of ``size`` pixels a side.
    """
    return regions.union(attributes, len(known.person), celeba_landmarks(size) + margin(size), known)
