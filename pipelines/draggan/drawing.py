"""Pictures of a drag with its points drawn in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from PIL import Image, ImageDraw, ImageFont

from .. import checks
from ..images import Mask, read_mask
from .motion import Point

HANDLE, TARGET, LINE, HELD = (232, 52, 46), (36, 98, 222), (255, 255, 255), (20, 20, 24)
FINER = 4  # points are drawn this many times larger and reduced, for smooth edges


def draw(
    image: Image.Image,
    handles: Sequence[Point],
    targets: Sequence[Point],
    mask: Mask | None = None,
    painted: str = "flexible",
    size: int | None = None,
    numbers: bool = False,
) -> Image.Image:
    """The picture with handles (red), targets (blue) and an arrow between them; what is held in place is darkened.

    Args:
        image: square, as a ``DragStep`` has it; not changed.
        handles, targets: (x, y) in pixels of ``image``.
        mask, painted: as ``draggan.drag`` takes them.
        size: least width of the result: smaller pictures are enlarged by a whole number; None leaves the size.
        numbers: writes each pair's number beside its handle.
    """
    checks.choice(painted, "What is painted", ("flexible", "fixed"))
    width = image.width
    factor = 1
    if size is not None:
        factor = max(1, -(-checks.integer(size, "The width", 1, 4096) // width))
    base = image.convert("RGB")
    if factor > 1:
        base = base.resize((width * factor, image.height * factor), Image.Resampling.BICUBIC)
    if mask is not None:
        paint = read_mask(mask, width)
        held = (paint if painted == "fixed" else 1 - paint) if bool(paint.any()) else torch.zeros_like(paint)
        shade = Image.fromarray((held * 110).round().to(torch.uint8).numpy()).resize(base.size)
        base.paste(Image.new("RGB", base.size, HELD), mask=shade)
    radius = max(1.5, base.width / 60) * FINER
    overlay = Image.new("RGBA", (base.width * FINER, base.height * FINER), (*LINE, 0))
    pen = ImageDraw.Draw(overlay)
    for i, (handle, target) in enumerate(zip(handles, targets, strict=True)):
        a, b = (tuple((v + 0.5) * factor * FINER for v in p) for p in (handle, target))
        _arrow(pen, a, b, radius)
        _dot(pen, b, radius, TARGET)
        _dot(pen, a, radius, HANDLE)
        if numbers:
            font = ImageFont.load_default(radius * 2.2)
            at = (a[0] + radius * 1.5, a[1] - radius * 2.6)
            pen.text(at, str(i + 1), LINE, font, stroke_width=round(radius / 3), stroke_fill=HELD)
    overlay = overlay.resize(base.size, Image.Resampling.BOX)
    base.paste(overlay, mask=overlay.getchannel("A"))
    return base


def _dot(pen: ImageDraw.ImageDraw, at: Point, radius: float, colour: tuple[int, int, int]) -> None:
    for r, fill in ((radius, LINE), (radius * 0.72, colour)):
        pen.ellipse([at[0] - r, at[1] - r, at[0] + r, at[1] + r], fill=(*fill, 255))


def _arrow(pen: ImageDraw.ImageDraw, a: Point, b: Point, radius: float) -> None:
    length = math.dist(a, b)
    if length < radius:
        return
    ux, uy = (b[0] - a[0]) / length, (b[1] - a[1]) / length
    thick = max(FINER, radius * 0.45)
    pen.line([a, b], (*LINE, 230), round(thick))
    tip, back, side = radius * 1.1, radius * 2.6, radius * 1.1
    head = [(b[0] - ux * tip, b[1] - uy * tip)]
    head += [(b[0] - ux * back - s * uy * side, b[1] - uy * back + s * ux * side) for s in (1, -1)]
    pen.polygon(head, fill=(*LINE, 230))


def frames(
    steps: Iterable, points: bool = True, size: int | None = 256, mask: Mask | None = None, painted: str = "flexible"
) -> Iterator[Image.Image]:
    """The shown steps of a drag as pictures for ``animation.save``, with their points drawn in if wanted."""
    for step in steps:
        if step.image is None:
            continue
        pair = (step.handles, step.targets) if points else ((), ())
        yield draw(step.image, *pair, mask, painted, size)
