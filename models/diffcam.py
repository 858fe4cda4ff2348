"""Diff-CAM: where an edit of one attribute has changed a picture (Song et al., ECCV 2022, section 3.2).

A shared encoder sees the picture before and after, a light classifier sees the difference of the two maps and names
the attribute; Grad-CAM on its last maps says where it looked:

    D = E(before) - E(after),  beta_k^c = mean_ij ds_c / dH_ij^k,  M = ReLU(sum_k beta_k^c H^k)

``body="resnet"`` is the published network, a ResNet-101 split inside its third stage, with its names of parameters;
``body="light"`` is the small one for networks that ship.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import stored
from .attributes import Residual

BODIES = ("light", "resnet")
DIFFERENCES = ("before - after", "after - before")
EPSILON = 1e-8
PUBLISHED = {
    "img_resolution": 256,
    "body": "resnet",
    "widths": (64, 128, 256, 512),
    "layers": (3, 4, 23, 3),
    "split": 10,
    "difference": "after - before",
}


def brought_to(x: Tensor, size: int) -> Tensor:
    """Pictures ``[N, 3, H, W]`` with ``size`` pixels a side; larger ones are averaged by area, as the authors do."""
    if x.shape[-2:] == (size, size):
        return x
    if x.shape[-1] > size:
        return F.interpolate(x, size=(size, size), mode="area")
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 convolution beside a shortcut; the output is four times as wide (He et al.)."""

    expansion = 4

    def __init__(self, n_in: int, width: int, stride: int):
        super().__init__()
        n_out = width * self.expansion
        self.conv1, self.bn1 = nn.Conv2d(n_in, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, n_out, 1, bias=False), nn.BatchNorm2d(n_out)
        if stride > 1 or n_in != n_out:
            self.downsample = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        else:
            self.downsample = None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


@stored("diffcam", "network")
class DiffCAM(nn.Module):
    """Names the attribute in which two pictures differ, and shows where: ``[N, 3, H, W]`` twice, in [-1, 1].

    Args:
        names: the attributes, in order.
        img_resolution: pictures of another size are brought to this one first.
        body: ``resnet`` as published, or ``light``: residual blocks that halve the size, then a head without biases
            or norms, so that where nothing differs the maps are zero.
        widths: of the four stages of the ResNet; of the encoder's stages of the light body.
        layers, split: blocks of each stage of the ResNet, and how many of the third belong to the encoder.
        head: widths of the light classifier's convolutions.
        difference: the paper subtracts after from before, the authors' program the other way round; a classifier
            learns either, and knows only the one that it has learnt.

    Attributes:
        names: tuple of str.
        img_resolution: int.
    """

    def __init__(
        self,
        names: Sequence[str],
        img_resolution: int = 128,
        body: str = "light",
        widths: Sequence[int] = (16, 32, 64),
        layers: Sequence[int] = (3, 4, 23, 3),
        split: int = 10,
        head: Sequence[int] = (96, 128),
        difference: str = "before - after",
    ):
        super().__init__()
        if body not in BODIES:
            raise ValueError(f"unknown body {body!r}; {' or '.join(BODIES)}")
        if difference not in DIFFERENCES:
            raise ValueError(f"unknown difference {difference!r}; {' or '.join(DIFFERENCES)}")
        self.config = {
            "names": list(names),
            "img_resolution": img_resolution,
            "body": body,
            "widths": list(widths),
            "layers": list(layers),
            "split": split,
            "head": list(head),
            "difference": difference,
        }
        self.names, self.img_resolution = tuple(names), img_resolution
        self.sign = 1.0 if difference == DIFFERENCES[0] else -1.0
        if body == "resnet":
            shared, classifier, last = _resnet(widths, layers, split)
        else:
            shared, classifier, last = _light(widths, head)
        self.shared, self.classifier = nn.Sequential(*shared), nn.Sequential(*classifier)
        self.fc = nn.Linear(last, len(self.names))

    def difference(self, before: Tensor, after: Tensor) -> Tensor:
        """D, the difference of the encoder's maps of the two pictures ``[N, 3, H, W]``."""
        if before.shape != after.shape:
            raise ValueError(f"two pictures of one size are compared, not {list(before.shape)} and {list(after.shape)}")
        both = self.shared(brought_to(torch.cat([before, after]), self.img_resolution))
        first, second = both.chunk(2)
        return (first - second) * self.sign

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Logits ``[N, len(names)]`` of which attribute was edited."""
        return self.fc(self.classifier(self.difference(before, after)).mean(dim=(2, 3)))

    def activation(self, maps: Tensor, target: Tensor) -> Tensor:
        """``ReLU(sum_k beta_k H^k)`` ``[N, h, w]`` of maps H ``[N, C, h, w]`` and attributes ``target [N]``.

        The logit is linear in the mean of each map, so its gradient is the same everywhere and known without autograd:
        ``ds_c / dH_ij^k = W_ck / (h w)``, which is its own mean.
        """
        beta = self.fc.weight[target] / (maps.shape[2] * maps.shape[3])
        return F.relu(torch.einsum("nk,nkhw->nhw", beta.to(maps.dtype), maps))

    def mask(self, before: Tensor, after: Tensor, target: int | Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Where the edit is, and what it is taken for.

        As in the authors' program the map is brought to the pictures' size before it is normalised. Needs no autograd,
        and works inside ``torch.inference_mode``. Two equal pictures give zeros exactly.

        Args:
            before, after: ``[N, 3, H, W]`` in [-1, 1].
            target: number of the attribute, or one for each pair ``[N]``; None: the one that is named.

        Returns:
            The mask ``[N, 1, H, W]`` in 0..1 and the logits ``[N, len(names)]``.

        Raises:
            ValueError: there is no such attribute.
        """
        difference = self.difference(before, after)
        maps = self.classifier(difference)
        logits = self.fc(maps.mean(dim=(2, 3)))
        if target is None:
            target = logits.argmax(dim=1)
        elif not isinstance(target, Tensor):
            target = torch.full((len(before),), int(target), device=logits.device)
        target = target.to(logits.device)
        if len(target) != len(before) or not bool(((target >= 0) & (target < len(self.names))).all()):
            raise ValueError(f"target is one of {len(self.names)} attributes for each pair, from 0 on")
        seen = self.activation(maps, target)[:, None].float()
        seen = F.interpolate(seen, size=before.shape[-2:], mode="bilinear", align_corners=False)
        seen = seen - seen.amin(dim=(2, 3), keepdim=True)
        seen = seen / (seen.amax(dim=(2, 3), keepdim=True) + EPSILON)
        # Norms and biases of the published classifier see something even where there is nothing.
        changed = difference.flatten(1).ne(0).any(dim=1)
        return seen * changed[:, None, None, None], logits


def _resnet(widths: Sequence[int], layers: Sequence[int], split: int) -> tuple[list, list, int]:
    """Modules of the encoder and of the classifier, and the channels of the last maps."""
    if len(widths) != 4 or len(layers) != 4 or not 0 < split < layers[2]:
        raise ValueError("a ResNet has four stages, and is split inside the third")
    n_in, stages = widths[0], []
    for i, (width, count) in enumerate(zip(widths, layers, strict=True)):
        stage = []
        for j in range(count):
            stage.append(Bottleneck(n_in, width, 2 if i and not j else 1))
            n_in = width * Bottleneck.expansion
        stages.append(stage)
    stem = [nn.Conv2d(3, widths[0], 7, 2, 3, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    shared = [*stem, nn.Sequential(*stages[0]), nn.Sequential(*stages[1]), *stages[2][:split]]
    return shared, [*stages[2][split:], nn.Sequential(*stages[3])], n_in


def _light(widths: Sequence[int], head: Sequence[int]) -> tuple[list, list, int]:
    """As ``_resnet``. Its maps have an eighth of the size, and each of their pixels sees 57 pixels of the picture: seen
    farther, an edit would be noticed anywhere but where it is.
    """
    shared = [nn.Conv2d(3, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    n_in = widths[0]
    for width in widths[1:]:
        shared.append(Residual(n_in, width, 2))
        n_in = width
    classifier = []
    for i, width in enumerate(head):
        kernel = 1 if i else 3
        classifier += [nn.Conv2d(n_in, width, kernel, padding=kernel // 2, bias=False), nn.ReLU()]
        n_in = width
    return shared, classifier, n_in
