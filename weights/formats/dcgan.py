"""DCGAN generators of PyTorch programs: one ``Sequential`` of transposed convolutions and batch norms.

Names such as ``main.0.weight`` or ``module.model.3.running_mean``; numbers that are left out are activations. The
first layer makes 4x4 pixels of one (kernel 4, stride 1, no padding), each later one doubles them (kernel 4, stride 2,
padding 1), tanh is last, and latents are normal: strides and activations stand in no tensor, so they are taken as
Radford et al. 2016 and every program after them have them. A discriminator beside it is the same backwards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from ..errors import RefusedFile
from .checkpoint import Checkpoint, Room, is_tensor, shape_of, take_tensors

NAME = re.compile(r"((?:[A-Za-z_]\w*\.)*)((?:\d+\.)+)(weight|bias|running_mean|running_var|num_batches_tracked)")
GENERATORS, DISCRIMINATORS = ("generator", "netG", "G", "g"), ("discriminator", "netD", "D", "d")
KERNEL, START = 4, 4  # pixels
MAX_DOUBLINGS = 8  # 1024 px
EPS, SLOPE = 1e-5, 0.2  # torch's and DCGAN's
LOOKS = "This looks like a DCGAN generator, but"


class Unusual(Exception):
    """Why a network is not the usual one: the end of a sentence."""


@dataclass
class Layer:
    """A convolution and the norm behind it, if there is one: ``{"weight": tensor, ...}`` each."""

    conv: dict
    norm: dict = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        return shape_of(self.conv["weight"])


def layers(state: Mapping) -> list[Layer]:
    """The convolutions of a ``Sequential`` in their order; empty if the tensors are not such a stack."""
    found: dict[tuple[int, ...], dict] = {}
    prefixes = set()
    for name, value in state.items():
        match = NAME.fullmatch(name) if len(name) < 200 else None
        if match is None:
            return []
        prefixes.add(match[1])
        index = tuple(int(n) for n in match[2].split(".")[:-1])
        found.setdefault(index, {})[match[3]] = value
    stack: list[Layer] = []
    for _index, parts in sorted(found.items()):
        axes = len(shape_of(parts["weight"])) if "weight" in parts else 1
        if axes == 4 and parts.keys() <= {"weight", "bias"}:
            stack.append(Layer(parts))
        elif axes == 1 and stack and not stack[-1].norm:
            stack[-1].norm = parts
        else:
            return []
    return stack if len(prefixes) == 1 and len(stack) > 1 else []


def kind(stack: list[Layer]) -> str | None:
    """``generator`` or ``discriminator``, by which axis of the kernels meets which; None if it is neither."""
    shapes = [layer.shape for layer in stack]
    pairs = list(zip(shapes, shapes[1:], strict=False))
    if shapes and shapes[-1][1] in (1, 3) and all(a[1] == b[0] for a, b in pairs):
        return "generator"
    if shapes and shapes[0][1] in (1, 3) and shapes[-1][0] == 1 and all(a[0] == b[1] for a, b in pairs):
        return "discriminator"
    return None


def parts(tree: Mapping, state: Mapping) -> tuple[dict, dict]:
    """State dicts of generator and discriminator: side by side in one dict, each under its key, or one alone."""
    whole: dict[str, dict] = {"generator": {}, "discriminator": {}}
    for names, key in ((GENERATORS, "generator"), (DISCRIMINATORS, "discriminator")):
        for first in names:  # one dict for both, as whole training modules are saved
            inside = {n[len(first) + 1 :]: v for n, v in state.items() if n.startswith(f"{first}.")}
            whole[key] = whole[key] or inside
    if sum(map(len, whole.values())) != len(state) or not all(whole.values()):
        whole = {"generator": dict(state), "discriminator": {}}
        if kind(layers(state)) == "discriminator":
            whole = {"generator": {}, "discriminator": dict(state)}
    for names, key in ((GENERATORS, "generator"), (DISCRIMINATORS, "discriminator")):
        for first in names:
            inner = tree.get(first)
            if not whole[key] and isinstance(inner, Mapping):
                whole[key] = {n: v for n, v in inner.items() if isinstance(n, str) and is_tensor(v)}
    return whole["generator"], whole["discriminator"]


def is_dcgan(tree: Mapping, state: Mapping) -> bool:
    return any(kind(layers(part)) for part in parts(tree, state))


def interpret(tree: Mapping, state: Mapping, part: str, room: Room) -> Checkpoint:
    """The generator, with the discriminator where the file holds the usual one, as ``models.dcgan.DCGAN``."""
    ours, theirs = parts(tree, state)
    if part != "generator":
        raise RefusedFile("A DCGAN's discriminator is read together with its generator; ask for the generator.")
    stack, judge = layers(ours), layers(theirs)
    if kind(stack) != "generator":
        raise RefusedFile("This file holds a DCGAN's discriminator only, and its generator is wanted here.")
    try:
        config = {"generator": _generator(stack), "discriminator": None, "predictor": None}
        _load(stack, room)
        found = _generator_state(stack)
    except Unusual as why:
        raise RefusedFile(f"{LOOKS} {why}.") from None
    card = {}
    if judge:
        try:
            config["discriminator"] = _discriminator(judge, config["generator"])
            _load(judge, room)
            found |= _discriminator_state(judge)
        except Unusual as why:
            config["discriminator"], card = None, {"left_out": f"The discriminator of this file: {why}."}
    return Checkpoint("igan", "generator", config, found, "dcgan", card)


def _generator(stack: list[Layer]) -> dict:
    """Constructor arguments. Raises Unusual."""
    shapes = [layer.shape for layer in stack]
    _usual(shapes)
    if any(not layer.norm for layer in stack[:-1]) or stack[-1].norm:
        raise Unusual("it has no batch norm after each layer but the last")
    return {
        "z_dim": shapes[0][0],
        "widths": [shape[1] for shape in shapes[:-1]],
        "img_channels": shapes[-1][1],
        "kernel": KERNEL,
        "prior": "normal",
        "norm_units": False,
        "eps": EPS,
    }


def _discriminator(stack: list[Layer], generator: Mapping) -> dict:
    shapes = [layer.shape for layer in stack]
    _usual(shapes)
    widths = [shape[0] for shape in shapes[:-1]]
    if kind(stack) != "discriminator" or len(widths) != len(generator["widths"]):
        raise Unusual("it is not for images of the generator's size")
    if shapes[0][1] != generator["img_channels"]:
        raise Unusual("it is for images of another number of colours")
    normed = [bool(layer.norm) for layer in stack[1:-1]]
    if stack[0].norm or stack[-1].norm or any(normed) != all(normed):
        raise Unusual("its batch norms are not behind each layer but the first and the last")
    norm = "batch" if all(normed) and normed else "none"
    config = {"widths": widths, "img_channels": shapes[0][1], "kernel": KERNEL, "norm": norm, "outputs": 1}
    return config | {"eps": EPS, "slope": SLOPE}


def _usual(shapes: list[tuple[int, ...]]) -> None:
    if any(shape[2:] != (KERNEL, KERNEL) for shape in shapes):
        odd = next(shape for shape in shapes if shape[2:] != (KERNEL, KERNEL))
        raise Unusual(
            f"one of its kernels has {odd[2]} x {odd[3]} pixels where the usual layout has {KERNEL} x {KERNEL}"
        )
    if len(shapes) - 1 > MAX_DOUBLINGS:
        raise Unusual(f"its images would have more than {START << MAX_DOUBLINGS} pixels a side")


def _load(stack: list[Layer], room: Room) -> None:
    """Tensors instead of records, checked all together."""
    named = {(i, what, n): v for i, x in enumerate(stack) for what in ("conv", "norm") for n, v in _of(x, what).items()}
    # Their names in sentences: the number of the layer, the part, the tensor.
    taken = take_tensors({".".join(map(str, key)): value for key, value in named.items()}, room)
    for i, what, n in named:
        _of(stack[i], what)[n] = taken[f"{i}.{what}.{n}"]


def _of(layer: Layer, what: str) -> dict:
    return layer.conv if what == "conv" else layer.norm


def _generator_state(stack: list[Layer]) -> dict[str, torch.Tensor]:
    first, *middle, last = stack
    weight = first.conv["weight"]  # from one pixel: a dense layer with its weights in another order
    state = {"generator.stem.weight": weight.flatten(1).T.contiguous()}
    state |= _norm(first, "generator.stem_norm")
    for i, layer in enumerate(middle):
        state[f"generator.ups.{i}.weight"] = layer.conv["weight"]
        state |= _norm(layer, f"generator.norms.{i}")
    _no_bias(last)
    state["generator.out.weight"] = last.conv["weight"]
    return state


def _discriminator_state(stack: list[Layer]) -> dict[str, torch.Tensor]:
    *downs, head = stack
    state = {}
    for i, layer in enumerate(downs):
        state[f"discriminator.downs.{i}.weight"] = layer.conv["weight"]
        if layer.norm:
            state |= _norm(layer, f"discriminator.norms.{i}")
        else:
            _no_bias(layer)
    _no_bias(head)
    state["discriminator.head.weight"] = head.conv["weight"].flatten(1)
    return state


def _norm(layer: Layer, name: str) -> dict[str, torch.Tensor]:
    """The norm's tensors; a bias before it only moves its mean. Raises Unusual."""
    norm, bias = layer.norm, layer.conv.get("bias")
    if "running_mean" not in norm or "running_var" not in norm:
        raise Unusual("its batch norms have no running statistics, so save it again with them")
    mean = norm["running_mean"]
    if bias is not None and bias.shape != mean.shape:
        raise Unusual("a bias in it does not fit the norm behind it")
    return norm_state(
        name,
        norm.get("weight", torch.ones_like(mean)),
        norm.get("bias", torch.zeros_like(mean)),
        mean if bias is None else mean - bias,
        norm["running_var"],
        norm.get("num_batches_tracked"),
    )


def norm_state(name: str, weight, bias, mean, var, count=None) -> dict[str, torch.Tensor]:
    """A batch norm under our names. Raises Unusual where a variance is none."""
    if bool((var < 0).any()):
        raise Unusual("a variance in it is below zero")
    count = torch.zeros((), dtype=torch.int64) if count is None else count
    named = {"weight": weight, "bias": bias, "running_mean": mean, "running_var": var, "num_batches_tracked": count}
    return {f"{name}.{key}": value for key, value in named.items()}


def _no_bias(layer: Layer) -> None:
    bias = layer.conv.get("bias")
    if bias is not None and bool(bias.any()):
        raise Unusual("a layer without a norm has a bias, which the usual layout has not")
