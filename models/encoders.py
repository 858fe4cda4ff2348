"""Networks that say the latent of a picture in one pass: ``[N, 3, H, W]`` in [-1, 1] -> w+ ``[N, num_ws, w_dim]``.

``GradualStyleEncoder`` is the published one of pSp (Richardson et al. 2021) and e4e (Tov et al. 2021), with their names
of parameters, so that a state dict passes over unchanged. ``Encoder`` is a small one for the networks that ship. All
offer ``img_resolution``, ``num_ws``, ``w_dim`` and ``generator`` (the name of the network that they belong to).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import stored
from .attributes import Residual
from .layers import FullyConnectedLayer

VARIANTS = ("psp", "e4e")
REDUCTION = 16  # of channels within squeeze and excitation
COARSE, MIDDLE = 3, 4  # rows of w+ that the coarsest and the middle maps speak for; the finest has the rest


def resized(x: Tensor, size: int) -> Tensor:
    """Pictures ``[N, 3, H, W]`` brought to ``size`` pixels a side, without aliasing."""
    if x.shape[-2:] == (size, size):
        return x
    smaller = x.shape[-1] > size
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False, antialias=smaller)


# -- the published layout ------------------------------------------------------------------------------------------


class SqueezeExcitation(nn.Module):
    """Each channel times a factor of 0 to 1 that depends on the means of all (Hu et al. 2018)."""

    def __init__(self, channels: int):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // REDUCTION, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // REDUCTION, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(means))))


class UnitIRSE(nn.Module):
    """A unit of the IR-SE body (Deng et al. 2019): norm, convolution, PReLU, convolution, norm, squeeze, excitation."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.stride = stride
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(n_in),
            nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False),
            nn.PReLU(n_out),
            nn.Conv2d(n_out, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            SqueezeExcitation(n_out),
        )
        if n_in != n_out:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
        else:
            self.shortcut_layer = None

    def forward(self, x: Tensor) -> Tensor:
        beside = x[:, :, :: self.stride, :: self.stride] if self.shortcut_layer is None else self.shortcut_layer(x)
        return self.res_layer(x) + beside


class GradualStyleBlock(nn.Module):
    """A map ``[N, n_in, 2^halvings, 2^halvings]`` -> one row of w+ ``[N, w_dim]``: pSp's map2style."""

    def __init__(self, n_in: int, w_dim: int, halvings: int):
        super().__init__()
        layers = []
        for i in range(halvings):
            layers += [nn.Conv2d(w_dim if i else n_in, w_dim, 3, 2, 1), nn.LeakyReLU()]
        self.convs = nn.Sequential(*layers)
        self.linear = FullyConnectedLayer(w_dim, w_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.convs(x).flatten(1))


@stored("psp", "encoder")
class GradualStyleEncoder(nn.Module):
    """The encoder of pSp and of e4e; the defaults are the published sizes for a generator of 1024 px.

    Both have the same parameters. In pSp each block says its row as an offset from ``latent_avg``; in e4e the first
    block says one w for all rows and the others what their row differs from it (Tov et al. 2021, section 4).

    Args:
        variant: ``psp`` or ``e4e``.
        img_resolution: pixels that it looks at; others are brought to it. 16 times a power of two from 2 up.
        units: residual units in each of the four stages, the first of which halves the map.
        widths: channels of the stages, multiples of 16.
        num_ws, w_dim: of the generator.
        coarse, middle: how many rows come of the coarsest and of the middle map.
        generator: name of the network that it belongs to, None for the one in the same file.
    """

    def __init__(
        self,
        variant: str = "e4e",
        img_resolution: int = 256,
        units: Sequence[int] = (3, 4, 14, 3),
        widths: Sequence[int] = (64, 128, 256, 512),
        num_ws: int = 18,
        w_dim: int = 512,
        coarse: int = COARSE,
        middle: int = MIDDLE,
        generator: str | None = None,
    ):
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"unknown variant {variant!r}; {' or '.join(VARIANTS)}")
        if len(units) != 4 or len(widths) != 4 or min(units) < 1 or any(w % REDUCTION or w < 1 for w in widths):
            raise ValueError(f"four stages of at least one unit, with channels in multiples of {REDUCTION}")
        halvings = (img_resolution // 16).bit_length() - 1
        if halvings < 1 or 16 << halvings != img_resolution:
            raise ValueError("img_resolution must be 16 times a power of two")
        if min(coarse, middle) < 1 or coarse + middle > num_ws:
            raise ValueError("coarse and middle are at least one row each, and together no more than there are")
        self.config = {
            "variant": variant,
            "img_resolution": img_resolution,
            "units": list(units),
            "widths": list(widths),
            "num_ws": num_ws,
            "w_dim": w_dim,
            "coarse": coarse,
            "middle": middle,
            "generator": generator,
        }
        self.variant, self.img_resolution, self.num_ws, self.w_dim = variant, img_resolution, num_ws, w_dim
        self.coarse, self.middle, self.generator = coarse, middle, generator
        first = widths[0]
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, first, 3, 1, 1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first)
        )
        body, n_in, self.taps = [], first, []
        for count, width in zip(units, widths, strict=True):
            for i in range(count):
                body.append(UnitIRSE(n_in, width, 1 if i else 2))
                n_in = width
            self.taps.append(len(body) - 1)
        self.body = nn.Sequential(*body)
        deepest = widths[-1]
        sizes = [0] * coarse + [1] * middle + [2] * (num_ws - coarse - middle)
        self.styles = nn.ModuleList(GradualStyleBlock(deepest, w_dim, halvings + size) for size in sizes)
        self.latlayer1 = nn.Conv2d(widths[2], deepest, 1)
        self.latlayer2 = nn.Conv2d(widths[1], deepest, 1)
        self.register_buffer("latent_avg", torch.zeros(num_ws, w_dim))

    def pyramid(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The maps of R/16, R/8 and R/4 px from which the rows are read, coarse first."""
        maps = {}
        x = self.input_layer(x)
        for i, unit in enumerate(self.body):
            x = unit(x)
            if i in self.taps:
                maps[i] = x
        _, fine, middle, coarse = (maps[i] for i in self.taps)
        middle = _raised(coarse, self.latlayer1(middle))
        return coarse, middle, _raised(middle, self.latlayer2(fine))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.pyramid(resized(x, self.img_resolution))
        sizes = [0] * self.coarse + [1] * self.middle + [2] * (self.num_ws - self.coarse - self.middle)
        rows = [block(maps[size]) for block, size in zip(self.styles, sizes, strict=True)]
        if self.variant == "e4e":
            rows = [rows[0], *(rows[0] + delta for delta in rows[1:])]
        return torch.stack(rows, dim=1) + self.latent_avg


def _raised(x: Tensor, beside: Tensor) -> Tensor:
    """The coarser map brought to the size of the finer one, and added."""
    return F.interpolate(x, size=beside.shape[-2:], mode="bilinear", align_corners=True) + beside


# -- a small one ---------------------------------------------------------------------------------------------------

# The farthest that a row of w+ may lie from the average, as root mean square in deviations of w; of 640 photographs 99
# in 100 lie within 1.2. What no network was ever shown must not become a latent of which nothing can be made.
FARTHEST = 3.0
PATCH = 4  # pixels of a side that become the channels of one place: full detail at a sixteenth of the work


@stored("encoder", "encoder")
class Encoder(nn.Module):
    """An encoder for the generators that ship: ``w+ = w_avg + w_std * (w0 + deltas)``, w0 the same in all rows.

    Rows farther than ``FARTHEST`` from the average are drawn nearer. As in e4e w0 comes from the coarsest map and the
    deltas from three, the coarse, middle and fine ones; they start at nothing. Faces lie in one place, so the maps are
    read place by place instead of being averaged.

    Args:
        generator: name of the network in the catalogue.
        img_resolution: pixels that it looks at, a multiple of 32; others are brought to it.
        num_ws, w_dim: of the generator.
        widths: channels at R/4, R/8, R/16 and R/32 px.
        head: numbers that each group of deltas is read from, besides w0.
    """

    def __init__(
        self,
        generator: str = "stylegan2/faces",
        img_resolution: int = 128,
        num_ws: int = 12,
        w_dim: int = 128,
        widths: Sequence[int] = (48, 96, 128, 192),
        head: int = 512,
    ):
        super().__init__()
        if len(widths) != 4 or img_resolution < 32 or img_resolution % 32:
            raise ValueError("four widths, and pixels in multiples of 32")
        if num_ws <= COARSE + MIDDLE:
            raise ValueError(f"a generator of more than {COARSE + MIDDLE} rows is needed")
        self.config = {
            "generator": generator,
            "img_resolution": img_resolution,
            "num_ws": num_ws,
            "w_dim": w_dim,
            "widths": list(widths),
            "head": head,
        }
        self.generator, self.img_resolution, self.num_ws, self.w_dim = generator, img_resolution, num_ws, w_dim
        self.register_buffer("w_avg", torch.zeros(w_dim))
        self.register_buffer("w_std", torch.ones(w_dim))
        first = widths[0]
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(PATCH),
            nn.Conv2d(3 * PATCH**2, first, 3, 1, 1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            Residual(first, first, 1),
        )
        self.stages = nn.ModuleList(
            nn.Sequential(Residual(a, b, 2), *([Residual(b, b, 1)] if i < 2 else []))
            for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
        )
        last = img_resolution // 32
        self.base = nn.Linear(widths[3] * last**2, w_dim)
        nn.init.normal_(self.base.weight, 0, 0.1 * (widths[3] * last**2) ** -0.5)
        nn.init.zeros_(self.base.bias)
        # The fine map is halved first: at R/8 px it would leave a channel or two for each place.
        sides = (last, 2 * last, 2 * last)
        rows = (COARSE, MIDDLE, num_ws - COARSE - MIDDLE)
        self.squeeze = nn.ModuleList(
            nn.Conv2d(width, max(1, head // side**2), 1) for width, side in zip(widths[:0:-1], sides, strict=True)
        )
        self.deltas = nn.ModuleList(
            nn.Linear(squeeze.out_channels * side**2 + w_dim, count * w_dim)
            for squeeze, side, count in zip(self.squeeze, sides, rows, strict=True)
        )
        for layer in self.deltas:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def offsets(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """w0 ``[N, 1, w_dim]`` and the deltas ``[N, num_ws, w_dim]``, both in deviations of w."""
        x, maps = self.stem(resized(x, self.img_resolution)), []
        for stage in self.stages:
            x = stage(x)
            maps.insert(0, x)
        maps[2] = F.avg_pool2d(maps[2], 2)
        w0 = self.base(x.flatten(1))
        groups = []
        for x, squeeze, delta in zip(maps, self.squeeze, self.deltas, strict=True):
            read = torch.cat([F.relu(squeeze(x)).flatten(1), w0], dim=1)
            groups.append(delta(read).unflatten(1, (-1, self.w_dim)))
        return w0[:, None].float(), torch.cat(groups, dim=1).float()

    def latent(self, offsets: Tensor) -> Tensor:
        """Offsets in deviations of w ``[N, rows, w_dim]`` -> w+ ``[N, num_ws, w_dim]``; too far ones drawn nearer."""
        far = offsets.square().mean(dim=2, keepdim=True).sqrt()
        offsets = offsets * (FARTHEST / far.clamp_min(FARTHEST))
        return (self.w_avg + self.w_std * offsets).expand(-1, self.num_ws, -1)

    def forward(self, x: Tensor) -> Tensor:
        w0, deltas = self.offsets(x)
        return self.latent(w0 + deltas)
