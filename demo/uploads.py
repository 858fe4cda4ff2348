"""Checks what a visitor sends before anything else sees it: photographs, checkpoint files, recipes."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, ImageOps

from weights.errors import UserError

MB = 2**20
# What the page's file boxes take at most (launch sets it): published checkpoints have up to 400 MB, training ones more.
MAX_UPLOAD = 700 * MB
MAX_IMAGE = 20 * MB
MAX_PIXELS = 40_000_000
MAX_SIDE = 4096  # a larger photograph is made this large before anything works on it
MIN_SIDE = 16
MAX_RECIPE = MB
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
CHECKPOINT_ENDINGS = (".pkl", ".pt", ".pth", ".bin", ".safetensors")


def _size(path: str | Path | None, what: str) -> int:
    try:
        size = Path(path).stat().st_size if path else -1
    except OSError:
        size = -1
    if size < 0:
        raise UserError(f"There is no {what} yet; choose a file first.")
    if size == 0:
        raise UserError(f"That {what} is empty; choose another file.")
    return size


def image(path: str | Path | None) -> Image.Image:
    """A photograph as RGB, upright (its EXIF orientation applied), no side over 4096 px.

    Raises UserError: no file, over 20 MB, over 40 megapixels, under 16 px, not a picture, damaged.
    """
    if _size(path, "picture") > MAX_IMAGE:
        raise UserError(f"That picture has more than {MAX_IMAGE // MB} MB; save it smaller and try again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(path, formats=IMAGE_FORMATS)
        with opened:
            _measured(*opened.size)  # known from the header: nothing is unpacked yet
            found = _flattened(ImageOps.exif_transpose(opened))
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise UserError("That picture has too many pixels; up to 40 megapixels are taken.") from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError):
        raise UserError("That file is not a picture that can be read; send a JPEG, PNG or WebP.") from None
    if max(found.size) > MAX_SIDE:
        found.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return found


def _measured(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UserError(f"That picture has {width:,} x {height:,} pixels; up to 40 megapixels are taken.")
    if min(width, height) < MIN_SIDE:
        raise UserError(f"That picture has {width} x {height} pixels; at least {MIN_SIDE} a side are needed.")


def _flattened(found: Image.Image) -> Image.Image:
    """RGB; what is transparent becomes white, as it looks on most pages."""
    if found.mode in ("RGBA", "LA", "PA") or "transparency" in found.info:
        found = found.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", found.size, "white"), found).convert("RGB")
    return found.convert("RGB")


def checkpoint(path: str | Path | None) -> Path:
    """A checkpoint file of bearable size; what is in it, ``weights.read`` finds out. Raises UserError."""
    if _size(path, "checkpoint file") > MAX_UPLOAD:
        raise UserError(f"That file has more than {MAX_UPLOAD // MB} MB; use it with weights.read in a script instead.")
    return Path(path)


def recipe(path: str | Path | None) -> str:
    """The text of a recipe file. Raises UserError."""
    if _size(path, "recipe") > MAX_RECIPE:
        raise UserError("That file is too large for a recipe.")
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UserError("That file is not a recipe: it does not hold text.") from None
