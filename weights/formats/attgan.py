"""Checkpoints of the PyTorch AttGAN (He et al. 2019): recognised, and their sizes read from the tensors.

Names: ``enc_layers.I.layers.0`` and ``dec_layers.I.layers.0`` are the (transposed) convolutions, ``layers.1`` their
norms. The decoder's first layer takes the encoder's last output and the attributes; each later one may take the
encoder's map of its size (shortcut) and the attributes once more (injection).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from ..attributes import ATTRS
from ..errors import RefusedFile
from .checkpoint import Checkpoint, Room, is_tensor, shapes_of, take_tensors, without_prefix

MAX_SETTING = 65536  # bytes of setting.txt
MAX_DIM = 1024  # of the program's widths


def is_generator(names: Mapping) -> bool:
    return "enc_layers.0.layers.0.weight" in names and "dec_layers.0.layers.0.weight" in names


def is_discriminator(names: Mapping) -> bool:
    return "conv.0.layers.0.weight" in names and "fc_cls.1.layers.0.weight" in names


def configuration(generator: Mapping, discriminator: Mapping | None = None, setting: Mapping | None = None) -> dict:
    """Constructor arguments, as far as they can be known.

    Args:
        generator, discriminator: state dicts, or ``{name: shape}``.
        setting: the arguments of the training program, for what tensors do not show.

    Returns:
        ``n_attrs, enc_dim, enc_layers, dec_dim, dec_layers, shortcut_layers, inject_layers``, ``img_size`` (None where
        neither a discriminator nor a setting tells it: the generator alone fits every size), ``attrs`` (names or
        None); with a discriminator also ``dis_dim, dis_layers, dis_fc_dim``.

    Raises:
        RefusedFile: the shapes do not fit together.
    """
    shapes = _shapes(generator)
    encoder = _weights(shapes, r"enc_layers\.(\d+)\.layers\.0\.weight")
    decoder = _weights(shapes, r"dec_layers\.(\d+)\.layers\.0\.weight")
    n_attrs = decoder[0][0] - encoder[-1][0]
    if n_attrs < 1:
        raise RefusedFile("This looks like an AttGAN checkpoint, but its decoder takes no attributes.")
    shortcuts = injections = 0
    for i in range(1, len(decoder)):
        extra = decoder[i][0] - decoder[i - 1][1]
        beside = encoder[-1 - i][0] if i < len(encoder) else 0  # the encoder's map of that size
        options = {0: (0, 0), n_attrs: (0, 1), beside: (1, 0), beside + n_attrs: (1, 1)}
        if extra not in options:
            raise RefusedFile("This looks like an AttGAN checkpoint, but its decoder layers do not fit together.")
        shortcuts += options[extra][0]
        injections += options[extra][1]
    setting = setting or {}
    attrs = setting.get("attrs")
    if not (isinstance(attrs, list) and len(attrs) == n_attrs and all(isinstance(a, str) for a in attrs)):
        attrs = None
    found = {
        "n_attrs": n_attrs,
        "enc_dim": encoder[0][0],
        "enc_layers": len(encoder),
        # The widths double downwards until they reach a cap, so the last but one layer shows the base width.
        "dec_dim": decoder[-2][1] // 2 if len(decoder) > 1 else encoder[0][0],
        "dec_layers": len(decoder),
        "shortcut_layers": shortcuts,
        "inject_layers": injections,
        "img_size": None,
        "attrs": attrs,
    }
    if discriminator:
        found |= _discriminator(_shapes(discriminator))
    stated = setting.get("img_size")
    if found["img_size"] is None and type(stated) is int and 16 <= stated <= 2048:
        found["img_size"] = stated
    return found


def _discriminator(shapes: Mapping) -> dict:
    layers = _weights(shapes, r"conv\.(\d+)\.layers\.0\.weight")
    fc = shapes.get("fc_adv.0.layers.0.weight", (0, 0))
    area = fc[1] // layers[-1][0] if len(fc) == 2 else 0
    side = round(area**0.5)
    if not side or side * side != area:
        raise RefusedFile("This looks like an AttGAN checkpoint, but its discriminator does not fit together.")
    return {
        "img_size": side << len(layers),
        "dis_dim": layers[0][0],
        "dis_layers": len(layers),
        "dis_fc_dim": fc[0],
    }


def _shapes(state: Mapping) -> dict[str, tuple[int, ...]]:
    plain = all(isinstance(v, (tuple, list)) for v in state.values())
    return {k: tuple(v) for k, v in state.items()} if plain else shapes_of(state)


def _weights(shapes: Mapping, pattern: str) -> list[tuple[int, ...]]:
    found = {int(m[1]): shape for name, shape in shapes.items() if (m := re.fullmatch(pattern, name))}
    if not found or set(found) != set(range(len(found))) or any(len(s) != 4 or not all(s) for s in found.values()):
        raise RefusedFile("This looks like an AttGAN checkpoint, but a layer is missing in it.")
    return [found[i] for i in range(len(found))]


def setting_beside(path: Path) -> dict | None:
    """The ``setting.txt`` (JSON) that the training program writes into the folder of its checkpoints, or above it."""
    for folder in (path.parent, path.parent.parent):
        file = folder / "setting.txt"
        try:
            if file.is_file() and file.stat().st_size <= MAX_SETTING:
                found = json.loads(file.read_text(encoding="utf-8"))
                return found if isinstance(found, dict) else None
        except (OSError, ValueError, RecursionError):
            return None
    return None


def interpret(tree: Mapping, state: Mapping, part: str, path: Path, room: Room) -> Checkpoint:
    """A file as the training program writes it, whole (``G``, ``D``) or the generator alone, as our network.

    What no file of it states is taken as the program has it: the cap of the widths, 1024 (seen where one stops
    growing), the slopes, and the order of the 13 attributes.
    """
    generator, discriminator = _part(tree, "G", state, is_generator), _part(tree, "D", state, is_discriminator)
    if not (generator if part == "generator" else discriminator):
        raise RefusedFile(f"This file holds no {part}.")
    found = configuration(generator, discriminator, setting_beside(path)) if generator else {}
    if part == "generator":
        config = {k: v for k, v in found.items() if not k.startswith("dis_")}
        if config["attrs"] is None and config["n_attrs"] == len(ATTRS):
            config["attrs"] = list(ATTRS)
        shapes = shapes_of(generator)
        for side in ("enc", "dec"):
            config[f"{side}_norm"] = _norm(shapes, side)
        config["max_dim"] = _cap(shapes)
        return Checkpoint("attgan", part, config, take_tensors(generator, room), "attgan")
    shapes = shapes_of(discriminator)
    heads = shapes.get("fc_cls.1.layers.0.weight", (0,))
    config = {"n_attrs": heads[0], **_discriminator(shapes), "max_dim": _cap(shapes, "conv")}
    return Checkpoint("attgan", part, config, take_tensors(discriminator, room), "attgan")


def _part(tree: Mapping, key: str, state: Mapping, fits) -> dict:
    inner = tree.get(key)
    if isinstance(inner, Mapping):
        inner = without_prefix({k: v for k, v in inner.items() if isinstance(k, str) and is_tensor(v)})
        return inner if fits(inner) else {}
    return dict(state) if fits(state) else {}


def _norm(shapes: Mapping, side: str) -> str:
    first = f"{side}_layers.0.layers.1"
    if f"{first}.running_mean" in shapes:
        return "batchnorm"
    return "instancenorm" if f"{first}.weight" in shapes else "none"


def _cap(shapes: Mapping, layers: str = "enc_layers") -> int:
    widths = [shape[0] for shape in _weights(shapes, layers + r"\.(\d+)\.layers\.0\.weight")]
    grows = all(b == 2 * a for a, b in zip(widths, widths[1:], strict=False))
    return max(MAX_DIM, *widths) if grows else max(widths)
