"""What a drag is asked to do, within bounds and in the units of one network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from models.pullback import sketched
from models.stylegan2 import Generator
from weights.errors import UserError

from .. import checks
from ..defaults import MAX_HANDLES
from ..images import read_mask
from ..latents import spread
from .motion import Options, Point

MAX_POINTS = MAX_HANDLES
MAX_STEPS = 2000
MODES = ("fast", "reference")
SPACES = ("w+", "w")
PAINTED = ("flexible", "fixed")
NOISE_MODES = ("const", "none")
MASK_SPACES = ("features", "picture")  # what a mask compares
MAPS = 64  # of a feature block that searches take


@dataclass(frozen=True)
class Defaults:
    """What ``drag`` takes for a network where nothing is said.

    ``r1`` and ``r2`` in pixels at 512 px, as the argument; ``stop_distance`` in pixels of the picture.
    """

    lr: float
    rows: int
    feature_resolution: int
    r1: float
    r2: float
    stop_distance: float
    mask_space: str
    mask_weight: float


def defaults(net: Generator, mode: str = "fast") -> Defaults:
    """Values with which drags arrive soon on a network of this size and this spread of latents.

    ``mode="reference"``: the authors' radii and distance; their block, or the same as ours where a network lacks it.
    """
    size, block = net.img_resolution, default_feature_block(net)
    usual = Defaults(
        lr=0.06 * spread(net),
        rows=min(6, net.num_ws),
        feature_resolution=block,
        # Few cells of few channels say little about a place: small networks need a larger region (8 % of the width).
        r1=max(3.0, 40 * min(1.0, 128 / size)),
        r2=max(12.0, 32 * min(1.0, 128 / size)),
        stop_distance=max(1.0, min(2.0, 3 * size / 256), 2 * size / 512),
        # In coarse features every change shows everywhere: what holds them holds the handle. Of 12 seeded drags of
        # 21 px on the 128 px faces 7.5 px are left if features, 3 if colours keep the rest to a third of its change.
        mask_space="features" if size > 128 else "picture",
        mask_weight=mask_weight_of("features" if size > 128 else "picture", size),
    )
    wide = size <= 128 and 2 * block >= size and net.synthesis.widths[block] >= MAPS
    if wide:
        # Many maps in a fine block, as in the 128 px faces: small regions and small steps. Steps of 0.0186, 0.026 and
        # 0.037 leave 31, 33 and 32 % of 8 pairs of ``benchmarks drag-landmarks`` (5 points). Of 24 long drags of
        # ``drag-accuracy`` 79, 83 and 96 % arrive, and flow finds 10.0, 10.6 and 11.8 of 19 px left: large steps
        # change the face where they should move it.
        usual = replace(usual, lr=0.026 * spread(net), rows=net.num_ws, r1=12.0, stop_distance=0.5)
    if mode == "reference":  # whose steps are equally long in all entries of w, and soon too long
        return replace(
            usual,
            lr=(0.0186 if wide else 0.06) * spread(net),
            rows=min(8 if wide else 6, net.num_ws),
            r1=3.0,
            r2=12.0,
            stop_distance=max(2.0, 2 * size / 512),
            mask_space="features",
            mask_weight=20.0,
        )
    return usual


def mask_weight_of(space: str, size: int) -> float:
    """The authors' lambda for features; for colours what leaves a third of their change, measured at 64 and 128 px."""
    return 20.0 if space == "features" else 20.0 / size


def default_feature_block(net: Generator) -> int:
    """The block whose features tell places apart: the finest up to 128 px and half the picture with 64 maps or more.

    Sixteen or 32 maps, as thin networks have in their finer blocks, are alike in too many places: of 24 seeded drags on
    the 128 px faces flow found the ends 18 px from their targets with the block of 64 px, 13 with 32 and 7 with 16.
    """
    most = min(128, max(4, net.img_resolution // 2))
    wide = [res for res, maps in net.synthesis.widths.items() if res <= most and maps >= MAPS]
    return max(wide, default=most)


def options(
    net: Generator,
    mode: str,
    space: str,
    lr: float | None,
    r1: float | None,
    r2: float | None,
    mask,
    mask_weight: float | None,
    mask_space: str,
    painted: str,
    latent_weight: float,
    rows: int | None,
    feature_resolution: int | None,
    stop_distance: float | None,
    noise_mode: str,
) -> Options:
    """Arguments of ``draggan.drag`` as ``Options``. Raises UserError."""
    usual, size = defaults(net, checks.choice(mode, "The mode", MODES)), net.img_resolution
    block = usual.feature_resolution
    if feature_resolution is not None:
        block = checks.integer(feature_resolution, "The feature resolution", 4, size)
        if block not in net.synthesis.widths:
            raise UserError(f"The feature resolution must be one of {', '.join(map(str, net.synthesis.widths))}.")
    fixed = _fixed(mask, size, checks.choice(painted, "What is painted", PAINTED))
    mask_space = checks.choice(mask_space, "What the mask compares", ("auto", *MASK_SPACES))
    if mask_space == "auto":
        mask_space = usual.mask_space
    elif mode == "reference" and mask_space != "features":
        raise UserError("The authors' arithmetic holds features; choose the fast one to hold colours.")
    moving = usual.rows
    if fixed is not None and mask_space == "picture":  # what has part in the colours can also keep them
        moving = max(moving, colour_rows(net, block))
    stop = usual.stop_distance
    if stop_distance is not None:
        stop = checks.number(stop_distance, "The stop distance", 0.05, size)
    return Options(
        mode=mode,
        space=checks.choice(space, "The space", SPACES),
        rows=moving if rows is None else checks.integer(rows, "The number of rows", 1, net.num_ws),
        feature_resolution=block,
        noise_mode=checks.choice(noise_mode, "The noise mode", NOISE_MODES),
        lr=usual.lr if lr is None else checks.number(lr, "The step size", 1e-5, 1),
        r1=(usual.r1 if r1 is None else checks.number(r1, "r1", 0.1, 100)) * size / 512,
        r2=(usual.r2 if r2 is None else checks.number(r2, "r2", 0.1, 200)) * size / 512,
        stop=stop,
        near=1.0 if mode == "reference" else stop / 2,
        mask_weight=mask_weight_of(mask_space, size)
        if mask_weight is None
        else checks.number(mask_weight, "The mask weight", 0, 1000),
        mask_space=mask_space,
        latent_weight=checks.number(latent_weight, "The latent weight", 0, 100),
        fixed=fixed,
    )


def colour_rows(net: Generator, block: int) -> int:
    """How many of the first rows of w+ have part in the picture of which a mask compares the colours."""
    last = sketched(net.synthesis, block)
    return net.num_ws if last is None else min(net.num_ws, net.synthesis.rows(last).stop + 1)


def pairs(handles: Sequence[Point], targets: Sequence[Point], size: int) -> tuple[list[Point], list[Point]]:
    """As many targets as handles, all within a picture of ``size`` pixels. Raises UserError."""
    found = []
    for name, points in (("handle", handles), ("target", targets)):
        points = points.tolist() if hasattr(points, "tolist") else points
        if isinstance(points, Sequence) and not len(points):
            raise UserError("Place at least one handle and its target.")
        points = checks.sequence(points, f"The list of {name}s", 1, MAX_POINTS)
        found.append([_inside(point, f"{name.capitalize()} {i + 1}", size) for i, point in enumerate(points)])
    if len(found[0]) != len(found[1]):
        raise UserError(f"Every handle needs a target: there are {len(found[0])} handles and {len(found[1])} targets.")
    return found[0], found[1]


def _inside(point, name: str, size: int) -> Point:
    try:
        x, y = (float(v) for v in point)
    except (TypeError, ValueError):
        raise UserError(f"{name} must be two numbers, x and y.") from None
    if not (math.isfinite(x) and math.isfinite(y)) or not (-0.5 <= min(x, y) and max(x, y) <= size - 0.5):
        raise UserError(f"{name} lies outside the picture of {size} x {size} pixels; place it inside.")
    return min(max(x, 0.0), size - 1.0), min(max(y, 0.0), size - 1.0)


def _fixed(mask, size: int, painted: str) -> Tensor | None:
    """``[size, size]`` from 0 (may move) to 1 (must stay); None where nothing is painted or nothing is held."""
    if mask is None:
        return None
    paint = read_mask(mask, size)
    if not paint.any():
        return None
    fixed = paint if painted == "fixed" else 1 - paint
    if fixed.min() >= 1:
        raise UserError("Everything is held in place, so nothing can move; paint less.")
    return fixed if fixed.any() else None
