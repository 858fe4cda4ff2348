"""The photograph that ships, for visitors with none at hand: ``assets/photographs`` says whose it is."""

from __future__ import annotations

from functools import cache

from PIL import Image

from . import theme

FILE = theme.PHOTOGRAPHS / "astronaut.jpg"
HAS = {"Male": False}  # what the classifier takes for true of her, and is not
SOURCE = "from demo.photographs import photograph\n\nphoto = photograph()"  # the Python that opens it


@cache
def photograph() -> Image.Image:
    with Image.open(FILE) as image:
        return image.convert("RGB")


@cache
def found() -> tuple:
    """The faces in it, as ``faces.detect`` gives them."""
    from pipelines import faces

    return tuple(faces.detect(photograph()))
