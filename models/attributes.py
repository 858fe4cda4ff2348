"""A classifier that names the attributes of a face: how AttGAN's edits are measured, and what a face "has now"."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from . import stored

KINDS = ("residual", "plain")


class Residual(nn.Module):
    """Two 3x3 convolutions beside a 1x1 shortcut (He et al. 2016), the first of stride ``stride``."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        same = stride == 1 and n_in == n_out
        shortcut = [nn.AvgPool2d(stride)] if stride > 1 else []
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(*shortcut, nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def _plain(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.LeakyReLU(0.1))


@stored("attributes", "classifier")
class Classifier(nn.Module):
    """Logits of attributes: ``[N, 3, S, S]`` in [-1, 1] -> ``[N, len(attrs)]``; any S, best at ``img_size``.

    Args:
        attrs: the names, in order.
        img_size: pictures of another size are brought to this one first.
        widths: channels of the stages; each halves the size.
        blocks: residual blocks (or plain layers) in each stage.
        kind: "residual", or "plain" for a second judge of another architecture.
    """

    def __init__(
        self,
        attrs: Sequence[str],
        img_size: int = 64,
        widths: Sequence[int] = (32, 64, 128, 256),
        blocks: Sequence[int] = (1, 2, 2, 2),
        kind: str = "residual",
        dropout: float = 0.2,
    ):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}; {' or '.join(KINDS)}")
        if len(widths) != len(blocks):
            raise ValueError("one number of blocks for each width")
        self.config = {
            "attrs": list(attrs),
            "img_size": img_size,
            "widths": list(widths),
            "blocks": list(blocks),
            "kind": kind,
            "dropout": dropout,
        }
        self.attrs, self.img_size = list(attrs), img_size
        block = Residual if kind == "residual" else _plain
        self.stem = nn.Sequential(nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU())
        stages, n_in = [], widths[0]
        for width, count in zip(widths, blocks, strict=True):
            layers = [block(n_in if i == 0 else width, width, 2 if i == 0 else 1) for i in range(count)]
            stages.append(nn.Sequential(*layers))
            n_in = width
        self.stages = nn.ModuleList(stages)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(n_in, len(self.attrs))

    def features(self, x: Tensor) -> list[Tensor]:
        """The map of each stage, largest first: what two pictures can be compared by."""
        if x.shape[-2:] != (self.img_size, self.img_size):
            smaller = x.shape[-1] > self.img_size
            x = F.interpolate(x, size=(self.img_size,) * 2, mode="bilinear", align_corners=False, antialias=smaller)
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(x)[-1].mean(dim=(2, 3))))
