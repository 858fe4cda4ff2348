"""Sizes at which pictures and animations are written: as they are, enlarged, or so many pixels. Torch is not loaded."""

from __future__ import annotations

from PIL import Image

from weights.errors import UserError

from . import checks

SIZES = ("1x", "2x", "4x")
SIDES = (16, 4096)  # pixels of the longer side that may be asked for


def resized_to(size: str | int, of: tuple[int, int]) -> tuple[int, int]:
    """(width, height) that a picture of ``of`` pixels has at a ``size``.

    Args:
        size: ``"1x"``, ``"2x"``, ``"4x"``, or the pixels of the longer side, 16 to 4096, as a number or as text.

    Raises UserError for anything else.
    """
    if size in SIZES:
        return of[0] * int(str(size)[0]), of[1] * int(str(size)[0])
    if isinstance(size, str) and not size.isdecimal():
        raise UserError(f"The size is {', '.join(SIZES)}, or the pixels of the longer side, such as 512.")
    scale = checks.integer(size, "The size in pixels", *SIDES) / max(of)
    return max(1, round(of[0] * scale)), max(1, round(of[1] * scale))


def resize(image: Image.Image, size: str | int) -> Image.Image:
    """A picture at a ``size`` as ``resized_to`` takes it, with Lanczos' filter; itself where nothing changes."""
    target = resized_to(size, image.size)
    return image if target == image.size else image.resize(target, Image.Resampling.LANCZOS)
