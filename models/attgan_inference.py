"""The AttGAN generator as it is quickest to use, with the same results as ``models.attgan`` up to rounding.

* Batch norms are folded into the convolutions before them.
* A decoder layer is linear in what it takes, so its parts are computed apart: those of the encoding once for all
  variants of a face, those of the attributes where they differ. The first layer, with half of all weights, is computed
  once however many attributes are flipped.
* Transposed convolutions of many channels on small maps run as one matrix product whose columns are added up where they
  overlap: 2 to 6 times faster on a CPU than the library's transposed convolution.
* Maps lie channels last.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attgan import Generator, laid_over

GEMM_SIDE = 8  # maps up to this side take the matrix product


@dataclass(frozen=True)
class Encoded:
    """What the encoder found in pictures, as far through the decoder as no attribute has a say.

    ``zs``: the encoder's maps, largest first; before them the pictures themselves, for a head that changes them.
    ``parts``: for each decoder layer that takes one of them, its share of
    the layer's output ``[N, C, H, W]``, bias included; None for the others.
    """

    zs: list[Tensor]
    parts: list[Tensor | None]

    def to(self, device) -> Encoded:
        return Encoded([z.to(device) for z in self.zs], [p if p is None else p.to(device) for p in self.parts])


class _Upward:
    """A transposed convolution (4x4, stride 2, padding 1) with folded norm, and its channels by what they belong to."""

    def __init__(self, layer: nn.Module, spans: Sequence[int]):
        convolution, self.norm, self.activation = _taken_apart(layer)
        weight, bias = _folded(convolution, self.norm, transposed=True)
        self.norm = None if isinstance(self.norm, nn.BatchNorm2d) else self.norm
        self.bias = torch.zeros(weight.shape[1], device=weight.device) if bias is None else bias
        self.weights = list(weight.split(list(spans)))  # each [n_in, n_out, 4, 4]
        self.matrices = [w.permute(2, 3, 1, 0).reshape(-1, w.shape[0]).contiguous() for w in self.weights]
        self.weights = [w.contiguous(memory_format=torch.channels_last) for w in self.weights]

    def part(self, number: int, x: Tensor, bias: bool = False) -> Tensor:
        """The share that ``x [N, n_in, H, W]`` has in the output ``[N, n_out, 2H, 2W]``."""
        given = self.bias if bias else None
        if x.shape[2] > GEMM_SIDE or x.device.type != "cpu":
            return F.conv_transpose2d(x, self.weights[number], given, stride=2, padding=1)
        n, _channels, h, w = x.shape
        columns = x.permute(0, 2, 3, 1).reshape(n * h * w, -1) @ self.matrices[number].T
        columns = columns.reshape(n, h, w, 4, 4, -1)
        out = x.new_zeros(n, 2 * h + 2, 2 * w + 2, columns.shape[-1])
        for i in range(4):
            for j in range(4):
                out[:, i : i + 2 * h : 2, j : j + 2 * w : 2] += columns[:, :, :, i, j]
        out = out[:, 1:-1, 1:-1]
        return (out + given if bias else out).permute(0, 3, 1, 2)

    def finish(self, y: Tensor) -> Tensor:
        return self.activation(y if self.norm is None else self.norm(y)).contiguous(memory_format=torch.channels_last)


class Fast:
    """``encode`` and ``decode`` of a generator in evaluation mode, whose weights are copied when it is made."""

    @torch.no_grad()
    def __init__(self, net: Generator):
        self.n_attrs, self.shortcuts, self.injections = net.n_attrs, net.shortcut_layers, net.inject_layers
        self.head, self.refine = net.head, net.refine
        self.downward = []
        for layer in net.enc_layers:
            convolution, norm, activation = _taken_apart(layer)
            weight, bias = _folded(convolution, norm, transposed=False)
            kept = None if isinstance(norm, nn.BatchNorm2d) else norm
            self.downward.append((weight.contiguous(memory_format=torch.channels_last), bias, kept, activation))
        self.upward, before = [], 0
        for i, layer in enumerate(net.dec_layers):
            given = [before] if i else []
            if i == 0:
                given += [net.enc_layers[-1].layers[0].out_channels]
            elif i <= self.shortcuts:
                given += [net.enc_layers[-1 - i].layers[0].out_channels]
            if i <= self.injections:
                given += [self.n_attrs]
            self.upward.append(_Upward(layer, given))
            before = layer.layers[0].out_channels

    @torch.no_grad()
    def encode(self, x: Tensor) -> Encoded:
        """``x [N, 3, S, S]`` in [-1, 1], S a multiple of ``2**enc_layers``."""
        x = x.contiguous(memory_format=torch.channels_last)
        zs = [x] if self.head == "change" else []
        for weight, bias, norm, activation in self.downward:
            x = F.conv2d(x, weight, bias, stride=2, padding=1)
            x = activation(x if norm is None else norm(x))
            zs.append(x)
        parts: list[Tensor | None] = []
        for i, layer in enumerate(self.upward):
            parts.append(layer.part(min(i, 1), zs[-1 - i], bias=True) if i == 0 or i <= self.shortcuts else None)
        return Encoded(zs, parts)

    @torch.no_grad()
    def decode(self, encoded: Encoded, a: Tensor) -> Tensor:
        """Pictures ``[N, 3, S, S]`` in [-1, 1] for attributes ``a [N, n_attrs]``; one encoding serves all rows."""
        h = None
        for i, (layer, part) in enumerate(zip(self.upward, encoded.parts, strict=True)):
            y = part
            if h is not None:
                own = layer.part(0, h, bias=part is None)
                y = own if part is None else own + part
            if i <= self.injections:
                side = encoded.zs[-1].shape[2] if h is None else h.shape[2]
                tiled = a.to(encoded.zs[0].dtype).reshape(*a.shape, 1, 1).expand(-1, -1, side, side)
                y = y + layer.part(len(layer.weights) - 1, tiled)
            h = layer.finish(y)
        h = h.expand(max(len(a), len(h)), -1, -1, -1)
        return h if self.head == "image" else laid_over(encoded.zs[0], h, self.refine)[0]


def _taken_apart(layer: nn.Module) -> tuple[nn.Module, nn.Module | None, nn.Module]:
    """Convolution, norm, activation of an AttGAN layer."""
    convolution, *rest = layer.layers
    norm = rest[0] if len(rest) > 1 else None
    return convolution, norm, rest[-1]


def _folded(convolution: nn.Module, norm: nn.Module | None, transposed: bool) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a convolution with a batch norm in evaluation mode behind it."""
    weight, bias = convolution.weight.detach(), convolution.bias
    if not isinstance(norm, nn.BatchNorm2d):
        return weight, None if bias is None else bias.detach()
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * gain
    return weight * gain.reshape(1, -1, 1, 1) if transposed else weight * gain.reshape(-1, 1, 1, 1), shift.detach()


_made: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def fast(net: Generator) -> Fast:
    """The quick form of a frozen generator; made once for as long as the network is in use."""
    if net not in _made:
        _made[net] = Fast(net)
    return _made[net]
