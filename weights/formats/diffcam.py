"""Diff-CAM checkpoints of the ECCV 2022 authors' program: recognised by their names, sizes read from the tensors.

A plain state dict: ``shared.0``, ``shared.1`` are the ResNet's first convolution and norm, ``shared.4`` and
``shared.5`` its first two stages, ``shared.6`` onwards the blocks of the third that belong to the encoder;
``classifier.0`` onwards the rest of them, the last ``classifier.N`` the fourth stage; ``fc`` names the attribute. The
names of the attributes are in no file: seven of the published seventeen are known from the program that uses them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from models.diffcam import PUBLISHED, Bottleneck

from ..errors import RefusedFile
from .checkpoint import Checkpoint, Room, shapes_of, take_tensors

KNOWN = {
    6: "Bushy_Eyebrows",
    7: "Eyeglasses",
    10: "Mouth_Open",
    11: "Narrow_Eyes",
    12: "Beard",
    15: "Smiling",
    16: "Old",
}
OF = 17  # attributes of the published network, of which these are seven


def is_diffcam(names: Mapping) -> bool:
    return {"shared.0.weight", "shared.4.0.conv1.weight", "classifier.0.conv1.weight", "fc.weight"} <= set(names)


def interpret(state: Mapping, room: Room) -> Checkpoint:
    """The state dict as our network. Raises RefusedFile when its layers do not fit together."""
    shapes = shapes_of(state)
    stages = [_blocks(shapes, "shared.4"), _blocks(shapes, "shared.5")]
    third = len({m[1] for n in shapes if (m := re.fullmatch(r"shared\.(\d+)\.conv1\.weight", n))})
    rest = len({m[1] for n in shapes if (m := re.fullmatch(r"classifier\.(\d+)\.conv1\.weight", n))})
    last = f"classifier.{rest}"
    layers = [*stages, third + rest, _blocks(shapes, last)]
    heads = shapes["fc.weight"]
    firsts = [f"{stage}.conv1.weight" for stage in ("shared.4.0", "shared.5.0", "shared.6", f"{last}.0")]
    if min(*layers, third, rest) < 1 or any(len(shapes.get(n, ())) != 4 for n in firsts) or len(heads) != 2:
        raise RefusedFile("This looks like a Diff-CAM checkpoint, but a layer is missing in it.")
    widths = [shapes[name][0] for name in firsts]
    if heads[1] != widths[-1] * Bottleneck.expansion:
        raise RefusedFile("This looks like a Diff-CAM checkpoint, but its layers do not fit together.")
    names = [f"Attribute {i}" for i in range(heads[0])]
    if heads[0] == OF:
        names = [KNOWN.get(i, name) for i, name in enumerate(names)]
    config = {**PUBLISHED, "names": names, "widths": widths, "layers": layers, "split": third, "head": []}
    return Checkpoint("diffcam", "network", config, take_tensors(state, room), "diffcam")


def _blocks(shapes: Mapping, stage: str) -> int:
    pattern = re.escape(stage) + r"\.(\d+)\.conv1\.weight"
    return len({m[1] for name in shapes if (m := re.fullmatch(pattern, name))})
