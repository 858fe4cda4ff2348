"""State dicts with the names of the official StyleGAN3 code: what the tensors, and a pickle's attributes, tell.

The classes have the names of StyleGAN2's, so that only the names of the tensors tell the two apart. A layer's name
carries its size and its number of feature maps (``L5_52_32``); the filters are stored, and taken as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import RefusedFile
from .checkpoint import shapes_of

LAYER = re.compile(r"synthesis\.L(\d{1,2})_(\d{1,4})_(\d{1,5})\.weight")
# Settings that no tensor tells, with the kinds of values that they have.
SCHEDULE = {
    "num_critical": int,
    "first_cutoff": (int, float),
    "first_stopband": (int, float),
    "last_stopband_rel": (int, float),
    "margin_size": int,
    "output_scale": (int, float),
    "num_fp16_res": int,
    "lrelu_upsampling": int,
    "filter_size": int,
    "conv_clamp": (int, float),
    "magnitude_ema_beta": (int, float),
}


def is_stylegan3(names: Mapping) -> bool:
    return any(str(name).startswith(("synthesis.input.", "synthesis.L")) for name in names)


def generator_config(state: Mapping, **known) -> dict:
    """Constructor arguments of ``models.stylegan3.Generator`` for a state dict (of tensors or records).

    Raises RefusedFile for names and shapes that no StyleGAN3 generator has.
    """
    shapes = shapes_of(state)
    layers = sorted((int(m[1]), int(m[2]), int(m[3]), name) for name in shapes if (m := LAYER.fullmatch(name)))
    if len(layers) < 4 or [layer[0] for layer in layers] != list(range(len(layers))):
        raise RefusedFile("This looks like a StyleGAN3 checkpoint, but a layer of its synthesis network is missing.")
    mapping = [int(m[1]) for name in shapes if (m := re.fullmatch(r"mapping\.fc(\d{1,2})\.weight", name))]
    if not mapping or sorted(mapping) != list(range(len(mapping))):
        raise RefusedFile("This looks like a StyleGAN3 checkpoint, but a layer of its mapping network is missing.")
    first = _shape(shapes, "mapping.fc0.weight", 2)
    embed = shapes.get("mapping.embed.weight")
    if embed is not None and (len(embed) != 2 or embed[0] != first[0]):
        raise RefusedFile("This looks like a StyleGAN3 checkpoint, but its class embedding has a wrong shape.")
    weight = _shape(shapes, layers[0][3], 4)
    stored = shapes.get(layers[0][3].replace(".weight", ".down_filter"))
    return {
        "z_dim": first[1] - (embed[0] if embed else 0),
        "c_dim": embed[1] if embed else 0,
        "w_dim": _shape(shapes, "synthesis.input.affine.weight", 2)[1],
        "img_resolution": layers[-1][1],
        "img_channels": layers[-1][2],
        "mapping_layers": len(mapping),
        "channels": [layer[2] for layer in layers],
        "num_layers": len(layers) - 1,
        "conv_kernel": weight[2],
        "radial": stored is not None and len(stored) == 2,
    } | known


def attributes(given: Mapping, beta: object) -> dict:
    """Of the constructor arguments that a pickle keeps, those that the tensors do not tell.

    Args:
        given: what the synthesis network was made with.
        beta: of the average latent, as the mapping network has it.
    """
    if "layer_kwargs" in given and isinstance(given["layer_kwargs"], Mapping):
        given = {**given, **given["layer_kwargs"]}
    known = {name: given[name] for name in SCHEDULE if name in given}
    known |= {"w_avg_beta": beta} if beta is not None else {}
    for name, value in known.items():
        none_is_fine = name == "conv_clamp" and value is None
        if not none_is_fine and (isinstance(value, bool) or not isinstance(value, SCHEDULE.get(name, float))):
            raise RefusedFile(f"The setting {name} in this pickle is of a kind that makes no sense.")
    return known


def _shape(shapes: Mapping, name: str, dimensions: int) -> tuple[int, ...]:
    found = shapes.get(name)
    if found is None or len(found) != dimensions or not all(found):
        raise RefusedFile(f"This looks like a StyleGAN3 checkpoint, but {name} is missing or has a wrong shape.")
    return found
