"""Where edits of photographs may change anything: in the regions of their attributes, as the page keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

import weights
from models import regions
from models.segmentation import Parts

from .data import Images

NETWORK = "segmentation/faces"


@torch.no_grad()
def parts_of(images: Images, batch: int = 64) -> Tensor:
    """The person and the hair on every photograph, uint8 ``[N, 2, S, S]``."""
    net = weights.load(NETWORK, "cpu")
    index = torch.arange(len(images)).split(batch)
    return torch.cat([(255 * net.masks(images.batch(some).cpu())).round().byte() for some in index])


def places(parts: Tensor, changed: Tensor, attrs: Sequence[str], mirrored: Tensor | None = None) -> Tensor:
    """Where edits may change anything, ``[N, 1, S, S]`` in 0..1.

    Args:
        parts: of each photograph, as ``parts_of`` gives them.
        changed: which of ``attrs`` an edit changes, bool ``[N, n]``.
        mirrored: whether a photograph is seen mirrored, bool ``[N]``; None: none is.
    """
    size, made = parts.shape[-1], []
    for of, names in zip(parts, changed.tolist(), strict=True):
        wanted = [name for name, one in zip(attrs, names, strict=True) if one]
        there = regions.union(wanted, size, parts=Parts(*(of.float() / 255).numpy()))
        made.append(torch.ones(size, size) if there is None else torch.from_numpy(there))
    found = torch.stack(made)[:, None]
    return found if mirrored is None else torch.where(mirrored[:, None, None, None], found.flip(3), found)
