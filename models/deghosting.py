"""Deghosting: removes what shines through after an edit was blended into a photograph (Song et al., ECCV 2022, 3.3).

An encoder of residual dense blocks (RRDB) reads the blended picture and says a latent w+; a frozen StyleGAN2 runs on
it, its maps fused with the encoder's up to the size that the encoder sees; a pixel-shuffle decoder, fused with the
generator's maps above that size, draws the picture. Names of parameters are those of the authors' program, so that
its state dicts pass over.

The generator usually is one that is there anyway: the network is built without it and is given it with ``attach``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import stored
from .diffcam import brought_to
from .stylegan2 import Generator

SLOPE = 0.2
SCALE = 0.2  # of what a block adds to its input
PUBLISHED_WIDTHS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}


def border(mask):
    """Where a blend has ghosts, of a mask (tensor or array) in 0..1: 1 where both pictures are seen, 0 where one is
    seen alone. The network's picture is taken there and nowhere else.
    """
    return (8 * mask * (1 - mask)).clip(0, 1)


def _lrelu() -> nn.Module:
    return nn.LeakyReLU(SLOPE)


class ResidualDenseBlock(nn.Module):
    """Five 3x3 convolutions, each of which sees the input and all maps before it (Wang et al. 2018, ESRGAN)."""

    def __init__(self, channels: int, growth: int):
        super().__init__()
        for i in range(5):
            conv = nn.Conv2d(channels + i * growth, channels if i == 4 else growth, 3, 1, 1)
            self.add_module(f"conv{i + 1}", conv)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for i in range(1, 5):
            maps.append(F.leaky_relu(getattr(self, f"conv{i}")(torch.cat(maps, dim=1)), SLOPE))
        return x + self.conv5(torch.cat(maps, dim=1)) * SCALE


class RRDB(nn.Module):
    """Three dense blocks, and the input beside them."""

    def __init__(self, channels: int, growth: int):
        super().__init__()
        self.rdb1 = ResidualDenseBlock(channels, growth)
        self.rdb2 = ResidualDenseBlock(channels, growth)
        self.rdb3 = ResidualDenseBlock(channels, growth)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rdb3(self.rdb2(self.rdb1(x))) * SCALE


class RRDBNet(nn.Module):
    """Pictures ``[N, n_in, s, s]`` -> maps ``[N, n_out, s, s]``."""

    def __init__(self, channels: int, growth: int, blocks: int, n_out: int, n_in: int = 3):
        super().__init__()
        self.conv_first = nn.Conv2d(n_in, channels, 3, 1, 1)
        self.body = nn.Sequential(*(RRDB(channels, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(channels, channels, 3, 1, 1)
        self.conv_up = nn.Conv2d(channels, n_out, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first(x)
        return F.leaky_relu(self.conv_up(x + self.conv_body(self.body(x))), SLOPE)


class PixelShuffle(nn.Module):
    """A convolution to four times the channels, which become twice the size."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.upsample_conv = nn.Conv2d(n_in, n_out * 4, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.upsample_conv(x), 2)


@stored("deghosting", "network")
class Deghosting(nn.Module):
    """``[N, 3, R, R]`` in [-1, 1], blended -> the same size, without ghosts.

    The defaults are the published sizes.

    Args:
        widths: channels of the generator at each resolution, which are the encoder's and the decoder's too.
        img_resolution: R, the generator's.
        in_size: what the encoder sees; below R, so that the generator's maps take part.
        w_dim: of the generator.
        rrdb_channels, rrdb_growth, num_rrdbs: the dense blocks.
        latent_channels: the encoder's last map before the latent; None: as wide as the generator at 4 px.
        last_channels: of the layer before the colours.
        residual: (ours) the last layers also see the picture in full size, and say what is to be added to it; a new
            network adds nothing, and the latent is counted from the generator's average.
        guided: (ours, of residual networks) the first and the last layers also see the mask of the blend, which says
            which of the two pictures is to stay, and how strongly the other one shines through.
        generator: name of the checkpoint that ``attach`` is to be given.
        own: arguments of a StyleGAN2 generator that is kept in this module, as in published files.
    """

    def __init__(
        self,
        widths: Mapping | None = None,
        img_resolution: int = 1024,
        in_size: int = 128,
        w_dim: int = 512,
        rrdb_channels: int = 64,
        rrdb_growth: int = 32,
        num_rrdbs: int = 23,
        latent_channels: int | None = None,
        last_channels: int = 64,
        residual: bool = False,
        guided: bool = False,
        generator: str | None = None,
        own: dict | None = None,
    ):
        super().__init__()
        widths = {int(res): int(n) for res, n in (widths or PUBLISHED_WIDTHS).items()}
        widths = {4 << i: widths[4 << i] for i in range(img_resolution.bit_length() - 2)}
        if in_size not in widths or not 4 < in_size < img_resolution or max(widths) != img_resolution:
            raise ValueError("in_size and img_resolution must be powers of two, 4 < in_size < img_resolution")
        if guided and not residual:
            raise ValueError("only residual networks can be guided")
        self.config = {
            "widths": {str(res): n for res, n in widths.items()},
            "img_resolution": img_resolution,
            "in_size": in_size,
            "w_dim": w_dim,
            "rrdb_channels": rrdb_channels,
            "rrdb_growth": rrdb_growth,
            "num_rrdbs": num_rrdbs,
            "latent_channels": latent_channels,
            "last_channels": last_channels,
            "residual": residual,
            "guided": guided,
            "generator": generator,
            "own": own,
        }
        self.widths, self.img_resolution, self.in_size, self.w_dim = widths, img_resolution, in_size, w_dim
        self.num_ws, self.residual, self.guided = 2 * len(widths), residual, guided
        fused = [res for res in widths if res <= in_size]
        seen = 3 + guided
        self.encoder = nn.ModuleList([RRDBNet(rrdb_channels, rrdb_growth, num_rrdbs, widths[in_size], seen)])
        for res in reversed(fused[1:]):
            n_in, n_out = widths[res], widths[res // 2]
            layers = [nn.Conv2d(n_in, n_out, 3, 2, 1), _lrelu(), nn.Conv2d(n_out, n_out, 3, 1, 1), _lrelu()]
            self.encoder.append(nn.Sequential(*layers))
        narrow = latent_channels or widths[4]
        latent = [nn.Conv2d(widths[4], narrow, 3, 1, 1), _lrelu(), nn.Flatten()]
        self.encoder.append(nn.Sequential(*latent, nn.Linear(16 * narrow, self.num_ws * w_dim)))
        self.fusion_out = nn.ModuleList(nn.Conv2d(2 * widths[res], widths[res], 3, 1, 1) for res in fused)
        self.decoder = nn.ModuleList()
        for res in [res for res in widths if res >= in_size]:
            n_in = widths[res] * (1 if res == in_size else 2)
            if res < img_resolution:
                self.decoder.append(PixelShuffle(n_in, widths[res * 2]))
            else:
                n_in += seen if residual else 0
                layers = [nn.Conv2d(n_in, last_channels, 3, 1, 1), _lrelu(), nn.Conv2d(last_channels, 3, 3, 1, 1)]
                self.decoder.append(nn.Sequential(*layers))
        if residual:
            for module in (self.encoder[-1][-1], self.decoder[-1][-1]):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
        self.generator = None
        if own is not None:
            self.generator = Generator(**own).requires_grad_(False)
            self._check(self.generator)

    def attach(self, generator: Generator) -> Deghosting:
        """Gives the network the generator that it belongs to, on the same device; neither its state nor its parameters
        include it. Raises ValueError when the sizes are others."""
        self._check(generator)
        object.__setattr__(self, "_attached", generator)
        return self

    def _check(self, generator: Generator) -> None:
        have = (generator.img_resolution, generator.w_dim, dict(generator.synthesis.widths))
        if have != (self.img_resolution, self.w_dim, self.widths):
            raise ValueError("this generator has other sizes than the one that the deghosting network was made for")

    def stylegan2(self) -> Generator:
        """The generator in use. Raises RuntimeError when none was attached."""
        found = self.generator if self.generator is not None else self.__dict__.get("_attached")
        if found is None:
            raise RuntimeError("attach(generator) comes before the first picture")
        return found

    def forward(self, blended: Tensor, mask: Tensor | None = None) -> Tensor:
        """Args: pictures ``[N, 3, H, W]`` in [-1, 1]; for guided networks the masks ``[N, 1, H, W]`` in 0..1 through
        which they were blended, as ``F = M T + (1 - M) I``. Raises ValueError when a guided network gets none.
        """
        generator = self.stylegan2()
        if self.guided:
            if mask is None:
                raise ValueError("this network wants the mask of the blend beside the picture")
            seen = torch.cat([blended, mask.to(blended.dtype) * 2 - 1], dim=1)
        else:
            seen = blended
        maps, x = [], brought_to(seen, self.in_size)
        for block in self.encoder:
            x = block(x)
            maps.append(x)
        latent = maps.pop().reshape(len(x), self.num_ws, self.w_dim).float()
        if self.residual:
            latent = latent + generator.mapping.w_avg
        above = self._generated(generator.synthesis, latent, dict(zip(reversed(self.widths_in()), maps, strict=True)))
        x = maps[0]
        for res, block in zip([r for r in self.widths if r >= self.in_size], self.decoder, strict=True):
            x = x if res == self.in_size else torch.cat([x, above[res].to(x.dtype)], dim=1)
            if self.residual and res == self.img_resolution:
                seen = brought_to(seen, res)
                return seen[:, :3] + block(torch.cat([x, seen.to(x.dtype)], dim=1)).float()
            x = block(x)
        return x.float()

    def widths_in(self) -> list[int]:
        """The resolutions at which encoder and generator are fused, smallest first."""
        return [res for res in self.widths if res <= self.in_size]

    def _generated(self, synthesis, latent: Tensor, maps: dict[int, Tensor]) -> dict[int, Tensor]:
        """The generator's maps above ``in_size``, those below joined with the encoder's ``{res: map}``."""
        device = latent.device.type
        half = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
        kept, x = {}, None
        for fusion, res in enumerate(self.widths):
            block, rows = synthesis.block(res), synthesis.rows(res)
            noises = block.noises(len(latent), "const")
            # Its arithmetic is chosen by dtype, not by autocast: modulation is computed in float32.
            with torch.autocast(device, enabled=False):
                ws = latent[:, rows.start : rows.stop + 1]
                x = block.features(x, ws, noises, half, torch.contiguous_format)
            if res in maps:
                x = self.fusion_out[fusion](torch.cat([x, maps[res].to(x.dtype)], dim=1))
            else:
                kept[res] = x
        return kept
