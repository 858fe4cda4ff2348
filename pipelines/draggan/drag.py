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

from models.pullback import Box
from models.stylegan2 import Generator
from weights.errors import UserError

from .. import checks, stylegan2
from ..images import to_pil
from ..latents import decode_latent, w_plus
from . import options as arguments
from .motion import Engine, Point
from .options import MAX_STEPS
from .reference import ReferenceEngine

MAX_DRAGS = 64
MATCH = 0.01  # pixels: a handle this near to one of the resumed step is that one
PROGRESS = 0.1  # of the stop distance: what counts as having come nearer
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's


@dataclass(frozen=True)
class DragState:
    """What continuing needs beside latent and points: small, on the CPU, can be pickled.

    ``w0`` [1, num_ws, w_dim]: where the drag began, which the mask refers to. ``origins``: of each handle the latent
    and the point at which it was placed, whose features are looked for. ``moments``: Adam's two, ``updates`` their
    number. ``best`` and ``waited``: of each handle the least distance so far and the steps since. ``box``: the cells of
    the feature map that this step was computed from.
    """

    w0: Tensor
    origins: tuple[tuple[Tensor, Point], ...]
    moments: tuple[Tensor, Tensor]
    updates: int
    best: tuple[float, ...]
    waited: tuple[int, ...]
    box: Box | None


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
        handles, targets: 1 to 32 points ``(x, y)`` each, inside the picture. A pair of the same point is an anchor:
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
    if resume is not None and not isinstance(resume, DragStep):
        raise UserError("A drag goes on from a step that a drag has given.")
    start = w_plus(net, w if resume is None else resume.w)
    w0 = start if resume is None else w_plus(net, resume.state.w0)
    options = arguments.options(
        net, mode, space, lr, r1, r2, mask, mask_weight, mask_space, painted, latent_weight, rows,
        feature_resolution, stop_distance, noise_mode,
    )  # fmt: skip
    handles, targets = arguments.pairs(handles, targets, net.img_resolution)
    steps = checks.integer(steps, "The number of steps", 1, MAX_STEPS)
    patience = checks.integer(patience, "The patience", 1, MAX_STEPS)
    show_every = checks.integer(show_every, "Showing", 0, MAX_STEPS)
    return _Drag(net, options, w0, start, handles, targets, resume, patience).run(steps, show_every)


class _Drag:
    """The loop. No torch context is held while a step is out: the next one may be asked for on another thread."""

    def __init__(self, net, options, w0, start, handles, targets, resume, patience):
        self.net, self.options, self.w0, self.start = net, options, w0, start
        self.handles, self.targets, self.resume, self.patience = handles, targets, resume, patience

    def run(self, steps: int, show_every: int) -> Iterator[DragStep]:
        self._begin()
        first = self.step
        while True:
            look = self.engine.look(self.free, self.box)
            if self.step > first:
                self.handles = look.track(self.handles, self.templates)
                self._compare()
            distances, arrived, stuck = self._standing()
            done = None
            if all(arrived):
                done = "arrived"
            elif all(a or s for a, s in zip(arrived, stuck, strict=True)):
                done = "stuck"
            elif self.step == first + steps:
                done = "steps"
            shown = show_every and (done or (self.step - first) % show_every == 0)
            image = to_pil(look.image())[0] if shown else None
            if done is None:
                near = self.options.near
                pulling = [d > near and not s for d, s in zip(distances, stuck, strict=True)]
                gradient = look.gradient(self.handles, self.targets, pulling, self.templates)
            yield DragStep(
                self.step,
                look.ws.cpu().clone(),
                tuple(self.handles),
                tuple(self.targets),
                max(distances),
                tuple(distances),
                tuple(arrived),
                tuple(stuck),
                done,
                image,
                self._state(),
            )
            if done:
                return
            self._update(gradient)

    def _begin(self) -> None:
        kind = ReferenceEngine if self.options.mode == "reference" else Engine
        self.engine = kind(self.net, self.w0, self.options)
        self.free = self.engine.rows.free(self.start)
        self.step, self.updates, self.box = 0, 0, self.engine.box(self.handles)
        self.moments = (torch.zeros_like(self.free), torch.zeros_like(self.free))
        self.best = [math.dist(p, t) for p, t in zip(self.handles, self.targets, strict=True)]
        self.waited = [0] * len(self.handles)
        self.origins = [(self.start, p) for p in self.handles]
        if self.resume is not None:
            self._take_up(self.resume)
        self.templates: list[Tensor] = [None] * len(self.handles)
        for w in {id(w): w for w, _ in self.origins}.values():  # one evaluation for all that were placed together
            chosen = [i for i, (own, _) in enumerate(self.origins) if own is w]
            found = self.engine.templates(w, [self.origins[i][1] for i in chosen])
            for i, template in zip(chosen, found, strict=True):
                self.templates[i] = template

    def _take_up(self, resume: DragStep) -> None:
        """What still holds of a step: its moments, and of the handles that it had whatever is known of them."""
        state, self.step = resume.state, resume.step
        if state.moments[0].shape == self.free.shape:
            self.moments, self.updates = tuple(m.to(self.free) for m in state.moments), state.updates
        placed = {id(w): w_plus(self.net, w) for w, _ in state.origins}
        left = list(range(len(resume.handles)))
        for i, (handle, target) in enumerate(zip(self.handles, self.targets, strict=True)):
            j = next((j for j in left if math.dist(handle, resume.handles[j]) <= MATCH), None)
            if j is None:
                continue
            left.remove(j)
            self.handles[i] = resume.handles[j]
            self.origins[i] = (placed[id(state.origins[j][0])], state.origins[j][1])
            if target == resume.targets[j] and resume.done != "stuck":  # asked for again, it gets another chance
                self.best[i], self.waited[i] = state.best[j], state.waited[j]
        if tuple(self.handles) == resume.handles and (self.box is None) == (state.box is None):
            self.box = state.box  # rounding depends on it, and going on is to be the same as not having stopped

    def _compare(self) -> None:
        for i, (p, t) in enumerate(zip(self.handles, self.targets, strict=True)):
            distance = math.dist(p, t)
            if distance < self.best[i] - PROGRESS * self.options.stop:
                self.best[i], self.waited[i] = distance, 0
            else:
                self.waited[i] += 1

    def _standing(self) -> tuple[list[float], list[bool], list[bool]]:
        distances = [math.dist(p, t) for p, t in zip(self.handles, self.targets, strict=True)]
        arrived = [d <= self.options.stop for d in distances]
        stuck = [k >= self.patience and not a for k, a in zip(self.waited, arrived, strict=True)]
        return distances, arrived, stuck

    def _state(self) -> DragState:
        placed = {id(w): w.cpu().clone() for w, _ in self.origins}
        return DragState(
            self.w0.cpu().clone(),
            tuple((placed[id(w)], p) for w, p in self.origins),
            tuple(m.cpu().clone() for m in self.moments),
            self.updates,
            tuple(self.best),
            tuple(self.waited),
            self.box,
        )

    @torch.no_grad()
    def _update(self, gradient: Tensor) -> None:
        """As torch.optim.Adam, and on to the next step."""
        self.updates += 1
        m = self.moments[0] * BETA1 + gradient * (1 - BETA1)
        v = self.moments[1] * BETA2 + gradient.square() * (1 - BETA2)
        size = self.options.lr / (1 - BETA1**self.updates)
        self.free = self.free - size * m / (v.sqrt() / math.sqrt(1 - BETA2**self.updates) + EPSILON)
        self.moments = (m, v)
        self.step += 1
        self.box = self.engine.box(self.handles)


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
