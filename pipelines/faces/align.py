"""A face out of a photograph and an edit back into it: ``detect``, ``align``, ``centre_crop``, ``paste``.

    photo = Image.open("party.jpg")
    aligned = faces.align(photo, crop=net.info.crop, size=128)     # the most prominent face; faces.detect lists all
    result = faces.paste(photo, aligned, reconstruction, edit)     # both as the network made them from aligned.image

``paste`` carries the change alone, so the photograph keeps its own sharpness at any size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from weights.errors import UserError

from .. import checks
from ..photographs import photograph
from . import geometry
from .detection import Face, detect
from .geometry import CROPS, MAX_SIZE, MIN_SIZE
from .paste import margin, pasted

NO_FACE = "No face was found in this picture; choose another one, or go on with the square in its middle."
MAX_ENLARGED = 64  # pixels of a crop for one of the photograph


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """A square crop of a photograph.

    Attributes:
        image: the crop, RGB.
        transform: ``[3, 3]`` float64, from pixels of the upright photograph to those of the crop.
        crop: "celeba" or "ffhq", or "centre" where no face was looked for.
        face: whose crop it is; None for the centre.
        photo_size: width and height of the upright photograph.
    """

    image: Image.Image
    transform: np.ndarray
    crop: str
    face: Face | None
    photo_size: tuple[int, int]

    @property
    def size(self) -> int:
        """Pixels a side."""
        return self.image.width

    @property
    def inverse(self) -> np.ndarray:
        """``[3, 3]``: from pixels of the crop to those of the photograph."""
        return np.linalg.inv(self.transform)

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Where the crop lies in the photograph: four points, from the crop's upper left on clockwise."""
        return tuple((float(x), float(y)) for x, y in geometry.corners(self.transform, self.size))


def align(
    image: Image.Image,
    face: Face | int | None = None,
    crop: str = "celeba",
    size: int = 128,
    detector: str = "auto",
    online: bool = False,
) -> AlignedFace:
    """One face of a photograph, turned, scaled and cut as the training pictures of a network are.

    Args:
        image: any picture; the transform belongs to ``photographs.photograph`` of it, its upright form.
        face: one that ``detect`` found in this photograph, or its number there from 0; None is the first.
        crop: "celeba" or "ffhq"; the catalogue says which a checkpoint wants.
        size: pixels a side, 16 to 2048.
        detector, online: as in ``detect``; not asked where a face is given.

    Raises UserError: no face, none of that number, landmarks that are no face of this photograph, bad arguments.
    """
    image = photograph(image)
    crop = checks.choice(crop, "The crop", CROPS)
    size = checks.integer(size, "The size of the crop", MIN_SIZE, MAX_SIZE)
    if not isinstance(face, Face):
        number = 0 if face is None else checks.integer(face, "The number of the face", 0, 31)
        found = detect(image, detector, online)
        if not found:
            raise UserError(NO_FACE)
        if number >= len(found):
            many = "is one face" if len(found) == 1 else f"are {len(found)} faces"
            raise UserError(f"There {many} in this picture, counted from 0; choose a number below {len(found)}.")
        face = found[number]
    transform = geometry.crop_transform(_landmarks(face, image.size), crop, size)
    return _cut(image, transform, crop, size, face)


def centre_crop(image: Image.Image, size: int = 128) -> AlignedFace:
    """The largest square in the middle of a picture, ``size`` (16 to 2048) pixels a side. Raises UserError."""
    image = photograph(image)
    size = checks.integer(size, "The size of the crop", MIN_SIZE, MAX_SIZE)
    width, height = image.size
    middle, side = (size - 1) / 2, min(width, height)
    about = ((width - 1) / 2, (height - 1) / 2)
    transform = geometry.similarity(size / side, 0.0, (middle, middle), about)
    return _cut(image, transform, "centre", size, None)


def paste(
    image: Image.Image,
    aligned: AlignedFace,
    reconstruction: Image.Image,
    edit: Image.Image,
    strength: float = 1.0,
    beyond: np.ndarray | None = None,
) -> Image.Image:
    """The photograph with what ``edit`` changes of ``reconstruction``, without a seam.

    Where the two are equal, the photograph comes back bit for bit, and so it does outside the crop, and outside of
    ``beyond``.

    Args:
        image: the photograph that ``aligned`` is cut from; the answer is its upright form.
        reconstruction, edit: squares of one size (that of the crop, or another: a network's own), made from the crop.
        strength: how much of the change is carried over, 0 to 2.
        beyond: where a change goes on beyond the border of the crop, 0 to 1, for the crop with a fifth of its side
            more on each side (``surroundings.beyond``).

    Raises UserError: a photograph of another size, pictures that are no squares of one size, bad arguments.
    """
    image = photograph(image)
    strength = checks.number(strength, "The strength", 0, 2)
    if not isinstance(aligned, AlignedFace) or aligned.photo_size != image.size:
        raise UserError("The face was cut from another photograph; align it again.")
    before, after = (_square(picture) for picture in (reconstruction, edit))
    if before.size != after.size:
        raise UserError("The edit and the reconstruction differ in size; make both with the same network.")
    transform = geometry.resized(aligned.transform, aligned.size, before.width)
    change = np.asarray(after, np.float32) - np.asarray(before, np.float32)
    if beyond is not None:
        wide = before.width + 2 * margin(before.width)
        if np.shape(beyond) != (wide, wide) or not np.isfinite(beyond).all():
            raise UserError(f"Where the change goes on is said of {wide} by {wide} pixels around this crop.")
        beyond = np.clip(np.asarray(beyond, np.float32), 0, 1)
    return pasted(image, transform, change * strength, beyond)


def _square(picture: Image.Image) -> Image.Image:
    if not isinstance(picture, Image.Image) or picture.width != picture.height:
        raise UserError("The edit and the reconstruction must be square pictures; make them from the aligned face.")
    if not MIN_SIZE <= picture.width <= MAX_SIZE:
        raise UserError(f"The edit must have {MIN_SIZE} to {MAX_SIZE} pixels a side; make it from the aligned face.")
    return picture.convert("RGB")


def _landmarks(face: Face, size: tuple[int, int]) -> np.ndarray:
    """The landmarks of a face, which may come from anywhere, as ``[5, 2]``."""
    try:
        points = np.array(face.landmarks, dtype=np.float64)
    except (TypeError, ValueError):
        points = np.zeros(0)
    largest = 2.0 * max(size)
    if points.shape != (5, 2) or not np.isfinite(points).all() or np.abs(points).max() > largest:
        raise UserError("These landmarks are not those of a face in this picture; find its faces again.")
    return points


def _cut(image: Image.Image, transform: np.ndarray, crop: str, size: int, face: Face | None) -> AlignedFace:
    scale = geometry.scale_of(transform)
    if not np.isfinite(transform).all() or scale > MAX_ENLARGED * size / 128:
        raise UserError("This face is too small to be cut out; choose a larger one.")
    side = size / scale  # in pixels of the photograph
    x, y = geometry.apply(np.linalg.inv(transform), ((size - 1) / 2,) * 2)
    if not (0 <= x < image.width and 0 <= y < image.height) or side > 8 * math.hypot(*image.size):
        raise UserError("These landmarks are not those of a face in this picture; find its faces again.")
    pixels = geometry.resample(image, transform, size)
    return AlignedFace(Image.fromarray(pixels), transform, crop, face, image.size)
