"""What comes in as a photograph: any picture that Pillow reads, made upright and RGB. Loads no torch."""

from __future__ import annotations

import contextlib

import numpy as np
from PIL import Image, ImageOps

from weights.errors import UserError

MIN_SIDE = 16
MAX_PIXELS = 64_000_000
TOO_MANY = f"That picture has too many pixels; up to {MAX_PIXELS / 1e6:.0f} megapixels are taken, so make it smaller."
UNREADABLE = "That file is not a picture that can be read; send a JPEG, PNG or WebP."
_ORIENTATION = 0x0112  # the EXIF tag
_TURNED = range(2, 9)


def photograph(image: Image.Image) -> Image.Image:
    """A picture of any mode as RGB, upright (its EXIF orientation applied), of an animation the first frame.

    What is transparent becomes white, as it looks on most pages; 16 bits become 8. An upright RGB picture comes back
    itself. The size is known from the header, so nothing is unpacked of a picture that is too large.

    Raises UserError: no picture, under 16 px a side, over 64 megapixels, damaged.
    """
    if not isinstance(image, Image.Image):
        raise UserError("There is no picture yet; choose a photograph first.")
    width, height = image.size
    if width * height > MAX_PIXELS:
        most = f"{MAX_PIXELS / 1e6:.0f} megapixels"
        raise UserError(f"That picture has {width:,} x {height:,} pixels; up to {most} are taken, so make it smaller.")
    if min(width, height) < MIN_SIDE:
        raise UserError(
            f"That picture has {width} x {height} pixels; at least {MIN_SIDE} a side are needed, so send a larger one."
        )
    try:
        if image.tell():
            image.seek(0)
        image.load()
        return _rgb(_upright(image))
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError):
        raise UserError(UNREADABLE) from None


def _upright(image: Image.Image) -> Image.Image:
    # Whatever a damaged EXIF block makes its reader stumble over: the picture itself is there.
    with contextlib.suppress(Exception):
        if image.getexif().get(_ORIENTATION) in _TURNED:
            return ImageOps.exif_transpose(image)
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(np.asarray(image), image.mode)).convert("RGB")
    if image.mode in ("RGBa", "La"):
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(values: np.ndarray, mode: str) -> np.ndarray:
    """Levels of more than 8 bits as 0..255; where the mode does not tell what is white, the largest level does."""
    values = np.nan_to_num(values.astype(np.float32), nan=0, posinf=0, neginf=0)
    usual = [65535] if mode.startswith("I;16") else [255, 65535] if mode == "I" else [1, 255, 65535]
    highest = float(values.max())
    white = next((w for w in usual if highest <= w), highest)
    return np.rint(np.clip(values, 0, white) * (255 / white)).astype(np.uint8)
