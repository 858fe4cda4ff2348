"""Low-pass filters and the filtered nonlinearity of StyleGAN3 (Karras et al. 2021, "Alias-Free Generative Adversarial
Networks", section 3.2 and appendix C), in plain PyTorch.

A pointwise nonlinearity adds frequencies that the sampling grid cannot hold. So the map is upsampled, the nonlinearity
applied at the higher rate, and what the target grid cannot hold is filtered out while it is downsampled again. Filters
are windowed sinc functions (Kaiser window); the radially symmetric ones of configuration R are windowed jinc functions.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_TAPS = 256  # published networks have 24


def kaiser_beta(taps: int, width: float, rate: float) -> float:
    """The shape of a Kaiser window for a transition band of ``width``, by Kaiser's formulas (appendix C.1)."""
    attenuation = 2.285 * (taps - 1) * math.pi * width / (rate / 2) + 7.95
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return 0.0


def lowpass_filter(taps: int, cutoff: float, width: float, rate: float, radial: bool = False) -> Tensor | None:
    """A low-pass filter whose values add up to 1.

    Args:
        taps: its length; 1 gives None, for no filter at all.
        cutoff: the frequency at which half of the amplitude is left, in the unit of ``rate``.
        width: of the transition band, in the same unit.
        rate: sampling rate at which the filter runs.
        radial: a jinc instead of a sinc, the same in all directions.

    Returns:
        ``[taps]``, to be applied to rows and columns in turn; ``[taps, taps]`` where it is radial.

    Raises ValueError for impossible values.
    """
    if taps == 1:
        return None
    if not 1 < taps <= MAX_TAPS or not 0 < cutoff <= rate / 2 or width <= 0:
        raise ValueError(f"no filter of {taps} taps cuts off at {cutoff} of the sampling rate {rate}")
    x = (torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2) / rate
    window = torch.kaiser_window(taps, periodic=False, beta=kaiser_beta(taps, width, rate), dtype=torch.float64)
    if radial:
        # The grid has an even number of taps, so that no point lies at the centre, where the jinc is 0 / 0.
        r = torch.hypot(x[:, None], x[None, :]).clamp_min(1e-9)
        f = torch.special.bessel_j1(2 * math.pi * cutoff * r) / (math.pi * r) * window.outer(window)
    else:
        f = torch.sinc(2 * cutoff * x) * window
    return (f / f.sum()).float()


def _depthwise(f: Tensor, channels: int, dim: int | None, like: Tensor) -> Tensor:
    """A filter once for each channel: along one dimension of the map (2 or 3), or along both."""
    f = f.to(dtype=like.dtype, device=like.device)
    f = f if dim is None else f[:, None] if dim == 2 else f[None, :]
    return f[None, None].repeat(channels, 1, 1, 1)


def upsample(x: Tensor, f: Tensor | None, up: int, padding: tuple[int, int]) -> Tensor:
    """``up`` times the rate: ``[N, C, H, W]`` -> each side ``up * H + before + after - taps + 1``.

    As if zeros stood between the samples, ``padding`` (before, after; cut off where negative) was added on both axes,
    and the filter ran over the result at a gain that keeps the signal's level.
    """
    if f is None:
        return F.pad(x, [*padding, *padding])
    sides = [(2, f), (3, f)] if f.ndim == 1 else [(None, f)]
    gain = up**2
    for dim, taps in sides:
        stride = up if dim is None else (up, 1) if dim == 2 else (1, up)
        # A transposed convolution skips the zeros between the samples.
        x = F.conv_transpose2d(x, _depthwise(taps * gain, x.shape[1], dim, x), stride=stride, groups=x.shape[1])
        gain = 1
    # All of the filter's answer is there; the padding says which part of it is wanted.
    before, after = padding[0] - (f.shape[0] - 1), padding[1] - (f.shape[0] - 1) + (up - 1)
    return F.pad(x, [before, after, before, after])


def downsample(x: Tensor, f: Tensor | None, down: int) -> Tensor:
    """The filter, then every ``down``-th sample: each side ``(H - taps) // down + 1``."""
    if f is None:
        return x[:, :, ::down, ::down]
    for dim, taps in [(2, f), (3, f)] if f.ndim == 1 else [(None, f)]:
        stride = down if dim is None else (down, 1) if dim == 2 else (1, down)
        # Filters are symmetric, so convolution and correlation are the same.
        x = F.conv2d(x, _depthwise(taps, x.shape[1], dim, x), stride=stride, groups=x.shape[1])
    return x


def filtered_leaky_relu(
    x: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    up: int,
    down: int,
    padding: tuple[int, int],
    gain: float,
    slope: float,
    clamp: float | None,
) -> Tensor:
    """Upsampling, ``clamp(gain * leaky_relu(x))``, downsampling; sizes follow from ``upsample`` and ``downsample``."""
    x = upsample(x, up_filter, up, padding)
    # Leaky ReLU is linear in a positive factor. Works in place when no gradient is wanted.
    in_place = not torch.is_grad_enabled()
    if slope != 1:
        x = F.leaky_relu(x, slope, inplace=in_place)
    if gain != 1:
        x = x.mul_(gain) if in_place else x * gain
    if clamp is not None:
        x = x.clamp_(-clamp, clamp) if in_place else x.clamp(-clamp, clamp)
    return downsample(x, down_filter, down)
