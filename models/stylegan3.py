"""StyleGAN3 (Karras et al. 2021, "Alias-Free Generative Adversarial Networks") in plain PyTorch: the generator.

Configuration T is equivariant to translation, configuration R (1x1 convolutions, radial filters) to rotation as well:
detail moves with the surfaces that it belongs to, instead of sticking to pixels. The picture starts from Fourier
features in place of StyleGAN2's constant, has no noise inputs, and all layers have a margin around the picture.

Parameter names are those of the official PyTorch checkpoints, so that a state dict passes over unchanged. Shapes:
``z [N, z_dim]``, ``c [N, c_dim]``, ``w+ [N, num_ws, w_dim]``, images ``[N, 3, H, W]`` of nominal range [-1, 1]. Row 0
of w+ moves and turns the Fourier features; row i + 1 is layer i's. The discriminator is StyleGAN2's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import stored
from .alias_free import filtered_leaky_relu, lowpass_filter
from .layers import FullyConnectedLayer, MappingNetwork, StyleBasedGenerator
from .operations import SQRT2, modulated_conv2d

MAX_SIDE = 8192  # samples of a side of the largest map; those of published networks have about 2,100
MAX_MAP = 2**30  # numbers in the largest map of one picture


@dataclass(frozen=True)
class LayerPlan:
    """What the schedule gives a layer for its output. Frequencies are in cycles, and rates in samples, a picture."""

    cutoff: float
    half_width: float
    rate: int
    size: int
    channels: int


def layer_plans(
    img_resolution: int,
    img_channels: int,
    channel_base: int,
    channel_max: int,
    channels: Sequence[int] | None,
    num_layers: int,
    num_critical: int,
    first_cutoff: float,
    first_stopband: float,
    last_stopband_rel: float,
    margin_size: int,
) -> list[LayerPlan]:
    """Cutoffs and stopbands grow geometrically until the last ``num_critical`` layers (section 3.2, figure 4b)."""
    if not 0 <= margin_size <= 64:
        raise ValueError(f"a margin of {margin_size} samples is not possible")
    if not 0 < num_critical < num_layers:
        raise ValueError(f"{num_critical} of {num_layers} layers cannot be critically sampled")
    last_cutoff = img_resolution / 2
    last_stopband = last_cutoff * last_stopband_rel
    if not (0 < first_cutoff < last_cutoff and 0 < first_stopband and 0 < last_stopband):
        raise ValueError("cutoffs and stopbands must grow from the first layer to the last")
    if channels is not None and len(channels) != num_layers + 1:
        raise ValueError(f"channels must be {num_layers + 1} numbers, one a layer")
    plans = []
    for i in range(num_layers + 1):
        grown = min(i / (num_layers - num_critical), 1)
        cutoff = first_cutoff * (last_cutoff / first_cutoff) ** grown
        stopband = first_stopband * (last_stopband / first_stopband) ** grown
        rate = 2 ** math.ceil(math.log2(min(stopband * 2, img_resolution)))
        size = img_resolution if i >= num_layers - 1 else rate + 2 * margin_size
        width = round(min(channel_base / 2 / cutoff, channel_max)) if channels is None else int(channels[i])
        width = img_channels if i == num_layers else width
        plans.append(LayerPlan(cutoff, max(stopband, rate / 2) - cutoff, rate, size, width))
    return plans


class SynthesisInput(nn.Module):
    """Fourier features: sines of random frequencies within the first band, moved and turned as w says (section 3.1).

    ``transform [3, 3]`` turns and moves the picture from outside; a side of the picture is 1.
    """

    def __init__(self, w_dim: int, channels: int, size: int, rate: float, bandwidth: float):
        super().__init__()
        self.size, self.rate, self.bandwidth = size, rate, bandwidth
        freqs = torch.randn(channels, 2)
        radii = freqs.square().sum(dim=1, keepdim=True).sqrt()
        # Uniform over a disc, nearly: no frequency is outside of the band.
        freqs = freqs / (radii * radii.square().exp().pow(0.25)) * bandwidth
        self.weight = nn.Parameter(torch.randn(channels, channels))
        self.affine = FullyConnectedLayer(w_dim, 4)
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        self.register_buffer("transform", torch.eye(3))
        self.register_buffer("freqs", freqs)
        self.register_buffer("phases", torch.rand(channels) - 0.5)

    def forward(self, w: Tensor) -> Tensor:
        """w ``[N, w_dim]`` -> ``[N, channels, size, size]``."""
        t = self.affine(w)  # [N, 4]: cosine and sine of a turn, then a translation
        t = t / t[:, :2].norm(dim=1, keepdim=True)
        cos, sin, right, down = t.unbind(1)
        one, zero = torch.ones_like(cos), torch.zeros_like(cos)
        turn = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=1).reshape(-1, 3, 3)
        move = torch.stack([one, zero, -right, zero, one, -down, zero, zero, one], dim=1).reshape(-1, 3, 3)
        transform = turn @ move @ self.transform  # [N, 3, 3]

        # Instead of the grid, the waves are transformed.
        phases = self.phases + (self.freqs @ transform[:, :2, 2:]).squeeze(2)  # [N, C]
        freqs = self.freqs @ transform[:, :2, :2]  # [N, C, 2]
        # A transform that enlarges frequencies must not bring them out of what the grid can hold.
        above = (freqs.norm(dim=2) - self.bandwidth) / (self.rate / 2 - self.bandwidth)
        amplitudes = (1 - above).clamp(0, 1)  # [N, C]

        line = (torch.arange(self.size, device=w.device) + 0.5 - self.size / 2) / self.rate
        grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=2)  # [H, W, 2] as (x, y)
        x = torch.einsum("hwd,ncd->nhwc", grid, freqs) + phases[:, None, None, :]
        x = (x * (2 * math.pi)).sin() * amplitudes[:, None, None, :]
        x = x @ (self.weight / self.weight.shape[0] ** 0.5).t()
        return x.permute(0, 3, 1, 2)


class SynthesisLayer(nn.Module):
    """Modulated convolution, bias and filtered leaky ReLU. As toRGB: a 1x1 modulated convolution and the bias alone."""

    def __init__(
        self,
        w_dim: int,
        source: LayerPlan,
        target: LayerPlan,
        is_torgb: bool,
        is_critical: bool,
        conv_kernel: int = 3,
        filter_size: int = 6,
        lrelu_upsampling: int = 2,
        radial: bool = False,
        conv_clamp: float | None = 256,
        half: bool = False,
        magnitude_ema_beta: float = 0.999,
    ):
        super().__init__()
        self.is_torgb, self.half = is_torgb, half
        self.conv_clamp = None if conv_clamp is None else float(conv_clamp)
        self.kernel = 1 if is_torgb else conv_kernel
        self.magnitude_ema_beta = magnitude_ema_beta
        self.affine = FullyConnectedLayer(w_dim, source.channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(target.channels, source.channels, self.kernel, self.kernel))
        self.bias = nn.Parameter(torch.zeros(target.channels))
        self.register_buffer("magnitude_ema", torch.ones([]))

        rate = max(source.rate, target.rate) * (1 if is_torgb else lrelu_upsampling)
        self.up, self.down = rate // source.rate, rate // target.rate
        up_taps = 1 if is_torgb or self.up == 1 else filter_size * self.up
        down_taps = 1 if is_torgb or self.down == 1 else filter_size * self.down
        up = lowpass_filter(up_taps, source.cutoff, 2 * source.half_width, rate)
        down = lowpass_filter(down_taps, target.cutoff, 2 * target.half_width, rate, radial and not is_critical)
        self.register_buffer("up_filter", up)
        self.register_buffer("down_filter", down)

        # How much has to be added around, or cut off, for the target's size, at the rate of the nonlinearity.
        self.side = (target.size - 1) * self.down + down_taps
        total = self.side + up_taps - 1 - (source.size + self.kernel - 1) * self.up
        before = (total + self.up) // 2
        self.padding = (before, total - before)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``[N, I, H, W]`` and w ``[N, w_dim]`` -> ``[N, O, H', W']``."""
        if self.training:
            with torch.no_grad():
                magnitude = x.float().square().mean()
                self.magnitude_ema.copy_(magnitude.lerp(self.magnitude_ema, self.magnitude_ema_beta))
        styles = self.affine(w)
        if self.is_torgb:
            styles = styles / (self.weight[0].numel() ** 0.5)
        # Inputs are brought to unit magnitude as it was on the average in training (section 3.2).
        gain = float(self.magnitude_ema.rsqrt())
        if x.is_cuda and self.half:
            x = x.half()
        x = modulated_conv2d(
            x,
            self.weight,
            styles,
            demodulate=not self.is_torgb,
            gain=gain,
            bias=self.bias,
            padding=self.kernel - 1,
        )
        gain, slope = (1.0, 1.0) if self.is_torgb else (SQRT2, 0.2)
        filters = (self.up_filter, self.down_filter, self.up, self.down, self.padding)
        return filtered_leaky_relu(x, *filters, gain, slope, self.conv_clamp)


class SynthesisNetwork(nn.Module):
    """w+ to pixels: the Fourier features, ``num_layers`` layers, and toRGB."""

    def __init__(
        self,
        w_dim,
        img_resolution,
        img_channels=3,
        channel_base=32768,
        channel_max=512,
        channels=None,
        num_layers=14,
        num_critical=2,
        first_cutoff=2.0,
        first_stopband=2**2.1,
        last_stopband_rel=2**0.3,
        margin_size=10,
        output_scale=0.25,
        num_fp16_res=4,
        **layer,
    ):
        super().__init__()
        if img_resolution < 8 or img_resolution & (img_resolution - 1):
            raise ValueError(f"img_resolution must be a power of two from 8 up, not {img_resolution}")
        self.w_dim, self.img_resolution, self.img_channels = w_dim, img_resolution, img_channels
        self.output_scale, self.num_ws = float(output_scale), num_layers + 2
        self.plans = layer_plans(
            img_resolution,
            img_channels,
            channel_base,
            channel_max,
            channels,
            num_layers,
            num_critical,
            first_cutoff,
            first_stopband,
            last_stopband_rel,
            margin_size,
        )
        first = self.plans[0]
        self.input = SynthesisInput(w_dim, first.channels, first.size, first.rate, first.cutoff)
        self.layer_names = []
        self.largest_map = 0  # numbers in the largest map of one picture
        for i, target in enumerate(self.plans):
            built = SynthesisLayer(
                w_dim,
                self.plans[max(i - 1, 0)],
                target,
                is_torgb=i == num_layers,
                is_critical=i >= num_layers - num_critical,
                half=target.rate * 2**num_fp16_res > img_resolution,
                **layer,
            )
            self.largest_map = max(self.largest_map, built.side**2 * target.channels)
            if built.side > MAX_SIDE or self.largest_map > MAX_MAP:
                raise ValueError("these settings ask for larger maps than any network has")
            name = f"L{i}_{target.size}_{target.channels}"
            setattr(self, name, built)
            self.layer_names.append(name)

    def row_resolutions(self) -> list[float]:
        """The picture that could just hold what each row of w+ decides: two pixels a cycle of its layer's cutoff."""
        cutoffs = [plan.cutoff for plan in self.plans]
        return [round(2 * cutoff, 3) for cutoff in (cutoffs[0], *cutoffs)]  # 16 px, not 15.9999999

    def style_weights(self) -> list[tuple[int, Tensor]]:
        """``(row of w+, float64 [styles, w_dim])`` of the input and of each layer: what turns w into styles."""
        layers = [self.input, *(getattr(self, name) for name in self.layer_names)]
        return [(row, layer.affine.weight.double() * layer.affine.weight_gain) for row, layer in enumerate(layers)]

    def forward(
        self, ws: Tensor, noise_mode: str = "none", generator=None, return_features: Sequence[str] = ()
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """w+ ``[N, num_ws, w_dim]`` -> images ``[N, 3, H, W]`` float32.

        Args:
            noise_mode, generator: taken as StyleGAN2's takes them, and ignored: there is no noise here.
            return_features: names of layers (``input``, ``layer_names``); gives ``(images, {name: feature map})``.
        """
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ValueError(f"w+ must be [N, {self.num_ws}, {self.w_dim}], not {list(ws.shape)}")
        ws, kept = ws.float(), {}
        x = self.input(ws[:, 0])
        if not torch.is_grad_enabled():  # the layout in which filters run quickest, see operations.lean
            x = x.contiguous(memory_format=torch.channels_last)
        if "input" in return_features:
            kept["input"] = x
        for row, name in enumerate(self.layer_names, 1):
            x = getattr(self, name)(x, ws[:, row])
            if name in return_features:
                kept[name] = x
        img = x.float() * self.output_scale
        return (img, kept) if return_features else img


@stored("stylegan3", "generator")
class Generator(StyleBasedGenerator):
    """Mapping and synthesis. ``config`` holds the constructor's arguments, all of which JSON can carry.

    Args:
        channels: feature maps of each layer, if they do not follow from ``channel_base`` and ``channel_max``.
        conv_kernel, radial: 3 and False in configuration T, 1 and True in R.
    """

    def __init__(
        self,
        z_dim: int = 512,
        c_dim: int = 0,
        w_dim: int = 512,
        img_resolution: int = 256,
        img_channels: int = 3,
        mapping_layers: int = 2,
        lr_multiplier: float = 0.01,
        w_avg_beta: float = 0.998,
        channel_base: int = 32768,
        channel_max: int = 512,
        channels: Sequence[int] | None = None,
        num_layers: int = 14,
        num_critical: int = 2,
        first_cutoff: float = 2.0,
        first_stopband: float = 2**2.1,
        last_stopband_rel: float = 2**0.3,
        margin_size: int = 10,
        output_scale: float = 0.25,
        num_fp16_res: int = 4,
        conv_kernel: int = 3,
        filter_size: int = 6,
        lrelu_upsampling: int = 2,
        radial: bool = False,
        conv_clamp: float | None = 256,
        magnitude_ema_beta: float = 0.999,
    ):
        super().__init__()
        self.config = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        mapping = ("z_dim", "c_dim", "mapping_layers", "lr_multiplier", "w_avg_beta")
        self.synthesis = SynthesisNetwork(**{k: v for k, v in self.config.items() if k not in mapping})
        self.mapping = MappingNetwork(
            z_dim,
            c_dim,
            w_dim,
            self.synthesis.num_ws,
            mapping_layers,
            lr_multiplier=lr_multiplier,
            w_avg_beta=w_avg_beta,
        )
