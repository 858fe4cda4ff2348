"""StyleGAN2's discriminator (Karras et al. 2020), resnet, skip or orig, and ProGAN's growing one for the history."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import stored
from .layers import ARCHITECTURES, SQRT_HALF, Conv2dLayer, FullyConnectedLayer, MappingNetwork, channel_widths
from .operations import downsample2d, fir_kernel


class DiscriminatorBlock(nn.Module):
    def __init__(
        self,
        in_channels,
        tmp_channels,
        out_channels,
        resolution,
        img_channels,
        architecture,
        activation,
        taps,
        conv_clamp,
    ):
        super().__init__()
        self.in_channels, self.resolution, self.architecture, self.taps = (
            in_channels,
            resolution,
            architecture,
            tuple(taps),
        )
        self.register_buffer("resample_filter", fir_kernel(self.taps))
        layer = {"activation": activation, "conv_clamp": conv_clamp, "taps": self.taps}
        if in_channels == 0 or architecture in ("skip", "growing"):
            self.fromrgb = Conv2dLayer(img_channels, tmp_channels, 1, **layer)
        self.conv0 = Conv2dLayer(tmp_channels, tmp_channels, 3, **layer)
        self.conv1 = Conv2dLayer(tmp_channels, out_channels, 3, down=2, **layer)
        if architecture == "resnet":
            self.skip = Conv2dLayer(tmp_channels, out_channels, 1, bias=False, down=2, taps=self.taps)

    def read(self, x: Tensor | None, img: Tensor | None, impl: str = "fast") -> tuple[Tensor, Tensor | None]:
        """Joins the image to the features where this block has a fromRGB; returns them and the next block's image."""
        if x is None or self.architecture == "skip":
            y = self.fromrgb(img, impl=impl)
            x = y if x is None else x + y
            img = downsample2d(img, self.taps, impl) if self.architecture == "skip" else None
        return x, img

    def forward(self, x: Tensor, impl: str = "fast") -> Tensor:
        if self.architecture == "resnet":
            y = self.skip(x, gain=SQRT_HALF, impl=impl)
            x = self.conv1(self.conv0(x, impl=impl), gain=SQRT_HALF, impl=impl)
            return y + x
        return self.conv1(self.conv0(x, impl=impl), impl=impl)


class MinibatchStdLayer(nn.Module):
    """Appends the deviation over groups of the batch as feature maps (Karras et al. 2018, section 3)."""

    def __init__(self, group_size: int | None, num_channels: int = 1):
        super().__init__()
        self.group_size, self.num_channels = group_size, num_channels

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        g = n if self.group_size is None else min(self.group_size, n)
        if n % g:
            raise ValueError(f"a batch of {n} does not divide into groups of {g}")
        f = self.num_channels
        y = x.reshape(g, -1, f, c // f, h, w)
        y = (y - y.mean(dim=0)).square().mean(dim=0)
        y = (y + 1e-8).sqrt().mean(dim=[2, 3, 4]).reshape(-1, f, 1, 1).repeat(g, 1, h, w)
        return torch.cat([x, y], dim=1)


class DiscriminatorEpilogue(nn.Module):
    def __init__(
        self, in_channels, cmap_dim, img_channels, architecture, group_size, num_channels, activation, taps, conv_clamp
    ):
        super().__init__()
        self.cmap_dim, self.architecture = cmap_dim, architecture
        if architecture in ("skip", "growing"):
            self.fromrgb = Conv2dLayer(img_channels, in_channels, 1, activation=activation, taps=taps)
        self.mbstd = MinibatchStdLayer(group_size, num_channels) if num_channels > 0 else None
        self.conv = Conv2dLayer(
            in_channels + num_channels, in_channels, 3, activation=activation, conv_clamp=conv_clamp, taps=taps
        )
        self.fc = FullyConnectedLayer(in_channels * 16, in_channels, activation=activation)
        self.out = FullyConnectedLayer(in_channels, 1 if cmap_dim == 0 else cmap_dim)

    def forward(self, x: Tensor | None, img: Tensor | None, cmap: Tensor | None, impl: str = "fast") -> Tensor:
        if self.architecture == "skip" or x is None:
            y = self.fromrgb(img, impl=impl)
            x = y if x is None else x + y
        x = x.float()
        x = self.conv(self.mbstd(x) if self.mbstd is not None else x, impl=impl)
        x = self.out(self.fc(x.flatten(1)))
        if self.cmap_dim > 0:
            x = (x * cmap).sum(dim=1, keepdim=True) / self.cmap_dim**0.5
        return x


@stored("stylegan2", "discriminator")
class Discriminator(nn.Module):
    """Images ``[N, 3, H, W]`` (and c ``[N, c_dim]``) -> logits ``[N, 1]``. The batch must divide by the mbstd group."""

    def __init__(
        self,
        c_dim: int = 0,
        img_resolution: int = 64,
        img_channels: int = 3,
        architecture: str = "resnet",
        channel_base: int = 32768,
        channel_max: int = 512,
        channels: dict | None = None,
        conv_clamp: float | None = None,
        cmap_dim: int | None = None,
        mapping_layers: int = 8,
        embed_features: int | None = None,
        layer_features: int | None = None,
        lr_multiplier: float = 0.01,
        mbstd_group_size: int | None = 4,
        mbstd_num_channels: int = 1,
        resample_filter: Sequence[float] = (1, 3, 3, 1),
        activation: str = "lrelu",
        num_fp16_res: int = 0,
    ):
        super().__init__()
        self.config = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        self.config["resample_filter"] = list(resample_filter)
        if architecture not in ARCHITECTURES:
            raise ValueError(f"unknown architecture {architecture!r}; one of {', '.join(ARCHITECTURES)}")
        self.c_dim, self.img_resolution, self.img_channels, self.architecture = (
            c_dim,
            img_resolution,
            img_channels,
            architecture,
        )
        self.widths = channel_widths(img_resolution, channel_base, channel_max, channels)
        self.block_resolutions = [res for res in reversed(self.widths) if res > 4]
        self.fp16_from = 2 ** (img_resolution.bit_length() - num_fp16_res) if num_fp16_res else None
        self.growth = (img_resolution, 1.0)
        self.fade: float | None = (
            None  # while training fades the top block in beside ``fade_fromrgb`` of the size below
        )
        taps = tuple(resample_filter)
        for res in self.block_resolutions:
            block = DiscriminatorBlock(
                self.widths[res] if res < img_resolution else 0,
                self.widths[res],
                self.widths[res // 2],
                res,
                img_channels,
                architecture,
                activation,
                taps,
                conv_clamp,
            )
            setattr(self, f"b{res}", block)
        cmap_dim = 0 if c_dim == 0 else (self.widths[4] if cmap_dim is None else cmap_dim)
        if c_dim > 0:
            self.mapping = MappingNetwork(
                0,
                c_dim,
                cmap_dim,
                None,
                mapping_layers,
                embed_features,
                layer_features,
                lr_multiplier,
                None,
                activation,
            )
        self.b4 = DiscriminatorEpilogue(
            self.widths[4],
            cmap_dim,
            img_channels,
            architecture,
            mbstd_group_size,
            mbstd_num_channels,
            activation,
            taps,
            conv_clamp,
        )

    def forward(
        self, img: Tensor, c: Tensor | None = None, dtype: torch.dtype | None = None, impl: str = "fast"
    ) -> Tensor:
        if self.architecture == "growing":
            return self._grown(img, impl)
        x, cmap = None, None
        on_cuda = img.device.type == "cuda"
        for res in self.block_resolutions:
            block = getattr(self, f"b{res}")
            half = self.fp16_from is not None and res >= self.fp16_from and on_cuda
            kind = dtype or (torch.float16 if half else torch.float32)
            layout = torch.channels_last if kind != torch.float32 else torch.preserve_format
            img = img if img is None else img.to(dtype=kind, memory_format=layout)
            x = x if x is None else x.to(dtype=kind, memory_format=layout)
            picture = img
            x, img = block.read(x, img, impl)
            x = block(x, impl)
            if self.fade is not None and res == self.img_resolution:  # a block that training has just added
                below = self.fade_fromrgb(downsample2d(picture, block.taps, impl), impl=impl)
                x = below.lerp(x, self.fade)
        if self.c_dim > 0:
            cmap = self.mapping(None, c)
        return self.b4(x, img if img is None else img.float(), cmap, impl)

    def _grown(self, img: Tensor, impl: str) -> Tensor:
        """ProGAN: reads the image at the resolution reached, fading the newest block in beside the halved image."""
        target, alpha = self.growth
        x = None
        for res in self.block_resolutions:
            if res > target:
                continue
            block = getattr(self, f"b{res}")
            x = block(block.read(x, img, impl)[0], impl)
            if res == target and alpha < 1:
                below = getattr(self, f"b{res // 2}")
                x = below.fromrgb(F.avg_pool2d(img, 2), impl=impl).lerp(x, alpha)
        return self.b4(x, img if x is None else None, None, impl)
