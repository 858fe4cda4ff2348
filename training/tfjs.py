"""Reads networks kept as TensorFlow.js graphs (``model.json`` and its ``.bin`` files), without TensorFlow.

``read(path, outputs)`` gives a frozen module for pictures ``[N, C, H, W]``: scales, offsets and activations are folded
into the convolutions before them, so a graph of hundreds of nodes becomes tens of steps. Only what a network of
pictures needs is understood; a node of another kind is an error that names it.
"""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .frozen_layers import INFINITE, Constant, Conv, Linear, Plain, Pool, Transposed, prelu

CONVOLUTIONS = {"Conv2D", "_FusedConv2D", "DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"}
SUMS = {"Add", "AddV2", "BiasAdd"}


class GraphError(ValueError):
    """The file is no TensorFlow.js graph, or holds a node that is not understood."""


@dataclass
class Node:
    """A node as the file says it: constants are among ``inputs`` by name."""

    op: str
    inputs: list[str]
    attributes: dict = field(default_factory=dict)

    def text(self, name: str) -> str:
        return base64.b64decode(self.attributes[name]["s"]).decode()

    def integers(self, name: str) -> list[int]:
        return [int(i) for i in self.attributes[name]["list"].get("i", [])]

    def flag(self, name: str) -> bool:
        return bool(self.attributes.get(name, {}).get("b", False))

    def fused(self) -> list[str]:
        entries = self.attributes.get("fused_ops", {}).get("list", {}).get("s", [])
        return [base64.b64decode(s).decode() for s in entries]


Repair = Callable[[dict[str, Node], dict[str, Tensor]], None]


class Graph(nn.Module):
    """Runs the steps in turn; ``forward(x [N, C, H, W])`` gives the tensors named as outputs.

    Tensors of the graph keep their channels first; a vector is ``[N, C]``.
    """

    def __init__(self, steps: list[tuple[str, list[str], nn.Module]], source: str, outputs: Sequence[str]):
        super().__init__()
        self.source, self.outputs = source, list(outputs)
        self.names = [name for name, _, _ in steps]
        self.reads = [reads for _, reads, _ in steps]
        self.layers = nn.ModuleList(module for _, _, module in steps)
        last = {read: i for i, reads in enumerate(self.reads) for read in reads}
        self.drops = [[r for r, at in last.items() if at == i and r not in outputs] for i in range(len(steps))]

    def forward(self, x: Tensor, outputs: Sequence[str] | None = None) -> list[Tensor]:
        """``outputs`` picks among the outputs; what none of them needs after the last is not run."""
        wanted = self.outputs if outputs is None else list(outputs)
        end = max(self.names.index(name) for name in wanted) + 1
        values = {self.source: x}
        for name, reads, drops, module in zip(self.names[:end], self.reads, self.drops, self.layers, strict=False):
            values[name] = module(*(values[r] for r in reads))
            for drop in drops:
                values.pop(drop, None)
        return [values[name] for name in wanted]


def unpack(raw: bytes, entries: list[dict], name: str) -> dict[str, Tensor]:
    """Tensors by name, out of the bytes that the entries of a manifest describe; quantised ones become float32."""
    tensors, at = {}, 0
    for entry in entries:
        quantisation = entry.get("quantization", {})
        stored = np.dtype(quantisation.get("dtype", entry["dtype"]))
        count = math.prod(entry["shape"])
        if at + count * stored.itemsize > len(raw):
            raise GraphError(f"{name}: the weights end before {entry['name']}")
        value = np.frombuffer(raw, stored, count, at).reshape(entry["shape"])
        at += count * stored.itemsize
        if "scale" in quantisation:
            value = value.astype(np.float32) * quantisation["scale"] + quantisation["min"]
        kind = np.float32 if entry["dtype"] == "float32" else np.int64
        tensors[entry["name"]] = torch.from_numpy(value.astype(kind))
    return tensors


def load_weights(path: Path, manifest: list[dict]) -> dict[str, Tensor]:
    """Tensors by name, from the ``.bin`` files beside ``path``."""
    tensors = {}
    for group in manifest:
        raw = b"".join((path.parent / name).read_bytes() for name in group["paths"])
        tensors |= unpack(raw, group["weights"], path.name)
    return tensors


def load_nodes(topology: dict) -> dict[str, Node]:
    nodes = {}
    for entry in topology["node"]:
        inputs = [i.split(":")[0] for i in entry.get("input", []) if not i.startswith("^")]
        nodes[entry["name"]] = Node(entry["op"], inputs, entry.get("attr", {}))
    return nodes


def join_prelu(nodes: dict[str, Node], constants: dict[str, Tensor]) -> None:
    """Writes ``relu(x) + c (x - |x|)`` as one PReLU with slope ``2 c``."""
    for name, node in nodes.items():
        if node.op not in SUMS or len(node.inputs) != 2 or any(i in constants for i in node.inputs):
            continue
        positive, product = (nodes[i] for i in node.inputs)
        if positive.op != "Relu" or product.op != "Mul" or product.inputs[1] not in constants:
            continue
        difference = nodes.get(product.inputs[0])
        if difference is None or difference.op != "Sub" or any(i in constants for i in difference.inputs):
            continue
        x, magnitude = difference.inputs
        if nodes[magnitude].op == "Abs" and nodes[magnitude].inputs == [x] == positive.inputs:
            constants[f"{name}/slope"] = 2 * constants[product.inputs[1]]
            nodes[name] = Node("Prelu", [x, f"{name}/slope"])


def needed(nodes: dict[str, Node], constants: dict[str, Tensor], outputs: Sequence[str]) -> list[str]:
    """Names of the nodes that the outputs hang on, each after what it reads."""
    order, done, stack = [], set(), [(name, False) for name in reversed(outputs)]
    while stack:
        name, ready = stack.pop()
        if ready:
            order.append(name)
        elif name not in done and name not in constants:
            done.add(name)
            if name not in nodes:
                raise GraphError(f"the graph has no node {name!r}")
            stack.append((name, True))
            stack.extend((i, False) for i in nodes[name].inputs)
    return order


def _square(values: list[int], what: str, name: str) -> int:
    if len(values) != 4 or values[1] != values[2]:
        raise GraphError(f"{name}: {what} {values} differ between the axes")
    return values[1]


def _convolution(name: str, node: Node, constants: dict[str, Tensor]) -> Conv:
    kernel = constants[node.inputs[1]]
    depthwise = "epthwise" in node.op
    if depthwise:  # [kh, kw, in, multiplier]
        weight = kernel.permute(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
    else:  # [kh, kw, in, out]
        weight = kernel.permute(3, 2, 0, 1)
    if node.text("padding") not in ("SAME", "VALID"):
        raise GraphError(f"{name}: padding {node.text('padding')}")
    dilation = _square(node.integers("dilations"), "dilations", name) if "dilations" in node.attributes else 1
    stride = _square(node.integers("strides"), "strides", name)
    groups = kernel.shape[2] if depthwise else 1
    layer = Conv(weight.clone(), None, stride, dilation, groups, node.text("padding") == "SAME")
    return _fuse(layer, name, node, constants)


def _fuse(layer: Conv | Linear, name: str, node: Node, constants: dict[str, Tensor]):
    """The operations that the node's own list adds."""
    extra = list(node.inputs[2:])
    for operation in node.fused():
        if operation == "BiasAdd":
            layer.bias = nn.Parameter(constants[extra.pop(0)].clone(), requires_grad=False)
        elif operation == "Prelu" and isinstance(layer, Conv):
            layer.slope = nn.Parameter(constants[extra.pop(0)].flatten().clone(), requires_grad=False)
        elif operation in ("Relu", "Relu6"):
            layer.bounds = (0.0, 6.0 if operation == "Relu6" else math.inf)
        else:
            raise GraphError(f"{name}: {operation} is not understood")
    return layer


def _absorb(layer: Conv, node: Node, value: Tensor | None) -> bool:
    """Whether the convolution took the node (an operation with a constant, or an activation) into itself."""
    free = layer.bounds == INFINITE and layer.slope is None
    scalar = value is not None and value.numel() == 1
    channels = len(layer.weight)
    if node.op in ("Relu", "Relu6") or (scalar and node.op in ("Minimum", "Maximum")):
        low, high = layer.bounds
        if node.op in ("Relu", "Relu6"):
            new = (0.0, 6.0 if node.op == "Relu6" else math.inf)
        else:
            new = (-math.inf, value.item()) if node.op == "Minimum" else (value.item(), math.inf)
        if new[0] > high or new[1] < low:
            return False
        layer.bounds = (max(low, new[0]), min(high, new[1]))
        return True
    if node.op == "Prelu" and free and value.numel() == channels:
        layer.slope = nn.Parameter(value.flatten().clone(), requires_grad=False)
        return True
    if not free or value is None or value.numel() not in (1, channels) or not value.is_floating_point():
        return False
    each = value.flatten().expand(channels)
    if node.op in SUMS or node.op == "Sub":
        layer.bias.data = layer.bias.data + (each if node.op != "Sub" else -each)
        return True
    if node.op == "Mul":
        layer.weight.data = layer.weight.data * each[:, None, None, None]
        layer.bias.data = layer.bias.data * each
        return True
    return False


def _axes(values: Tensor) -> list[int]:
    """Axes of [N, H, W, C] as those of [N, C, H, W]."""
    return [(0, 2, 3, 1)[int(v) % 4] for v in values.flatten()]


def _linear(name: str, node: Node, constants: dict[str, Tensor]) -> Linear:
    if node.flag("transpose_a"):
        raise GraphError(f"{name}: transpose_a is not understood")
    weight = constants[node.inputs[1]]
    weight = weight if node.flag("transpose_b") else weight.t()
    return _fuse(Linear(weight.clone(), None), name, node, constants)


PAIRS = {
    **dict.fromkeys(SUMS, torch.add),
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Minimum": torch.minimum,
    "Maximum": torch.maximum,
}
SINGLES = {
    "Relu": F.relu,
    "Relu6": F.relu6,
    "Abs": torch.abs,
    "Sigmoid": torch.sigmoid,
    "Identity": lambda x: x,
    "Softmax": lambda x: x.softmax(1),
}


def _layer(name: str, node: Node, constants: dict[str, Tensor]) -> nn.Module:
    """A module for any node but a convolution; it reads the inputs that are no constants."""
    values = [constants[i] for i in node.inputs if i in constants]
    if node.op in PAIRS:
        if not values:
            return Plain(PAIRS[node.op])
        operation = PAIRS[node.op]
        if node.op == "Sub" and node.inputs[0] in constants:
            return Constant(lambda x, c: c - x, values[0])
        return Constant(operation, values[0])
    if node.op in SINGLES:
        return Plain(SINGLES[node.op])
    if node.op == "Prelu":
        return Constant(lambda x, c: prelu(x, c.flatten()), values[0].flatten())
    if node.op in ("MatMul", "_FusedMatMul"):
        return _linear(name, node, constants)
    if node.op in ("MaxPool", "AvgPool"):
        kernel = _square(node.integers("ksize"), "windows", name)
        stride = _square(node.integers("strides"), "strides", name)
        return Pool(node.op == "AvgPool", kernel, stride, node.text("padding") == "SAME")
    if node.op == "Mean":
        keep = node.flag("keep_dims")
        axes = _axes(values[0])
        return Plain(lambda x: x.mean(axes, keepdim=keep))
    if node.op == "ConcatV2":
        axis = _axes(values[-1])[0]
        return Plain(lambda *x: torch.cat(x, axis))
    if node.op == "Pad":
        (_, _), (top, bottom), (left, right), (_, _) = values[0].tolist()
        return Plain(lambda x: F.pad(x, (left, right, top, bottom)))
    if node.op == "AddN":
        return Plain(lambda *x: sum(x))
    if node.op == "ResizeBilinear" and node.flag("half_pixel_centers"):
        size = tuple(values[0].flatten().tolist())
        return Plain(lambda x: F.interpolate(x, size, mode="bilinear", align_corners=False))
    if node.op == "Conv2DBackpropInput" and values[1].shape[0] == _square(node.integers("strides"), "strides", name):
        return Transposed(values[1])
    if node.op == "Squeeze":
        axes = tuple(_axes(torch.tensor(node.integers("squeeze_dims"))))
        return Plain(lambda x: x.squeeze(axes))
    raise GraphError(f"{name}: a node {node.op} is not understood")


def read(path: str | Path, outputs: Sequence[str], repair: Repair | None = None) -> Graph:
    """The graph in ``path`` (a ``model.json`` with its ``.bin`` files beside it), as far as ``outputs`` need it.

    outputs: names of nodes; ``forward`` gives their tensors in this order, channels first.
    repair: changes nodes and constants in place before anything else, where a file is known to be wrong.

    Raises GraphError where the file is something else or a node is not understood, OSError where a file is missing.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        nodes = load_nodes(content["modelTopology"])
        constants = load_weights(path, content["weightsManifest"])
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise GraphError(f"{path.name} is no TensorFlow.js graph") from error
    if repair is not None:
        repair(nodes, constants)
    return build(nodes, constants, outputs, path.name)


def build(nodes: dict[str, Node], constants: dict[str, Tensor], outputs: Sequence[str], file: str) -> Graph:
    """The module of a graph's nodes, as far as ``outputs`` need them; ``file`` is how errors name it."""
    join_prelu(nodes, constants)
    order = needed(nodes, constants, outputs)
    readers = Counter(i for name in order for i in nodes[name].inputs)
    sources = [name for name in order if nodes[name].op == "Placeholder"]
    if len(sources) != 1:
        raise GraphError(f"{file} has {len(sources)} inputs; a network of pictures has one")
    steps: dict[str, tuple[list[str], nn.Module]] = {}
    stands_for: dict[str, str] = {}  # a node that a convolution took in: the convolution's step
    for name in order:
        node = nodes[name]
        if node.op == "Placeholder":
            continue
        reads = [i for i in node.inputs if i not in constants]
        if node.op in CONVOLUTIONS:
            steps[name] = ([stands_for.get(reads[0], reads[0])], _convolution(name, node, constants))
            continue
        if len(reads) == 1 and readers[reads[0]] == 1 and reads[0] not in outputs:
            value = next((constants[i] for i in node.inputs if i in constants), None)
            before = stands_for.get(reads[0], reads[0])
            reversed_difference = node.op == "Sub" and node.inputs[0] in constants
            layer = steps[before][1] if before in steps else None
            if isinstance(layer, Conv) and not reversed_difference and _absorb(layer, node, value):
                stands_for[name] = before
                continue
        steps[name] = ([stands_for.get(r, r) for r in reads], _layer(name, node, constants))
    # A step is known by the last node it took in, which is the name that outputs use.
    final = {step: name for name, step in stands_for.items()}
    listed = [(final.get(n, n), [final.get(r, r) for r in reads], module) for n, (reads, module) in steps.items()]
    return Graph(listed, sources[0], outputs).eval()
