"""Where in an aligned face the person is and where the hair, by ``segmentation/faces``."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

import weights
from models import device_of
from models.segmentation import Parts, SegmentationNet
from weights import paths

NETWORK = "segmentation/faces"


def knows(crop: str | None) -> bool:
    """Whether the parts of a face in this crop can be found: the network lies in this copy, and has learnt such faces.

    "centre" may be a face that was cut out before, and is believed to be.
    """
    return crop in ("celeba", "centre") and paths.embedded(NETWORK).is_file()


def parts(image: Image.Image, net: SegmentationNet | None = None) -> Parts:
    """The parts of an aligned face in the crop ``celeba``, at the picture's own size.

    Args:
        net: of ``weights.load("segmentation/faces")``, which is taken if none is given.
    """
    net = net or weights.load(NETWORK)
    levels = np.asarray(image.convert("RGB"), np.float32) / 127.5 - 1
    x = torch.from_numpy(levels).permute(2, 0, 1)[None].to(device_of(net))
    with torch.inference_mode():
        person, hair = net.masks(x)[0].float().cpu().numpy()
    return Parts(person, hair)
