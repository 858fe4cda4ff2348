"""A photograph, and the same with something drawn before the face that no network here has seen, to try without one's
own. Pictures that a network made itself prove nothing: it finds them again too well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from ...photographs import SOURCE, found, photograph
from ...pictures import CENTRE, UPLOADED

SIDE = 384  # pixels of an example
FINER = 3  # drawn this many times larger, for smooth edges


@dataclass(frozen=True)
class Example:
    """``draw`` is given a pen and the side of the picture, None for the photograph as it is; ``edit``: what is shown
    first, if the network can do it.
    """

    title: str
    draw: Callable[[ImageDraw.ImageDraw, float], None] | None
    edit: tuple[str, float] = ("Smiling", -4.0)


@cache
def face() -> Image.Image:
    """The face of the photograph where networks of faces have it, ``SIDE`` pixels a side."""
    from pipelines import faces

    return faces.align(photograph(), size=SIDE).image


def given(example: Example) -> tuple[Image.Image, tuple, int | str, str]:
    """As a visitor would give it: a photograph, the faces in it, which of them, and the Python that opens it."""
    if example.draw is None:
        return photograph(), found(), 0, SOURCE
    return picture(example), (), CENTRE, UPLOADED


def picture(example: Example) -> Image.Image:
    """The face with what is before it, ``SIDE`` pixels a side."""
    if example.draw is None:
        return face()
    size = (SIDE * FINER,) * 2
    film = Image.new("RGBA", size, (0, 0, 0, 0))
    example.draw(ImageDraw.Draw(film), float(size[0]))
    film = film.resize((SIDE, SIDE), Image.Resampling.BOX)
    made = face().copy()
    made.paste(film, mask=film.getchannel("A"))
    return made


def _hat(pen, s: float) -> None:
    pen.rounded_rectangle([0.2 * s, -0.2 * s, 0.8 * s, 0.26 * s], 0.08 * s, (38, 44, 92, 255))
    pen.rectangle([0.2 * s, 0.17 * s, 0.8 * s, 0.235 * s], (196, 158, 60, 255))
    pen.ellipse([0.06 * s, 0.215 * s, 0.94 * s, 0.325 * s], (30, 34, 74, 255))


def _microphone(pen, s: float) -> None:
    pen.line([(0.75 * s, 1.05 * s), (0.63 * s, 0.86 * s)], (26, 26, 28, 255), round(0.075 * s))
    pen.ellipse([0.53 * s, 0.72 * s, 0.7 * s, 0.89 * s], (92, 94, 98, 255))
    for i in range(-3, 4):
        pen.line(
            [((0.615 + 0.024 * i) * s, 0.735 * s), ((0.615 + 0.024 * i) * s, 0.875 * s)], (60, 62, 66, 255), round(3)
        )
    pen.line([(0.535 * s, 0.82 * s), (0.695 * s, 0.79 * s)], (200, 200, 204, 255), round(0.012 * s))


def _caption(pen, s: float) -> None:
    pen.rectangle([0, 0.84 * s, s, 0.97 * s], (178, 24, 30, 255))
    pen.text((0.05 * s, 0.905 * s), "LIVE", (255, 255, 255, 255), ImageFont.load_default(0.09 * s), anchor="lm")
    words = ImageFont.load_default(0.062 * s)
    pen.text((0.34 * s, 0.905 * s), "nobody was here", (255, 236, 220, 255), words, anchor="lm")


def _hand(pen, s: float) -> None:
    skin, line = (224, 172, 138, 255), (150, 98, 74, 255)
    for i, (top, width) in enumerate(((0.5, 0.06), (0.44, 0.065), (0.45, 0.065), (0.53, 0.055))):
        left = (0.02 + 0.068 * i) * s
        box = [left, top * s, left + width * s, 1.1 * s]
        pen.rounded_rectangle(box, 0.03 * s, skin, line, round(0.005 * s))
    pen.rounded_rectangle([0.0, 0.72 * s, 0.3 * s, 1.2 * s], 0.08 * s, skin)


def _leaves(pen, s: float) -> None:
    for x, y, r in ((0.05, 0.1, 0.2), (0.2, 0.02, 0.16), (0.0, 0.35, 0.16), (0.9, 0.08, 0.2), (0.98, 0.32, 0.15)):
        pen.ellipse([(x - r) * s, (y - r / 2) * s, (x + r) * s, (y + r / 2) * s], (44, 104, 52, 255))
        pen.line([((x - r) * s, y * s), ((x + r) * s, y * s)], (120, 170, 90, 255), round(0.008 * s))


EXAMPLES = (
    Example("as it is", None),
    Example("a hat", _hat),
    Example("a microphone", _microphone, ("Young", -4.0)),
    Example("a caption", _caption),
    Example("a hand", _hand),
    Example("leaves", _leaves, ("Young", -4.0)),
)
