"""Things drawn before a face: caps, bars, hands, text. A generator of faces cannot make them; where they are is known.

Drawn with Pillow on aligned faces (crop `celeba`: eyes at 43 % of the height, mouth at 71 %), from a seed, with soft
edges. Trainers make their photographs harder with them; benchmarks ask whether an edit has kept them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

FINE = 4  # drawn so many times larger, then reduced
SKIN = ((255, 219, 172), (241, 194, 125), (224, 172, 105), (198, 134, 66), (141, 85, 36), (92, 58, 33))
LETTERS = "ABCDEFGHIJKLMNOPRSTUVWXYZ0123456789"


def draw(image: Image.Image, kind: str, seed: int) -> tuple[Image.Image, Image.Image]:
    """``image`` (an aligned square face) with one thing before it, and where that is.

    Args:
        kind: one of ``KINDS``.
        seed: same seed, same drawing.

    Returns:
        The picture (RGB) and its mask (L, 255 where the thing covers all), both of the size of ``image``.

    Raises:
        ValueError: there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; one of {', '.join(KINDS)}")
    rng, side = random.Random(f"{kind} {seed}"), max(image.size) * FINE
    layer = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    KINDS[kind](layer, rng)
    # Colours are multiplied by alpha before the reduction, so that the black of empty places does not bleed in.
    layer = layer.convert("RGBa").resize(image.size, Image.Resampling.BOX).convert("RGBA")
    made = Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")
    return made, layer.getchannel("A")


def batch(pixels: Tensor, rng: torch.Generator, share: float = 0.5) -> tuple[Tensor, Tensor]:
    """Pictures ``[N, 3, S, S]`` uint8, about a ``share`` of them with one thing drawn in, and masks ``[N, 1, S, S]`` in
    0..1."""
    made, masks, kinds = pixels.clone(), torch.zeros(len(pixels), 1, *pixels.shape[2:]), list(KINDS)
    for i in range(len(pixels)):
        chance, seed = torch.rand(1, generator=rng).item(), int(torch.randint(0, 2**31, (1,), generator=rng))
        if chance < share:
            image = Image.fromarray(pixels[i].permute(1, 2, 0).cpu().numpy())
            image, mask = draw(image, kinds[seed % len(kinds)], seed)
            made[i] = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)
            masks[i, 0] = torch.from_numpy(np.asarray(mask).copy()).float() / 255
    return made, masks


def _colour(rng: random.Random) -> tuple[int, int, int]:
    return tuple(rng.randrange(20, 236) for _ in range(3))


def _darker(colour: tuple[int, ...], by: float) -> tuple[int, ...]:
    return tuple(round(c * by) for c in colour)


def _cap(layer: Image.Image, rng: random.Random) -> None:
    """A crown down to the forehead, and its brim."""
    pen, s, colour = ImageDraw.Draw(layer), layer.width, _colour(rng)
    brim, middle = rng.uniform(0.2, 0.3) * s, rng.uniform(0.44, 0.56) * s
    half, high = rng.uniform(0.36, 0.46) * s, rng.uniform(0.05, 0.1) * s
    pen.ellipse([middle - half, brim - rng.uniform(0.42, 0.55) * s, middle + half, brim + 0.45 * s], fill=colour)
    pen.rectangle([0, brim, s, s], fill=(0, 0, 0, 0))
    wide, shift = half * rng.uniform(1.0, 1.2), rng.uniform(-0.08, 0.08) * s
    box = [middle - wide + shift, brim - high / 2, middle + wide + shift, brim + high]
    pen.ellipse(box, fill=_darker(colour, 0.7))


def _bar(layer: Image.Image, rng: random.Random) -> None:
    """A pole, a microphone's arm, the edge of a window: a straight strip across the face, sometimes with a head."""
    pen, s, colour = ImageDraw.Draw(layer), layer.width, _colour(rng)
    turn, x, y = rng.uniform(0, math.pi), rng.uniform(0.2, 0.8) * s, rng.uniform(0.5, 0.9) * s
    across, down = math.cos(turn) * 2 * s, math.sin(turn) * 2 * s
    width = round(rng.uniform(0.06, 0.14) * s)
    ends = [(x, y) if rng.random() < 0.5 else (x - across, y - down), (x + across, y + down)]
    pen.line(ends, fill=colour, width=width)
    pen.line(ends, fill=_darker(colour, 0.75), width=width // 3)
    if ends[0] == (x, y):
        head = width * rng.uniform(0.9, 1.4)
        pen.ellipse([x - head, y - head, x + head, y + head], fill=_darker(colour, 0.5))


def _hand(layer: Image.Image, rng: random.Random) -> None:
    """A palm at the chin or a cheek, four fingers and a thumb."""
    pen, s, colour = ImageDraw.Draw(layer), layer.width, rng.choice(SKIN)
    side = rng.choice((-1, 1))
    x, y, palm = (0.5 + side * rng.uniform(0.18, 0.34)) * s, rng.uniform(0.84, 0.98) * s, rng.uniform(0.11, 0.15) * s
    up = -math.pi / 2 - side * rng.uniform(0.1, 0.7)
    wrist = (x - math.cos(up) * s, y - math.sin(up) * s)
    pen.line([wrist, (x, y)], fill=colour, width=round(palm * 1.3))
    for i in range(5):
        turn = up + (i - 2) * 0.24 + (side * 0.6 if i == (4 if side > 0 else 0) else 0)
        length, width = palm * rng.uniform(1.7, 2.5), palm * 0.42
        tip = (x + math.cos(turn) * length, y + math.sin(turn) * length)
        for shade, w in ((_darker(colour, 0.8), width), (colour, width * 0.75)):
            pen.line([(x, y), tip], fill=shade, width=round(w))
            pen.ellipse([tip[0] - w / 2, tip[1] - w / 2, tip[0] + w / 2, tip[1] + w / 2], fill=shade)
    pen.ellipse([x - palm, y - palm, x + palm, y + palm], fill=colour)


def _text(layer: Image.Image, rng: random.Random) -> None:
    """A caption, with or without a plate behind it, in the lower half or over the forehead."""
    pen, s, colour = ImageDraw.Draw(layer), layer.width, _colour(rng)
    word = "".join(rng.choice(LETTERS) for _ in range(rng.randrange(4, 8)))
    font = ImageFont.load_default(rng.uniform(0.14, 0.22) * s)
    x, y = rng.uniform(0.02, 0.2) * s, rng.choice((rng.uniform(0.08, 0.2), rng.uniform(0.6, 0.78))) * s
    box = pen.textbbox((x, y), word, font=font)
    if rng.random() < 0.5:
        margin = 0.02 * s
        plate = [box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin]
        pen.rectangle(plate, fill=_darker(colour, 0.25))
    pen.text((x, y), word, font=font, fill=colour)


KINDS: dict[str, Callable[[Image.Image, random.Random], None]] = {
    "cap": _cap,
    "bar": _bar,
    "hand": _hand,
    "text": _text,
}
