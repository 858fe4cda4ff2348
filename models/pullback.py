"""Features of a frozen generator for one latent, and their gradient pulled back to the latent, without autograd.

What a drag needs and no more: nothing is recorded, no weight has a gradient, layers whose row of w+ stays as it is are
one plain convolution with a kernel made once, backward convolutions are the transposed ones in the layout that is
quickest, and where only a window of the last feature map has a gradient, the way back is only through what it sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .operations import LRELU_SLOPE, SQRT2, demodulation, fir_kernel, kernel_energy
from .stylegan2 import SynthesisLayer, SynthesisNetwork

Box = tuple[int, int, int, int]  # top, bottom, left, right; the ends are not part of it


def pullback(
    synthesis: SynthesisNetwork, ws: Tensor, rows: int, resolution: int, noise_mode: str = "const"
) -> Pullback | Recorded:
    """``Pullback``, or the same by autograd for networks that are no plain chain of demodulated convolutions."""
    kind = Pullback if supported(synthesis) else Recorded
    return kind(synthesis, ws, rows, resolution, noise_mode)


def supported(synthesis: SynthesisNetwork) -> bool:
    """Whether the network is a plain chain of demodulated convolutions: all published StyleGAN2 but resnet ones."""
    layer = synthesis.b4.conv1
    return (
        synthesis.architecture != "resnet"
        and layer.modulation == "demod"
        and layer.activation in ("lrelu", "relu", "linear")
    )


@dataclass
class _Layer:
    """One convolution: what of it does not change from latent to latent."""

    layer: SynthesisLayer
    row: int
    free: bool
    weight: Tensor  # [O, I, 3, 3], or [I, O, 3, 3] of one that doubles the size; ready made where the row is fixed
    shift: Tensor  # [1, O, 1 or res, 1 or res], bias and noise, with the activation's gain
    kernel: Tensor | None  # [O, 1, k, k], the FIR filter of one that doubles the size
    gain: float


@dataclass
class _Trace:
    """What one layer leaves behind for the way back."""

    into: Box
    out: Box
    x: Tensor  # its input, cut to ``into``
    y: Tensor  # its output, cut to ``out``
    styles: Tensor | None = None
    scale: Tensor | None = None  # [1, O], demodulation times gain
    scaled: Tensor | None = None  # the convolution times ``scale``

    def cut(self, into: Box, out: Box) -> _Trace:
        """Of a whole trace the part that makes ``out``."""
        scaled = None if self.scaled is None else _part(self.scaled, out)
        return _Trace(into, out, _part(self.x, into), _part(self.y, out), self.styles, self.scale, scaled)


class Pullback:
    """``forward(ws)`` gives features of the block at ``resolution``; ``backward(gradient)`` the first rows' one.

    Args:
        synthesis: frozen; ``supported``.
        ws: w+ ``[1, num_ws, w_dim]``; the rows from ``rows`` on are taken from here for good.
        noise_mode: const or none.
    """

    @torch.no_grad()
    def __init__(self, synthesis: SynthesisNetwork, ws: Tensor, rows: int, resolution: int, noise_mode: str = "const"):
        if not supported(synthesis):
            raise ValueError("this network needs autograd: it is not a plain chain of demodulated convolutions")
        self.synthesis, self.rows, self.resolution = synthesis, rows, resolution
        self.layers: list[_Layer] = []
        for res in [r for r in synthesis.block_resolutions if r <= resolution]:
            block = synthesis.block(res)
            convolutions = [block.conv1] if res == 4 else [block.conv0, block.conv1]
            noises = block.noises(1, noise_mode)
            for layer, row, noise in zip(convolutions, synthesis.rows(res), noises, strict=True):
                self.layers.append(_layer(layer, row, row < rows, noise, ws))
        self.start = synthesis.b4.const[None].contiguous(memory_format=torch.channels_last)
        self.traces: list[_Trace] = []

    @torch.no_grad()
    def forward(self, ws: Tensor) -> Tensor:
        """Features ``[1, C, resolution, resolution]`` of one latent."""
        self.traces, x = [], self.start
        for item in self.layers:
            trace = _run(item, ws, x)
            self.traces.append(trace)
            x = trace.y
        return x

    @torch.no_grad()
    def backward(self, gradient: Tensor, box: Box | None = None) -> Tensor:
        """``[1, rows, w_dim]`` from the gradient of what ``forward`` gave last.

        ``gradient [1, C, bottom - top, right - left]``: that of the features in the box, where no other has one.
        """
        traces = self.traces if box is None else self._seen(box)
        total = gradient.new_zeros(1, self.rows, self.synthesis.w_dim)
        for i in range(len(self.layers) - 1, -1, -1):
            item = self.layers[i]
            # Below the lowest layer whose row is free nothing is asked for.
            deeper = any(below.free for below in self.layers[:i])
            gradient, row = _back(item, traces[i], gradient, deeper)
            if row is not None:
                total[:, item.row] += row
            if not deeper:
                break
        return total

    def _seen(self, box: Box) -> list[_Trace]:
        """Of every layer the part that the features in the box depend on."""
        seen = []
        for item, trace in zip(reversed(self.layers), reversed(self.traces), strict=True):
            into = _needed(box, item.layer)
            seen.append(trace.cut(into, box))
            box = into
        return seen[::-1]

    @torch.no_grad()
    def image(self, ws: Tensor, noise_mode: str = "const") -> Tensor:
        """The picture ``[1, 3, H, W]`` of the latent that ``forward`` had last; goes on from its features."""
        if self.synthesis.architecture != "skip":
            return self.synthesis(ws, noise_mode=noise_mode)
        blocks = [trace.y for trace in self.traces[::2]]  # one convolution at 4 px, then two a block
        return self.synthesis.finish(ws, dict(zip(self.synthesis.block_resolutions, blocks, strict=False)), noise_mode)


class Recorded:
    """``Pullback``'s methods by autograd, for every network; of ``Pictured`` the common part."""

    def __init__(self, synthesis: SynthesisNetwork, ws: Tensor, rows: int, resolution: int, noise_mode: str = "const"):
        self.synthesis, self.ws, self.rows = synthesis, ws, rows
        self.resolution, self.noise_mode = resolution, noise_mode

    def forward(self, ws: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            self.free = ws[:, : self.rows].detach().clone().requires_grad_(True)
            self.features = self._features(torch.cat([self.free, self.ws[:, self.rows :]], dim=1))
        return self.features.detach()

    def _features(self, ws: Tensor) -> Tensor:
        return self.synthesis.features(ws, self.resolution, self.noise_mode, dtype=torch.float32)

    def backward(self, gradient: Tensor, box: Box | None = None) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            seen = self.features if box is None else self.features[:, :, box[0] : box[1], box[2] : box[3]]
        return torch.autograd.grad(seen, self.free, gradient, retain_graph=True)[0]

    @torch.no_grad()
    def image(self, ws: Tensor, noise_mode: str = "const") -> Tensor:
        return self.synthesis(ws, noise_mode=noise_mode)


class Pictured(Recorded):
    """As ``Recorded``, and ``forward`` leaves a ``picture`` ``[1, 3, s, s]``, whose gradient ``backward`` also takes.

    Of skip networks it is the picture as it stands one block after ``resolution``, which costs little; of others the
    finished one.
    """

    def __init__(self, synthesis: SynthesisNetwork, ws: Tensor, rows: int, resolution: int, noise_mode: str = "const"):
        super().__init__(synthesis, ws, rows, resolution, noise_mode)
        self.last = sketched(synthesis, resolution)

    def _features(self, ws: Tensor) -> Tensor:
        kept = sorted({self.resolution, self.last or self.resolution})
        self._drawn, maps = self.synthesis(ws, self.noise_mode, torch.float32, return_features=kept, last=self.last)
        self.picture, self._end = self._drawn.detach(), maps[kept[-1]].detach()
        return maps[self.resolution]

    def backward(self, gradient: Tensor, box: Box | None = None, of_picture: Tensor | None = None) -> Tensor:
        if of_picture is None:
            return super().backward(gradient, box)
        ends = [self.features, self._drawn]
        return torch.autograd.grad(ends, self.free, [gradient, of_picture], retain_graph=True)[0]

    @torch.no_grad()
    def image(self, ws: Tensor, noise_mode: str = "const") -> Tensor:
        if self.last is None:
            return self.picture
        return self.synthesis.finish(ws, {self.last: self._end}, noise_mode, self.picture)


def sketched(synthesis: SynthesisNetwork, resolution: int) -> int | None:
    """Whose colours are the last in ``Pictured``'s picture; None where only the finished picture is one."""
    return min(2 * resolution, synthesis.img_resolution) if synthesis.architecture == "skip" else None


def _layer(layer: SynthesisLayer, row: int, free: bool, noise: Tensor | None, ws: Tensor) -> _Layer:
    gain = 1.0 if layer.activation == "linear" else SQRT2
    shift = layer.bias.reshape(1, -1, 1, 1) * gain
    if noise is not None:
        shift = (shift + noise * gain).contiguous(memory_format=torch.channels_last)
    weight, kernel = layer.weight, None
    if not free:
        styles = layer.affine(ws[:, row])
        scale = demodulation(weight, styles) * gain
        weight = weight * styles.reshape(1, -1, 1, 1) * scale.reshape(-1, 1, 1, 1)
    if layer.up == 2:
        weight = weight.transpose(0, 1)
        kernel = (
            (fir_kernel(layer.taps) * 4.0).flip([0, 1]).to(weight)[None, None].repeat(layer.weight.shape[0], 1, 1, 1)
        )
    return _Layer(layer, row, free, weight.contiguous(memory_format=torch.channels_last), shift, kernel, gain)


def _needed(out: Box, layer: SynthesisLayer) -> Box:
    """What a layer must see of its input to compute ``out``."""

    def along(first: int, last: int) -> tuple[int, int]:
        if layer.up == 1:
            return max(0, first - 1), min(layer.resolution, last + 1)
        k = len(layer.taps)
        before = (k + 1) // 2 - 1
        # Output j reads samples j - before .. j - before + k - 1 of the upsampled map, to which input i gives 2i..2i+2.
        lowest, highest = first - before - 2, last - 1 - before + k - 1
        return max(0, -(-lowest // 2)), min(layer.resolution // 2, highest // 2 + 1)

    return (*along(*out[:2]), *along(*out[2:]))


def _cut(x: Tensor, have: Box, want: Box) -> Tensor:
    """``x``, which covers ``have``, brought to ``want``: cut where that is smaller, zeros where it is larger."""
    if have == want:
        return x
    top, bottom, left, right = (w - h for w, h in zip(want, have, strict=True))
    return F.pad(x, [-left, right, -top, bottom])


def _part(x: Tensor, box: Box) -> Tensor:
    """What of a whole map lies in the box, laid out anew: the way back is quicker there."""
    part = x[:, :, box[0] : box[1], box[2] : box[3]]
    return part if part.shape == x.shape else part.contiguous(memory_format=torch.channels_last)


def _run(item: _Layer, ws: Tensor, x: Tensor) -> _Trace:
    """The whole of one layer."""
    layer = item.layer
    into, out = (0, x.shape[2], 0, x.shape[3]), (0, layer.resolution, 0, layer.resolution)
    trace = _Trace(into, out, x, x)
    if item.free:
        trace.styles = layer.affine(ws[:, item.row])
        trace.scale = demodulation(layer.weight, trace.styles) * item.gain
        x = x * trace.styles.reshape(1, -1, 1, 1)
    if layer.up == 1:
        x = F.conv2d(x, item.weight, padding=1)
    else:
        x = F.conv_transpose2d(x, item.weight, stride=2)
        x = F.conv2d(_cut(x, _upsampled(into), _filtered(out, layer)), item.kernel, groups=x.shape[1])
    if item.free:
        x.mul_(trace.scale.reshape(1, -1, 1, 1))
        trace.scaled = x
    x = x + item.shift if item.free else x.add_(item.shift)
    if layer.activation == "lrelu":
        x = F.leaky_relu_(x, LRELU_SLOPE)
    elif layer.activation == "relu":
        x = x.relu_()
    if layer.conv_clamp is not None:
        x = x.clamp_(-layer.conv_clamp, layer.conv_clamp)
    trace.y = x
    return trace


def _back(item: _Layer, trace: _Trace, gradient: Tensor, deeper: bool) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of a layer's input (if one deeper needs it) and of its row of w+ (if that is free)."""
    layer = item.layer
    if layer.conv_clamp is not None:
        gradient = gradient * (trace.y.abs() < layer.conv_clamp)
    if layer.activation == "lrelu":
        gradient = torch.ops.aten.leaky_relu_backward(gradient, trace.y, LRELU_SLOPE, True)
    elif layer.activation == "relu":
        gradient = gradient * (trace.y > 0)
    if item.free:
        of_scale = (gradient * trace.scaled).sum(dim=(2, 3)) / trace.scale
        gradient = gradient * trace.scale.reshape(1, -1, 1, 1)
    elif not deeper:
        return None, None
    if layer.up == 1:
        border = _grown(trace.out, 1)
        if border == _grown(trace.into, 1):
            gradient = F.conv_transpose2d(gradient, item.weight, padding=1)
        else:
            gradient = _cut(F.conv_transpose2d(gradient, item.weight), border, trace.into)
    else:
        k = item.kernel.shape[2]
        gradient = F.conv_transpose2d(gradient, item.kernel, groups=gradient.shape[1]) if k else gradient
        gradient = F.conv2d(_cut(gradient, _filtered(trace.out, layer), _upsampled(trace.into)), item.weight, stride=2)
    if not item.free:
        return gradient, None
    of_styles = (gradient * trace.x).sum(dim=(2, 3))
    energy = kernel_energy(layer.weight)
    # scale = gain (styles^2 . energy)^(-1/2)
    of_styles -= (of_scale * (trace.scale / item.gain) ** 3 * item.gain) @ energy * trace.styles
    row = of_styles @ (layer.affine.weight * layer.affine.weight_gain)
    return (gradient * trace.styles.reshape(1, -1, 1, 1) if deeper else None), row


def _grown(box: Box, by: int) -> Box:
    return (box[0] - by, box[1] + by, box[2] - by, box[3] + by)


def _upsampled(into: Box) -> Box:
    """What a transposed convolution of stride 2 makes of a box: samples 2a to 2(b - 1) + 2."""
    return (2 * into[0], 2 * into[1] + 1, 2 * into[2], 2 * into[3] + 1)


def _filtered(out: Box, layer: SynthesisLayer) -> Box:
    """What the FIR filter reads to make ``out``."""
    k = len(layer.taps)
    before, after = (k + 1) // 2 - 1, k - 1 - ((k + 1) // 2 - 1)
    return (out[0] - before, out[1] + after, out[2] - before, out[3] + after)
