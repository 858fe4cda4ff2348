"""Checks what a visitor sends before anything else sees it: photographs, checkpoint files, recipes."""

from __future__ import annotations

import warnings
from pathlib import Path
from secrets import token_bytes

from gradio import route_utils
from PIL import Image

from pipelines.photographs import TOO_MANY, UNREADABLE, photograph
from weights.errors import UserError

MB = 2**20
# What the page's file boxes take at most (launch sets it): published checkpoints have up to 400 MB, training ones more.
MAX_UPLOAD = 700 * MB
MAX_IMAGE = 50 * MB
MAX_SIDE = 4096  # a larger photograph is made this large, unless the whole of it is asked for
MAX_RECIPE = MB
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
CHECKPOINT_ENDINGS = (".pkl", ".pt", ".pth", ".bin", ".safetensors", ".dcgan_theano")


class Upload(route_utils.GradioUploadFile):
    """A file on its way here, in a folder of its own.

    Gradio names the folder after the content, so that two visitors who send the same file have one path between them,
    and whoever is done with it first takes it away from the other.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.sha.update(token_bytes(16))


def install() -> None:
    route_utils.GradioUploadFile = Upload


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


def image(path: str | Path | None, max_side: int | None = MAX_SIDE) -> Image.Image:
    """A photograph as RGB, upright (its EXIF orientation applied), no side over ``max_side`` (None: as it is).

    Raises UserError: no file, over 50 MB, over 64 megapixels, under 16 px, not a picture, damaged.
    """
    if _size(path, "picture") > MAX_IMAGE:
        raise UserError(f"That picture has more than {MAX_IMAGE // MB} MB; save it smaller and try again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(path, formats=IMAGE_FORMATS)
        with opened:
            found = photograph(opened)
            if found is opened:  # the file is closed now, its pixels are not
                found = opened.copy()
    except UserError:
        raise
    except (Image.DecompressionBombError, OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise UserError(unreadable(error)) from None
    if max_side is not None and max(found.size) > max_side:
        found.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return found


def unreadable(error: Exception) -> str:
    """What is said of a file that Pillow could not read as a picture."""
    return TOO_MANY if isinstance(error, Image.DecompressionBombError) else UNREADABLE


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
