"""How like a photograph a picture of its face is: its colours, and the person in it by networks that ship.

The person is told by the maps of the attribute classifier, which sees more than its attributes: two photographs of one
person turned, blurred or lit otherwise lie nearer together there than those of two people. It is no recogniser of faces
and is right less often than one; where it is not here, colours alone decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import weights
from models import device_of

from ..optimisation.perceptual import CLASSIFIER

STAGE = 3  # of the classifier, its map averaged over the picture
# Of 300 training photographs and the same shifted, mirrored, blurred or darkened 95 % are nearer than 0.1; of 300 pairs
# of two people 1 % are nearer than that, 5 % nearer than 0.2, half nearer than 0.53.
GOOD, FAIR = (12.0, 0.06), (24.0, 0.15)  # up to so many levels and so far apart as a person
STRANGER = 0.2  # from here on the person would not be recognised


@dataclass(frozen=True)
class Likeness:
    """Of two pictures of one size.

    Attributes:
        words: "good", "fair" or "poor".
        levels: mean absolute difference, in levels of 255.
        person: 1 - cosine of the two faces' embeddings, 0 (the same) to about 1 (another person); None where nothing
            tells.
    """

    words: str
    levels: float
    person: float | None

    @property
    def stranger(self) -> bool:
        """The person would not be recognised."""
        return self.person is not None and self.person > STRANGER


def of(photo: Image.Image, picture: Image.Image) -> Likeness:
    """The likeness of two aligned faces of one size, RGB."""
    levels = float(np.abs(np.asarray(photo, np.float32) - np.asarray(picture, np.float32)).mean())
    person = _person(photo, picture)
    for words, (most, apart) in (("good", GOOD), ("fair", FAIR)):
        if levels <= most and (person is None or person <= apart):
            return Likeness(words, levels, person)
    return Likeness("poor", levels, person)


def _person(photo: Image.Image, picture: Image.Image) -> float | None:
    if weights.status(CLASSIFIER) != "shipped":
        return None
    classifier = weights.load(CLASSIFIER)
    pair = np.stack([np.asarray(image.convert("RGB"), np.float32) for image in (photo, picture)])
    with torch.inference_mode():
        x = torch.from_numpy(pair).permute(0, 3, 1, 2).to(device_of(classifier)) / 127.5 - 1
        first, second = embedded(classifier, x)
    return float(1 - F.cosine_similarity(first, second, dim=0))


def embedded(classifier, x: torch.Tensor) -> torch.Tensor:
    """Embeddings ``[N, D]`` of faces ``[N, 3, H, W]`` in [-1, 1]."""
    return classifier.features(x)[STAGE].mean(dim=(2, 3))
