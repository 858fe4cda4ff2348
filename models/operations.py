"""Convolutions and resampling that the StyleGAN family shares, twice: fast and as the original computes them.

Every function takes ``impl``:

* ``"fast"`` (default): what is quickest here. Samples share one convolution where that pays, the 4x4 FIR filter runs as
  two 1-D passes or is folded into the kernel, and upsampling never inserts zeros.
* ``"reference"``: the arithmetic of the stylegan2-ada-pytorch reference path (one group per sample, zero insertion,
  padding, full 2-D FIR). It is what tests and benchmarks compare with; results agree to rounding.

Shapes: ``x [N, C, H, W]``, ``weight [O, I, k, k]``, ``styles [N, I]``. All functions are differentiable twice.
"""

from __future__ import annotations

import weakref
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

SQRT2 = 2**0.5
LRELU_SLOPE = 0.2


@lru_cache(maxsize=64)
def _taps(taps: tuple[float, ...], gain: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    # Cached tensors must stay usable in training, so they are made outside of any inference mode.
    with torch.inference_mode(False):
        f = torch.tensor(taps, dtype=torch.float32, device=device)
        return (f / f.sum() * gain).to(dtype)


@lru_cache(maxsize=64)
def _depthwise(taps: tuple[float, ...], channels: int, gain: float, dtype: torch.dtype) -> Tensor:
    """The 2-D FIR filter once for each channel, ``[C, 1, k, k]``, flipped into a correlation kernel."""
    with torch.inference_mode(False):
        return (fir_kernel(taps) * gain).flip([0, 1]).to(dtype)[None, None].repeat(channels, 1, 1, 1)


def lean(x: Tensor, impl: str) -> bool:
    """Whether the shortcuts of CPU inference apply: no gradient wanted and a map that lies channels last.

    In that layout oneDNN (float32, AVX-512) runs transposed convolutions 2 to 3 times faster than in the default one,
    those of few channels 1.3 to 2 times, and the FIR filter as a depthwise convolution 5 to 10 times faster than as
    shifted sums. Depthwise convolutions in the default layout, or without oneDNN, are the slow way: hence the test.
    """
    return (
        impl == "fast"
        and not torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and x.is_contiguous(memory_format=torch.channels_last)
        and torch.backends.mkldnn.is_available()
    )


def fir_kernel(taps: tuple[float, ...]) -> Tensor:
    """The normalised 2-D filter ``[k, k]`` that the official checkpoints store as ``resample_filter``."""
    f = torch.tensor(taps, dtype=torch.float32)
    f = torch.outer(f, f)
    return f / f.sum()


def upfirdn2d_reference(x: Tensor, f: Tensor, up: int = 1, down: int = 1, padding=(0, 0), gain: float = 1.0) -> Tensor:
    """Zero-insertion, padding, full 2-D FIR, decimation: the textbook form (Karras et al. 2020, appendix B)."""
    n, c, h, w = x.shape
    x = x.reshape(n, c, h, 1, w, 1)
    x = F.pad(x, [0, up - 1, 0, 0, 0, up - 1])
    x = x.reshape(n, c, h * up, w * up)
    x = F.pad(x, [padding[0], padding[1], padding[0], padding[1]])
    f = (f * gain).to(x.dtype).flip([0, 1])
    x = F.conv2d(x, f[None, None].repeat(c, 1, 1, 1), groups=c)
    return x[:, :, ::down, ::down]


def _fir_1d(x: Tensor, taps: tuple[float, ...], dim: int) -> Tensor:
    """True convolution along one dimension, no padding. Symmetric filters share their multiplications."""
    k = len(taps)
    length = x.shape[dim] - k + 1
    total = sum(taps)
    f = [t / total for t in reversed(taps)]
    if k == 4 and f[0] == f[3] and f[1] == f[2]:
        outer = x.narrow(dim, 0, length) + x.narrow(dim, 3, length)
        inner = x.narrow(dim, 1, length) + x.narrow(dim, 2, length)
        return (
            outer.mul(f[0]).add(inner, alpha=f[1])
            if torch.is_grad_enabled()
            else outer.mul_(f[0]).add_(inner, alpha=f[1])
        )
    out = x.narrow(dim, 0, length) * f[0]
    for i in range(1, k):
        out = out + x.narrow(dim, i, length) * f[i]
    return out


def fir2d(
    x: Tensor,
    taps: tuple[float, ...],
    padding: tuple[int, int],
    gain: float = 1.0,
    impl: str = "fast",
    bias: Tensor | None = None,
) -> Tensor:
    """FIR filter at full rate, then ``bias [C]``; ``padding`` is (before, after) on both axes."""
    if lean(x, impl) and padding[0] == padding[1]:
        w = _depthwise(tuple(taps), x.shape[1], gain, x.dtype)
        return F.conv2d(x, w, bias, padding=padding[0], groups=x.shape[1])
    if padding != (0, 0):
        x = F.pad(x, [padding[0], padding[1], padding[0], padding[1]])
    x = _fir_1d(_fir_1d(x, taps, 2), taps, 3)
    if gain != 1.0:
        x = x * gain if torch.is_grad_enabled() else x.mul_(gain)
    return x if bias is None else x + bias.reshape(1, -1, 1, 1)


def upsample2d(x: Tensor, taps: tuple[float, ...], impl: str = "fast") -> Tensor:
    """Doubles the size with the FIR filter (gain 4)."""
    k = len(taps)
    pad = ((k + 1) // 2, (k - 2) // 2)
    if k == 4 and lean(x, impl):
        w = _depthwise(tuple(reversed(taps)), x.shape[1], 4.0, x.dtype)  # a transposed convolution flips by itself
        return F.conv_transpose2d(x, w, stride=2, padding=1, groups=x.shape[1])
    if impl != "reference" and tuple(taps) == (1, 3, 3, 1):
        # [1,3,3,1] at factor two is bilinear interpolation; only the border differs, where the FIR sees zeros.
        x = F.interpolate(F.pad(x, [1, 1, 1, 1]), scale_factor=2, mode="bilinear", align_corners=False)
        return x[:, :, 2:-2, 2:-2]
    return upfirdn2d_reference(x, _kernel2d(taps, x), up=2, padding=pad, gain=4.0)


def downsample2d(x: Tensor, taps: tuple[float, ...], impl: str = "fast") -> Tensor:
    """Halves the size with the FIR filter."""
    k = len(taps)
    pad = ((k - 1) // 2, (k - 2) // 2)
    if impl != "reference" and tuple(taps) == (1, 3, 3, 1):
        # [1,3,3,1] = [1,2,1] * [1,1]: the pair average halves the size first in nobody's sum, so it goes last.
        x = F.avg_pool2d(F.avg_pool2d(F.pad(x, [1, 1, 1, 1]), 2, 1), 2, 1)
        return F.avg_pool2d(x, 2, 2)
    return upfirdn2d_reference(x, _kernel2d(taps, x), down=2, padding=pad)


def _kernel2d(taps: tuple[float, ...], like: Tensor) -> Tensor:
    f = _taps(tuple(taps), 1.0, torch.float32, like.device)
    return torch.outer(f, f)


@lru_cache(maxsize=32)
def _composition(taps: tuple[float, ...], size: int, gain: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The linear map ``[size^2, (size+k-1)^2]`` from a kernel to that kernel convolved with the FIR filter."""
    with torch.inference_mode(False):
        f = torch.tensor(taps, dtype=torch.float32)
        f = torch.outer(f, f) / f.sum() ** 2 * gain
        basis = torch.eye(size * size).reshape(size * size, 1, size, size)
        full = F.conv2d(basis, f.flip([0, 1])[None, None], padding=len(taps) - 1)
        return full.reshape(size * size, -1).to(dtype=dtype, device=device)


def _full_rate_kernel(weight: Tensor, taps: tuple[float, ...], gain: float) -> Tensor:
    """The FIR filter convolved into a kernel: ``[O, I, 3, 3]`` -> ``[O, I, 6, 6]`` (for four taps)."""
    o, i, size, _ = weight.shape
    full = size + len(taps) - 1
    # A product with a constant matrix: far cheaper, forwards and backwards, than O*I tiny convolutions.
    m = _composition(tuple(taps), size, gain, weight.dtype, weight.device)
    return (weight.reshape(o * i, size * size) @ m).reshape(o, i, full, full)


def _composes(weight: Tensor, taps: tuple[float, ...], impl: str) -> bool:
    # Measured forwards and backwards in bfloat16: 2 to 7 times faster up to 64 x 128 channels, slower from 128 x 128.
    return impl == "composed" and len(taps) == 4 and weight.shape[0] * weight.shape[1] <= 8192


def conv2d_up(
    x: Tensor, weight: Tensor, taps: tuple[float, ...], impl: str = "fast", groups: int = 1, bias: Tensor | None = None
) -> Tensor:
    """Transposed 3x3 convolution with stride 2, the FIR filter, ``bias [O]``: ``[N, I, H, W]`` -> ``[N, O, 2H, 2W]``.

    ``impl="composed"`` folds the filter into the kernel and computes the four output phases as one convolution at the
    low resolution: four times the arithmetic, but a single pass over memory. It pays for few channels on matrix units.
    """
    k = len(taps)
    if groups == 1 and _composes(weight, taps, impl):
        o = weight.shape[0]
        full = _full_rate_kernel(weight, taps, 4.0)  # true convolution at the high resolution
        full = full.flip([2, 3])  # as a correlation kernel, 6x6
        # Output row 2i+a reads input rows i-1, i, i+1 with every other tap of the kernel, starting at 1-a.
        phases = [full[:, :, 1 - a :: 2, 1 - b :: 2] for a in (0, 1) for b in (0, 1)]
        w = torch.stack(phases, 1).reshape(o * 4, weight.shape[1], 3, 3)
        return F.pixel_shuffle(F.conv2d(x, w, None if bias is None else bias.repeat_interleave(4), padding=1), 2)
    if groups > 1:
        o, i, kh, kw = weight.shape
        w = weight.reshape(groups, o // groups, i, kh, kw).transpose(1, 2).reshape(groups * i, o // groups, kh, kw)
    else:
        w = weight.transpose(0, 1)
    x = F.conv_transpose2d(x, w, stride=2, groups=groups)
    # conv_transpose2d leaves 2H+1 samples; the filter's remaining delay decides what is cut.
    pad = ((k + 1) // 2 - 1, (k - 2) // 2)
    if impl == "reference":
        x = upfirdn2d_reference(x, _kernel2d(taps, x), padding=pad, gain=4.0)
        return x if bias is None else x + bias.reshape(1, -1, 1, 1)
    return fir2d(x, taps, pad, 4.0, impl, bias)


def conv2d_down(
    x: Tensor, weight: Tensor, taps: tuple[float, ...], impl: str = "fast", bias: Tensor | None = None
) -> Tensor:
    """FIR filter, then a convolution with stride 2: ``[N, I, H, W]`` -> ``[N, O, H/2, W/2]``; kernel 3x3 or 1x1."""
    k = len(taps)
    kernel = weight.shape[2]
    if kernel == 1 and _composes(weight, taps, impl):
        return F.conv2d(x, _full_rate_kernel(weight, tuple(reversed(taps)), 1.0), bias, stride=2, padding=1)
    if kernel == 1:
        return F.conv2d(downsample2d(x, taps, impl), weight, bias)
    pad = (kernel // 2 + (k - 1) // 2, kernel // 2 + (k - 2) // 2)
    if _composes(weight, taps, impl):
        # Correlation with the flipped filter, then with the kernel, is one correlation with their convolution.
        full = _full_rate_kernel(weight, tuple(reversed(taps)), 1.0)
        return F.conv2d(x, full, bias, stride=2, padding=pad[0])
    if impl == "reference":
        x = upfirdn2d_reference(x, _kernel2d(taps, x), padding=pad)
    else:
        x = fir2d(x, taps, pad, impl=impl)
    return F.conv2d(x, weight, bias, stride=2)


def bias_act(
    x: Tensor,
    bias: Tensor | None = None,
    activation: str = "lrelu",
    gain: float = 1.0,
    clamp: float | None = None,
    noise: Tensor | None = None,
) -> Tensor:
    """``clamp(gain * act(x + noise + bias))``; lrelu has slope 0.2 and an own gain of sqrt(2) that keeps the variance.

    Works in place when no gradient is wanted.
    """
    in_place = not torch.is_grad_enabled()
    if noise is not None:
        x = x.add_(noise.to(x.dtype)) if in_place else x + noise.to(x.dtype)
    if bias is not None:
        b = bias.to(x.dtype).reshape([1, -1] + [1] * (x.ndim - 2))
        x = x.add_(b) if in_place else x + b
    if activation == "lrelu":
        x = F.leaky_relu(x, LRELU_SLOPE, inplace=in_place)
        gain = gain * SQRT2
    elif activation == "relu":
        x = F.relu(x, inplace=in_place)
        gain = gain * SQRT2
    elif activation != "linear":
        raise ValueError(f"unknown activation {activation!r}; lrelu, relu or linear")
    if abs(gain - 1.0) > 1e-9:
        x = x.mul_(gain) if in_place else x * gain
    if clamp is not None:
        x = x.clamp_(-clamp, clamp) if in_place else x.clamp(-clamp, clamp)
    return x


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """``d [N, O]``, the factor that brings each output map back to unit deviation (Karras et al. 2020, eq. 3)."""
    return (styles.square() @ kernel_energy(weight).t() + 1e-8).rsqrt()


_energies: dict[int, tuple[weakref.ref, tuple[int, int], Tensor]] = {}


def kernel_energy(weight: Tensor) -> Tensor:
    """``[O, I]``, the sum of squares of each small kernel of ``weight [O, I, k, k]``.

    That of a frozen weight is remembered: at low resolutions it takes as long as the convolution itself. It is computed
    anew when the weight has been written to (its version), moved (its address), or is another one.
    """
    if weight.requires_grad or weight.is_inference():
        return weight.square().sum(dim=[2, 3])
    key, state = id(weight), (weight._version, weight.data_ptr())
    found = _energies.get(key)
    if found is not None and found[0]() is weight and found[1] == state:
        return found[2]
    with torch.no_grad(), torch.inference_mode(False):  # it must stay usable where gradients are wanted
        energy = weight.square().sum(dim=[2, 3])
    _energies[key] = (weakref.ref(weight, lambda _: _energies.pop(key, None)), state, energy)
    return energy


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    up: int = 1,
    demodulate: bool = True,
    taps: tuple[float, ...] = (1, 3, 3, 1),
    impl: str = "fast",
    gain: float = 1.0,
    bias: Tensor | None = None,
    padding: int | None = None,
) -> Tensor:
    """Convolution whose kernel is scaled by the styles and brought back to unit deviation (eq. 1 to 3).

    fast: scales activations instead of kernels, so that all samples share one convolution. reference: one group per
    sample.

    Args: x [N, I, H, W]; weight [O, I, k, k]; styles [N, I]; up 1 or 2; gain multiplies
    the result, to which bias [O] is then added; padding (of up 1) keeps the size if it is None.
    Returns [N, O, up*H, up*W].
    """
    n, channels, height, width = x.shape
    out_channels, _, kernel, _ = weight.shape
    padding = kernel // 2 if padding is None else padding
    if x.dtype == torch.float16 and demodulate:
        # Keeps products inside the range of half precision; demodulation makes it exact again.
        weight = weight / weight.abs().amax(dim=[1, 2, 3], keepdim=True)
        styles = styles / styles.abs().amax(dim=1, keepdim=True)

    if impl == "reference":
        w = weight[None] * styles.reshape(n, 1, channels, 1, 1)
        if demodulate:
            w = w * (w.square().sum(dim=[2, 3, 4], keepdim=True) + 1e-8).rsqrt()
        w = w.reshape(n * out_channels, channels, kernel, kernel).to(x.dtype)
        x = x.reshape(1, n * channels, height, width)
        x = conv2d_up(x, w, taps, impl, groups=n) if up == 2 else F.conv2d(x, w, padding=padding, groups=n)
        x = x.reshape(n, out_channels, *x.shape[2:]) * gain
        return x if bias is None else x + bias.to(x.dtype).reshape(1, -1, 1, 1)

    if n == 1 and weight.numel() < height * width * (channels + out_channels) and lean(x, impl):
        # One kernel to scale, smaller than the maps; the norm of the scaled kernel is its demodulation.
        w = weight * styles.reshape(1, -1, 1, 1)
        if demodulate:
            d = (torch.linalg.vector_norm(w.flatten(1), dim=1).square_() + 1e-8).rsqrt_().mul_(gain)
            w.mul_(d.reshape(-1, 1, 1, 1))
        elif gain != 1.0:
            w.mul_(gain)
        w, b = w.to(x.dtype), None if bias is None else bias.to(x.dtype)
        if up == 1:
            return F.conv2d(x, w, b, padding=padding)
        return conv2d_up(x, w, taps, impl, bias=b)

    d = demodulation(weight, styles) if demodulate else None
    if gain != 1.0:
        d = styles.new_full((n, out_channels), gain) if d is None else d * gain

    def convolve(x: Tensor, w: Tensor) -> Tensor:
        if up == 2:
            return conv2d_up(x, w, taps, impl)
        return F.conv2d(x, w, padding=padding)

    x = x * styles.to(x.dtype).reshape(n, -1, 1, 1)
    x = convolve(x, weight.to(x.dtype))
    b = None if bias is None else bias.to(x.dtype).reshape(1, -1, 1, 1)
    if d is None:
        return x if b is None else x + b
    d = d.to(x.dtype).reshape(n, -1, 1, 1)
    if b is not None:  # one pass over the map instead of two
        return torch.addcmul(b, x, d) if torch.is_grad_enabled() else torch.addcmul(b, x, d, out=x)
    return x * d if torch.is_grad_enabled() else x.mul_(d)
