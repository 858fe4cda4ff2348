"""DragGAN (Pan et al. 2023, "Drag Your GAN"): handles are pulled to targets by optimising the latent of a picture.

    w = stylegan2.latent(net, seed=1)
    for step in draggan.drag(net, w, handles=[(20, 30)], targets=[(28, 30)]):
        step.image, step.distance      # stop after any, go on from any: drag(..., resume=step)

Points are ``(x, y)`` in pixels of the picture, floats; (0, 0) is the centre of the pixel at the top left, so that the
pixel in column x and row y is the point (x, y), and a click at u from the left edge is x = u - 0.5.
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

from .. import checks, stylegan2
from ..images import Mask, to_pil
from ..latents import away, decode_latent, w_plus
from ..optimisation.adam import Adam
from ..registry import recipe
from . import options as arguments
from .motion import Engine, Point
from .options import MAX_STEPS
from .reference import ReferenceEngine

MAX_DRAGS = 64
MATCH = 0.01  # pixels: a handle this near to one of the resumed step is that one
# Of ``DragStep.away``: beyond the first, and beyond so many times that of the start (which a photograph's latent may
# have passed already), a picture has strayed.
STRAYED, STRAYED_FROM_START = 2.0, 1.25
PROGRESS = 0.1  # of the stop distance: what counts as having come nearer


@dataclass(frozen=True)
class DragState:
    """What continuing needs beside latent and points: small, on the CPU, can be pickled.

    ``w0`` [1, num_ws, w_dim]: where the drag began, which the mask refers to. ``origins``: of each handle the latent
    and the point at which it was placed, whose features are looked for. ``moments``: Adam's two, ``updates`` their
    number. ``best`` and ``waited``: of each handle the least distance so far and the steps since.
    """

    w0: Tensor
    origins: tuple[tuple[Tensor, Point], ...]
    moments: tuple[Tensor, Tensor]
    updates: int
    best: tuple[float, ...]
    waited: tuple[int, ...]


@dataclass(frozen=True)
class DragStep:
    """Where a drag stands; complete in itself.

    ``step``: updates of the latent so far. ``w`` [1, num_ws, w_dim], on the CPU. ``handles`` (where they are now) and
    ``targets``, (x, y). ``distances``: how far each handle is from its target in pixels, ``distance`` the largest.
    ``arrived`` and ``stuck``: of each handle. ``done``: None while it goes on, else ``"arrived"`` (all handles have),
    ``"stuck"`` (those left do not come nearer) or ``"steps"`` (as many as asked for). ``image``: that of ``w``, None on
    steps that are not shown; the last one equals ``stylegan2.picture``, those before may round a value otherwise.
    ``away``: how far ``w`` lies from what the mapping network makes, 1 for the farthest that it makes itself
    (``latents.away``); None on steps that are neither shown nor the last. ``strayed``: that is so far that the picture
    may no longer look like one of the network's.
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
    away: float | None = None
    strayed: bool = False


def drag(
    net: Generator,
    w: Tensor | None,
    handles: Sequence[Point],
    targets: Sequence[Point],
    mask: Mask | None = None,
    steps: int = 100,
    *,
    resume: DragStep | None = None,
    mode: str = "fast",
    space: str = "w+",
    lr: float | None = None,
    r1: float | None = None,
    r2: float | None = None,
    mask_weight: float | None = None,
    mask_space: str = "auto",
    painted: str = "flexible",
    latent_weight: float = 0.0,
    rows: int | None = None,
    feature_resolution: int | None = None,
    stop_distance: float | None = None,
    patience: int = 30,
    show_every: int = 1,
    noise_mode: str = "const",
) -> Iterator[DragStep]:
    """Pulls every handle to its target: motion supervision and point tracking in turn (equations 1 to 3).

    The first step yielded is where it starts (step 0, or that of ``resume`` again), the last one has ``done``. The
    caller may stop after any. The network is not changed.

    Args:
        w: w+ ``[1, num_ws, w_dim]`` or w ``[1, w_dim]``; not looked at (None will do) when ``resume`` is given.
        handles, targets: 1 to 128 points ``(x, y)`` each, inside the picture. A pair of the same point is an anchor:
            it is pulled back when others take it along.
        mask: what may move is painted white: a PIL image, an array [H, W] of bool, 0..1 or 0..255, or the text of
            ``encode_mask``. Other sizes are resized. Nothing painted, or None: everything may move.
        steps: the most updates of the latent in this call, 1 to 2000.
        resume: a step to go on from. Handles of it (to 0.01 px) are still known by the features that they were placed
            on; others take theirs from the picture as it is now. Everything else may differ from before, too.
        mode: fast, or reference (the authors' arithmetic: slow, for comparison).
        space: w+ (each of the first rows for itself) or w (all of them together).
        lr: Adam's step size, 1e-5 to 1. ``lr``, ``r1``, ``r2``, ``rows``, ``feature_resolution`` and ``stop_distance``
            are those of ``defaults(net, mode)`` where None is given.
        r1, r2: radius of the region that is pulled and half-width of the window that is searched, in pixels at 512 px;
            scaled with the picture, but never to less than can be computed.
        mask_weight: lambda of equation 1, 0 to 1000; None: 20 (the authors') for features, 20 / size for colours.
        mask_space: what must stay the same outside the mask: features (as the authors), picture (its colours, averaged
            over the cells of the feature map) or auto (picture up to 128 px, where features are coarse).
        painted: flexible (paint is what may move) or fixed (paint is what must stay).
        latent_weight: of the mean distance of w+ from where it began, 0 to 100.
        rows: how many of the first rows of w+ are optimised.
        feature_resolution: of the synthesis block whose features are used, in pixels.
        stop_distance: a handle this near to its target (in pixels of this picture) has arrived.
        patience: steps without coming nearer after which a handle counts as stuck, 1 to 2000.
        show_every: every so many steps have an image, so do the first and the last; 0: none has.
        noise_mode: const (the network's stored noise) or none.

    Raises:
        UserError: at once, for anything out of bounds.
    """
    # Validate at once, not when the first step is asked for.
    if resume is not None and not isinstance(resume, DragStep):
        raise UserError("A drag goes on from a step that a drag has given.")
    start = w_plus(net, w if resume is None else resume.w)  # [1, num_ws, w_dim]
    w0 = start if resume is None else w_plus(net, resume.state.w0)
    options = arguments.options(
        net, mode, space, lr, r1, r2, mask, mask_weight, mask_space, painted, latent_weight, rows,
        feature_resolution, stop_distance, noise_mode,
    )  # fmt: skip
    handles, targets = arguments.pairs(handles, targets, net.img_resolution)
    steps = checks.integer(steps, "The number of steps", 1, MAX_STEPS)
    patience = checks.integer(patience, "The patience", 1, MAX_STEPS)
    show_every = checks.integer(show_every, "Showing", 0, MAX_STEPS)

    # No torch context is held while a step is out: the next one may be asked for on another thread.
    def iterate() -> Iterator[DragStep]:
        engine = (ReferenceEngine if options.mode == "reference" else Engine)(net, w0, options)
        points = [Tracked(handle, target, start) for handle, target in zip(handles, targets, strict=True)]
        free = engine.rows.free(start)  # [1, rows, w_dim], or [1, 1, w_dim] in the space w
        adam, step = Adam([free]), 0
        if resume is not None:
            step = _take_up(resume, net, points, adam)
        _look_up_templates(engine, points)
        last = step + steps
        first = step
        too_far = max(STRAYED, STRAYED_FROM_START * away(net, w0))

        while True:
            look = engine.look(free)  # feature map [C, r, r]

            # Track: the nearest neighbour of each handle's features (equation 3).
            if step > first:
                found = look.track([p.handle for p in points], [p.template for p in points])
                for point, handle in zip(points, found, strict=True):
                    point.move(handle, PROGRESS * options.stop)

            # Arrived, stuck, or done?
            arrived = [p.distance <= options.stop for p in points]
            stuck = [p.waited >= patience and not a for p, a in zip(points, arrived, strict=True)]
            done = None
            if all(arrived):
                done = "arrived"
            elif all(a or s for a, s in zip(arrived, stuck, strict=True)):
                done = "stuck"
            elif step == last:
                done = "steps"
            shown = show_every and (done or (step - first) % show_every == 0)
            image = _picture(net, look, done, options.noise_mode) if shown else None

            # Supervise: what the features ahead of each handle differ from those at it (equation 1).
            if done is None:
                # One that is stuck pulls on: what the others do may free it.
                pulling = [p.distance > options.near for p in points]
                of_rows = look.gradient(
                    [p.handle for p in points], [p.target for p in points], pulling, [p.template for p in points]
                )  # [1, rows, w_dim]

            apart = away(net, look.ws) if shown or done else None
            yield DragStep(
                step=step,
                w=look.ws.cpu().clone(),
                handles=tuple(p.handle for p in points),
                targets=tuple(p.target for p in points),
                distance=max(p.distance for p in points),
                distances=tuple(p.distance for p in points),
                arrived=tuple(arrived),
                stuck=tuple(stuck),
                done=done,
                image=image,
                state=_state(w0, points, adam),
                away=apart,
                strayed=apart is not None and apart > too_far,
            )
            if done:
                return

            # Update the latent.
            change = torch.zeros_like(free)
            adam.step([change], [engine.rows.along_axes(of_rows)], options.lr)
            free = engine.rows.changed(free, change)  # the old one belongs to the step that is out
            step += 1

    return iterate()


def _picture(net: Generator, look, done: str | None, noise_mode: str) -> Image.Image:
    """The last is the whole network's, as everything else draws it; the others go on from the features at hand."""
    return stylegan2.picture(net, look.ws, noise_mode) if done else to_pil(look.image())[0]  # [1, 3, H, W]


@dataclass
class Tracked:
    """One handle on its way: where it is and has to go, what it is known by, and whether it comes nearer.

    ``origin``: the latent w+ in whose picture it was placed, ``placed`` the point there. ``template``: the features
    around it then. ``best``: the least distance so far, ``waited`` the steps since.
    """

    handle: Point
    target: Point
    origin: Tensor

    def __post_init__(self):
        self.placed, self.template = self.handle, None
        self.best, self.waited = self.distance, 0

    @property
    def distance(self) -> float:
        return math.dist(self.handle, self.target)

    def move(self, handle: Point, nearer: float) -> None:
        """Takes its new place; ``nearer`` is by how much it has to come nearer for the step to count."""
        self.handle = handle
        if self.distance < self.best - nearer:
            self.best, self.waited = self.distance, 0
        else:
            self.waited += 1


def _take_up(resume: DragStep, net: Generator, points: list[Tracked], adam: Adam) -> int:
    """What still holds of a step: its moments, and of the handles that it had whatever is known of them.

    Returns the number of the step.
    """
    state = resume.state
    if state.moments[0].shape == adam.moments[0][0].shape:
        adam.moments = [tuple(m.to(adam.moments[0][0], copy=True) for m in state.moments)]
        adam.steps = state.updates
    origins = {id(w): w_plus(net, w) for w, _ in state.origins}  # several handles share one
    left = list(range(len(resume.handles)))
    for point in points:
        j = next((j for j in left if math.dist(point.handle, resume.handles[j]) <= MATCH), None)
        if j is None:
            continue
        left.remove(j)
        w, placed = state.origins[j]
        point.handle, point.origin, point.placed = resume.handles[j], origins[id(w)], placed
        if point.target == resume.targets[j] and resume.done != "stuck":  # asked for again, it gets another chance
            point.best, point.waited = state.best[j], state.waited[j]
    return resume.step


def _look_up_templates(engine: Engine | ReferenceEngine, points: list[Tracked]) -> None:
    """One evaluation of the network for all handles that were placed in the same picture."""
    for origin in {id(p.origin): p.origin for p in points}.values():
        placed = [p for p in points if p.origin is origin]
        found = engine.templates(origin, [p.placed for p in placed])
        for point, template in zip(placed, found, strict=True):
            point.template = template


def _state(w0: Tensor, points: list[Tracked], adam: Adam) -> DragState:
    origins = {id(p.origin): p.origin.cpu().clone() for p in points}
    return DragState(
        w0=w0.cpu().clone(),
        origins=tuple((origins[id(p.origin)], p.placed) for p in points),
        moments=tuple(m.cpu().clone() for m in adam.moments[0]),
        updates=adam.steps,
        best=tuple(p.best for p in points),
        waited=tuple(p.waited for p in points),
    )


@recipe("steps")
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

    Yields every step of all drags once. Raises UserError.
    """
    drags = checks.sequence(drags, "The list of drags", 1, MAX_DRAGS)
    known = set(inspect.signature(drag).parameters) - {"net", "w", "resume", "show_every"}
    for asked in drags:
        if not isinstance(asked, dict) or not {"handles", "targets"} <= set(asked):
            raise UserError("Each drag is a table with at least handles and targets.")
        unknown = sorted(str(key) for key in set(asked) - known)
        if unknown:
            raise UserError(f"A drag has no argument “{unknown[0][:30]}”.")
    w = stylegan2.latent(net, seed, truncation_psi, class_index) if latent is None else decode_latent(latent, net)
    show_every = checks.integer(show_every, "Showing", 0, MAX_STEPS)
    return _one_after_another(net, drag(net, w, **drags[0], show_every=show_every), drags[1:], show_every)


def _one_after_another(net, steps, drags, show_every):
    last = None
    for asked in [None, *drags]:
        if asked is not None:
            steps = drag(net, None, **asked, resume=last, show_every=show_every)
        for step in steps:
            if last is None or step.step > last.step:  # where it starts has been seen
                yield step
            last = step
