"""What was drawn for iGAN, and the constraints that it becomes (Zhu et al. 2016, section 4.1).

A round of drawing is an ``Edits``: colours, lines, moved patches. It is what recipes carry; ``constraints`` lays rounds
over each other and gives what the pictures of a generator are compared with.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from models.hog import CELL, cells_of, hog
from weights.errors import UserError

from .. import checks
from ..images import MAX_MASK, decode_png, read_mask
from .latent_space import Space

EDGE_SIZE = 64  # pixels at which edges are compared: cells of 8 px are an eighth of the picture there, as in the paper
MAX_PATCHES = 16
MAX_ROUNDS = 32
MIN_PATCH = 2  # pixels
LARGE = f"The painted picture is larger than {MAX_MASK} pixels; make it as large as the network's."


@dataclass(frozen=True)
class Warp:
    """A square patch of ``size`` pixels a side, cut around ``source`` and put around ``target``; (x, y) in pixels."""

    source: tuple[float, float]
    target: tuple[float, float]
    size: float


@dataclass(frozen=True)
class Edits:
    """One round of drawing, as ``igan.brush`` takes it.

    ``colour``: RGBA picture (or the text of ``encode_colour``), asked for where alpha is above 0. ``sketch``: lines, as
    ``images.read_mask`` takes them. ``warp``: patches. ``z0``: the latent whose picture the patches were cut from.
    """

    colour: Any = None
    sketch: Any = None
    warp: Sequence[Warp | Mapping] | None = None
    z0: Any = None


@dataclass(frozen=True)
class Constraints:
    """What pictures ``[N, 3, S, S]`` are compared with; masks are 0 to 1, and None where nothing is asked for.

    ``colour [1, 3, S, S]``, ``colour_mask [1, 1, S, S]``;
    ``edges [1, 8, 8, 8]``, ``edge_mask [1, 1, 8, 8]`` histograms.
    """

    colour: Tensor | None = None
    colour_mask: Tensor | None = None
    edges: Tensor | None = None
    edge_mask: Tensor | None = None

    def errors(self, images: Tensor) -> dict[str, Tensor]:
        """Mean square differences ``[N]`` under the masks, ``colour`` and ``sketch``, where they are asked for."""
        found = {}
        if self.colour is not None:
            apart = (images - self.colour).square().mean(dim=1, keepdim=True)
            found["colour"] = _mean_under(apart, self.colour_mask)
        if self.edges is not None:
            apart = (edges_of(images) - self.edges).square().mean(dim=1, keepdim=True)
            found["sketch"] = _mean_under(apart, self.edge_mask)
        return found


def _mean_under(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum(dim=(1, 2, 3)) / mask.sum()


def edges_of(images: Tensor) -> Tensor:
    """``[N, 8, 8, 8]`` histograms of pictures of any size."""
    if images.shape[-1] != EDGE_SIZE:
        smaller = images.shape[-1] > EDGE_SIZE
        images = F.interpolate(images, size=(EDGE_SIZE,) * 2, mode="bilinear", align_corners=False, antialias=smaller)
    return hog(images)


def encode_colour(colour: Image.Image, size: int) -> str:
    """A painted RGBA picture as text (PNG in base64) at ``size`` pixels a side; ``Edits.colour`` takes it back."""
    colour, alpha = read_colour(colour, size)
    levels = torch.cat([(colour + 1) / 2, alpha]).mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(levels, "RGBA").save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def read_colour(value: Any, size: int) -> tuple[Tensor, Tensor]:
    """Colours ``[3, size, size]`` in [-1, 1] and how much of each pixel is painted, ``[1, size, size]`` 0 to 1."""
    if isinstance(value, str):
        value = decode_png(value, (1, MAX_MASK), LARGE, "This text is no painted picture; paint it again.")
    if isinstance(value, np.ndarray) and value.ndim == 3 and value.shape[2] == 4 and value.dtype == np.uint8:
        value = Image.fromarray(value)
    if not isinstance(value, Image.Image) or "A" not in value.getbands():
        raise UserError("Painted colours must be a picture with an alpha channel, which says where they are.")
    if max(value.size) > MAX_MASK:
        raise UserError(LARGE)
    levels = np.asarray(value.convert("RGBA"), dtype=np.float32) / 255
    alpha = levels[..., 3:]
    # Averaged with their weights, so that what nobody painted tints nothing at the brush's edge.
    planes = np.concatenate([levels[..., :3] * alpha, alpha], axis=2)
    planes = torch.from_numpy(planes).permute(2, 0, 1)[None]
    if planes.shape[2:] != (size, size):
        planes = F.interpolate(planes, size=(size, size), mode="area")
    rgb, alpha = planes[0, :3], planes[0, 3:]
    return rgb / alpha.clamp_min(1e-6) * 2 - 1, alpha


# -- rounds become constraints ---------------------------------------------------------------------------------------


def rounds(given: Any) -> list[Edits]:
    """Earlier rounds as ``igan.brush`` takes them: an ``Edits``, a table with its fields, a list of these, or None."""
    if given is None:
        return []
    if isinstance(given, (Edits, Mapping)):
        given = [given]
    return [_edits(item) for item in checks.sequence(given, "What is fixed", 0, MAX_ROUNDS)]


def _edits(value: Any) -> Edits:
    if isinstance(value, Edits):
        return value
    names = {field.name for field in fields(Edits)}
    if not isinstance(value, Mapping) or set(value) - names:
        raise UserError(f"What is fixed must have {', '.join(sorted(names))}, and nothing else.")
    return Edits(**value)


@torch.inference_mode(False)
def constraints(space: Space, drawn: Sequence[Edits]) -> Constraints:
    """Rounds laid over each other, the last on top. Raises UserError, also when nothing at all is asked for."""
    size, device = space.size, space.device
    colour, colour_mask = torch.zeros(3, size, size), torch.zeros(1, size, size)
    edges, edge_mask = torch.zeros(8, EDGE_SIZE // CELL, EDGE_SIZE // CELL), torch.zeros(1, *(EDGE_SIZE // CELL,) * 2)

    def over(new: Tensor, mask: Tensor) -> None:
        nonlocal colour, colour_mask
        under = colour_mask * (1 - mask)
        colour = (new * mask + colour * under) / (mask + under).clamp_min(1e-6)
        colour_mask = mask + under

    def edges_over(picture: Tensor, mask: Tensor) -> None:
        nonlocal edges, edge_mask
        edges = torch.where(mask > 0, hog(picture[None])[0], edges)
        edge_mask = torch.maximum(edge_mask, mask)

    for edit in drawn:
        if edit.warp:
            pasted, where = patches(space, edit)
            over(pasted, where)
            small, mask = (F.interpolate(t[None], size=(EDGE_SIZE,) * 2, mode="area")[0] for t in (pasted, where))
            # What lies around a patch is unknown, so only cells that are all inside it have edges to ask for.
            edges_over(small, (F.avg_pool2d(mask[None], CELL)[0] > 0.99).float())
        if edit.colour is not None:
            over(*read_colour(edit.colour, size))
        if edit.sketch is not None:
            lines = read_mask(edit.sketch, size)[None]
            if size != EDGE_SIZE:
                lines = F.interpolate(lines[None], size=(EDGE_SIZE,) * 2, mode="area")[0]
            edges_over(lines.expand(3, -1, -1) * 2 - 1, cells_of((lines[None] > 0.1).float())[0])
    asked = colour_mask.max() > 0, edge_mask.max() > 0
    if not any(asked):
        raise UserError("Nothing is drawn yet; paint a colour, draw a line or move a patch first.")
    return Constraints(
        *((t[None].to(device) for t in (colour, colour_mask)) if asked[0] else (None, None)),
        *((t[None].to(device) for t in (edges, edge_mask)) if asked[1] else (None, None)),
    )


def patches(space: Space, edit: Edits) -> tuple[Tensor, Tensor]:
    """The moved patches of a round: the picture ``[3, S, S]`` that they are, and where, ``[1, S, S]`` 0 or 1."""
    if edit.z0 is None:
        raise UserError("A patch is cut from a picture; choose what to start from before moving one.")
    picture = space.pictures(space.latent(edit.z0))[0]
    size = space.size
    result, covered = torch.zeros_like(picture), torch.zeros(1, size, size)
    for i, value in enumerate(checks.sequence(edit.warp, "The list of patches", 0, MAX_PATCHES)):
        warp = _warp(value, i + 1, size)
        x, y = torch.arange(size, dtype=torch.float32)[None, :], torch.arange(size, dtype=torch.float32)[:, None]
        from_x, from_y = x - warp.target[0] + warp.source[0], y - warp.target[1] + warp.source[1]
        half = warp.size / 2
        inside = ((x - warp.target[0]).abs() <= half) & ((y - warp.target[1]).abs() <= half)
        # What the patch takes along ends with the picture it was cut from.
        inside = inside & (from_x >= -0.5) & (from_x <= size - 0.5) & (from_y >= -0.5) & (from_y <= size - 0.5)
        grid = torch.stack(torch.broadcast_tensors((from_x + 0.5) * 2 / size - 1, (from_y + 0.5) * 2 / size - 1), dim=2)
        cut = F.grid_sample(picture[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]
        result = torch.where(inside[None], cut, result)
        covered = torch.maximum(covered, inside[None].float())
    return result, covered


def _warp(value: Any, number: int, size: int) -> Warp:
    if isinstance(value, Warp):
        value = {"source": value.source, "target": value.target, "size": value.size}
    if not isinstance(value, Mapping) or set(value) != {"source", "target", "size"}:
        raise UserError(f"Patch {number} must have a source, a target and a size.")

    def place(name: str) -> tuple[float, float]:
        found = checks.sequence(value[name], f"The {name} of patch {number}", 2, 2)
        x, y = (checks.number(v, f"The {name} of patch {number}", -0.5, size - 0.5) for v in found)
        return x, y

    side = checks.number(value["size"], f"The size of patch {number}", MIN_PATCH, size)
    return Warp(place("source"), place("target"), side)
