"""What a call gave, as PNG files: ``pictures.save(stylegan2.sample(net, [1, 2]), "faces")``. Torch is not loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from weights.errors import UserError

from . import animation
from .sizes import resize

# Where a result that is no picture itself has its pictures, the one to show first.
ATTRIBUTES = ("result", "found", "picture", "average", "images", "image", "samples")


def save(result: object, stem: str | os.PathLike = "result", size: str | int = "1x") -> list[Path]:
    """Writes the pictures of a result without loss.

    Args:
        result: a picture; a list of them (``stem-01.png``, ...) or a table by name (``stem-Bald.png``); a list of
            lists, which becomes one grid; what a call of ``pipelines`` gives, of several steps the last.
        stem: the beginning of the files' names, with a folder if need be.
        size: ``"1x"``, ``"2x"``, ``"4x"``, or the pixels of the longer side (Lanczos).

    Returns:
        The files.

    Raises:
        UserError: there is no picture in it, the size is none, or the folder cannot be written.
    """
    found = _pictures(result)
    if not found:
        raise UserError("There is no picture in this result to save.")
    paths = []
    for name, image in found.items():
        path = Path(f"{os.fspath(stem)}{name}.png")
        try:
            resize(image, size).save(path)
        except OSError as error:
            words = error.strerror or "the file system refused"
            raise UserError(f"The picture could not be written ({words}); choose another folder.") from None
        paths.append(path)
    return paths


def _pictures(result: object) -> dict[str, Image.Image]:
    """Pictures by what is added to the name of their file."""
    if isinstance(result, Image.Image):
        return {"": result}
    if isinstance(result, Mapping):
        if all(isinstance(value, Image.Image) for value in result.values()):
            return {"-" + re.sub(r"\W+", "-", str(name)): image for name, image in result.items()}
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        if not result:
            return {}
        if all(isinstance(value, Image.Image) for value in result):
            return {f"-{i:02d}": image for i, image in enumerate(result, 1)}
        if all(isinstance(value, (list, tuple)) for value in result):
            return {"": animation.grid(result)}
        return _pictures(result[-1])
    for name in ATTRIBUTES:
        value = getattr(result, name, None)
        if name == "found" and isinstance(value, tuple):  # of a comparison: all of its methods
            value = [one.image for one in value if isinstance(getattr(one, "image", None), Image.Image)]
        if isinstance(value, (Image.Image, list, tuple, Mapping)) and len(getattr(value, "size", value)):
            return _pictures(value)
    return {}
