"""Features in which two pictures are compared besides their pixels: a published network's where its file is at hand.

VGG16 (Simonyan, Zisserman 2015) comes through the catalogue. Without it the networks that ship stand in: the attribute
classifier, and the discriminator of the generator in use. ``chosen`` says which; pages show its ``words``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

import weights
from models import device_of
from weights import vgg16
from weights.errors import UserError

VGG16 = vgg16.NAME
CLASSIFIER = "attributes/faces"
VGG_LAYERS = 16  # of torchvision's ``features``: up to relu3_3, as usual in perceptual losses
SIDE = 64  # pixels at which the stand-ins compare; larger pictures are reduced
# iGAN's weight of 0.002 is meant for AlexNet's conv4, raw. Features here are brought to a unit in which two unlike
# pictures are about as far apart as they are there.
UNIT = 10.0


@dataclass(frozen=True)
class Features:
    """``maps(images [N, 3, H, W] in [-1, 1])`` gives feature maps; ``words`` say whose they are."""

    words: str
    maps: Callable[[Tensor], list[Tensor]]

    def apart(self, images: Tensor, target: list[Tensor]) -> Tensor:
        """Mean square difference to the maps of one picture, ``[N]``, each map in units of the target's own size."""
        total = images.new_zeros(len(images))
        for found, wanted in zip(self.maps(images), target, strict=True):
            scale = wanted.square().mean().clamp_min(1e-8)
            total = total + (found - wanted).square().mean(dim=(1, 2, 3)) / scale
        return UNIT * total / len(target)


def chosen(net: nn.Module) -> Features:
    """The features for a generator: VGG16's if its file is on this machine, else those of networks that ship."""
    device = device_of(net)
    if weights.status(VGG16) == "cached":
        try:
            vgg = _vgg16(str(device))
            return Features("VGG16, from the Hub", lambda x: [vgg(vgg16.normalised(x))])
        except UserError:  # a damaged file: the stand-ins are always there
            pass
    classifier = weights.load(CLASSIFIER, device=device)
    judge = getattr(net, "discriminator", None)
    if judge is None:
        words = "the attribute classifier that ships with ganbook (VGG16 is not on this machine)"
        return Features(words, lambda x: classifier.features(_small(x))[:3])
    words = "the attribute classifier and the discriminator that ship with ganbook (VGG16 is not on this machine)"
    return Features(words, lambda x: classifier.features(_small(x))[:3] + judge.features(x)[1:3])


def _small(x: Tensor) -> Tensor:
    if x.shape[-1] <= SIDE:
        return x
    return F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)


@functools.lru_cache(maxsize=2)
def _vgg16(device: str) -> nn.Module:
    return vgg16.load(VGG_LAYERS, device)
