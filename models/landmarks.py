"""A small network that finds five landmarks of a face in a picture that is roughly cut around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from . import stored

# Left and right eye (as seen in the picture), nose, left and right corner of the mouth, in pixels of the `celeba` crop
# at 128 px, pixel centres whole numbers: means over training photographs, made symmetric.
CELEBA_128 = ((47.2, 56.0), (80.2, 56.0), (63.7, 75.5), (49.7, 90.2), (77.7, 90.2))
POINTS = len(CELEBA_128)


def template() -> list[tuple[float, float]]:
    """``CELEBA_128`` with the crop reaching from -1 to 1, whatever its pixels."""
    return [((x + 0.5) / 64 - 1, (y + 0.5) / 64 - 1) for x, y in CELEBA_128]


def celeba_landmarks(size: int) -> np.ndarray:
    """``[5, 2]``: where the landmarks of an average face lie in the ``celeba`` crop."""
    return (np.array(CELEBA_128) + 0.5) * size / 128 - 0.5


def _layer(n_in: int, n_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU())


class _Stage(nn.Module):
    """A layer of stride 2, then one beside an identity."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.down = _layer(n_in, n_out, stride=2)
        self.beside = _layer(n_out, n_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return x + self.beside(x)


@stored("landmarks", "network")
class LandmarkNet(nn.Module):
    """``[N, 3, S, S]`` in [-1, 1] -> points ``[N, 5, 2]`` (x, y; the picture reaches from -1 to 1) and a logit ``[N]``.

    The logit says whether there is a face at all, about as large as the `celeba` crop has it. The points are those of
    ``CELEBA_128`` carried along by the similarity transform under which that crop is seen, so their best fit to the
    template gives the alignment; the head keeps the places of the last maps (no pooling), since places are what is
    asked for.

    Args:
        img_resolution: S.
        widths: channels after each halving of the size.
        squeezed: channels that the head sees.
        hidden: width of the head.
    """

    def __init__(
        self,
        img_resolution: int = 64,
        widths: Sequence[int] = (32, 64, 96, 128),
        squeezed: int = 64,
        hidden: int = 128,
    ):
        super().__init__()
        self.config = {
            "img_resolution": img_resolution,
            "widths": list(widths),
            "squeezed": squeezed,
            "hidden": hidden,
        }
        self.img_resolution = img_resolution
        last = img_resolution >> len(widths)
        if last < 1 or last << len(widths) != img_resolution:
            raise ValueError(f"{img_resolution} px cannot be halved {len(widths)} times")
        self.stem = _layer(3, widths[0], kernel=5, stride=2)
        self.stages = nn.Sequential(*[_Stage(a, b) for a, b in zip(widths, widths[1:], strict=False)])
        self.squeeze = _layer(widths[-1], squeezed, kernel=1)
        self.hidden = nn.Linear(squeezed * last**2, hidden)
        self.points = nn.Linear(hidden, POINTS * 2)
        self.face = nn.Linear(hidden, 1)
        nn.init.zeros_(self.points.weight)  # it begins at the template
        self.points.bias.data.copy_(self.points.bias.new_tensor(template()).flatten())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.squeeze(self.stages(self.stem(x)))
        x = F.relu(self.hidden(x.flatten(1)))
        return self.points(x).unflatten(1, (POINTS, 2)), self.face(x)[:, 0]
