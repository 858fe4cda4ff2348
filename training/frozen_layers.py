"""Frozen layers that compute as TensorFlow's do, for networks that ``tfjs`` reads."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INFINITE = (-math.inf, math.inf)


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Padding before and after one side of ``size`` px: TensorFlow's SAME puts the odd pixel after."""
    total = max((math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """``x`` with slope ``[C]`` below zero. In bfloat16 the gradient of torch's own takes five times as long."""
    slope = slope.to(x.dtype)[:, None, None]
    return torch.addcmul(x * slope, 1 - slope, F.relu(x))


def activate(x: Tensor, bounds: tuple[float, float], slope: Tensor | None) -> Tensor:
    """``x`` with slope ``[C]`` below zero, then limited to ``bounds``; ``x`` may be overwritten."""
    if slope is not None:
        x = prelu(x, slope)
    if bounds == (0.0, math.inf):
        return F.relu_(x)
    if bounds != INFINITE:
        return F.hardtanh_(x, *bounds) if math.isfinite(bounds[0] + bounds[1]) else x.clamp(*bounds)
    return x


class StridedDepthwise(torch.autograd.Function):
    """A depthwise convolution with a stride whose weight is frozen: its gradient is made of plain convolutions.

    On the CPU the usual gradient of such a layer takes a hundred times as long as the layer. Here every phase of the
    stride is a convolution of the gradient with the weights that fall on it, as fast as the forward pass.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, stride: int, pad: tuple[int, int, int, int]) -> Tensor:
        """``pad`` is left, right, top, bottom."""
        ctx.save_for_backward(weight)
        ctx.stride, ctx.pad, ctx.shape, ctx.dtype = stride, pad, x.shape, x.dtype
        return F.conv2d(F.pad(x, pad), weight, bias, stride, groups=len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):
        (weight,), s = ctx.saved_tensors, ctx.stride
        weight = weight.to(gradient.dtype)
        left, right, top, bottom = ctx.pad
        n, c, height, width = ctx.shape
        padded = torch.zeros(
            (n, c, top + height + bottom, left + width + right), dtype=gradient.dtype, device=gradient.device
        ).to(memory_format=torch.channels_last)
        for i in range(min(s, weight.shape[2])):
            for j in range(min(s, weight.shape[3])):
                # Positions i, i + s, ... of the input meet the entries i, i + s, ... of the kernel and no others.
                part = weight[:, :, i::s, j::s].flip(2, 3)
                phase = F.conv2d(gradient, part, padding=(part.shape[2] - 1, part.shape[3] - 1), groups=c)
                padded[:, :, i::s, j::s][:, :, : phase.shape[2], : phase.shape[3]] = phase
        return padded[:, :, top : top + height, left : left + width].to(ctx.dtype), None, None, None, None


class Conv(nn.Module):
    """A frozen convolution padded as TensorFlow pads it, with its bias and activation.

    weight: [out, in / groups, kh, kw]; bias, slope: [out] or None; bounds: limits of the output.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        same: bool = True,
        bounds: tuple[float, float] = INFINITE,
        slope: Tensor | None = None,
    ):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(len(weight)) if bias is None else bias, requires_grad=False)
        self.slope = None if slope is None else nn.Parameter(slope, requires_grad=False)
        self.stride, self.dilation, self.groups, self.same, self.bounds = stride, dilation, groups, same, bounds
        depthwise = groups > 1 and weight.shape[1] == 1 and len(weight) == groups
        self.turned = depthwise and stride > 1 and dilation == 1

    def forward(self, x: Tensor) -> Tensor:
        top = bottom = left = right = 0
        if self.same:
            top, bottom = same_padding(x.shape[2], self.weight.shape[2], self.stride, self.dilation)
            left, right = same_padding(x.shape[3], self.weight.shape[3], self.stride, self.dilation)
        pad = (left, right, top, bottom)
        if self.turned and x.device.type == "cpu" and x.requires_grad:
            x = StridedDepthwise.apply(x, self.weight, self.bias, self.stride, pad)
        else:
            symmetric = top == bottom and left == right
            x = x if symmetric else F.pad(x, pad)
            padding = (top, left) if symmetric else (0, 0)
            x = F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        return activate(x, self.bounds, self.slope)


class Linear(nn.Module):
    """A frozen matrix product with bias and limits. weight: [out, in]."""

    def __init__(self, weight: Tensor, bias: Tensor | None, bounds: tuple[float, float] = INFINITE):
        super().__init__()
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.bounds = bounds

    def forward(self, x: Tensor) -> Tensor:
        return activate(F.linear(x, self.weight, self.bias), self.bounds, None)


class Constant(nn.Module):
    """``operation(x, constant)``; a constant of one axis belongs to the channels."""

    def __init__(self, operation: Callable[[Tensor, Tensor], Tensor], value: Tensor):
        super().__init__()
        self.operation = operation
        self.value = nn.Parameter(value.float(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        value = self.value.to(x.dtype)
        return self.operation(x, value[:, None, None] if value.dim() == 1 and x.dim() == 4 else value)


class Pool(nn.Module):
    """Largest value or mean of a window, padded as TensorFlow pads it: what lies outside does not count."""

    def __init__(self, mean: bool, kernel: int, stride: int, same: bool):
        super().__init__()
        self.mean, self.kernel, self.stride, self.same = mean, kernel, stride, same

    def forward(self, x: Tensor) -> Tensor:
        pad = [0, 0, 0, 0]
        if self.same:
            pad = [p for size in (x.shape[3], x.shape[2]) for p in same_padding(size, self.kernel, self.stride)]
        if not self.mean:
            return F.max_pool2d(F.pad(x, pad, value=-math.inf) if any(pad) else x, self.kernel, self.stride)
        if not any(pad):
            return F.avg_pool2d(x, self.kernel, self.stride)
        inside = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), pad), self.kernel, self.stride)
        return F.avg_pool2d(F.pad(x, pad), self.kernel, self.stride) / inside


class Transposed(nn.Module):
    """A transposed convolution ``[k, k, out, in]`` with stride k, so that nothing overlaps."""

    def __init__(self, kernel: Tensor):
        super().__init__()
        self.weight = nn.Parameter(kernel.permute(3, 2, 0, 1).clone(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.weight, stride=self.weight.shape[-1])


class Plain(nn.Module):
    """A function without weights."""

    def __init__(self, function: Callable[..., Tensor]):
        super().__init__()
        self.function = function

    def forward(self, *x: Tensor) -> Tensor:
        return self.function(*x)
