"""The reading from which on a classifier tells an attribute fairly: as often right where it is as where it is not.

A classifier that learnt from photographs of which two in a hundred are of bald people is right most often if it hardly
ever says so: at a probability of one half, the judge of AttGAN's card sees baldness in 37 of 100 photographs that have
it. What an edit is to reach there no photograph reaches, and a blot does. At the threshold where both kinds of error
are equally frequent, photographs themselves are read rightly in nine of ten, and an edit can be compared with them.

Readings are logits ``[N, n]``, labels 0 or 1 ``[N, n]``, thresholds logits ``[n]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.attributes import Classifier

from .data import Images, load_images

BATCH = 64


@torch.no_grad()
def read(judge: Classifier, images: Images, attrs: Sequence[str]) -> Tensor:
    """What the judge says of photographs of its size, in the order of ``attrs``."""
    columns = [judge.attrs.index(name) for name in attrs]
    device = next(judge.parameters()).device
    index = torch.arange(len(images)).split(BATCH)
    return torch.cat([judge(images.batch(some).to(device))[:, columns].float().cpu() for some in index])


def fair(readings: Tensor, labels: Tensor) -> Tensor:
    """Thresholds at which as large a share of those with an attribute is missed as of those without is taken for it.

    0, the usual one, for an attribute that all have or nobody.
    """
    found = torch.zeros(readings.shape[1])
    for k in range(readings.shape[1]):
        there = labels[:, k] > 0.5
        having, lacking = readings[there, k].sort().values, readings[~there, k].sort().values
        if len(having) and len(lacking):
            middles = readings[:, k].unique()
            middles = (middles[1:] + middles[:-1]) / 2 if len(middles) > 1 else middles
            missed = torch.searchsorted(having, middles) / len(having)
            mistaken = 1 - torch.searchsorted(lacking, middles) / len(lacking)
            found[k] = middles[(missed - mistaken).abs().argmin()]
    return found


def of_photographs(readings: Tensor, labels: Tensor, thresholds: Tensor) -> Tensor:
    """What edits that nothing tells from photographs would reach, ``[n]`` in percent.

    Each photograph's attribute turned over is seen turned over as often as in the photographs that have it so.
    """
    seen, there = readings > thresholds, labels > 0.5
    found = torch.zeros(readings.shape[1])
    for k in range(readings.shape[1]):
        share = there[:, k].float().mean()
        rightly = (seen[:, k] == there[:, k]).float()
        with_it, without = (rightly[of].mean() if of.any() else torch.tensor(0.0) for of in (there[:, k], ~there[:, k]))
        found[k] = 100 * ((1 - share) * with_it + share * without)
    return found


def of_judge(
    judge: Classifier, data: str | Path, attrs: Sequence[str], limit: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Fair thresholds by (at most ``limit``) photographs of the train split; what those of the test split reach there,
    and at one half, as ``of_photographs`` says it: three ``[n]``."""
    chosen = load_images(data, judge.img_size, "train", attributes=attrs, limit=limit)
    told = load_images(data, judge.img_size, "test", attributes=attrs)
    edges, readings = fair(read(judge, chosen, attrs), chosen.attributes), read(judge, told, attrs)
    at = [of_photographs(readings, told.attributes, edge) for edge in (edges, torch.zeros_like(edges))]
    return edges, *at
