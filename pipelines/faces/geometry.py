"""Where a crop lies in a photograph: similarity transforms between the two, and the crop's pixels.

Points are (x, y) with whole numbers at pixel centres. A transform is a ``[3, 3]`` float64 array that brings points of
the photograph to the crop; it turns, scales and shifts, and never mirrors.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from models.landmarks import celeba_landmarks

CROPS = ("celeba", "ffhq")
MIN_SIZE, MAX_SIZE = 16, 2048  # pixels a side of a crop


def similarity(scale: float, angle: float, to: tuple[float, float], about: tuple[float, float]) -> np.ndarray:
    """Turns by ``angle`` (radians, x towards y) and scales about a point, and brings that point to ``to``."""
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    x, y = about
    return np.array([[a, -b, to[0] - a * x + b * y], [b, a, to[1] - b * x - a * y], [0, 0, 1.0]])


def fit(points, to) -> np.ndarray:
    """The transform that brings ``points [P, 2]`` nearest to ``to [P, 2]`` in the least squares (Umeyama 1991).

    ``points`` that all lie in one place give no transform: the entries are not finite.
    """
    p, q = np.asarray(points, np.float64), np.asarray(to, np.float64)
    centre, goal = p.mean(axis=0), q.mean(axis=0)
    p, q = p - centre, q - goal
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (p * q).sum() / (p * p).sum(), (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum() / (p * p).sum()
    return similarity(math.hypot(a, b), math.atan2(b, a), tuple(goal), tuple(centre))


def apply(transform: np.ndarray, points) -> np.ndarray:
    """``points [..., 2]`` under a transform."""
    points = np.asarray(points, np.float64)
    return points @ transform[:2, :2].T + transform[:2, 2]


def scale_of(transform: np.ndarray) -> float:
    """Pixels of the crop for one of the photograph."""
    return math.hypot(transform[0, 0], transform[1, 0])


def resized(transform: np.ndarray, size: int, new: int) -> np.ndarray:
    """The same crop, ``new`` pixels a side where it had ``size``."""
    f = new / size
    return np.array([[f, 0, (f - 1) / 2], [0, f, (f - 1) / 2], [0, 0, 1.0]]) @ transform


def widened(transform: np.ndarray, more: int) -> np.ndarray:
    """The same crop with ``more`` pixels on each side."""
    return np.array([[1, 0, more], [0, 1, more], [0, 0, 1.0]]) @ transform


def crop_transform(landmarks, crop: str, size: int) -> np.ndarray:
    """From a photograph with these five landmarks to a crop of ``size`` px.

    ``celeba``: the best fit to the average landmarks. ``ffhq``: the oriented square of Karras et al. 2019 (appendix of
    the StyleGAN paper): its axis is that of the eyes and square to that from eyes to mouth, its half side the larger of
    2 eye distances and 1.8 distances from eyes to mouth, its centre a tenth of the way from the eyes to the mouth.
    """
    points = np.asarray(landmarks, np.float64)
    if crop == "celeba":
        return fit(points, celeba_landmarks(size))
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    across, down = points[1] - points[0], mouth - eyes
    x = across + np.array([down[1], -down[0]])
    half = max(2.0 * np.linalg.norm(across), 1.8 * np.linalg.norm(down))
    centre = eyes + 0.1 * down
    middle = (size - 1) / 2
    return similarity(size / (2 * half), -math.atan2(x[1], x[0]), (middle, middle), tuple(centre))


def corners(transform: np.ndarray, size: int) -> np.ndarray:
    """``[4, 2]``: the outer corners of the crop, in the photograph."""
    low, high = -0.5, size - 0.5
    return apply(np.linalg.inv(transform), [(low, low), (high, low), (high, high), (low, high)])


def covered(transform: np.ndarray, size: int, width: int, height: int, margin: float = 0) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of whole pixels of the photograph that the crop touches."""
    around = corners(transform, size)
    left, top = np.floor(around.min(axis=0) - margin).astype(int)
    right, bottom = np.ceil(around.max(axis=0) + margin).astype(int) + 1
    return max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom))


def resample(image: Image.Image, transform: np.ndarray, size: int) -> np.ndarray:
    """The crop ``[size, size, 3]`` uint8 of an RGB photograph.

    Shrinking is filtered, so nothing aliases. Where the crop leaves the photograph, the photograph is mirrored, and the
    mirror image fades into a blurred one.
    """
    import cv2

    step = 1 / scale_of(transform)  # pixels of the photograph for one of the crop
    left, top, right, bottom = covered(transform, size, *image.size, margin=4 * max(1.0, step))
    left, top = min(left, image.width - 1), min(top, image.height - 1)  # a crop that lies beside the photograph
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    # First to about two pixels for one of the crop, then turned at that size, then halved: the rotation itself never
    # leaves pixels out.
    less = max(1.0, step / 2)
    width, height = (max(1, round((b - a) / less)) for a, b in ((left, right), (top, bottom)))
    box = (left, top, right, bottom)
    if (width, height) == (right - left, bottom - top):
        part = image.crop(box)
    else:
        part = image.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    fx, fy = width / (right - left), height / (bottom - top)
    to_part = np.array([[fx, 0, (0.5 - left) * fx - 0.5], [0, fy, (0.5 - top) * fy - 0.5], [0, 0, 1.0]])
    fine = 2 * size if step > 1 else size
    from_crop = to_part @ np.linalg.inv(resized(transform, size, fine))
    pixels = np.ascontiguousarray(np.asarray(part))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    pixels = cv2.warpAffine(pixels, from_crop[:2], (fine, fine), flags=flags, borderMode=cv2.BORDER_REFLECT)
    if fine != size:
        pixels = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS))
    return _faded(pixels, transform, image.size)


def _faded(pixels: np.ndarray, transform: np.ndarray, photo: tuple[int, int]) -> np.ndarray:
    """``pixels`` with what lies beyond the photograph more blurred the farther it lies."""
    import cv2

    size = len(pixels)
    at = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)
    at = apply(np.linalg.inv(transform), at)
    beyond = np.maximum(-at, at - (np.array(photo) - 1)).max(axis=-1) * scale_of(transform)  # pixels of the crop
    if beyond.max() <= 0.5:
        return pixels
    weight = np.clip(beyond / (0.1 * size), 0, 1)[..., None]
    blurred = cv2.GaussianBlur(pixels, (0, 0), max(1.0, 0.05 * size), borderType=cv2.BORDER_REFLECT)
    return np.rint(pixels + weight * (blurred.astype(np.float64) - pixels)).astype(np.uint8)
