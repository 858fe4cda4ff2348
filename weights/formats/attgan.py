"""Checkpoints of the PyTorch AttGAN (He et al. 2019): recognised, and their sizes read from the tensors.

Names: ``enc_layers.I.layers.0`` and ``dec_layers.I.layers.0`` are the (transposed) convolutions, ``layers.1`` their
norms. The decoder's first layer takes the encoder's last output and the attributes; each later one may take half as
many channels again from the encoder (shortcut) and the attributes once more (injection).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from ..errors import RefusedFile
from .checkpoint import shapes_of

MAX_SETTING = 65536  # bytes of setting.txt


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
        out, extra = decoder[i - 1][1], decoder[i][0] - decoder[i - 1][1]
        options = {0: (0, 0), n_attrs: (0, 1), out // 2: (1, 0), out // 2 + n_attrs: (1, 1)}
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


def not_yet(found: Mapping) -> RefusedFile:
    """What to say as long as the notebook has no AttGAN tab."""
    size = f"{found['img_size']} px, " if found["img_size"] else ""
    return RefusedFile(
        f"This is an AttGAN checkpoint ({size}{found['n_attrs']} attributes); its tab is not part of this version yet."
    )
