"""Layers that StyleGAN2's generator and discriminator share: equalised learning rates, the mapping network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .operations import SQRT2, bias_act, conv2d_down, conv2d_up, fir_kernel, upsample2d

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


class StyleBasedGenerator(nn.Module):
    """Mapping and synthesis: what StyleGAN2's and StyleGAN3's generators have in common.

    ``config`` holds the constructor's arguments, ``mapping`` and ``synthesis`` are the two networks.
    """

    config: dict
    mapping: MappingNetwork
    synthesis: nn.Module

    @property
    def z_dim(self) -> int:
        return self.config["z_dim"]

    @property
    def c_dim(self) -> int:
        return self.config["c_dim"]

    @property
    def w_dim(self) -> int:
        return self.config["w_dim"]

    @property
    def img_resolution(self) -> int:
        return self.config["img_resolution"]

    @property
    def img_channels(self) -> int:
        return self.config["img_channels"]

    @property
    def num_ws(self) -> int:
        return self.synthesis.num_ws

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
