"""Out-of-domain editing by differential activations (Song et al., ECCV 2022): one thing of a face changes, all else
stays.

    nets = out_of_domain.load("faces")
    face = faces.align(photo, size=nets.size)
    for step in out_of_domain.invert(nets, face.image):
        pass                                                           # once for a photograph
    known = out_of_domain.inverted(nets, face.image, step.latent)
    made = out_of_domain.edit(nets, known, "Smiling", 3.0)             # as often as one likes
    whole = out_of_domain.paste(photo, face, made)

A generator makes I' of the photograph I, and T of the same latent moved along a direction. Diff-CAM says where T
differs from I' because of the edit: M. What is outside of M stays the photograph, ``F = M T + (1 - M) I`` (section
3.3), and a network takes the ghosts out of the seam. Where the mask is 0, the result is the photograph bit for bit.

Pictures are squares of the generator's size. Networks that are not there are replaced by something plainer, and
``Networks.missing`` says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

import weights
from models import regions
from models.stylegan2 import Generator
from weights.errors import UserError

from .. import checks
from ..defaults import MAX_STRENGTH, STEPS
from ..registry import recipe
from . import likeness
from .networks import Networks, check_hashes, edits_of, gather, method_of
from .options import Options, flat
from .stages import (
    Changed,
    Inverted,
    OutOfDomainEdit,
    changed,
    composed,
    invert,
    inverted,
    laid,
    mask_of,
    region_of,
)

MAX_FRAMES = 200
GROWN = 0.3  # of the farthest strength: where the mask of an animation is whole
JUDGE = "attributes/faces"


@dataclass(frozen=True, eq=False)
class Compared:
    """One way to an edit, and what became of it.

    Attributes:
        way: "Plain inversion", "Hybrid inversion" or "Ours".
        method: how the photograph was inverted, as ``inversion.METHODS`` names it.
        image: the edit.
        lost: mean of |I - edit| outside of where the attributes lie, in levels of 255; None where that is not known.
        places: the same by place: inside of that, elsewhere on the face, background, occluder; None for one that is not
            there.
        person: how far the person is from that of the photograph, see ``likeness``; None where nothing tells.
        has: the independent classifier's probability of the attribute that was edited last; None where it knows none.
        seconds: of the inversion and the edit; of ours of the edit alone.
    """

    way: str
    method: str
    image: Image.Image
    lost: float | None
    has: float | None
    seconds: float
    places: Mapping[str, float | None] = field(default_factory=dict)
    person: float | None = None


@dataclass(frozen=True, eq=False)
class ComparisonStep:
    """``done`` of ``total`` steps; ``found`` grows by a row as each way comes to its end; ``had``: before the edit."""

    done: int
    total: int
    image: Image.Image | None
    found: tuple[Compared, ...]
    had: float | None


# -- all of it ---------------------------------------------------------------------------------------------------------


@recipe("edit")
@flat
def edit(
    nets: Networks | Generator,
    image: Image.Image | str | Inverted,
    direction: str | None = None,
    strength: float = 3.0,
    *,
    options: Options,
) -> OutOfDomainEdit:
    """A face with some of its attributes changed and everything else kept: ``edit(nets, face, "Smiling", 3.0)``.

    Args:
        nets: of ``load``, or a loaded generator.
        image: an aligned face, the text of ``encode_image``, or what ``inverted`` gave.
        direction, strength: one edit, after those of ``edits``; strength in standard deviations of w, -10 to 10.
        options: every field of ``Options`` is a keyword of this function, such as ``threshold=0.2``.

    Raises UserError.
    """
    nets = gather(nets)
    check_hashes(nets, options.parts)
    wanted = [*options.edits, *([(direction, strength)] if direction is not None else [])]
    edits_of(nets, wanted, options.own, options.apart)  # what is wrong is said before a long search
    known = _known(nets, image, options)
    return laid(nets, known, changed(nets, known, wanted, options.own, options.apart), options)


@recipe("frames")
@flat
def slide(
    nets: Networks | Generator,
    image: Image.Image | str | Inverted,
    direction: str,
    low: float = 0.0,
    high: float = 3.0,
    frames: int = 24,
    *,
    options: Options,
) -> Iterator[Image.Image]:
    """Results of one direction from one strength to another in even steps; other ``edits`` are held.

    So that nothing flickers, the mask is that of the nearer end and grows with the strength; with strength 0 and no
    other edits a frame is the photograph. Arguments as ``edit`` takes them; 2 to 200 frames. Raises UserError at once.
    """
    nets = gather(nets)
    check_hashes(nets, options.parts)
    frames = checks.integer(frames, "The number of frames", 2, MAX_FRAMES)
    low, high = (checks.number(v, "A strength", -MAX_STRENGTH, MAX_STRENGTH) for v in (low, high))
    others = [tuple(pair) for pair in options.edits if pair[0] != direction]
    edits_of(nets, [*others, (direction, 1.0)], options.own, options.apart)

    def made() -> Iterator[Image.Image]:
        known = _known(nets, image, options)

        def change(edits: list[tuple[str, float]]) -> Changed:
            return changed(nets, known, edits, options.own, options.apart)

        held = mask_of(change(others), options)
        ends = {v: mask_of(change([*others, (direction, v)]), options) for v in (low, high) if v}
        for value in np.linspace(low, high, frames).tolist():
            far = {v: mask for v, mask in ends.items() if v * value > 0}
            mask = held
            if far:
                end = max(far, key=abs)
                grown = far[end] * min(1.0, abs(value) / (GROWN * abs(end)))
                mask = np.maximum(held, np.rint(grown * 255).astype(np.float32) / 255)
            there = change([*others, (direction, value)])
            yield composed(nets, known, there, mask, options.deghost, options.blend).result

    return made()


@recipe("steps")
@flat
def compare(
    nets: Networks | Generator, image: Image.Image | str | Inverted, *, options: Options
) -> Iterator[ComparisonStep]:
    """The same edits without a mask from a plain and from a hybrid inversion, and ours.

    Plain is the encoder's pass, hybrid goes on from there by optimisation; without an encoder they are the
    optimisations in w and in w+. Arguments as ``edit`` takes them. Raises UserError at once.
    """
    nets = gather(nets)
    check_hashes(nets, options.parts)
    steps = options.steps
    if steps is not None:
        steps = checks.integer(steps, "The number of steps", 1, 5000)
    wanted, _steps = edits_of(nets, options.edits, options.own, options.apart)
    if not wanted:
        raise UserError("Nothing is to be changed; choose a direction and a strength first.")
    method = method_of(nets, options.method)

    def made() -> Iterator[ComparisonStep]:
        from .. import inversion

        known = _known(nets, image, options)
        began = time.perf_counter()
        ours = laid(nets, known, changed(nets, known, options.edits, options.own, options.apart), options)
        seconds, judge = time.perf_counter() - began, _judge(wanted[-1][0])
        photo, where = np.asarray(known.photo, np.float32), _places(known, wanted)

        def row(way: str, how: str, picture: Image.Image, seconds: float) -> Compared:
            apart = np.abs(np.asarray(picture) - photo).mean(axis=2)
            lost = {name: float(apart[there].mean()) if there.any() else None for name, there in where.items()}
            like = likeness.of(known.photo, picture)
            return Compared(way, how, picture, lost.pop("outside", None), judge(picture), seconds, lost, like.person)

        encoded = nets.encoder is not None
        ways = (("Plain inversion", "encoder" if encoded else "w"), ("Hybrid inversion", "hybrid" if encoded else "w+"))
        many = STEPS["hybrid" if encoded else "optimisation"] if steps is None else steps
        total = many * (1 if encoded else 2) + 1
        found, before, had = [], 0, judge(known.photo)
        for way, how in ways:
            began, last = time.perf_counter(), None
            for last in inversion.invert(nets.generator, known.photo, how, many, seed=options.seed, show_every=0):
                yield ComparisonStep(before + last.step, total, None, tuple(found), had)
            before += last.step
            plainly = inverted(nets, known.photo, last.latent)
            plain = changed(nets, plainly, options.edits, options.own, options.apart)
            found.append(row(way, how, plain.image, time.perf_counter() - began))
            yield ComparisonStep(before, total, plain.image, tuple(found), had)
        found.append(row("Ours", method, ours.result, seconds))
        yield ComparisonStep(total, total, ours.result, tuple(found), had)

    return made()


# -- in and out ----------------------------------------------------------------------------------------------------


def _places(known: Inverted, wanted: Sequence[tuple[str, float]]) -> dict[str, np.ndarray]:
    """What an edit should have changed and what not, ``[H, W]`` bool each; nothing where no region is known."""
    region = region_of(wanted, known)
    if region is None:
        return {}
    inside, face = region > 0, regions.face(known.photo.width, known.landmarks) > 0
    before = np.zeros_like(inside) if known.occluded is None else known.occluded > 0.5
    return {
        "inside": inside & ~before,
        "face": face & ~inside & ~before,
        "background": ~face & ~inside & ~before,
        "occluder": before,
        "outside": ~inside | before,
    }


def _judge(direction: str):
    """The probability of an attribute in a picture, where the independent classifier knows it."""
    from .. import attgan

    short = JUDGE.split("/")[1]
    classifier = weights.load(JUDGE) if short in weights.names("attributes") else None
    if classifier is None or direction not in classifier.attrs:
        return lambda picture: None
    return lambda picture: attgan.attributes(picture, classifier)[direction]


def _known(nets: Networks, image: Image.Image | str | Inverted, options: Options) -> Inverted:
    if isinstance(image, Inverted):
        return image
    latent = options.latent
    if latent is None:
        *_, latent = invert(
            nets, image, options.method, options.steps, options.seed, show_every=0, tuning=options.tuning
        )
    return inverted(nets, image, latent, options.tuning or 0)
