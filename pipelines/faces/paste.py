"""A change of a crop carried back into its photograph, without a seam."""

from __future__ import annotations

import numpy as np
from PIL import Image

from . import geometry

# Widths of the fade to nothing at the crop's border, as shares of its side: what is fine fades late, what is broad (a
# background that came out a little darker) early, so that no step is left to see (Burt and Adelson 1983).
FINE, BROAD = 0.08, 0.22
SPLIT = 0.05  # of the side: the deviation of the blur that tells the two apart
WIDER = 0.2  # of the side: so far beyond the crop a change may go on where it is known that it belongs there
LARGEST = 1024  # pixels a side to which a change is enlarged before it is turned
STRIP = 256  # rows of the photograph at a time


def ramp(size: int, width: float) -> np.ndarray:
    """``[size, size]`` from 0 beyond the border to 1 at ``width * size`` pixels inside, without a kink."""
    inside = (np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5) / (width * size)
    edge = 0.5 - 0.5 * np.cos(np.pi * np.clip(inside, 0, 1))
    return (edge[:, None] * edge).astype(np.float32)


def faded(change: np.ndarray) -> np.ndarray:
    """A change ``[S, S, 3]`` float32 that ends softly at the border of the crop."""
    import cv2

    size = len(change)
    broad = cv2.GaussianBlur(change, (0, 0), max(0.8, SPLIT * size), borderType=cv2.BORDER_REFLECT)
    return ramp(size, BROAD)[..., None] * broad + ramp(size, FINE)[..., None] * (change - broad)


def margin(size: int) -> int:
    """Pixels beyond each side of a crop of ``size`` pixels over which a change may go on."""
    return max(1, round(WIDER * size))


def carried_on(change: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """A change ``[S, S, 3]`` that does not end at the border of the crop, ``[S + 2 m, S + 2 m, 3]``, m = ``margin(S)``.

    beyond: ``[S + 2 m, S + 2 m]`` in 0..1, where it goes on: what is broad in it does, fading over those m pixels.
    """
    import cv2

    size, more = len(change), margin(len(change))
    broad = cv2.GaussianBlur(change, (0, 0), max(0.8, SPLIT * size), borderType=cv2.BORDER_REFLECT)
    around = cv2.copyMakeBorder(broad, *[more] * 4, cv2.BORDER_REFLECT)
    around *= (ramp(len(around), more / 2 / len(around)) * beyond)[..., None]
    # Inside, all of it stays where it goes on; where it does not, it fades as it would without that.
    stays = beyond[more:-more, more:-more, None]
    around[more:-more, more:-more] = stays * (broad + ramp(size, FINE)[..., None] * (change - broad)) + (
        1 - stays
    ) * faded(change)
    return around


def pasted(
    image: Image.Image, transform: np.ndarray, change: np.ndarray, beyond: np.ndarray | None = None
) -> Image.Image:
    """An RGB photograph with a change ``[S, S, 3]`` float32 in levels added where ``transform`` (photograph to crop)
    says; ``beyond``: as in ``carried_on``. Only the box that the crop covers is worked on, strip by strip."""
    import cv2

    result = image.copy()
    if not change.any():
        return result
    if beyond is None:
        change = faded(change)
    else:
        transform, change = geometry.widened(transform, margin(len(change))), carried_on(change, beyond)
    size = len(change)
    left, top, right, bottom = geometry.covered(transform, size, *image.size)
    if right <= left or bottom <= top:
        return result
    # First to about the photograph's own size, in the crop's frame: smooth when enlarged, filtered when shrunk. A
    # border of nothing is added, so that the last pixels end in nothing as well.
    new = int(np.clip(round(size / geometry.scale_of(transform)), 4, max(LARGEST, size)))
    smooth = Image.Resampling.BICUBIC if new >= size else Image.Resampling.BOX
    planes = [Image.fromarray(np.ascontiguousarray(change[..., i])).resize((new, new), smooth) for i in range(3)]
    change = np.pad(np.stack([np.asarray(plane) for plane in planes], axis=-1), ((2, 2), (2, 2), (0, 0)))
    shift = np.array([[1, 0, 2], [0, 1, 2], [0, 0, 1.0]])
    from_photo = shift @ geometry.resized(transform, size, new)
    for begin in range(top, bottom, STRIP):
        end = min(begin + STRIP, bottom)
        there = from_photo @ np.array([[1, 0, left], [0, 1, begin], [0, 0, 1.0]])
        part = cv2.warpAffine(
            change,
            np.linalg.inv(there)[:2],
            (right - left, end - begin),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        )
        box = (left, begin, right, end)
        part += np.asarray(image.crop(box))
        np.clip(np.rint(part, out=part), 0, 255, out=part)
        result.paste(Image.fromarray(part.astype(np.uint8)), box)
    return result
