"""How well an AttGAN generator edits: does the attribute change, does the rest stay, does the face come back?

Pictures ``[N, 3, S, S]`` in [-1, 1], attributes ``[N, n]`` of 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from models.attgan import Generator, resolve_conflicts
from models.attributes import Classifier

from . import judges, sheets
from .attgan_regions import places

INTENSITY = 0.5  # what training shows for yes; no is the negative
BATCH = 64


@torch.no_grad()
def reconstructed(net: Generator, x: Tensor, a: Tensor) -> Tensor:
    values = (2 * a - 1) * INTENSITY
    return net(x, net.told(values, values))


@torch.no_grad()
def flips(net: Generator, x: Tensor, a: Tensor, parts: Tensor | None = None) -> list[Tensor]:
    """For each attribute the pictures with that one flipped (conflicts resolved) at test intensity 1.

    parts: of each picture (``attgan_regions``), if edits are to stay where their attributes lie.
    """
    zs, made = net.encode(x), []
    still = None if parts is None else reconstructed(net, x, a)
    for k in range(a.shape[1]):
        b = flipped(a, k, net.attrs)
        values = (2 * b - 1) * INTENSITY
        values[:, k] /= INTENSITY
        y = net.decode(zs, net.told(values, (2 * a - 1) * INTENSITY))
        made.append(y if parts is None else torch.lerp(still, y, places(parts[: len(x)], b != a, net.attrs).to(y)))
    return made


def flipped(a: Tensor, k: int, attrs) -> Tensor:
    """The attributes with one turned over, and those that contradict it then switched off."""
    b = a.clone()
    b[:, k] = 1 - b[:, k]
    return resolve_conflicts(b, k, attrs)


def psnr(x: Tensor, y: Tensor) -> float:
    """Mean over pictures, in dB, of pictures in [-1, 1]."""
    error = (x - y).square().flatten(1).mean(dim=1)
    return float((10 * torch.log10(4 / error)).mean())


def ssim(x: Tensor, y: Tensor) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian window of 11 with sigma 1.5, mean over colours and pictures.

    As usual of values from 0 to 1; it is not the same of values around 0.
    """
    x, y = (x + 1) / 2, (y + 1) / 2
    offsets = torch.arange(11, dtype=x.dtype, device=x.device) - 5
    bell = (-(offsets**2) / (2 * 1.5**2)).exp()
    bell = torch.outer(bell, bell) / bell.sum() ** 2

    def around(v: Tensor) -> Tensor:
        return F.conv2d(v.flatten(0, 1)[:, None], bell[None, None])

    mean_x, mean_y = around(x), around(y)
    var_x, var_y = around(x * x) - mean_x**2, around(y * y) - mean_y**2
    together = around(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    alike = (2 * mean_x * mean_y + c1) * (2 * together + c2)
    return float((alike / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


@torch.no_grad()
def success(net: Generator, judge: Classifier, x: Tensor, a: Tensor, parts: Tensor | None = None) -> dict[str, float]:
    """Share in percent of pictures whose flipped attribute the judge then sees flipped; ``mean`` over all."""
    return edited(net, judge, x, a, parts=parts)["half"]


@torch.no_grad()
def edited(
    net: Generator,
    judge: Classifier,
    x: Tensor,
    a: Tensor,
    people: Callable[[Tensor], np.ndarray] | None = None,
    parts: Tensor | None = None,
    thresholds: Tensor | None = None,
) -> dict[str, dict[str, float]]:
    """What the judge says of every attribute flipped, at test intensity 1.

    Args:
        people: vectors of faces that ``judges.same_people`` compares.
        parts: as in ``flips``.
        thresholds: logits from which on the judge sees an attribute, ``[n]``, as ``thresholds.fair`` gives them.

    Returns:
        ``success``: of the pictures whose attribute the judge reads rightly at the thresholds (0 without them), the
        share, in percent, that it reads the other way once it is flipped, so that an edit that does nothing has none;
        ``half``: of all pictures the share whose flipped attribute then has a probability on the other side of one
        half; ``shift``: how much, in percent, the probabilities of the others move from those of the reconstruction,
        mean of absolute values (without those that are switched off because they contradict the flipped one). With
        ``people`` also ``same``, the share that still shows the same person, and ``both``: flipped and the same
        person, which neither a stain nor an edit that changes nothing is. By attribute, and ``mean``.
    """
    columns = [judge.attrs.index(name) for name in net.attrs]
    seen, halves, moved, same, known = ([[] for _ in columns] for _ in range(5))
    edge = torch.zeros(len(columns)) if thresholds is None else thresholds
    whole = [None] * -(-len(x) // BATCH)
    for xs, as_, ps in zip(x.split(BATCH), a.split(BATCH), whole if parts is None else parts.split(BATCH), strict=True):
        read = judge(reconstructed(net, xs, as_))[:, columns]
        before = torch.sigmoid(read)
        persons = people(xs) if people else None
        for k, made in enumerate(flips(net, xs, as_, ps)):
            told = judge(made)[:, columns]
            rightly = (read[:, k] > edge[k]) == (as_[:, k] > 0.5)
            known[k].append(rightly)
            seen[k].append(((told[:, k] > edge[k]) == (as_[:, k] < 0.5))[rightly])
            halves[k].append((told[:, k] > 0) == (as_[:, k] < 0.5))
            others = flipped(as_, k, net.attrs) == as_
            moved[k].append((torch.sigmoid(told) - before).abs()[others])
            if people:
                same[k].append(torch.from_numpy(judges.same_people(persons, people(made))))
    values = {"success": seen, "half": halves, "shift": moved}
    if people:
        both = [
            [one & other[rightly] for one, other, rightly in zip(*of, strict=True)]
            for of in zip(seen, same, known, strict=True)
        ]
        values |= {"same": same, "both": both}
    found = {kind: [float(torch.cat(v).float().mean().nan_to_num() * 100) for v in of] for kind, of in values.items()}
    return {kind: {**dict(zip(net.attrs, v, strict=True)), "mean": sum(v) / len(v)} for kind, v in found.items()}


@torch.no_grad()
def restored(net: Generator, x: Tensor, a: Tensor) -> dict[str, float]:
    """Reconstructions beside the pictures: ``psnr`` in dB, ``ssim``, ``l1`` (mean absolute difference in [-1, 1])."""
    y = torch.cat([reconstructed(net, xs, s) for xs, s in zip(x.split(BATCH), a.split(BATCH), strict=True)])
    return {"psnr": psnr(y, x), "ssim": ssim(y, x), "l1": float((y - x).abs().mean())}


@torch.no_grad()
def sheet(net: Generator, x: Tensor, a: Tensor, parts: Tensor | None = None) -> Image.Image:
    """A row for each picture: itself, its reconstruction, then each attribute flipped; ``parts`` as in ``flips``."""
    columns = [x, reconstructed(net, x, a), *flips(net, x, a, parts)]
    return sheets.grid(torch.stack(columns, dim=1).flatten(0, 1).clamp(-1, 1), len(columns))
