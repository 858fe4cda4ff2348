"""Deghosting checkpoints of the ECCV 2022 authors' program: recognised by their names, sizes read from the tensors.

A plain state dict: ``FCN.`` holds encoder, fusion and decoder, ``generator.`` a StyleGAN2 with MMGeneration's names,
which are rosinality's but for a few. ``FCN.fusion_skip`` changes a picture that the program makes and does not use: it
is left out. The generator lies in the file, so it stays in the network that is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import RefusedFile
from . import rosinality
from .checkpoint import Checkpoint, Room, shapes_of, take_tensors

# MMGeneration's words -> rosinality's
WORDS = (
    (r"style_mapping\.(\d+)\.linear\.weight_orig", r"style.\1.weight"),
    (r"style_mapping\.(\d+)\.bias", r"style.\1.bias"),
    (r"constant_input\.input", "input.input"),
    (r"injected_noise_(\d+)", r"noises.noise_\1"),
    (r"(.+)\.conv\.weight_orig", r"\1.conv.weight"),
    (r"(.+)\.conv\.style_modulation\.linear\.weight_orig", r"\1.conv.modulation.weight"),
    (r"(.+)\.conv\.style_modulation\.bias", r"\1.conv.modulation.bias"),
    (r"(.+)\.noise_injector\.weight", r"\1.noise.weight"),
)
LATENT = r"FCN\.encoder\.(\d+)\.3\.weight"


def is_deghosting(names: Mapping) -> bool:
    return {"FCN.encoder.0.conv_first.weight", "generator.constant_input.input"} <= set(names)


def interpret(state: Mapping, room: Room) -> Checkpoint:
    """The state dict as our network, its generator included. Raises RefusedFile when the layers do not fit together."""
    shapes = shapes_of(state)
    inner = {translated(n.removeprefix("generator.")): v for n, v in state.items() if n.startswith("generator.")}
    if not rosinality.is_generator(inner):
        raise RefusedFile("This looks like a deghosting checkpoint, but its generator is incomplete.")
    generator = rosinality.interpret(inner, None, room)
    latent = [int(m[1]) for n in shapes if (m := re.fullmatch(LATENT, n))]
    body = [int(m[1]) for n in shapes if (m := re.fullmatch(r"FCN\.encoder\.0\.body\.(\d+)\..+", n))]
    first = shapes["FCN.encoder.0.conv_first.weight"]
    growth = shapes.get("FCN.encoder.0.body.0.rdb1.conv1.weight", ())
    decoder = [int(m[1]) for n in shapes if (m := re.fullmatch(r"FCN\.decoder\.(\d+)\.0\.weight", n))]
    if len(latent) != 1 or len(growth) != 4 or len(first) != 4 or len(decoder) != 1 or latent[0] > 9:
        raise RefusedFile("This looks like a deghosting checkpoint, but a layer is missing in it.")
    config = generator.config
    resolutions = [4 << i for i in range(config["img_resolution"].bit_length() - 2)]
    widths = {str(res): _width(generator.state, res) for res in resolutions}
    found = {
        "widths": widths,
        "img_resolution": config["img_resolution"],
        "in_size": 4 << (latent[0] - 1),
        "w_dim": config["w_dim"],
        "rrdb_channels": first[0],
        "rrdb_growth": growth[0],
        "num_rrdbs": max(body) + 1,
        "last_channels": shapes[f"FCN.decoder.{decoder[0]}.0.weight"][0],
        "own": config,
    }
    kept = {n.removeprefix("FCN."): v for n, v in state.items() if n.startswith("FCN.")}
    kept = {n: v for n, v in kept.items() if not n.startswith("fusion_skip.")}
    tensors = take_tensors(kept, room) | {f"generator.{n}": v for n, v in generator.state.items()}
    return Checkpoint("deghosting", "network", found, tensors, "deghosting")


def translated(name: str) -> str:
    """A name of MMGeneration's StyleGAN2 generator as rosinality's program has it."""
    for theirs, other in WORDS:
        if re.fullmatch(theirs, name):
            return re.sub(theirs, other, name)
    return name


def _width(state: Mapping, resolution: int) -> int:
    bias = state.get(f"synthesis.b{resolution}.conv1.bias")
    if bias is None:
        raise RefusedFile("This looks like a deghosting checkpoint, but its generator is incomplete.")
    return bias.numel()
