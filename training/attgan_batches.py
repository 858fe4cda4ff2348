"""Which photographs AttGAN is shown in a step, what edits they are to undergo, and what is to be seen of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.attgan import resolve_conflicts
from models.attributes import Classifier

from .attgan_regions import places
from .attributes import vary
from .data import Images
from .editing import INTENSITY

WHOLE = 1 + INTENSITY  # from what a photograph has to its contrary at test intensity 1, as the decoder is told it
READ = 6000  # photographs that tell what is typical


class Batch(NamedTuple):
    """Photographs of one step and the edits that they are to undergo."""

    x: Tensor  # pictures [N, 3, S, S]
    a: Tensor  # their attributes [N, n], 0 or 1
    values: Tensor  # what the decoder is told, [N, n]
    shown: Tensor  # how surely each attribute is to be seen then, [N, n]
    own: Tensor  # an attribute of each photograph, [N]: it is judged among those that have it, or have it not, as well
    changed: Tensor  # the same of each edit: the attribute that was flipped
    where: Tensor | None  # where an edit may change anything, [N, 1, S, S]; None: everywhere


def told(a: Tensor) -> Tensor:
    """What the decoder is told of attributes that are 0 or 1."""
    return (2 * a - 1) * INTENSITY


class Edits:
    """Draws the batches of a run.

    Args:
        images: photographs with their attributes, 0 or 1.
        parts: of each photograph (``attgan_regions``), if edits are to stay where their attributes lie.
        singles: share of the edits that flip one attribute; the others take the attributes of another photograph.
        balanced: each attribute, there and not there, is shown equally often.
    """

    def __init__(
        self,
        images: Images,
        attrs: Sequence[str],
        batch: int,
        parts: Tensor | None = None,
        singles: float = 0.0,
        balanced: bool = False,
    ):
        self.images, self.attrs, self.batch, self.parts = images, attrs, batch, parts
        self.singles, self.balanced = singles, balanced
        columns = images.attributes.T  # where each attribute is not, and where it is
        self.places = [tuple((column == value).nonzero()[:, 0] for value in (0, 1)) for column in columns]

    def draw(self, rng: torch.Generator, device: str) -> Batch:
        n = self.batch
        index, own = self._index(rng)
        mirrored = torch.rand(n, generator=rng) < 0.5
        x = self.images.batch(index, mirrored).to(device, memory_format=torch.channels_last)
        a = self.images.attributes[index].float()
        b = a[torch.randperm(n, generator=rng)]
        changed = torch.randint(0, a.shape[1], (n,), generator=rng)
        values, shown = told(b), b.clone()
        for i in self.places_of_singles():  # faintly to (more often) fully, as visitors ask for
            k = int(torch.randint(0, a.shape[1], [], generator=rng))
            flipped = a[i].clone()
            flipped[k] = 1 - flipped[k]
            shown[i] = resolve_conflicts(flipped, k, self.attrs)
            values[i] = told(shown[i])
            values[i, k] = (2 * flipped[k] - 1) * math.sqrt(float(torch.rand([], generator=rng)))
            shown[i, k] = (0.5 + values[i, k]).clamp(0, 1)
            changed[i] = k
        where = None
        if self.parts is not None:
            where = places(self.parts[index], (values > 0) != (a > 0.5), self.attrs, mirrored)
        batch = Batch(x, a, values, shown, own, changed, where)
        return Batch(*(None if tensor is None else tensor.to(device) for tensor in batch))

    def places_of_singles(self) -> list[int]:
        """Places in a batch where one attribute is flipped, evenly among the others."""
        count = round(self.batch * self.singles)
        return [i * self.batch // count for i in range(count)]

    def _index(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Which pictures, and for the sake of which attribute; where ``balanced`` it is there in one half of them."""
        n, names = self.batch, len(self.attrs)
        index = torch.randint(0, len(self.images), (n,), generator=rng)
        attribute = torch.randint(0, names, (n,), generator=rng)
        if self.balanced:
            there = torch.randint(0, 2, (n,), generator=rng)
            for i, (k, value) in enumerate(zip(attribute.tolist(), there.tolist(), strict=True)):
                if len(some := self.places[k][value]):
                    index[i] = some[torch.randint(0, len(some), [], generator=rng)]
        return index, attribute


@torch.no_grad()
def typical_logits(classifier: Classifier, images: Images, columns: Sequence[int], quantile: float) -> Tensor:
    """What the classifier says of clear examples of photographs without each attribute, and with it: ``[2, n]``.

    Of a rare attribute it is never sure: the clearest photographs of bald people have a probability of a third. An
    edit that is to convince it beyond that has to draw what no photograph shows, such as a moustache like a blot.

    Args:
        columns: where the attributes of ``images`` are among the classifier's.
        quantile: how clear, from 0.5 (as in the middle one of the photographs) to below 1.
    """
    rng = torch.Generator().manual_seed(0)
    index = torch.randperm(len(images), generator=rng)[:READ]
    device = next(classifier.parameters()).device
    read = torch.cat(
        [classifier(vary(images.batch(some).to(device), rng))[:, list(columns)] for some in index.split(64)]
    ).float()
    a = images.attributes[index].to(device) > 0.5
    found = torch.zeros(2, a.shape[1], device=device)
    for k in range(a.shape[1]):
        for there in (0, 1):
            some = read[a[:, k] == bool(there), k]
            if len(some):  # else 0: undecided
                found[there, k] = some.quantile(quantile if there else 1 - quantile)
    return found


def typical_targets(read: Tensor, typical: Tensor, change: Tensor) -> Tensor:
    """The logits ``[N, n]`` that a classifier is to give edits.

    What is to stay is to be seen as in the photograph; what is to change as in photographs that have it (or have it
    not), in proportion to the intensity.

    Args:
        read: its logits of the photographs, ``[N, n]``.
        typical: of ``typical_logits``.
        change: how the decoder is told to change each attribute, ``[N, n]``; 0 for what stays.
    """
    far = torch.where(change > 0, torch.maximum(typical[1], read), torch.minimum(typical[0], read))
    return torch.lerp(read, far, (change.abs() / WHOLE).clamp(max=1))
