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

from .operations import (
    SQRT2,
    bias_act,
    conv2d_down,
    conv2d_up,
    downsample2d,
    fir_kernel,
    modulated_conv2d,
    upsample2d,
)

ARCHITECTURES = ("skip", "resnet", "orig", "growing")
SQRT_HALF = 0.5**0.5


def channel_widths(
    img_resolution: int, channel_base: int = 32768, channel_max: int = 512, channels: dict | None = None
) -> dict[int, int]:
    """Feature maps per resolution: ``min(channel_base / res, channel_max)``, unless ``channels`` states them."""
    if img_resolution < 4 or img_resolution & (img_resolution - 1):
        raise ValueError(f"img_resolution must be a power of two from 4 up, not {img_resolution}")
    resolutions = [2**i for i in range(2, img_resolution.bit_length())]
    if channels is not None:
        given = {int(k): int(v) for k, v in channels.items()}
        return {res: given[res] for res in resolutions}
    return {res: min(channel_base // res, channel_max) for res in resolutions}


def normalize_2nd_moment(x: Tensor) -> Tensor:
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class FullyConnectedLayer(nn.Module):
    """Linear layer with equalised learning rate: weights are stored at unit scale and multiplied when used."""

    def __init__(self, in_features, out_features, bias=True, activation="linear", lr_multiplier=1.0, bias_init=0.0):
        super().__init__()
        self.activation = activation
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full([out_features], float(bias_init))) if bias else None
        self.weight_gain = lr_multiplier / in_features**0.5
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        b = None if self.bias is None else self.bias * self.bias_gain
        x = F.linear(x, (self.weight * self.weight_gain).to(x.dtype), None if b is None else b.to(x.dtype))
        return x if self.activation == "linear" else bias_act(x, activation=self.activation)


class Conv2dLayer(nn.Module):
    """Plain convolution with equalised learning rate, optional FIR resampling, bias and activation."""

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        bias=True,
        activation="linear",
        up=1,
        down=1,
        taps=(1, 3, 3, 1),
        conv_clamp=None,
    ):
        super().__init__()
        self.activation, self.up, self.down, self.taps, self.conv_clamp = activation, up, down, tuple(taps), conv_clamp
        self.weight_gain = 1 / (in_channels * kernel_size**2) ** 0.5
        self.register_buffer("resample_filter", fir_kernel(self.taps))
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def forward(self, x: Tensor, gain: float = 1.0, impl: str = "fast") -> Tensor:
        # An activation that is linear in a positive factor lets its gain ride on the (small) weights and bias.
        if self.activation in ("lrelu", "relu") and impl != "reference":
            w, gain_left, bias_gain = self.weight * (self.weight_gain * gain * SQRT2), 1 / SQRT2, gain * SQRT2
        elif self.activation == "linear" and self.bias is None and impl != "reference":
            w, gain_left, bias_gain = self.weight * (self.weight_gain * gain), 1.0, 1.0
        else:
            w, gain_left, bias_gain = self.weight * self.weight_gain, gain, 1.0
        w, k = w.to(x.dtype), self.weight.shape[2]
        bias = None if self.bias is None else (self.bias * bias_gain).to(x.dtype)
        if self.up == 2:
            x = upsample2d(F.conv2d(x, w), self.taps, impl) if k == 1 else conv2d_up(x, w, self.taps, impl)
        elif self.down == 2:
            x, bias = conv2d_down(x, w, self.taps, impl, bias), None
        else:
            x, bias = F.conv2d(x, w, bias, padding=k // 2), None
        clamp = None if self.conv_clamp is None else self.conv_clamp * gain
        return bias_act(x, bias, self.activation, gain_left, clamp)


class MappingNetwork(nn.Module):
    """z (and a class) to w: normalisation, ``num_layers`` fully connected layers, a running average for truncation.

    ``num_ws=None`` gives w itself ``[N, w_dim]`` (the discriminator's use); otherwise w+ ``[N, num_ws, w_dim]``.
    """

    def __init__(
        self,
        z_dim,
        c_dim,
        w_dim,
        num_ws,
        num_layers=8,
        embed_features=None,
        layer_features=None,
        lr_multiplier=0.01,
        w_avg_beta=0.995,
        activation="lrelu",
    ):
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim, self.num_ws, self.num_layers = z_dim, c_dim, w_dim, num_ws, num_layers
        self.w_avg_beta = w_avg_beta
        embed_features = 0 if c_dim == 0 else (w_dim if embed_features is None else embed_features)
        layer_features = w_dim if layer_features is None else layer_features
        widths = [z_dim + embed_features] + [layer_features] * (num_layers - 1) + [w_dim]
        if c_dim > 0:
            self.embed = FullyConnectedLayer(c_dim, embed_features)
        for i in range(num_layers):
            layer = FullyConnectedLayer(widths[i], widths[i + 1], activation=activation, lr_multiplier=lr_multiplier)
            setattr(self, f"fc{i}", layer)
        if num_ws is not None and w_avg_beta is not None:
            self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(
        self,
        z: Tensor | None,
        c: Tensor | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        update_w_avg: bool | None = None,
    ) -> Tensor:
        """``w' = w_avg + psi (w - w_avg)`` on the first ``truncation_cutoff`` rows (all rows when None)."""
        parts = []
        if self.z_dim > 0:
            if z is None or z.ndim != 2 or z.shape[1] != self.z_dim:
                raise ValueError(f"z must be [N, {self.z_dim}]")
            parts.append(normalize_2nd_moment(z.float()))
        if self.c_dim > 0:
            if c is None or c.ndim != 2 or c.shape[1] != self.c_dim:
                raise ValueError(f"c must be [N, {self.c_dim}]: one column per class")
            parts.append(normalize_2nd_moment(self.embed(c.float())))
        x = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        if self.num_ws is None:
            return x
        if self.w_avg_beta is not None and (self.training if update_w_avg is None else update_w_avg):
            with torch.no_grad():
                self.w_avg.copy_(x.detach().float().mean(dim=0).lerp(self.w_avg, self.w_avg_beta))
        ws = x.unsqueeze(1).repeat(1, self.num_ws, 1)
        return truncate(ws, self.w_avg, truncation_psi, truncation_cutoff) if truncation_psi != 1 else ws


def truncate(ws: Tensor, w_avg: Tensor, psi: float | Sequence[float] | Tensor, cutoff: int | None = None) -> Tensor:
    """Truncation trick on w+ ``[N, num_ws, w_dim]``; ``psi`` one number, or one for each row (per-level truncation)."""
    psi = torch.as_tensor(psi, dtype=ws.dtype, device=ws.device)
    if psi.ndim == 0:
        psi = psi.expand(ws.shape[1])
    if psi.shape != (ws.shape[1],):
        raise ValueError(f"psi must be a number or {ws.shape[1]} numbers, one a row")
    if cutoff is not None:
        psi = torch.where(torch.arange(ws.shape[1], device=ws.device) < cutoff, psi, torch.ones_like(psi))
    return w_avg + psi[None, :, None] * (ws - w_avg)


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

    def noise(self, n: int, mode: str, like: Tensor, generator: torch.Generator | None) -> Tensor | None:
        if mode not in ("random", "const", "none"):
            raise ValueError(f"noise_mode must be random, const or none, not {mode!r}")
        if not self.use_noise or mode == "none":
            return None
        if mode == "const":
            return self.noise_const * self.noise_strength
        shape = (n, 1, self.resolution, self.resolution)
        if generator is None:
            eps = torch.randn(shape, device=like.device)
        else:  # drawn where the generator lives, so that one seed means the same noise on every device
            eps = torch.randn(shape, generator=generator, device=generator.device).to(like.device)
        return eps * self.noise_strength

    def forward(
        self, x: Tensor, w: Tensor, noise_mode="random", gain: float = 1.0, impl="fast", generator=None
    ) -> Tensor:
        noise = self.noise(x.shape[0], noise_mode, x, generator)
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

    def features(self, x: Tensor | None, ws: Tensor, dtype, memory_format, impl="fast", **noise) -> Tensor:
        """Feature map leaving the block: ``[N, C/2.., res/2, res/2]`` (None at 4 px) -> ``[N, C, res, res]``."""
        w = iter(ws.unbind(dim=1))
        if self.in_channels == 0:
            x = self.const.to(dtype).unsqueeze(0).repeat(ws.shape[0], 1, 1, 1).contiguous(memory_format=memory_format)
            return self.conv1(x, next(w), impl=impl, **noise)
        x = x.to(dtype=dtype, memory_format=memory_format)
        if self.architecture == "resnet":
            y = self.skip(x, gain=SQRT_HALF, impl=impl)
            x = self.conv0(x, next(w), impl=impl, **noise)
            return y + self.conv1(x, next(w), gain=SQRT_HALF, impl=impl, **noise)
        x = self.conv0(x, next(w), impl=impl, **noise)
        return self.conv1(x, next(w), impl=impl, **noise)

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

    def _dtype(self, resolution: int, dtype: torch.dtype | None) -> torch.dtype:
        if dtype is not None:
            return dtype
        half = self.fp16_from is not None and resolution >= self.fp16_from and self.b4.const.device.type == "cuda"
        return torch.float16 if half else torch.float32

    def _run(self, ws, last, noise_mode, dtype, impl, generator, with_images):
        """Yields (resolution, features, image so far) block by block, up to and including ``last``."""
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"w+ must be [N, {self.num_ws}, {self.w_dim}], not {list(ws.shape)}")
        ws = ws.to(torch.float32)
        x = img = None
        start = 0
        for res in self.block_resolutions:
            block = self.block(res)
            block_ws = ws.narrow(1, start, block.num_conv + block.num_torgb)
            start += block.num_conv
            kind = self._dtype(res, dtype)
            # Half precision on the GPU wants channels last; float32 on the CPU is left to the library's own layout.
            layout = (
                torch.channels_last if kind != torch.float32 or impl == "channels_last" else torch.contiguous_format
            )
            x = block.features(x, block_ws, kind, layout, impl=impl, noise_mode=noise_mode, generator=generator)
            if with_images:
                img = (
                    self._grown(block, x, img, block_ws, impl)
                    if self.architecture == "growing"
                    else block.image(x, img, block_ws, impl)
                )
            yield res, x, img
            if res == last:
                return

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
    ) -> Tensor | tuple[Tensor, dict[int, Tensor]]:
        """w+ ``[N, num_ws, w_dim]`` -> images ``[N, 3, H, W]`` float32.

        Args:
            noise_mode: random (new each call, or from ``generator``), const (stored) or none.
            dtype: of the convolutions; None means float32, and float16 in the top ``num_fp16_res`` blocks on CUDA.
            impl: ``fast`` or ``reference`` (see ``models.operations``).
            return_features: resolutions; gives ``(images, {resolution: feature map})``.
        """
        last = self.growth[0] if self.architecture == "growing" else self.img_resolution
        kept = {}
        for res, x, image in self._run(ws, last, noise_mode, dtype, impl, generator, True):
            img = image
            if res in return_features:
                kept[res] = x.clone() if not torch.is_grad_enabled() else x
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
        *_, (_res, x, _img) = self._run(ws, resolution, noise_mode, dtype, impl, generator, False)
        return x

    def contributions(self, ws: Tensor, noise_mode: str = "const") -> dict[int, Tensor]:
        """What each resolution's toRGB adds to the picture, ``{res: [N, 3, res, res]}`` (skip; paper figure 8)."""
        out, start = {}, 0
        for res, x, _img in self._run(ws, self.img_resolution, noise_mode, None, "fast", None, False):
            block = self.block(res)
            block_ws = ws.narrow(1, start, block.num_conv + block.num_torgb)
            start += block.num_conv
            if block.num_torgb:
                out[res] = block.image(x, None, block_ws)
        return out


class Generator(nn.Module):
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
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
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
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(
            z_dim,
            c_dim,
            w_dim,
            self.num_ws,
            mapping_layers,
            embed_features,
            layer_features,
            lr_multiplier,
            w_avg_beta,
            activation,
        )

    def forward(
        self,
        z: Tensor,
        c: Tensor | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        **synthesis,
    ) -> Tensor:
        """z ``[N, z_dim]`` (and c ``[N, c_dim]``) -> images ``[N, 3, H, W]``; other arguments go to the synthesis."""
        return self.synthesis(self.mapping(z, c, truncation_psi, truncation_cutoff), **synthesis)


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
