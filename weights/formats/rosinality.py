"""Generators of rosinality/stylegan2-pytorch, in files of its converter and of its training program.

The same network under other names: nothing is flipped or transposed, a leading axis of one is dropped here and there.
``{"g_ema": state dict, "latent_avg": tensor}`` comes from the converter; training writes more keys and no average
latent, so that one has to be estimated from the mapping network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from ..errors import RefusedFile, shown
from . import official
from .checkpoint import Checkpoint, Room, is_tensor, shape_of, take_tensors

PARTS = {  # names within a layer
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "bias": "bias",  # of the colour layers
}
MAX_NOISE = 2048  # px; made-up noise takes room that no file had to bring
KERNELS = ("conv.blur.kernel", "upsample.kernel")


def is_generator(names: Mapping) -> bool:
    return "input.input" in names and "conv1.conv.weight" in names and "to_rgb1.conv.weight" in names


def translate(name: str) -> str | None:
    """The official name of a tensor; None for blur kernels, which become buffers of several layers.

    Raises RefusedFile for a name that this program does not write.
    """
    if name == "input.input":
        return "synthesis.b4.const"
    if match := re.fullmatch(r"style\.(\d{1,2})\.(weight|bias)", name):
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}"  # style.0 is the normalisation
    if match := re.fullmatch(r"noises\.noise_(\d{1,2})", name):
        return f"synthesis.{_layer(int(match[1]) - 1)}.noise_const"
    if match := re.fullmatch(r"(conv1|convs\.(\d{1,2})|to_rgb1|to_rgbs\.(\d{1,2}))\.(.+)", name):
        head, conv, colour, part = match.groups()
        if part in KERNELS:
            return None
        if part in PARTS:
            if colour is not None:
                layer = f"b{8 << int(colour)}.torgb"
            elif conv is not None:
                layer = _layer(int(conv))
            else:
                layer = "b4.conv1" if head == "conv1" else "b4.torgb"
            return f"synthesis.{layer}.{PARTS[part]}"
    raise RefusedFile(f"This looks like a StyleGAN2 checkpoint of rosinality's program, but holds {shown(name)}.")


def _layer(index: int) -> str:
    """``convs.{index}`` -> block and layer; -1 is the first layer of all, ``conv1``."""
    return "b4.conv1" if index < 0 else f"b{8 << (index // 2)}.conv{index % 2}"


def interpret(state: Mapping, latent_avg, room: Room) -> Checkpoint:
    """``state`` is the generator's state dict, ``latent_avg`` the tensor beside it or None."""
    renamed, kernel = {}, None
    for name, value in take_tensors(state, room).items():
        official_name = translate(name)
        if official_name is None:
            kernel = value if kernel is None else kernel
        else:
            renamed[official_name] = _squeeze(official_name, value)
    needs_w_avg = not is_tensor(latent_avg)
    if not needs_w_avg:
        average = take_tensors({"latent_avg": latent_avg}, room)["latent_avg"]
        renamed["mapping.w_avg"] = average.flatten() if average.shape[:1] == (1,) else average
    else:
        first = shape_of(state["style.1.weight"]) if "style.1.weight" in state else ()
        if len(first) != 2:
            raise RefusedFile("This looks like a StyleGAN2 checkpoint, but its mapping network is incomplete.")
        renamed["mapping.w_avg"] = torch.zeros(first[0])
    _add_noise(renamed)
    if kernel is None:
        raise RefusedFile("This looks like a StyleGAN2 checkpoint of rosinality's program, but has no blur kernel.")
    taps = official.taps(kernel)
    line = torch.tensor(taps, dtype=torch.float32)
    square = torch.outer(line, line) / line.sum().square()
    for name in [n for n in renamed if n.endswith(("conv0.weight", "conv1.weight"))]:
        renamed[name.replace(".weight", ".resample_filter")] = square.clone()
        renamed[re.sub(r"conv\d\.weight$", "resample_filter", name)] = square.clone()
    config = official.generator_config(renamed)
    return Checkpoint("stylegan2", "generator", config, renamed, "rosinality", needs_w_avg=needs_w_avg)


def _squeeze(name: str, value: torch.Tensor) -> torch.Tensor:
    """Drops the leading axes of one that the other program keeps."""
    want = 0 if name.endswith("noise_strength") else 2 if name.endswith("noise_const") else None
    if name.endswith((".weight", ".const")) and value.ndim in (4, 5) and not name.endswith("affine.weight"):
        want = value.ndim - 1
    elif name.endswith("torgb.bias"):
        return value.flatten()
    if want is None:
        return value
    while value.ndim > want and value.shape[0] == 1:
        value = value[0]
    return value.contiguous()


def _add_noise(state: dict) -> None:
    """Old files lack the stored noise; any fixed noise will do, so it is drawn from a seed."""
    for name in [n for n in state if n.endswith(".noise_strength")]:
        buffer = name.replace("noise_strength", "noise_const")
        if buffer not in state:
            size = int(re.search(r"\.b(\d+)\.", name)[1])
            if size > MAX_NOISE:
                raise RefusedFile(f"This checkpoint has layers of more than {MAX_NOISE} px, which are not read.")
            state[buffer] = torch.randn(size, size, generator=torch.Generator().manual_seed(size))
