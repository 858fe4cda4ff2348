"""Where an edit may show: from the map of Diff-CAM to a soft mask, and what is blended through it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from models.deghosting import border

from .. import checks
from ..defaults import SOFTNESS, THRESHOLD
from ..faces import geometry
from ..images import read_mask

FEATHER = 0.1  # of the picture's side: how far a painted area fades at softness 1
FAINT = 0.15  # a mean difference of colours, of 1 at most, that counts as a full change where no network judges
VISIBLE = 0.03  # a mean difference of colours, of 1 at most, from which on a change is taken as Diff-CAM sees it
REACH = 0.05  # of the side: how far beyond its cells Diff-CAM's map reaches, which are an eighth of 64 pixels wide
TRUSTED, DISTRUSTED = 0.08, 0.15  # mean |I - I'|, of 1 at most: up to here T may be shown, from there on it may not
# The same where a network finds what lies before the face: in medians of |I - I'| of this photograph, within limits.
FAILED, TWICE, WITHIN = 2.5, 1.9, (0.08, 0.16)
STRONG = 0.05, 0.12  # a mean difference of colours, of 1 at most, from which on a change counts whatever named it
REPLACED = 0.02, 0.06  # a mean difference of colours from which on T replaces the photograph, and does wholly
OCCLUDED = 0.04, 0.2  # how sure that network is: up to here T may be shown, from there on it may not
# Attributes that come with another light upon the whole face, which must not show as a disc. A beard or glasses are a
# colour at the border of their mask, which cloning would take out: of 12 train photographs it changed 17 % (beard, at
# strength 6) and 33 % (glasses) where 33 and 42 % change without.
CLONED = ("Smiling", "Mouth_Slightly_Open", "Bangs", "Bushy_Eyebrows")
ENOUGH = 0.03  # of the hair, to compare two colours of it
FEW, WIDEST = 4.0, 2.0  # levels of 255 that any hair spreads over; the spread may become so many times what it was
MASKED = 0.03  # of the mask, of 1 at most: up to here the photograph is taken for untouched
BLUR = 0.02  # of the side, on plain differences: a face that moves a little changes along lines
OVERLAY = (222, 38, 32)  # rubylith, as on the canvas


def plain_difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """A map in place of Diff-CAM's: ``[H, W]`` 0..1 from two pictures ``[H, W, 3]`` uint8; equal ones give zeros."""
    apart = _apart(before, after)
    return np.clip(apart / max(float(apart.max()), FAINT), 0, 1)


def visible(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far a change can be seen, ``[H, W]`` 0..1, of two pictures ``[H, W, 3]`` uint8.

    Diff-CAM's map is the same for a faint edit and a strong one, because it is divided by its largest value. Times this
    it fades with the edit, and leaves out places that are like those that changed but did not change themselves.
    """
    return np.clip(_apart(before, after) / VISIBLE, 0, 1)


def widened(seen: np.ndarray) -> np.ndarray:
    """Diff-CAM's map ``[H, W]`` 0..1, reaching a little farther.

    Its cells are coarse and it is strongest in their middle, so that by itself it ends inside of what changed: of a
    mouth that opens the lips would stay.
    """
    import cv2

    radius = max(1, round(REACH * len(seen)))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    return cv2.GaussianBlur(cv2.dilate(seen.astype(np.float32), disc), (0, 0), radius / 3)


def within(seen: np.ndarray, region: np.ndarray | None) -> np.ndarray:
    """A map ``[H, W]`` 0..1, as far as it lies in a region of the same size and range; None: everywhere (ours)."""
    return seen if region is None else seen * region


def strong(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where a change is strong, ``[H, W]`` 0..1, of two pictures ``[H, W, 3]`` uint8.

    Diff-CAM needs little to name an edit that is all over the face, and looks at that alone: of one that makes a man of
    a woman at brows and chin, and the hair would stay hers. It counts within the attribute's region only.
    """
    return _rise(_apart(before, after), *STRONG)


def trusted(photo: np.ndarray, inverted: np.ndarray, occluded: np.ndarray | None = None) -> np.ndarray:
    """How far T may be shown, ``[H, W]`` 0..1, of I and I' ``[H, W, 3]`` uint8.

    Where I' is far from I, there is something that the generator has not made, and what it makes of an edit there is
    nothing of this photograph (ours; the paper trusts the mask alone).

    Args:
        occluded: how surely something lies before the face, ``[H, W]`` 0..1. Where that is known, only what is far off
            for this photograph counts, however poor the generator; without it every blur and every strand of hair does.
    """
    apart = _apart(photo, inverted)
    low, high = TRUSTED, DISTRUSTED
    if occluded is not None:
        low = float(np.clip(FAILED * np.median(apart), *WITHIN))
        high = TWICE * low
    trust = 1 - _rise(apart, low, high)
    return (trust if occluded is None else trust * bare(occluded)).astype(np.float32)


def bare(occluded: np.ndarray) -> np.ndarray:
    """Where nothing lies before the face, ``[H, W]`` 0..1, of how surely something does."""
    import cv2

    edges = cv2.dilate(occluded, np.ones((3, 3), np.uint8))  # soft ones are blends of two things already
    return (1 - _rise(edges, *OCCLUDED)).astype(np.float32)


def _rise(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """From 0 at ``low`` without a kink to 1 at ``high``."""
    part = np.clip((x - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)


def _apart(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    import cv2

    apart = np.abs(before.astype(np.float32) - after).mean(axis=2) / 255
    if not apart.any():
        return apart
    return cv2.GaussianBlur(apart, (0, 0), max(0.8, BLUR * len(apart)), borderType=cv2.BORDER_REFLECT)


def softened(
    seen: np.ndarray, threshold: float = THRESHOLD, softness: float = SOFTNESS, add=None, keep=None, trust=None
) -> np.ndarray:
    """The mask ``[H, W]`` in 256 steps from 0 to 1.

    Up to the threshold it is 0, and above it rises without a kink to 1 over ``softness`` (or less, if 1 comes first);
    what is painted is 1 (``add``) or 0 (``keep``, which wins) and fades over ``FEATHER * softness`` outside of where it
    was painted.

    Args:
        seen: ``[H, W]`` from 0 to 1.
        threshold: 0 to 1.
        softness: 0 (a hard edge) to 1.
        add, keep: masks as ``images.read_mask`` takes them, or None.
        trust: ``[H, W]`` from 0 to 1 that the mask is multiplied by before anything painted counts, or None.

    Raises UserError.
    """
    threshold = checks.number(threshold, "The threshold", 0, 1)
    softness = checks.number(softness, "The softness", 0, 1)
    width = min(softness, 1 - threshold)  # where the map is largest, the mask is whole
    if width:
        mask = _rise(seen, threshold, threshold + width)
    else:
        mask = (seen > threshold).astype(np.float32)
    if trust is not None:
        mask = mask * trust
    for painted, inside in ((add, True), (keep, False)):
        if painted is not None:
            reach = _faded(read_mask(painted, len(seen)).numpy(), softness)
            mask = np.maximum(mask, reach) if inside else mask * (1 - reach)
    return (np.rint(mask * 255) / 255).astype(np.float32)


def _faded(painted: np.ndarray, softness: float) -> np.ndarray:
    import cv2

    width = FEATHER * softness * len(painted)
    if width < 0.3 or not painted.any():
        return painted
    # A blurred edge has one half where it was sharp, so twice that ends inside and fades outwards only.
    return np.maximum(painted, np.clip(2 * cv2.GaussianBlur(painted, (0, 0), width / 2), 0, 1))


def carried(photo: np.ndarray, inverted: np.ndarray, edited: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """``F = I + M (T - I' - s (I - I'))``, ``[H, W, 3]`` uint8: the photograph with the change laid over it (ours).

    What I' lacks of the photograph, its sharpness and its person, stays in F where the edit changes little. Where it
    changes more (s goes to 1, see ``REPLACED``) that would show through what is new, as closed lips through teeth:
    there F becomes the paper's. Where M is 0 it is I itself.
    """
    lacking = photo.astype(np.float32) - inverted
    replaced = _rise(_apart(inverted, edited), *REPLACED)[..., None]
    change = edited.astype(np.float32) - inverted - replaced * lacking
    return np.clip(np.rint(photo + mask[..., None] * change), 0, 255).astype(np.uint8)


def seamless(photo: np.ndarray, carried: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """``carried`` without what it changes at the border of the mask, ``[H, W, 3]`` uint8 (ours).

    A smile comes with another light upon the whole face; cut out along the mask it would show as a disc. What is laid
    over the photograph is the picture with the same differences of neighbours that is the photograph at the border
    (Perez et al. 2003, equation 4). ``carried`` is blended with a mask of 1; the mask counts here.
    """
    import cv2

    inside = (mask > MASKED).astype(np.uint8) * 255
    inside[[0, -1]] = inside[:, [0, -1]] = 0  # the border of the picture stays what it is
    x, y, width, height = cv2.boundingRect(inside)
    if min(width, height) < 3:
        return mixed(photo, carried, mask)
    middle = (x + width // 2, y + height // 2)
    return mixed(photo, cv2.seamlessClone(carried, photo, inside, middle, cv2.NORMAL_CLONE), mask)


def recoloured(
    photo: np.ndarray, inverted: np.ndarray, edited: np.ndarray, hair: np.ndarray, where: np.ndarray
) -> np.ndarray:
    """I ``[H, W, 3]`` uint8 with what becomes of the colour of hair between I' and T done to the hair of I (ours).

    A small generator makes hair without strands, and other hair than the photograph's. Only the mean and the spread of
    its colour are taken over (Reinhard et al. 2001, "Color Transfer between Images"), so the strands stay those of I.

    Args:
        hair: where on I it is, ``[H, W]`` 0..1.
        where: the edit shows and I' is near I; there the two colours are compared.
    """
    weight = hair * where
    weight = weight if weight.sum() > ENOUGH * hair.sum() else hair

    def colour(x: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        levels, of = x.reshape(-1, 3).astype(np.float64), of.reshape(-1, 1) / max(float(of.sum()), 1e-6)
        mean = (of * levels).sum(axis=0)
        return mean, np.sqrt((of * (levels - mean) ** 2).sum(axis=0))

    (was, spread), (becomes, new_spread), (own, _) = (
        colour(inverted, weight),
        colour(edited, weight),
        colour(photo, hair),
    )
    # Of one colour nothing spreads: a few levels keep the ratio from meaning noise.
    wider = float(np.clip(((new_spread + FEW) / (spread + FEW)).mean(), 1 / WIDEST, WIDEST))
    made = own + (becomes - was) + wider * (photo - own)
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


def mixed(photo: np.ndarray, edited: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """``F = M T + (1 - M) I``, ``[H, W, 3]`` uint8; where M is 0 it is I itself."""
    m = mask[..., None]
    return np.where(m == 0, photo, np.rint(m * edited + (1 - m) * photo)).astype(np.uint8)


def smoothed(blended: np.ndarray, clean: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """``blended`` with ``clean [H, W, 3]`` (float, levels) in the border of the mask alone."""
    weight = border(mask)[..., None]
    made = np.clip(np.rint(blended + weight * (clean - blended)), 0, 255)
    return np.where(weight == 0, blended, made).astype(np.uint8)


def residual(photo: np.ndarray, inverted: np.ndarray, mask: np.ndarray) -> float | None:
    """Mean of ``|I - I'|`` inside the mask, 0 to 1; None for a mask that is empty."""
    total = float(mask.sum())
    if not total:
        return None
    return float((np.abs(photo.astype(np.float32) - inverted).mean(axis=2) * mask).sum()) / total / 255


def as_image(mask: np.ndarray) -> Image.Image:
    """In grey, 255 for 1."""
    return Image.fromarray(np.rint(mask * 255).astype(np.uint8))


def overlay(photo: Image.Image, mask: Image.Image, opacity: float = 0.62) -> Image.Image:
    """The photograph with the mask as a red film over it."""
    film = Image.new("RGB", photo.size, OVERLAY)
    return Image.composite(film, photo.convert("RGB"), mask.convert("L").point(lambda v: round(v * opacity)))


def restored(photo: Image.Image, pasted: Image.Image, mask: Image.Image, transform: np.ndarray) -> Image.Image:
    """``pasted``, but the photograph itself wherever the mask of the crop does not reach.

    Args:
        photo, pasted: RGB, one size.
        mask: grey, of the crop's size.
        transform: ``[3, 3]`` from pixels of the photograph to those of the mask.
    """
    import cv2

    size = mask.width
    left, top, right, bottom = geometry.covered(transform, size, *photo.size)
    result = photo.copy()
    if right <= left or bottom <= top or mask.getbbox() is None:
        return result
    there = transform @ np.array([[1, 0, left], [0, 1, top], [0, 0, 1.0]])
    levels = np.asarray(mask, np.float32)
    shape = (right - left, bottom - top)
    reach = cv2.warpAffine(levels, np.linalg.inv(there)[:2], shape, flags=cv2.INTER_LINEAR) > 0
    box = (left, top, right, bottom)
    result.paste(pasted.crop(box), box[:2], Image.fromarray(reach.astype(np.uint8) * 255))
    return result
