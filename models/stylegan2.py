"""StyleGAN2 (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN") in plain PyTorch.

Parameter names are those of the official PyTorch checkpoints, so that a state dict passes over unchanged. Shapes:
``z [N, z_dim]``, ``c [N, c_dim]``, ``w+ [N, num_ws, w_dim]``, images ``[N, 3, H, W]`` of nominal range [-1, 1].

Two things are here for the history of the method and are not in the official code: ``modulation="adain"`` (the
instance-normalising layers of the first StyleGAN) and ``architecture="growing"`` (ProGAN's one resolution at a time).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import stored
from .discriminator import Discriminator
from .layers import (
    ARCHITECTURES,
    SQRT_HALF,
    Conv2dLayer,
    FullyConnectedLayer,
    MappingNetwork,
    StyleBasedGenerator,
    channel_widths,
    truncate,
)
from .operations import SQRT2, bias_act, conv2d_up, fir_kernel, modulated_conv2d, upsample2d

__all__ = ["Discriminator", "Generator", "SynthesisNetwork", "truncate"]

# From this resolution on, samples of a batch are computed one after another where that is the faster way.
SAMPLE_BY_SAMPLE = 64


class SynthesisLayer(nn.Module):
    """3x3 modulated convolution, noise, bias, activation. With ``modulation="adain"``: the layer of StyleGAN 1."""

    def __init__(
        self,
        in_channels,
        out_channels,
        w_dim,
        resolution,
        up=1,
        use_noise=True,
        activation="lrelu",
        taps=(1, 3, 3, 1),
        conv_clamp=None,
        modulation="demod",
    ):
        super().__init__()
        self.resolution, self.up, self.use_noise, self.activation = resolution, up, use_noise, activation
        self.taps, self.conv_clamp, self.modulation = tuple(taps), conv_clamp, modulation
        if modulation == "demod":
            self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1.0)
        elif modulation == "adain":
            self.affine = FullyConnectedLayer(w_dim, out_channels * 2)
        else:
            raise ValueError(f"unknown modulation {modulation!r}; demod or adain")
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("resample_filter", fir_kernel(self.taps))
        if use_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
            self.noise_strength = nn.Parameter(torch.zeros([]))

    def noise(self, n: int, mode: str, generator: torch.Generator | None = None) -> Tensor | None:
        """``[n or 1, 1, res, res]``: new for each sample, the stored one for all, or None."""
        if mode not in ("random", "const", "none"):
            raise ValueError(f"noise_mode must be random, const or none, not {mode!r}")
        if not self.use_noise or mode == "none":
            return None
        if mode == "const":
            return (self.noise_const * self.noise_strength)[None, None]
        shape = (n, 1, self.resolution, self.resolution)
        if generator is None:
            eps = torch.randn(shape, device=self.weight.device)
        else:  # drawn where the generator lives, so that one seed means the same noise on every device
            eps = torch.randn(shape, generator=generator, device=generator.device).to(self.weight.device)
        return eps * self.noise_strength

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None, gain: float = 1.0, impl="fast") -> Tensor:
        styles = self.affine(w)
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        if self.modulation == "demod":
            if self.activation not in ("lrelu", "relu") or impl == "reference":
                x = modulated_conv2d(x, self.weight, styles, up=self.up, taps=self.taps, impl=impl)
                return bias_act(x, self.bias, self.activation, gain, clamp, noise)
            # The activation's gain rides on the demodulation factor, the bias and the noise instead of on the map.
            g = gain * SQRT2
            x = modulated_conv2d(
                x, self.weight, styles, up=self.up, taps=self.taps, impl=impl, gain=g, bias=self.bias * g
            )
            noise = None if noise is None else noise * g
            return bias_act(x, None, self.activation, 1 / SQRT2, clamp, noise)
        weight = (self.weight / (self.weight[0].numel() ** 0.5)).to(x.dtype)
        x = conv2d_up(x, weight, self.taps, impl) if self.up == 2 else F.conv2d(x, weight, padding=1)
        x = bias_act(x, self.bias, self.activation, gain, clamp, noise)
        scale, shift = styles.to(x.dtype)[:, :, None, None].chunk(2, dim=1)
        return F.instance_norm(x, eps=1e-5) * (1 + scale) + shift


class ToRGBLayer(nn.Module):
    """1x1 modulated convolution without demodulation; its style is scaled by 1/sqrt(in)."""

    def __init__(self, in_channels, out_channels, w_dim, conv_clamp=None, modulation="demod"):
        super().__init__()
        self.conv_clamp, self.modulation = conv_clamp, modulation
        self.affine = FullyConnectedLayer(w_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.weight_gain = 1 / in_channels**0.5

    def forward(self, x: Tensor, w: Tensor, impl: str = "fast") -> Tensor:
        if self.modulation == "adain":  # StyleGAN 1 reads colours off with an unmodulated layer
            x = F.conv2d(x, (self.weight * self.weight_gain).to(x.dtype))
        else:
            x = modulated_conv2d(x, self.weight, self.affine(w) * self.weight_gain, demodulate=False, impl=impl)
        return bias_act(x, self.bias, clamp=self.conv_clamp, activation="linear")


class SynthesisBlock(nn.Module):
    """One resolution: (upsampling) convolution, convolution, and toRGB where the architecture has one here."""

    def __init__(self, in_channels, out_channels, w_dim, resolution, img_channels, is_last, architecture, **layer):
        super().__init__()
        self.in_channels, self.resolution, self.is_last, self.architecture = (
            in_channels,
            resolution,
            is_last,
            architecture,
        )
        self.taps = tuple(layer["taps"])
        self.num_conv = self.num_torgb = 0
        self.register_buffer("resample_filter", fir_kernel(self.taps))
        if in_channels == 0:
            self.const = nn.Parameter(torch.randn(out_channels, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, w_dim, resolution, up=2, **layer)
            self.num_conv += 1
        self.conv1 = SynthesisLayer(out_channels, out_channels, w_dim, resolution, **layer)
        self.num_conv += 1
        if is_last or architecture in ("skip", "growing"):
            self.torgb = ToRGBLayer(out_channels, img_channels, w_dim, layer["conv_clamp"], layer["modulation"])
            self.num_torgb += 1
        if in_channels != 0 and architecture == "resnet":
            self.skip = Conv2dLayer(in_channels, out_channels, 1, bias=False, up=2, taps=self.taps)

    def noises(self, n: int, mode: str, generator: torch.Generator | None = None) -> list[Tensor | None]:
        """The noise of each convolution, in the order in which they run."""
        layers = (self.conv1,) if self.in_channels == 0 else (self.conv0, self.conv1)
        return [layer.noise(n, mode, generator) for layer in layers]

    def features(self, x: Tensor | None, ws: Tensor, noises, dtype, memory_format, impl="fast") -> Tensor:
        """Feature map leaving the block: ``[N, C/2.., res/2, res/2]`` (None at 4 px) -> ``[N, C, res, res]``."""
        if self.in_channels == 0:
            x = self.const.to(dtype).unsqueeze(0).repeat(ws.shape[0], 1, 1, 1).contiguous(memory_format=memory_format)
            return self.conv1(x, ws[:, 0], noises[0], impl=impl)
        x = x.to(dtype=dtype, memory_format=memory_format)
        if self.architecture == "resnet":
            y = self.skip(x, gain=SQRT_HALF, impl=impl)
            x = self.conv0(x, ws[:, 0], noises[0], impl=impl)
            return y + self.conv1(x, ws[:, 1], noises[1], gain=SQRT_HALF, impl=impl)
        x = self.conv0(x, ws[:, 0], noises[0], impl=impl)
        return self.conv1(x, ws[:, 1], noises[1], impl=impl)

    def image(self, x: Tensor, img: Tensor | None, ws: Tensor, impl="fast") -> Tensor | None:
        """Adds this block's colours to the image of the blocks below."""
        if img is not None:
            img = upsample2d(img, self.taps, impl)
        if self.num_torgb:
            y = self.torgb(x, ws[:, self.num_conv], impl=impl).float()
            img = y if img is None else img + y
        return img


class SynthesisNetwork(nn.Module):
    """w+ to pixels. ``growth = (resolution, alpha)`` is where a growing network stands; others ignore it."""

    def __init__(
        self,
        w_dim,
        img_resolution,
        img_channels=3,
        channel_base=32768,
        channel_max=512,
        channels=None,
        architecture="skip",
        conv_clamp=None,
        resample_filter=(1, 3, 3, 1),
        activation="lrelu",
        use_noise=True,
        num_fp16_res=0,
        modulation="demod",
    ):
        super().__init__()
        if architecture not in ARCHITECTURES:
            raise ValueError(f"unknown architecture {architecture!r}; one of {', '.join(ARCHITECTURES)}")
        self.w_dim, self.img_resolution, self.img_channels, self.architecture = (
            w_dim,
            img_resolution,
            img_channels,
            architecture,
        )
        self.widths = channel_widths(img_resolution, channel_base, channel_max, channels)
        self.block_resolutions = list(self.widths)
        self.fp16_from = 2 ** (img_resolution.bit_length() - num_fp16_res) if num_fp16_res else None
        self.growth = (img_resolution, 1.0)
        self.num_ws = 0
        for res, width in self.widths.items():
            block = SynthesisBlock(
                self.widths[res // 2] if res > 4 else 0,
                width,
                w_dim,
                res,
                img_channels,
                res == img_resolution,
                architecture,
                use_noise=use_noise,
                activation=activation,
                taps=resample_filter,
                conv_clamp=conv_clamp,
                modulation=modulation,
            )
            setattr(self, f"b{res}", block)
            # A block's toRGB shares its w with the next block's conv0; only the last one has a row to itself.
            self.num_ws += block.num_conv + (block.num_torgb if res == img_resolution else 0)

    def block(self, resolution: int) -> SynthesisBlock:
        if resolution not in self.widths:
            raise ValueError(f"no block at {resolution} px; there are {self.block_resolutions}")
        return getattr(self, f"b{resolution}")

    def rows(self, resolution: int) -> range:
        """The rows of w+ that the convolutions of one block read."""
        start = 0
        for res in self.block_resolutions:
            block = self.block(res)
            if res == resolution:
                return range(start, start + block.num_conv)
            start += block.num_conv
        raise ValueError(f"no block at {resolution} px; there are {self.block_resolutions}")

    def row_resolutions(self) -> list[int]:
        """The resolution that each row of w+ belongs to; the last row is that of the last toRGB."""
        rows = [res for res in self.block_resolutions for _row in self.rows(res)]
        return rows + [self.img_resolution] * (self.num_ws - len(rows))

    def style_weights(self) -> list[tuple[int, Tensor]]:
        """``(row of w+, float64 [styles, w_dim])`` of each convolution and the last toRGB: what turns w into styles."""
        found = []
        for res in self.block_resolutions:
            block = self.block(res)
            layers = [getattr(block, name) for name in ("conv0", "conv1") if hasattr(block, name)]
            for row, layer in zip(self.rows(res), layers, strict=True):
                found.append((row, layer.affine.weight.double() * layer.affine.weight_gain))
        last = self.block(self.img_resolution).torgb
        weight = last.affine.weight.double() * last.affine.weight_gain * last.weight_gain
        return [*found, (self.num_ws - 1, weight)]

    @property
    def largest_map(self) -> int:
        """Numbers in the largest feature map of one picture."""
        return max(res * res * width for res, width in self.widths.items())

    def _dtype(self, resolution: int, dtype: torch.dtype | None) -> torch.dtype:
        if dtype is not None:
            return dtype
        half = self.fp16_from is not None and resolution >= self.fp16_from and self.b4.const.device.type == "cuda"
        return torch.float16 if half else torch.float32

    def _run(self, ws, resolutions, noises, dtype, impl, with_images, keep=(), x=None, img=None):
        """Blocks one after another: (features of the last, image so far, {resolution in ``keep``: features})."""
        kept = {}
        for res in resolutions:
            block, rows = self.block(res), self.rows(res)
            block_ws = ws[:, rows.start : rows.stop + block.num_torgb]
            kind = self._dtype(res, dtype)
            # Channels last is what half precision on a GPU wants, and what oneDNN computes quickest on a processor
            # (see operations.lean). The reference is computed as the original does.
            plain = kind == torch.float32 and (impl == "reference" or torch.is_grad_enabled() or ws.is_cuda)
            layout = torch.contiguous_format if plain else torch.channels_last
            x = block.features(x, block_ws, noises[res], kind, layout, impl)
            if res in keep:
                kept[res] = x
            if with_images and self.architecture == "growing":
                img = self._grown(block, x, img, block_ws, impl)
            elif with_images:
                img = block.image(x, img, block_ws, impl)
        return x, img, kept

    def _compute(self, ws, last, noise_mode, dtype, impl, generator, with_images, keep=()):
        """``_run`` from 4 px up to ``last``, in the order that suits the machine."""
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"w+ must be [N, {self.num_ws}, {self.w_dim}], not {list(ws.shape)}")
        ws, n = ws.to(torch.float32), ws.shape[0]
        resolutions = [res for res in self.block_resolutions if res <= last]
        noises = {res: self.block(res).noises(n, noise_mode, generator) for res in resolutions}
        shared = len(resolutions)
        if n > 1 and impl == "fast" and ws.device.type == "cpu" and not torch.is_grad_enabled():
            # Small maps share each convolution's kernel; of large ones, one sample fills the caches and both cores.
            # Its maps are gone before the next sample's are made, so that memory does not grow with the batch.
            shared = len([res for res in resolutions if res < SAMPLE_BY_SAMPLE])
        common = (dtype, impl, with_images, keep)
        x, img, kept = self._run(ws, resolutions[:shared], noises, *common)
        if shared == len(resolutions):
            return x, img, kept
        parts = []
        for i in range(n):
            own = {
                res: [e if e is None or len(e) == 1 else e[i : i + 1] for e in noises[res]]
                for res in resolutions[shared:]
            }
            x_i, img_i = (None if t is None else t[i : i + 1] for t in (x, img))
            x_i, img_i, kept_i = self._run(ws[i : i + 1], resolutions[shared:], own, *common, x_i, img_i)
            parts.append((None if with_images else x_i, img_i, kept_i))
            del x_i, kept_i
        x, img = (None if part[0] is None else torch.cat(part) for part in list(zip(*parts, strict=True))[:2])
        for res in parts[0][2]:
            kept[res] = torch.cat([part[2][res] for part in parts])
        return x, img, kept

    def _grown(self, block, x, img, ws, impl):
        target, alpha = self.growth
        if block.resolution * 2 < target or (block.resolution * 2 == target and alpha >= 1):
            return None
        new = block.image(x, None, ws, impl)
        if block.resolution == target and img is not None and alpha < 1:
            return F.interpolate(img, scale_factor=2, mode="nearest").lerp(new, alpha)
        return new

    def forward(
        self,
        ws: Tensor,
        noise_mode: str = "random",
        dtype: torch.dtype | None = None,
        impl: str = "fast",
        generator: torch.Generator | None = None,
        return_features: Sequence[int] = (),
        last: int | None = None,
    ) -> Tensor | tuple[Tensor, dict[int, Tensor]]:
        """w+ ``[N, num_ws, w_dim]`` -> images ``[N, 3, H, W]`` float32.

        Args:
            noise_mode: random (new each call, or from ``generator``), const (stored) or none.
            dtype: of the convolutions; None means float32, and float16 in the top ``num_fp16_res`` blocks on CUDA.
            impl: ``fast`` or ``reference`` (see ``models.operations``).
            return_features: resolutions; gives ``(images, {resolution: feature map})``.
            last: of skip networks, the last block that adds its colours; the images are of its resolution then.
        """
        if last is not None and self.architecture != "skip":
            raise ValueError(f"a {self.architecture} network has no picture before its last block")
        if last is None:
            last = self.growth[0] if self.architecture == "growing" else self.img_resolution
        _x, img, kept = self._compute(ws, last, noise_mode, dtype, impl, generator, True, return_features)
        return (img, kept) if return_features else img

    def features(
        self,
        ws: Tensor,
        resolution: int,
        noise_mode: str = "const",
        dtype: torch.dtype | None = None,
        impl: str = "fast",
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Feature map ``[N, C, res, res]`` leaving one block. No block after it, and no toRGB, is computed."""
        self.block(resolution)
        return self._compute(ws, resolution, noise_mode, dtype, impl, generator, False)[0]

    def finish(
        self, ws: Tensor, features: dict[int, Tensor], noise_mode: str = "const", img: Tensor | None = None
    ) -> Tensor:
        """The image ``[1, 3, H, W]`` from the feature maps of the first blocks, ``{4: ..., 8: ..., ...}`` (skip).

        With ``img``, the picture as it stands after a block (``forward(last=...)``), only that block's map is needed.
        """
        last = max(features)
        if img is None:
            for res, x in features.items():
                rows = self.rows(res)
                img = self.block(res).image(x, img, ws[:, rows.start : rows.stop + 1])
        rest = [res for res in self.block_resolutions if res > last]
        noises = {res: self.block(res).noises(1, noise_mode) for res in rest}
        return self._run(ws, rest, noises, None, "fast", True, x=features[last], img=img)[1]

    def contributions(self, ws: Tensor, noise_mode: str = "const") -> dict[int, Tensor]:
        """What each resolution's toRGB adds to the picture, ``{res: [N, 3, res, res]}`` (skip; paper figure 8)."""
        _x, _img, kept = self._compute(
            ws, self.img_resolution, noise_mode, None, "fast", None, False, self.block_resolutions
        )
        with_colours = {res: self.block(res) for res in kept if self.block(res).num_torgb}
        return {
            res: block.image(kept[res], None, ws[:, self.rows(res).start : self.rows(res).stop + 1])
            for res, block in with_colours.items()
        }


@stored("stylegan2", "generator")
class Generator(StyleBasedGenerator):
    """Mapping and synthesis. ``config`` holds the constructor's arguments, all of which JSON can carry."""

    def __init__(
        self,
        z_dim: int = 512,
        c_dim: int = 0,
        w_dim: int = 512,
        img_resolution: int = 64,
        img_channels: int = 3,
        mapping_layers: int = 8,
        embed_features: int | None = None,
        layer_features: int | None = None,
        lr_multiplier: float = 0.01,
        w_avg_beta: float | None = 0.995,
        channel_base: int = 32768,
        channel_max: int = 512,
        channels: dict | None = None,
        architecture: str = "skip",
        conv_clamp: float | None = None,
        resample_filter: Sequence[float] = (1, 3, 3, 1),
        activation: str = "lrelu",
        use_noise: bool = True,
        num_fp16_res: int = 0,
        modulation: str = "demod",
    ):
        super().__init__()
        self.config = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        self.config["resample_filter"] = list(resample_filter)
        self.synthesis = SynthesisNetwork(
            w_dim,
            img_resolution,
            img_channels,
            channel_base,
            channel_max,
            channels,
            architecture,
            conv_clamp,
            tuple(resample_filter),
            activation,
            use_noise,
            num_fp16_res,
            modulation,
        )
        self.mapping = MappingNetwork(
            z_dim,
            c_dim,
            w_dim,
            self.synthesis.num_ws,
            mapping_layers,
            embed_features,
            layer_features,
            lr_multiplier,
            w_avg_beta,
            activation,
        )
