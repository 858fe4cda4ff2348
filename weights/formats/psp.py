"""Checkpoints of pSp (Richardson et al. 2021) and e4e (Tov et al. 2021): an encoder and its generator in one file.

``{"state_dict": {"encoder.*", "decoder.*"}, "latent_avg": [num_ws, w_dim], "opts": {...}}``. The decoder has the names
of rosinality's program. The tensors of the two methods are alike: only ``opts`` says which one it is. A file is read
part by part: as a generator, whose card then says that an encoder lies beside it, or as that encoder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from ..errors import RefusedFile, shown
from . import rosinality
from .checkpoint import Checkpoint, Room, is_tensor, shape_of, shapes_of, take_tensors
from .records import NamespaceRecord

VARIANTS = {"GradualStyleEncoder": "psp", "Encoder4Editing": "e4e"}
MAX_ROWS = 32  # of w+; a generator of 4096 px takes 22
MAX_HALVINGS = 8  # of a map: pictures of 4096 px
LOOKS = "This looks like an encoder checkpoint of pSp or e4e, but "


def holds(state: Mapping) -> bool:
    """Whether a state dict has both an encoder and a decoder in the names of pSp."""
    names = [name for name in state if isinstance(name, str)]
    return any(n.startswith("encoder.") for n in names) and any(n.startswith("decoder.") for n in names)


def interpret(tree: Mapping, state: Mapping, part: str, room: Room) -> Checkpoint:
    """One part of the file, ``generator`` or ``encoder``; ``state`` is its state dict. Raises RefusedFile."""
    inside = {name: _part(state, name) for name in ("encoder", "decoder")}
    average, opts = tree.get("latent_avg"), _options(tree.get("opts"))
    average = take_tensors({"latent_avg": average}, room)["latent_avg"] if is_tensor(average) else None
    if part == "encoder":
        return _encoder(inside, average, opts, room)
    if part != "generator":
        raise RefusedFile(f"This is a checkpoint of pSp or e4e, and holds no {part} that is read here.")
    if not rosinality.is_generator(inside["decoder"]):
        raise RefusedFile(LOOKS + "its decoder is no StyleGAN2 of rosinality's program.")
    w_dim = shape_of(inside["decoder"].get("style.1.weight", torch.empty(0)))[:1]
    mean = None if average is None else _rows(average, *w_dim or (0,)).mean(dim=0)
    found = rosinality.interpret(inside["decoder"], mean, room)
    try:
        found.layout = configuration(inside["encoder"], opts)["variant"]
        found.card = {"encoder": found.layout}
    except RefusedFile:  # an encoder of another kind: the generator is what can be used
        found.layout = "psp"
    if str(opts.get("dataset_type", "")).startswith("ffhq"):
        found.card["crop"] = "ffhq"
    return found


def configuration(encoder: Mapping, opts: Mapping) -> dict:
    """Constructor arguments of ``models.encoders.GradualStyleEncoder``, read from the shapes of its tensors.

    Raises RefusedFile where the encoder is of another kind, looks at something else than colours, or does not fit
    together.
    """
    shapes = shapes_of(encoder)
    kind = opts.get("encoder_type")
    if "styles.0.linear.weight" not in shapes or kind not in VARIANTS:
        named = "does not say whether it is pSp's or e4e's" if kind is None else f"is of the kind {shown(kind, 50)}"
        raise RefusedFile(f"The encoder in this file {named}; GradualStyleEncoder and Encoder4Editing are read.")
    first = _shape(shapes, "input_layer.0.weight", 4)
    if first[1] != 3:
        raise RefusedFile(
            f"The encoder in this file looks at {first[1]} channels (a sketch or labels), not at photographs."
        )
    runs: list[list[int]] = []  # [channels, units] of each stage
    for i in range(_count(shapes, r"body\.(\d+)\.res_layer\.1\.weight")):
        width = _shape(shapes, f"body.{i}.res_layer.1.weight", 4)[0]
        if not runs or runs[-1][0] != width:
            runs.append([width, 0])
        runs[-1][1] += 1
    if len(runs) != 4 or runs[0][0] != first[0]:
        raise RefusedFile(LOOKS + "its encoder has not the four stages of an IR-SE body.")
    num_ws = _count(shapes, r"styles\.(\d+)\.linear\.weight")
    if num_ws > MAX_ROWS:
        raise RefusedFile(f"The encoder in this file says {num_ws} rows of w+, more than any generator takes.")
    halvings = [_count(shapes, rf"styles\.{row}\.convs\.(\d+)\.weight", step=2) for row in range(num_ws)]
    least = halvings[0]
    if least > MAX_HALVINGS or halvings != sorted(halvings) or set(halvings) - {least, least + 1, least + 2}:
        raise RefusedFile(LOOKS + "its style blocks do not fit together.")
    return {
        "variant": VARIANTS[kind],
        "img_resolution": 16 << least,
        "units": [count for _width, count in runs],
        "widths": [width for width, _count in runs],
        "num_ws": num_ws,
        "w_dim": _shape(shapes, "styles.0.linear.weight", 2)[0],
        "coarse": halvings.count(least),
        "middle": halvings.count(least + 1),
    }


def _encoder(inside: Mapping, average: torch.Tensor | None, opts: Mapping, room: Room) -> Checkpoint:
    config = configuration(inside["encoder"], opts)
    rows, w_dim = config["num_ws"], config["w_dim"]
    decoder = shapes_of(inside["decoder"])
    wanted = 2 * (2 + _count(decoder, r"to_rgbs\.(\d+)\.conv\.weight")) - 2
    if wanted != rows:
        raise RefusedFile(f"The encoder in this file says {rows} rows of w+, and its generator takes {wanted}.")
    state = take_tensors(inside["encoder"], room)
    # Training without it writes none; a run that was begun with it and went on without says so.
    if average is None or not opts.get("start_from_latent_avg", True):
        state["latent_avg"] = torch.zeros(rows, w_dim)
    else:
        average = _rows(average, w_dim)
        if len(average) not in (1, rows):
            raise RefusedFile(LOOKS + "its average latent has not the rows of its generator's.")
        room.take(4 * rows * w_dim)
        state["latent_avg"] = average.expand(rows, w_dim).contiguous()
    return Checkpoint("psp", "encoder", config, state, config["variant"])


def _part(state: Mapping, name: str) -> dict:
    return {key[len(name) + 1 :]: value for key, value in state.items() if key.startswith(f"{name}.")}


def _options(opts: object) -> dict:
    """What the training program was called with; a few programs keep it as they parsed it."""
    opts = opts.values if isinstance(opts, NamespaceRecord) else opts
    opts = dict(opts) if isinstance(opts, Mapping) else {}
    return {k: v for k, v in opts.items() if isinstance(k, str) and isinstance(v, (str, bool, int, float, type(None)))}


def _rows(average: torch.Tensor, w_dim: int) -> torch.Tensor:
    """``[1 or num_ws, w_dim]``."""
    if average.ndim not in (1, 2) or average.shape[-1] != w_dim or not average.numel():
        raise RefusedFile(LOOKS + "its average latent has not the size of its generator's.")
    return average.reshape(-1, w_dim)


def _shape(shapes: Mapping, name: str, dimensions: int) -> tuple[int, ...]:
    found = shapes.get(name)
    if found is None or len(found) != dimensions or not all(found):
        raise RefusedFile(f"{LOOKS}{name} is missing or has a wrong shape.")
    return found


def _count(shapes: Mapping, pattern: str, step: int = 1) -> int:
    """How many names fit a pattern whose number goes up from nothing by ``step``."""
    found = sorted({int(m[1]) for name in shapes if (m := re.fullmatch(pattern, name)) and len(m[1]) < 4})
    if not found or found != list(range(0, step * len(found), step)):
        raise RefusedFile(LOOKS + "a layer of it is missing.")
    return len(found)
