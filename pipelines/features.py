"""What a generator's feature maps hold: the places in a picture that are alike to the network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from models.stylegan2 import Generator

from . import checks, draggan, stylegan2
from .images import heat_map, to_pil
from .registry import recipe

SHOWN = 384  # pixels: feature maps are enlarged to about this, in whole cells


@dataclass(frozen=True)
class Look:
    """``image``: the picture; ``colours``: its features, the three strongest differences as red, green and blue;
    ``likeness``: how like the features of one point those of every place are, bright where they are most alike.

    ``resolution`` and ``channels`` are those of the feature map, ``image`` is as large as the network makes it.
    """

    image: Image.Image
    colours: Image.Image
    likeness: Image.Image
    resolution: int
    channels: int


@recipe("look")
@torch.no_grad()
def look(
    net: Generator,
    x: float,
    y: float,
    seed: int = 1,
    truncation_psi: float = 0.7,
    class_index: int | None = None,
    latent: str | None = None,
    feature_resolution: int | None = None,
) -> Look:
    """The feature map in which DragGAN searches (Pan et al. 2023, section 3.2), and one point in it.

    Args:
        x, y: the point in pixels of the picture, (0, 0) being the middle of the first.
        seed, truncation_psi, class_index: of the picture, as ``stylegan2.latent`` takes them.
        latent: text of ``draggan.encode_latent`` instead of a seed.
        feature_resolution: of the synthesis block; None: as ``draggan.defaults`` has it.

    Raises UserError.
    """
    size = net.img_resolution
    x, y = (checks.number(v, f"The place {name}", -0.5, size - 0.5) for v, name in ((x, "x"), (y, "y")))
    block = draggan.defaults(net).feature_resolution
    if feature_resolution is not None:
        names = [str(res) for res in net.synthesis.block_resolutions]
        block = int(checks.choice(str(feature_resolution), "The feature resolution", names))
    if latent is None:
        w = stylegan2.latent(net, seed, truncation_psi, class_index)
    else:
        w = draggan.decode_latent(latent, net).to(net.mapping.w_avg.device)
    features = net.synthesis.features(w, block)[0].float()  # [C, h, w]
    here = torch.tensor([2 * (x + 0.5) / size - 1, 2 * (y + 0.5) / size - 1], device=features.device)
    column = F.grid_sample(
        features[None], here.reshape(1, 1, 1, 2), mode="bilinear", padding_mode="border", align_corners=False
    ).reshape(-1, 1, 1)
    apart = (features - column).abs().mean(dim=0)
    alike = 1 - apart / apart.max().clamp_min(1e-12)
    return Look(
        stylegan2.picture(net, w),
        _enlarged(to_pil(_colours(features)[None] * 2 - 1)[0]),
        heat_map(alike, max(SHOWN // block, 1) * block),
        block,
        len(features),
    )


def _colours(features: Tensor) -> Tensor:
    """``[C, h, w]`` -> ``[3, h, w]`` from 0 to 1: the first three principal components over the places."""
    places = features.flatten(1)
    places = places - places.mean(dim=1, keepdim=True)
    _values, vectors = torch.linalg.eigh(places.double() @ places.double().T)
    axes = vectors[:, -3:].flip(1).float()  # [C, 3], the strongest first
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    axes = axes * largest.sign()  # an axis has no direction of its own; so it has the same one on every machine
    seen = axes.T @ places
    spread = 2.5 * seen.std(dim=1, keepdim=True).clamp_min(1e-12)
    return (seen / spread / 2 + 0.5).clamp(0, 1).reshape(-1, *features.shape[1:])


def _enlarged(image: Image.Image) -> Image.Image:
    factor = max(SHOWN // max(image.size), 1)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
