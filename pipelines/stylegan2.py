"""StyleGAN2 (Karras et al. 2020): pictures, truncation, style mixing, interpolation, noise and directions.

StyleGAN3 (Karras et al. 2021) passes everywhere but in ``noise``. It has no noise inputs, so that it ignores
``noise_mode`` and ``noise_seed``.

``net`` is a generator of ``weights.load``. A seed means ``z = RandomState(seed).randn(z_dim)``, as in the official
programs, so that seeds known from elsewhere give the same faces here. Values out of bounds raise ``UserError``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models import device_of, stylegan3
from models.stylegan2 import Generator as StyleGAN2
from models.stylegan2 import truncate
from weights.errors import UserError

from . import checks, progress
from . import directions as named_directions
from .images import heat_map, to_pil
from .registry import recipe

Generator = StyleGAN2 | stylegan3.Generator
MAX_PICTURES = 64
MAX_SEED = 2**32 - 1
GROUPS = ("coarse", "middle", "fine")
NOISE_MODES = ("const", "random", "none")


# -- what a visitor types ----------------------------------------------------------------------------------------


def parse_seeds(text: str | int | Sequence[int], most: int = MAX_PICTURES) -> list[int]:
    """``"1-16, 42"`` -> ``[1, ..., 16, 42]``; numbers and lists pass too.

    Raises UserError for anything that is not a seed, for none, and for more than ``most``.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        text = [text]
    if not isinstance(text, str):
        values = checks.sequence(text, "Seeds", 1, most)
        return [checks.integer(v, "A seed", 0, MAX_SEED) for v in values]
    if len(text) > 2000:
        raise UserError(f"That is a long text for seeds; up to {most} numbers fit, such as 1-16, 42.")
    seeds: list[int] = []
    for part in filter(None, re.split(r"[,;\s]+", re.sub(r"\s*[-–]\s*", "-", text.strip()))):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if not match:
            raise UserError(f"“{part[:20]}” is not a seed; write whole numbers and ranges, such as 1-16, 42.")
        if max(len(number.lstrip("0")) for number in match.groups("")) > 10:
            raise UserError(f"Seeds are whole numbers from 0 to {MAX_SEED:,}.")
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if max(first, last) > MAX_SEED:
            raise UserError(f"Seeds are whole numbers from 0 to {MAX_SEED:,}.")
        if abs(last - first) + 1 + len(seeds) > most:
            raise UserError(f"At most {most} seeds fit here.")
        seeds.extend(range(first, last + 1) if last >= first else range(first, last - 1, -1))
    if not seeds:
        raise UserError("Write at least one seed, such as 1-16, 42.")
    return seeds


def layer_groups(net: Generator) -> dict[str, range]:
    """The rows of w+ that steer each group: coarse 4 to 8 px, middle 16 to 32 px, fine from 64 px on.

    A layer of StyleGAN3 counts as the resolution that its cutoff frequency needs, two pixels a cycle.
    """
    resolutions = net.synthesis.row_resolutions()  # they grow from row to row
    starts = [sum(res < low for res in resolutions) for low in (0, 16, 64)]
    return {name: range(*bounds) for name, bounds in zip(GROUPS, pairwise([*starts, net.num_ws]), strict=True)}


def parse_layers(net: Generator, layers: str | Sequence[int]) -> list[int]:
    """``"coarse"``, ``"coarse+fine"``, ``"all"``, ``"3-7"``, ``"0, 2"`` or a list -> row numbers of w+."""
    if not isinstance(layers, str):
        return [
            checks.integer(v, "A layer", 0, net.num_ws - 1) for v in checks.sequence(layers, "Layers", 1, net.num_ws)
        ]
    text = layers.strip().lower()
    if text == "all":
        return list(range(net.num_ws))
    groups = layer_groups(net)
    names = [n.strip() for n in text.split("+")]
    if all(n in groups for n in names):
        rows = sorted({r for n in names for r in groups[n]})
        if not rows:
            raise UserError(f"This network of {net.img_resolution} px has no {text} layers.")
        return rows
    if not re.fullmatch(r"[\d\s,\-–]+", text):
        raise UserError("Layers are coarse, middle, fine, all, or numbers such as 3-7.")
    rows = sorted(set(parse_seeds(text, most=4 * net.num_ws)))
    if rows[-1] >= net.num_ws:
        raise UserError(f"This network has layers 0 to {net.num_ws - 1}.")
    return rows


# -- latents -----------------------------------------------------------------------------------------------------


def _z(net: Generator, seeds: Sequence[int]) -> Tensor:
    z = np.stack([np.random.RandomState(s).randn(net.z_dim) for s in seeds])
    return torch.from_numpy(z).float().to(device_of(net))


def _c(net: Generator, n: int, class_index: int | None) -> Tensor | None:
    if not net.c_dim:
        return None
    index = checks.integer(0 if class_index is None else class_index, "The class", 0, net.c_dim - 1)
    c = torch.zeros(n, net.c_dim, device=device_of(net))
    c[:, index] = 1
    return c


def _psi_rows(
    net: Generator, truncation_psi: float, truncation_cutoff: int | None, psi_levels: dict | None
) -> list[float]:
    """One psi a row of w+: the general value up to the cutoff, 1 after it, and a group's own value where given."""
    psi = checks.number(truncation_psi, "Truncation psi", -4, 4)
    cutoff = net.num_ws
    if truncation_cutoff is not None:
        cutoff = checks.integer(truncation_cutoff, "The truncation cutoff", 0, net.num_ws)
    rows = [psi if i < cutoff else 1.0 for i in range(net.num_ws)]
    groups = layer_groups(net)
    for name, value in (psi_levels or {}).items():
        checks.choice(name, "A psi level", GROUPS)
        if value is not None:
            value = checks.number(value, f"Psi of the {name} layers", -4, 4)
            for i in groups[name]:
                rows[i] = value
    return rows


@torch.no_grad()
def _w(net, seeds, truncation_psi=0.7, truncation_cutoff=None, psi_levels=None, class_index=None) -> Tensor:
    rows = _psi_rows(net, truncation_psi, truncation_cutoff, psi_levels)
    ws = net.mapping(_z(net, seeds), _c(net, len(seeds), class_index))
    return truncate(ws, net.mapping.w_avg, rows)


def latent(net: Generator, seed: int = 1, truncation_psi: float = 0.7, class_index: int | None = None) -> Tensor:
    """w+ ``[1, num_ws, w_dim]`` of one seed, for what starts from a latent (dragging, editing)."""
    return _w(net, parse_seeds(seed, 1), truncation_psi, class_index=class_index)


@torch.no_grad()
def _render(net: Generator, ws: Tensor, noise_mode: str, noise_seed: int = 0) -> list[Image.Image]:
    """Pictures of w+, a few at a time. Random noise depends on ``noise_seed`` and the place in the batch alone."""
    checks.choice(noise_mode, "The noise mode", NOISE_MODES)
    noise_seed = checks.integer(noise_seed, "The noise seed", 0, MAX_SEED)
    # About 128 MB of the largest feature maps at a time, whatever the resolution.
    batch = max(1, min(16, 2**25 // (net.synthesis.largest_map * 2)))
    pictures = []
    i = 0
    while i < len(ws):
        if noise_mode == "random":  # one picture a generator: a seed's picture is the same in any company
            for j in range(i, min(i + batch, len(ws))):
                generator = torch.Generator().manual_seed(noise_seed * 100_003 + j)
                pictures += to_pil(net.synthesis(ws[j : j + 1], noise_mode="random", generator=generator))
        else:
            part = ws[i : i + batch]
            try:
                pictures += to_pil(net.synthesis(part, noise_mode=noise_mode))
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
            if len(pictures) == i:  # outside of the handler, whose error holds the memory: the same in smaller parts
                batch = (len(part) + 1) // 2
                continue
        i = len(pictures)
        progress.passed(len(pictures), len(ws))
    return pictures


def picture(net: Generator, w: Tensor, noise_mode: str = "const") -> Image.Image:
    """The picture of w+ ``[1, num_ws, w_dim]``, as ``latent`` gives it."""
    return _render(net, w.to(device_of(net)), noise_mode)[0]


# -- the cells ---------------------------------------------------------------------------------------------------


@recipe("images")
def sample(
    net: Generator,
    seeds: Sequence[int] | str,
    truncation_psi: float = 0.7,
    truncation_cutoff: int | None = None,
    noise_mode: str = "const",
    noise_seed: int = 0,
    class_index: int | None = None,
    psi_levels: dict[str, float] | None = None,
) -> list[Image.Image]:
    """One picture a seed.

    Args:
        seeds: numbers, or text such as ``"1-16, 42"``; at most 64.
        truncation_psi: ``w' = w_avg + psi (w - w_avg)``; 1 leaves w alone, 0 gives the average picture.
        truncation_cutoff: rows of w+ from this one on are not truncated.
        noise_mode: const (the stored noise), random (from ``noise_seed``) or none.
        class_index: of conditional networks; 0 when not given.
        psi_levels: own psi for ``coarse``, ``middle`` or ``fine`` rows.
    """
    ws = _w(net, parse_seeds(seeds), truncation_psi, truncation_cutoff, psi_levels, class_index)
    return _render(net, ws, noise_mode, noise_seed)


@recipe("images")
def truncation(
    net: Generator,
    seed: int,
    psis: Sequence[float] = (-1, -0.5, 0, 0.5, 0.7, 1, 1.5, 2),
    truncation_cutoff: int | None = None,
    psi_levels: dict[str, float] | None = None,
    noise_mode: str = "const",
    class_index: int | None = None,
) -> list[Image.Image]:
    """One seed at several psi: from the opposite of w (negative) through the average (0) to beyond w (over 1).

    ``psi_levels`` holds groups at a psi of their own while the others follow the strip.
    """
    psis = checks.sequence(psis, "The list of psi", 1, 32)
    seeds = parse_seeds(seed, 1)
    ws = torch.cat([_w(net, seeds, psi, truncation_cutoff, psi_levels, class_index) for psi in psis])
    return _render(net, ws, noise_mode)


@recipe("rows")
def mix(
    net: Generator,
    row_seeds: Sequence[int] | str,
    col_seeds: Sequence[int] | str,
    layers: str | Sequence[int] = "coarse",
    truncation_psi: float = 0.7,
    noise_mode: str = "const",
    class_index: int | None = None,
) -> list[list[Image.Image]]:
    """Style mixing (Karras et al. 2019, section 3.1): row seed i with ``layers`` taken from column seed j.

    The seeds' own pictures, for the header, come from ``sample``. At most 12 rows and 12 columns.
    """
    rows, cols = parse_seeds(row_seeds, 12), parse_seeds(col_seeds, 12)
    if len(rows) * len(cols) > MAX_PICTURES:
        raise UserError(f"At most {MAX_PICTURES} pictures fit in the grid; {len(rows)} x {len(cols)} are asked for.")
    index = parse_layers(net, layers)
    w_row = _w(net, rows, truncation_psi, class_index=class_index)
    w_col = _w(net, cols, truncation_psi, class_index=class_index)
    ws = w_row[:, None].repeat(1, len(cols), 1, 1)
    ws[:, :, index] = w_col[None, :, index]
    pictures = _render(net, ws.flatten(0, 1), noise_mode)
    return [pictures[i * len(cols) : (i + 1) * len(cols)] for i in range(len(rows))]


EASINGS: dict[str, Callable[[float], float]] = {"linear": lambda t: t, "smooth": lambda t: t * t * (3 - 2 * t)}


def _slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Along the great circle between two z ``[N, z_dim]``, lengths interpolated linearly (White 2016)."""
    la, lb = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    ua, ub = a / la, b / lb
    omega = (ua * ub).sum(dim=1, keepdim=True).clamp(-1, 1).arccos()
    so = omega.sin()
    near = so.abs() < 1e-6  # (anti)parallel: the circle is undefined, the chord will do
    so = torch.where(near, torch.ones_like(so), so)
    u = torch.where(near, torch.lerp(ua, ub, t), ((1 - t) * omega).sin() / so * ua + (t * omega).sin() / so * ub)
    return u * torch.lerp(la, lb, t)


@recipe("frames")
def interpolate(
    net: Generator,
    seeds: Sequence[int] | str,
    frames: int = 60,
    space: str = "w",
    loop: bool = True,
    easing: str = "linear",
    truncation_psi: float = 0.7,
    noise_mode: str = "const",
    class_index: int | None = None,
) -> Iterator[Image.Image]:
    """A walk through 2 to 8 seeds, picture by picture; ``frames`` in all (2 to 600).

    Args:
        space: ``w`` (straight lines between mapped latents) or ``z`` (great circles before the mapping).
        loop: back to the first seed, without showing it twice, so that the animation runs on.
        easing: linear, or smooth (rests at each seed).
    """
    seeds = parse_seeds(seeds, 8)
    if len(seeds) < 2:
        raise UserError("An interpolation needs at least two seeds.")
    frames = checks.integer(frames, "The number of frames", 2, 600)
    checks.choice(space, "The space", ("w", "z"))
    ease = EASINGS[checks.choice(easing, "The easing", tuple(EASINGS))]
    checks.choice(noise_mode, "The noise mode", NOISE_MODES)
    psi = checks.number(truncation_psi, "Truncation psi", -4, 4)
    _c(net, 1, class_index)
    return _walk(net, seeds, frames, space, bool(loop), ease, psi, noise_mode, class_index)


def _walk(net, seeds, frames, space, loop, ease, psi, noise_mode, class_index):
    keys = _z(net, seeds) if space == "z" else _w(net, seeds, psi, class_index=class_index)
    stops = len(seeds) if loop else len(seeds) - 1
    batch = max(1, min(8, 2**18 // net.img_resolution**2))
    for start in range(0, frames, batch):
        numbers = range(start, min(start + batch, frames))
        places = [i * stops / (frames if loop else frames - 1) for i in numbers]
        left = [min(int(p), stops - 1) for p in places]
        right = [(i + 1) % len(seeds) for i in left]
        t = torch.tensor([ease(p - i) for p, i in zip(places, left, strict=True)], device=keys.device)
        t = t.reshape(-1, *[1] * (keys.ndim - 1))
        with torch.no_grad():
            if space == "z":
                z = _slerp(keys[left], keys[right], t)
                ws = truncate(net.mapping(z, _c(net, len(z), class_index)), net.mapping.w_avg, psi)
            else:
                ws = torch.lerp(keys[left], keys[right], t)
        yield from _render(net, ws, noise_mode)


@dataclass(frozen=True)
class NoiseVariation:
    """What noise alone changes: pictures of one w, and where they differ.

    ``deviation`` is the heat map of the standard deviation over many noises (mean of the three colours);
    ``mean_deviation`` and ``max_deviation`` are its numbers in levels of 0 to 255.
    """

    images: list[Image.Image]
    deviation: Image.Image
    mean_deviation: float
    max_deviation: float


@recipe("variation")
@torch.no_grad()
def noise(
    net: Generator,
    seed: int,
    count: int = 8,
    truncation_psi: float = 0.7,
    noise_seed: int = 0,
    class_index: int | None = None,
) -> NoiseVariation:
    """Same w, ``count`` (2 to 32) noises (Karras et al. 2019, section 3.2; figure 4's deviation map)."""
    count = checks.integer(count, "The number of noises", 2, 32)
    if isinstance(net, stylegan3.Generator):
        raise UserError("StyleGAN3 networks have no noise inputs; choose a StyleGAN2 network for this.")
    ws = _w(net, parse_seeds(seed, 1), truncation_psi, class_index=class_index).repeat(count, 1, 1)
    images = _render(net, ws, "random", noise_seed)
    levels = np.stack([np.asarray(im, dtype=np.float32) for im in images])
    deviation = levels.std(axis=0, ddof=1).mean(axis=2)
    return NoiseVariation(images, heat_map(deviation, 256), float(deviation.mean()), float(deviation.max()))


@dataclass(frozen=True)
class Directions:
    """Directions in w: ``vectors [k, w_dim]`` of unit length, their ``names``, and the share of the weights' energy."""

    names: tuple[str, ...]
    vectors: Tensor
    strengths: tuple[float, ...]


@torch.no_grad()
def directions(net: Generator, layers: str | Sequence[int] = "all", count: int = 8) -> Directions:
    """Closed-form factorisation (SeFa, Shen and Zhou 2021): eigenvectors of ``A^T A``, A the layers' style weights.

    They are the directions of w that move the styles of the chosen layers most. Named "1", "2", ... by strength.
    """
    count = checks.integer(count, "The number of directions", 1, min(64, net.w_dim))
    chosen = set(parse_layers(net, layers))
    a = torch.cat([weight for row, weight in net.synthesis.style_weights() if row in chosen]).cpu()
    a = a / a.norm(dim=1, keepdim=True).clamp_min(1e-12)
    values, vectors = torch.linalg.eigh(a.t() @ a)
    vectors = vectors.flip(1).t()[:count]
    # An eigenvector has no sign of its own: its largest entry is made positive, so that every machine agrees.
    sign = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True)).sign()
    strengths = (values.flip(0)[:count] / values.sum()).tolist()
    names = tuple(str(i + 1) for i in range(count))
    return Directions(names, (vectors * sign).float().to(device_of(net)), tuple(strengths))


def _offset(net: Generator, amounts: dict[str, float], layers, own=None, apart: bool = False) -> Tensor:
    """What the amounts add to w+, ``[1, num_ws, w_dim]``; one unit is one deviation of w along the direction."""
    if not isinstance(amounts, dict) or len(amounts) > 64:
        raise UserError("Directions are given as a table of names and amounts, at most 64.")
    rows = parse_layers(net, layers)
    everywhere = len(rows) == net.num_ws
    numbered = directions(net, layers, min(64, net.w_dim))
    shipped = named_directions.named(net)
    known = {**shipped, **named_directions.decode_all(own, net)}
    offset = torch.zeros(1, net.num_ws, net.w_dim, device=device_of(net))
    for name, amount in amounts.items():
        amount = checks.number(amount, f"The amount of direction {str(name)[:30]}", -20, 20)
        if str(name) in known:
            one = known[str(name)]
            if apart and amount and str(name) in shipped:
                one = named_directions.apart(one, shipped)
            offset += amount * one.step(None if everywhere else rows).to(offset)
        elif str(name) in numbered.names:
            v = numbered.vectors[numbered.names.index(str(name))]
            offset[:, rows] += amount * _spread(net, v) * v
        else:
            there = f"1 to {len(numbered.names)}" + "".join(f", {other}" for other in known)
            raise UserError(f"There is no direction “{str(name)[:30]}”; this network has {there}.")
    return offset


@torch.no_grad()
def _spread(net: Generator, v: Tensor) -> float:
    """Standard deviation of w along a direction, from 512 seeded latents."""
    z = torch.randn(512, net.z_dim, generator=torch.Generator().manual_seed(0)).to(v.device)
    return float((net.mapping(z, _c(net, len(z), None))[:, 0] @ v).std())


@recipe("image")
def move(
    net: Generator,
    seed: int,
    amounts: dict[str, float],
    layers: str | Sequence[int] = "all",
    truncation_psi: float = 0.7,
    noise_mode: str = "const",
    class_index: int | None = None,
    own: dict[str, str] | None = None,
    apart: bool = False,
) -> Image.Image:
    """One seed moved along directions; an amount of 1 is one deviation of w (-20 to 20).

    Args:
        amounts: by the names of ``directions(net, layers)``, of ``pipelines.directions.named(net)``, or of ``own``.
        layers: of numbered directions the rows they are found in and move; named ones move their own rows of w+ where
            this is "all", else these.
        own: directions of files, by name, as text of ``pipelines.directions.encode``.
        apart: named directions without what they have of the other named ones.

    Raises UserError.
    """
    ws = _w(net, parse_seeds(seed, 1), truncation_psi, class_index=class_index)
    ws = ws + _offset(net, amounts, layers, own, apart)
    return _render(net, ws, noise_mode)[0]


@recipe("images")
def move_strip(
    net: Generator,
    seed: int,
    direction: str = "1",
    amounts: Sequence[float] = (-4, -3, -2, -1, 0, 1, 2, 3, 4),
    layers: str | Sequence[int] = "all",
    truncation_psi: float = 0.7,
    noise_mode: str = "const",
    class_index: int | None = None,
    own: dict[str, str] | None = None,
    apart: bool = False,
) -> list[Image.Image]:
    """One direction at several amounts, at most 32; arguments as ``move`` takes them. Raises UserError."""
    amounts = [checks.number(a, "An amount", -20, 20) for a in checks.sequence(amounts, "Amounts", 1, 32)]
    ws = _w(net, parse_seeds(seed, 1), truncation_psi, class_index=class_index)
    unit = _offset(net, {str(direction): 1.0}, layers, own, apart)
    return _render(net, torch.cat([ws + unit * a for a in amounts]), noise_mode)


@recipe("counts", checkpoint="none")
def parameter_count(
    resolution: int = 128,
    mapping_layers: int = 8,
    z_dim: int = 512,
    w_dim: int = 512,
    channel_base: int = 16384,
    channel_max: int = 512,
) -> dict[str, int]:
    """Generator parameters of a configuration: ``mapping``, ``synthesis``, ``total``. Nothing is allocated."""
    resolution = checks.integer(resolution, "The resolution", 4, 1024)
    if resolution & (resolution - 1):
        raise UserError("The resolution must be a power of two.")
    with torch.device("meta"):
        net = StyleGAN2(
            z_dim=checks.integer(z_dim, "z_dim", 1, 4096),
            w_dim=checks.integer(w_dim, "w_dim", 1, 4096),
            img_resolution=resolution,
            mapping_layers=checks.integer(mapping_layers, "The mapping depth", 1, 16),
            channel_base=checks.integer(channel_base, "The channel base", 64, 65536),
            channel_max=checks.integer(channel_max, "The channel limit", 4, 2048),
        )
    counts = {part: sum(p.numel() for p in getattr(net, part).parameters()) for part in ("mapping", "synthesis")}
    return {**counts, "total": counts["mapping"] + counts["synthesis"]}
