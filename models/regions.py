"""Where on a face an attribute lies, from five landmarks and its parts: what an edit of it may change.

Regions are drawn in the frame of the face: its origin lies between the eyes, one unit to the right is the distance of
the eyes, and down it is scaled so that the mouth lies where an average mouth does. A frame that leans and is shortened
with the landmarks follows a turned head.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .landmarks import celeba_landmarks
from .segmentation import Parts

MOUTH = 1.036  # from between the eyes down to between the corners of the mouth, in distances of the eyes

# (x, y, half width, half height) of ellipses in that frame.
FACE = (0.0, 0.45, 1.3, 1.65)
HEAD = (0.0, 0.25, 1.95, 2.2)
INNER = (0.0, 0.55, 0.85, 1.1)  # eyes to mouth: no hair
SMILE = (0.0, 1.1, 0.95, 0.66)
BEARD = (0.0, 1.25, 1.1, 0.82)
GLASSES = (0.0, 0.08, 1.2, 0.5)
BROWS = (0.0, -0.26, 1.0, 0.32)
BANGS = (0.0, -0.75, 1.3, 0.85)

# Attribute -> what belongs to it, and what is taken out again.
LOCAL = {
    "Smiling": SMILE,
    "Mouth_Slightly_Open": SMILE,
    "Mustache": BEARD,
    "No_Beard": BEARD,
    "Eyeglasses": GLASSES,
    "Bushy_Eyebrows": BROWS,
    "Bangs": BANGS,
}
OF_FACE = ("Pale_Skin", "Young")
COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
OF_HAIR = ("Bald", *COLOURS)
OF_HEAD = ("Male",)
ATTRIBUTES = (*LOCAL, *OF_FACE, *OF_HAIR, *OF_HEAD)
OF_BALDNESS, OF_SKIN = "Bald", "Pale_Skin"
EDGE = 0.12  # of an ellipse's radius: over so much a region fades, inside of its border
BEYOND = 0.02  # of the side: by so much what is not there yet may reach beyond the person
HARDLY_ANY = 0.02  # of the picture: with less hair, it is all of the head beside the inner face that may change


def region(attribute: str, size: int, landmarks=None, parts: Parts | None = None) -> np.ndarray | None:
    """How far an edit of ``attribute`` may show, ``[size, size]`` float32 from 0 (nothing of it lies there) to 1.

    Args:
        attribute: a name of CelebA, as directions have it.
        landmarks: ``[5, 2]`` (x, y) in pixels of the picture: left and right eye as seen, nose, left and right corner
            of the mouth; None: those of an average face in the ``celeba`` crop.
        parts: of this picture, ``size`` pixels a side; with them, nothing lies in the background, and the colour of
            hair lies on the hair.

    None for an attribute of which it is not known where it lies.
    """
    where = _outlined(attribute, size, landmarks)
    if where is None or parts is None:
        return where
    near = _widened(parts.person, BEYOND * size)
    if attribute in OF_HAIR:
        hair = _widened(parts.hair, 0.5 * BEYOND * size)
        if attribute == OF_BALDNESS:  # hair becomes skin where there was some, and background beside the head
            return np.maximum(where, hair * (1 - ellipse(INNER, size, landmarks))) * near
        return where * near if parts.hair.mean() < HARDLY_ANY else hair * near
    if attribute in OF_HEAD:
        return np.maximum(where, parts.hair) * near
    if attribute in OF_FACE:  # skin does not end where an ellipse does: ears, a bald head, the neck
        head = ellipse(HEAD, size, landmarks) * near
        return head * (1 - parts.hair) if attribute == OF_SKIN else head
    return where * near


def union(attributes: Iterable[str], size: int, landmarks=None, parts: Parts | None = None) -> np.ndarray | None:
    """How far edits of all these may show: the largest of their ``region``; nowhere without attributes.

    None where it is not known of one of them where it lies.
    """
    found = [region(name, size, landmarks, parts) for name in attributes]
    if any(one is None for one in found):
        return None
    return np.max([np.zeros((size, size), np.float32), *found], axis=0)


def _widened(mask: np.ndarray, by: float) -> np.ndarray:
    """A mask grown by so many pixels, and soft over as many beyond."""
    import cv2

    side = 2 * max(1, round(by)) + 1
    grown = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return cv2.GaussianBlur(grown, (0, 0), max(0.5, by / 2))


def _outlined(attribute: str, size: int, landmarks) -> np.ndarray | None:
    """The region as the landmarks alone give it."""
    if attribute in LOCAL:
        return ellipse(LOCAL[attribute], size, landmarks)
    if attribute in OF_FACE:
        return ellipse(FACE, size, landmarks)
    if attribute in OF_HEAD:
        return ellipse(HEAD, size, landmarks)
    if attribute in OF_HAIR:
        return ellipse(HEAD, size, landmarks) * (1 - ellipse(INNER, size, landmarks))
    return None


def face(size: int, landmarks=None) -> np.ndarray:
    """The face itself, without hair, ``[size, size]`` from 0 to 1; arguments as ``region``."""
    return ellipse(FACE, size, landmarks)


def ellipse(shape: tuple[float, float, float, float], size: int, landmarks=None) -> np.ndarray:
    """An ellipse of the face's frame in the picture, 1 inside, and fading over ``EDGE`` to 0 at its border."""
    points = celeba_landmarks(size) if landmarks is None else np.asarray(landmarks, np.float64)
    x, y, half_width, half_height = shape
    at = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).astype(np.float64)
    u, v = np.moveaxis(_frame(points, at), -1, 0)
    radius = np.hypot((u - x) / half_width, (v - y) / half_height)
    return np.clip((1 - radius) / EDGE, 0, 1).astype(np.float32)


def _frame(points: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Places ``[..., 2]`` of the picture in the frame of the face with these five landmarks."""
    origin = points[:2].mean(axis=0)
    across, down = points[1] - points[0], (points[3:].mean(axis=0) - origin) / MOUTH
    axes = np.stack([across, down], axis=1)
    if abs(np.linalg.det(axes)) < 1e-6:  # landmarks in one line: no face lies like that
        axes = np.eye(2) * max(float(np.linalg.norm(across)), 1.0)
    return (at - origin) @ np.linalg.inv(axes).T
