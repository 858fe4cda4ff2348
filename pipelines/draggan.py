"""DragGAN (Pan et al. 2023, "Drag Your GAN"): handles are pulled to targets by optimising the latent of a picture.

    w = stylegan2.latent(net, seed=1)
    for step in draggan.drag(net, w, handles=[(20, 30)], targets=[(28, 30)]):
        step.image, step.distance      # stop after any, go on from any: drag(..., resume=step)

Points are ``(x, y)`` in pixels of the picture, floats; (0, 0) is the centre of the pixel at the top left, so that the
pixel in column x and row y is the point (x, y) and a click at u from the left edge is x = u - 0.5.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from models.stylegan2 import Generator
from weights.errors import UserError

from . import checks, stylegan2
from .draggan_files import decode_latent, draw, encode_latent, frames, load_latent, save_latent
from .draggan_motion import Engine, Options, Point
from .draggan_reference import ReferenceEngine
from .images import encode_mask, read_mask, to_pil

__all__ = [
    "Defaults",
    "DragState",
    "DragStep",
    "decode_latent",
    "defaults",
    "drag",
    "draw",
    "encode_latent",
    "encode_mask",
    "frames",
    "load_latent",
    "replay",
    "save_latent",
]
MAX_POINTS = 32
MAX_STEPS = 2000
MAX_DRAGS = 64
MODES = ("fast", "reference")
SPACES = ("w+", "w")
PAINTED = ("flexible", "fixed")
NOISE_MODES = ("const", "none")
MATCH = 0.01  # pixels: a handle this near to one of the resumed step is that one
BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class DragState:
    """What continuing needs beside the latent and the points: small, on the CPU, can be pickled.

    ``w0`` [1, num_ws, w_dim]: where the drag began, which the mask refers to. ``templates`` [P, C]: the features at the
    handles when they were placed. ``moments``: Adam's two, ``updates`` their number. ``best`` and ``waited``: of each
    handle the least distance so far and the steps since it was reached. ``kind``: the options under which all this
    means something.
    """

    w0: Tensor
    templates: Tensor
    moments: tuple[Tensor, Tensor]
    updates: int
    best: tuple[float, ...]
    waited: tuple[int, ...]
    kind: tuple


@dataclass(frozen=True)
class DragStep:
    """Where a drag stands; complete in itself.

    ``step``: updates of the latent so far. ``w`` [1, num_ws, w_dim], on the CPU. ``handles`` (where they are now) and
    ``targets``, (x, y). ``distances``: how far each handle is from its target in pixels, ``distance`` the largest.
    ``arrived`` and ``stuck``: of each handle. ``done``: None while it goes on, else ``"arrived"`` (all handles have),
    ``"stuck"`` (those left do not come nearer) or ``"steps"`` (as many as asked for). ``image`` belongs to ``w``;
    None on steps that are not shown.
    """

    step: int
    w: Tensor
    handles: tuple[Point, ...]
    targets: tuple[Point, ...]
    distance: float
    distances: tuple[float, ...]
    arrived: tuple[bool, ...]
    stuck: tuple[bool, ...]
    done: str | None
    image: Image.Image | None
    state: DragState


@dataclass(frozen=True)
class Defaults:
    """What ``drag`` takes for a network where nothing is said; distances in pixels of the picture."""

    lr: float
    rows: int
    feature_resolution: int
    r1: float
    r2: float
    stop_distance: float


def defaults(net: Generator) -> Defaults:
    """The values with which drags arrive quickly on a network of this size and this spread of latents."""
    size = net.img_resolution
    scale = size / 512
    block = min(128, max(4, size // 2))
    return Defaults(
        lr=0.02 * _spread(net),
        rows=min(6, net.num_ws),
        feature_resolution=block,
        r1=max(1.5, 3 * scale),
        r2=max(3.0, 12 * scale),
        stop_distance=max(1.0, 2 * scale),
    )


@torch.no_grad()
def _spread(net: Generator) -> float:
    """Deviation of the entries of w, over 256 seeded latents."""
    device = net.mapping.w_avg.device
    z = torch.randn(256, net.z_dim, generator=torch.Generator().manual_seed(0)).to(device)
    c = torch.eye(net.c_dim, device=device)[torch.arange(256) % net.c_dim] if net.c_dim else None
    return float(net.mapping(z, c)[:, 0].std(dim=0).mean())


def drag(
    net: Generator,
    w: Tensor | None,
    handles: Sequence[Point],
    targets: Sequence[Point],
    mask=None,
    steps: int = 100,
    *,
    resume: DragStep | None = None,
    mode: str = "fast",
    space: str = "w+",
    lr: float | None = None,
    r1: float = 3.0,
    r2: float = 12.0,
    mask_weight: float = 20.0,
    painted: str = "flexible",
    latent_weight: float = 0.0,
    rows: int | None = None,
    feature_resolution: int | None = None,
    stop_distance: float | None = None,
    patience: int = 40,
    show_every: int = 1,
    noise_mode: str = "const",
) -> Iterator[DragStep]:
    """Pulls every handle to its target: motion supervision and point tracking in turn (equations 1 to 3).

    The first step yielded is where it starts (step 0, or that of ``resume`` again), the last one has ``done``. The
    caller may stop after any. The network is not changed.

    Args:
        w: w+ ``[1, num_ws, w_dim]`` or w ``[1, w_dim]``; not looked at (None will do) when ``resume`` is given.
        handles, targets: 1 to 32 points ``(x, y)`` each, inside the picture. A pair of the same point is an anchor:
            it is pulled back when others take it along.
        mask: what may move is painted white: a PIL image (L, 1, RGB), an array [H, W] of bool, 0..1 or 0..255, or the
            text of ``encode_mask``. Other sizes are resized. Nothing painted, or None: everything may move.
        steps: the most updates of the latent in this call, 1 to 2000.
        resume: a step to go on from. Handles of it (to 0.01 px) keep the features by which they are tracked; others
            take theirs from the picture as it is now. Handles, targets, mask and all options may differ from before.
        mode: fast, or reference (the authors' arithmetic: slow, for comparison).
        space: w+ (each of the first rows for itself) or w (all of them together).
        lr: Adam's step size, 1e-5 to 1; None: ``defaults(net).lr``, a share of the deviation of w.
        r1, r2: radius of the region that is pulled and half-width of the window that is searched, in pixels at 512 px;
            scaled with the picture, never to less than can be computed.
        mask_weight: lambda of equation 1, 0 to 1000.
        painted: flexible (paint is what may move) or fixed (paint is what must stay).
        latent_weight: of the mean distance of w+ from where it began, 0 to 100.
        rows: how many of the first rows of w+ are optimised; None: ``defaults(net).rows``.
        feature_resolution: of the synthesis block whose features are used, in pixels.
        stop_distance: a handle this near to its target (pixels of this picture) has arrived.
        patience: steps without coming nearer after which a handle counts as stuck.
        show_every: every so many steps have an image, so do the first and the last; 0: none has.
        noise_mode: const (the network's stored noise) or none.

    Raises:
        UserError: at once, for anything out of bounds.
    """
    options, w0, start, steps, stop, patience, show_every = _checked(
        net, w, mask, steps, resume, mode, space, lr, r1, r2, mask_weight, painted, latent_weight, rows,
        feature_resolution, stop_distance, patience, show_every, noise_mode,
    )  # fmt: skip
    handles, targets = _pairs(handles, targets, net.img_resolution)
    return _steps(net, options, w0, start, handles, targets, resume, steps, stop, patience, show_every)


def replay(
    net: Generator,
    drags: Sequence[dict],
    seed: int = 1,
    truncation_psi: float = 0.7,
    class_index: int | None = None,
    latent: str | None = None,
    show_every: int = 1,
) -> Iterator[DragStep]:
    """Drags one after another, each going on from the last: what a recipe holds, in values that JSON can carry.

    Args:
        drags: 1 to 64 tables of ``drag``'s arguments: handles, targets, steps, mask (text of ``encode_mask``), options.
        seed, truncation_psi, class_index: of the picture to start from, as ``stylegan2.latent`` takes them.
        latent: the text of ``encode_latent`` instead of a seed.

    Yields every step of all drags. Raises UserError.
    """
    drags = checks.sequence(drags, "The list of drags", 1, MAX_DRAGS)
    known = set(inspect.signature(drag).parameters) - {"net", "w", "resume", "show_every"}
    for arguments in drags:
        if (
            not isinstance(arguments, dict)
            or not set(arguments) <= known
            or not {"handles", "targets"} <= set(arguments)
        ):
            raise UserError(
                f"Each drag is a table with handles and targets; it may also say {', '.join(sorted(known))}."
            )
    if latent is None:
        w = stylegan2.latent(net, seed, truncation_psi, class_index)
    else:
        w = decode_latent(latent, net)
    show_every = checks.integer(show_every, "Showing", 0, MAX_STEPS)
    first = drag(net, w, **drags[0], show_every=show_every)
    return _one_after_another(net, first, drags[1:], show_every)


def _one_after_another(net, steps, drags, show_every):
    last = None
    for arguments in [None, *drags]:
        if arguments is not None:
            steps = drag(net, None, **arguments, resume=last, show_every=show_every)
        for step in steps:
            if last is None or step.step > last.step or step.done:  # where it starts has been seen
                yield step
            last = step


def _checked(net, w, mask, steps, resume, mode, space, lr, r1, r2, mask_weight, painted, latent_weight, rows,
             feature_resolution, stop_distance, patience, show_every, noise_mode):  # fmt: skip
    """Arguments within their bounds, scaled to this network."""
    usual, size = defaults(net), net.img_resolution
    if resume is not None and not isinstance(resume, DragStep):
        raise UserError("A drag goes on from a step that a drag has given.")
    start = check_latent(net, w if resume is None else resume.w)
    w0 = start if resume is None else check_latent(net, resume.state.w0)
    checks.choice(mode, "The mode", MODES)
    block = usual.feature_resolution
    if feature_resolution is not None:
        block = checks.integer(feature_resolution, "The feature resolution", 4, size)
        if block not in net.synthesis.widths:
            raise UserError(f"The feature resolution must be one of {', '.join(map(str, net.synthesis.widths))}.")
    r1 = checks.number(r1, "r1", 0.1, 200) * size / 512
    r2 = checks.number(r2, "r2", 0.1, 512) * size / 512
    stop = usual.stop_distance
    if stop_distance is not None:
        stop = checks.number(stop_distance, "The stop distance", 0.05, size)
    options = Options(
        mode=mode,
        space=checks.choice(space, "The space", SPACES),
        rows=usual.rows if rows is None else checks.integer(rows, "The number of rows", 1, net.num_ws),
        feature_resolution=block,
        noise_mode=checks.choice(noise_mode, "The noise mode", NOISE_MODES),
        lr=usual.lr if lr is None else checks.number(lr, "The step size", 1e-5, 1),
        r1=r1 if mode == "reference" else max(r1, usual.r1 * min(1, r1 / (3 * size / 512))),
        r2=r2 if mode == "reference" else max(r2, usual.r2 * min(1, r2 / (12 * size / 512))),
        near=1.0 if mode == "reference" else stop / 2,
        mask_weight=checks.number(mask_weight, "The mask weight", 0, 1000),
        latent_weight=checks.number(latent_weight, "The latent weight", 0, 100),
        fixed=_fixed(mask, size, checks.choice(painted, "What is painted", PAINTED)),
    )
    steps = checks.integer(steps, "The number of steps", 1, MAX_STEPS)
    patience = checks.integer(patience, "The patience", 1, MAX_STEPS)
    show_every = checks.integer(show_every, "Showing", 0, MAX_STEPS)
    return options, w0, start, steps, stop, patience, show_every


def check_latent(net: Generator, w: Tensor) -> Tensor:
    """w+ ``[1, num_ws, w_dim]`` float32 on the network's device, from w or w+. Raises UserError."""
    if not isinstance(w, Tensor) or not w.is_floating_point():
        raise UserError("A drag starts from a latent w or w+; take one from stylegan2.latent.")
    with torch.inference_mode(False):
        w = w.detach().to(device=net.mapping.w_avg.device, dtype=torch.float32, copy=True)
    if w.ndim == 1:
        w = w[None]
    if w.ndim == 2 and w.shape == (1, net.w_dim):
        w = w[:, None].repeat(1, net.num_ws, 1)
    if w.shape != (1, net.num_ws, net.w_dim):
        raise UserError(
            f"This network takes one latent w+ of {net.num_ws} x {net.w_dim} numbers; this one has another size."
        )
    if not bool(torch.isfinite(w).all()) or float(w.abs().max()) > 1e4:
        raise UserError("This latent holds numbers that no picture has; start from another one.")
    return w


def _pairs(handles, targets, size: int) -> tuple[list[Point], list[Point]]:
    found = []
    for name, points in (("handle", handles), ("target", targets)):
        if not isinstance(points, (str, bytes, Sequence)) and hasattr(points, "tolist"):
            points = points.tolist()
        if isinstance(points, Sequence) and not points:
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


def _steps(net, options, w0, start, handles, targets, resume, steps, stop, patience, show_every):
    """The loop. No torch context is held while a step is out: the next one may be asked for on another thread."""
    engine = (ReferenceEngine if options.mode == "reference" else Engine)(net, w0, options)
    free = engine.free(start)
    kind = (options.mode, options.feature_resolution, tuple(free.shape))
    first = 0 if resume is None else resume.step
    look = engine.look(free)
    templates, moments, updates, best, waited = _taken_up(resume, look, handles, targets, kind)
    for step in range(first, first + steps + 1):
        if step > first:
            look = engine.look(free)
            handles = look.track(handles, templates)
        distances = [math.dist(p, t) for p, t in zip(handles, targets, strict=True)]
        if step > first:
            nearer = [d < b - 0.1 * stop for d, b in zip(distances, best, strict=True)]
            waited = [0 if n else k + 1 for n, k in zip(nearer, waited, strict=True)]
            best = [d if n else b for d, b, n in zip(distances, best, nearer, strict=True)]
        arrived = [d <= stop for d in distances]
        stuck = [k >= patience and not a for k, a in zip(waited, arrived, strict=True)]
        done = None
        if all(arrived):
            done = "arrived"
        elif all(a or s for a, s in zip(arrived, stuck, strict=True)):
            done = "stuck"
        elif step == first + steps:
            done = "steps"
        if done is None:  # before the picture is made, so that the graph is gone by then
            pulling = [d > options.near and not s for d, s in zip(distances, stuck, strict=True)]
            gradient = look.gradient(handles, targets, pulling)
        shown = show_every and (step == first or done or (step - first) % show_every == 0)
        image = to_pil(look.image())[0] if shown else None
        w = look.ws.detach().cpu().clone()
        look = None
        kept = DragState(
            w0.cpu(),
            templates.cpu(),
            tuple(m.cpu().clone() for m in moments),
            updates,
            tuple(best),
            tuple(waited),
            kind,
        )
        yield DragStep(
            step, w, tuple(handles), tuple(targets), max(distances), tuple(distances), tuple(arrived), tuple(stuck),
            done, image, kept,
        )  # fmt: skip
        if done:
            return
        updates += 1
        free, moments = _adam(free, gradient, moments, updates, options.lr)


def _taken_up(resume, look, handles, targets, kind):
    """Templates, moments, their number, least distances and waiting times to start with."""
    fresh = look.templates(handles)
    moments, updates = (torch.zeros_like(look.free), torch.zeros_like(look.free)), 0
    best = [math.dist(p, t) for p, t in zip(handles, targets, strict=True)]
    waited = [0] * len(handles)
    if resume is None:
        return fresh, tuple(m.detach() for m in moments), updates, best, waited
    state = resume.state
    device = fresh.device
    if state.kind[2] == kind[2]:
        moments, updates = tuple(m.to(device) for m in state.moments), state.updates
    if state.kind[:2] == kind[:2]:
        left = list(range(len(resume.handles)))
        for i, (handle, target) in enumerate(zip(handles, targets, strict=True)):
            j = next((j for j in left if math.dist(handle, resume.handles[j]) <= MATCH), None)
            if j is None:
                continue
            left.remove(j)
            fresh[i] = state.templates[j].to(device)
            if target == resume.targets[j] and resume.done != "stuck":  # asked for again, it gets another chance
                best[i], waited[i] = state.best[j], state.waited[j]
    return fresh, tuple(m.detach() for m in moments), updates, best, waited


def _adam(free: Tensor, gradient: Tensor, moments, t: int, lr: float):
    """One update as torch.optim.Adam makes it, without changing what earlier steps refer to."""
    b1, b2 = BETAS
    m = moments[0] * b1 + gradient * (1 - b1)
    v = moments[1] * b2 + gradient.square() * (1 - b2)
    with torch.inference_mode(False), torch.no_grad():
        denominator = v.sqrt() / math.sqrt(1 - b2**t) + 1e-8
        return free - lr / (1 - b1**t) * m / denominator, (m, v)
