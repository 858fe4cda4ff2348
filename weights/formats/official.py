"""State dicts with the names of the official StyleGAN2 code: what the tensors alone tell about the network.

Widths, depths and the architecture can be read from names and shapes. What cannot (the learning-rate multiplier of the
mapping, the clamp, the precision) has the default of stylegan2-ada-pytorch unless the caller knows better.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from ..errors import RefusedFile
from .checkpoint import shapes_of

TAPS = (1.0, 3.0, 3.0, 1.0)


def is_generator(names: Mapping) -> bool:
    return "synthesis.b4.const" in names and "synthesis.b4.conv1.weight" in names


def is_discriminator(names: Mapping) -> bool:
    return "b4.out.weight" in names and "b4.fc.weight" in names and "b4.conv.weight" in names


def generator_config(state: Mapping, **known) -> dict:
    """Constructor arguments of ``models.stylegan2.Generator`` for a state dict (of tensors or records).

    Raises RefusedFile for shapes that no StyleGAN2 generator has.
    """
    shapes = shapes_of(state)
    const = _shape(shapes, "synthesis.b4.const", 3)
    resolutions = _resolutions(shapes, r"synthesis\.b(\d+)\.conv1\.weight")
    if const[1] != const[2]:
        raise RefusedFile(
            f"This generator makes pictures that are not square (its first map is {const[2]}×{const[1]}),"
            " which this version cannot show."
        )
    last = resolutions[-1]
    torgb = {r for r in resolutions if f"synthesis.b{r}.torgb.weight" in shapes}
    affine = _shape(shapes, "synthesis.b4.conv1.affine.weight", 2)
    width = _shape(shapes, "synthesis.b4.conv1.weight", 4)[0]
    layers = _count(shapes, r"mapping\.fc(\d+)\.weight")
    first = _shape(shapes, "mapping.fc0.weight", 2)
    embed = shapes.get("mapping.embed.weight")
    config = {
        "z_dim": first[1] - (embed[0] if embed else 0),
        "c_dim": embed[1] if embed else 0,
        "w_dim": affine[1],
        "img_resolution": last,
        "img_channels": _shape(shapes, f"synthesis.b{last}.torgb.weight", 4)[0],
        "mapping_layers": layers,
        "embed_features": embed[0] if embed else None,
        "layer_features": first[0] if layers > 1 else None,
        "channels": {r: _shape(shapes, f"synthesis.b{r}.conv1.weight", 4)[0] for r in resolutions},
        "architecture": _architecture(
            any(f"synthesis.b{r}.skip.weight" in shapes for r in resolutions), torgb == set(resolutions)
        ),
        "resample_filter": taps(state.get("synthesis.b4.resample_filter")),
        "use_noise": "synthesis.b4.conv1.noise_const" in shapes,
        "modulation": "adain" if affine[0] == 2 * width else "demod",
    }
    if "mapping.w_avg" not in shapes:
        config["w_avg_beta"] = None
    return config | known


def discriminator_config(state: Mapping, **known) -> dict:
    """Constructor arguments of ``models.stylegan2.Discriminator`` for a state dict (of tensors or records)."""
    shapes = shapes_of(state)
    resolutions = _resolutions(shapes, r"b(\d+)\.conv0\.weight", lowest=8)
    last = resolutions[-1]
    conv = _shape(shapes, "b4.conv.weight", 4)
    embed = shapes.get("mapping.embed.weight")
    layers = _count(shapes, r"mapping\.fc(\d+)\.weight") if embed else 8
    config = {
        "c_dim": embed[1] if embed else 0,
        "img_resolution": last,
        "img_channels": _shape(shapes, f"b{last}.fromrgb.weight", 4)[1],
        "architecture": _architecture(f"b{last}.skip.weight" in shapes, "b4.fromrgb.weight" in shapes),
        "channels": {4: conv[0]} | {r: _shape(shapes, f"b{r}.conv0.weight", 4)[0] for r in resolutions},
        "cmap_dim": _shape(shapes, "b4.out.weight", 2)[0] if embed else None,
        "mapping_layers": layers,
        "embed_features": embed[0] if embed else None,
        "layer_features": _shape(shapes, "mapping.fc0.weight", 2)[0] if embed and layers > 1 else None,
        "mbstd_num_channels": conv[1] - conv[0],
        "resample_filter": taps(state.get("b4.conv.resample_filter")),
    }
    return config | known


def taps(stored) -> list[float]:
    """The 1-D filter behind a stored (normalised, separable) blur kernel, scaled as the constructor takes it."""
    if stored is None:
        return list(TAPS)
    kernel = (stored if isinstance(stored, torch.Tensor) else stored.tensor()).double()
    if kernel.ndim not in (1, 2) or not 1 <= kernel.shape[0] <= 64 or kernel.shape[0] != kernel.shape[-1]:
        raise RefusedFile("This checkpoint has a resampling filter of a shape that StyleGAN2 does not use.")
    line = kernel if kernel.ndim == 1 else kernel.sum(dim=0)
    total = line.sum()
    if not torch.isfinite(kernel).all() or abs(float(total)) < 1e-6:
        raise RefusedFile("This checkpoint has a resampling filter that is no filter.")
    line = line / total
    if kernel.ndim == 2 and not torch.allclose(torch.outer(line, line), kernel / kernel.sum(), atol=1e-5):
        raise RefusedFile("This checkpoint has a resampling filter that is not separable, which is not supported.")
    usual = torch.tensor(TAPS, dtype=torch.float64)
    if len(line) == len(TAPS) and torch.allclose(line, usual / usual.sum(), atol=1e-6):
        return list(TAPS)
    return line.tolist()


def _architecture(has_skip: bool, has_all_colours: bool) -> str:
    return "resnet" if has_skip else "skip" if has_all_colours else "orig"


def _shape(shapes: Mapping, name: str, dimensions: int) -> tuple[int, ...]:
    found = shapes.get(name)
    if found is None or len(found) != dimensions or not all(found):
        raise RefusedFile(f"This looks like a StyleGAN2 checkpoint, but {name} is missing or has a wrong shape.")
    return found


def _resolutions(shapes: Mapping, pattern: str, lowest: int = 4) -> list[int]:
    found = sorted({int(m[1]) for name in shapes if (m := re.fullmatch(pattern, name)) and len(m[1]) < 5})
    if not found or found != [lowest * 2**i for i in range(len(found))]:
        raise RefusedFile("This looks like a StyleGAN2 checkpoint, but a resolution is missing in it.")
    return found


def _count(shapes: Mapping, pattern: str) -> int:
    found = {int(m[1]) for name in shapes if (m := re.fullmatch(pattern, name)) and len(m[1]) < 5}
    if not found or found != set(range(len(found))):
        raise RefusedFile("This looks like a StyleGAN2 checkpoint, but a layer of its mapping network is missing.")
    return len(found)
