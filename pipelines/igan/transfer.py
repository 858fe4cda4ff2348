"""An edit made on generated pictures, carried over to the photograph itself (Zhu et al. 2016, section 4.3).

    for frame in igan_transfer.transfer(net, photograph, z0, z1):     # the photograph first, the whole edit last
        ...
    found = igan_transfer.change(net, z0, z1)                         # or once, and then at any t without estimating
    igan_transfer.apply(found, photograph, t=0.5)

The pictures from G(z0) to G(z1) say how things move and how colours change; both are smooth, so the photograph is moved
and recoloured at its own resolution and keeps its own detail. ``flow`` has the estimation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from weights.errors import UserError

from .. import checks
from ..faces import geometry
from ..faces.align import AlignedFace
from ..faces.paste import BROAD
from ..images import decode_image
from ..photographs import photograph
from ..registry import recipe
from .flow import GRID, Fields, follow
from .latent_space import Latent, Network, Space

MIN_FRAMES, MAX_FRAMES = 2, 64
LEAST_STEPS = 12  # pictures of the path from which neighbours are near enough to each other to be followed
MOTION_FADE = 0.18  # of the side of the crop, over which motion ends at a border that is seen
LARGEST = 1024  # samples a side to which fields are enlarged before they are laid on the photograph
TILE = 512  # pixels of the photograph at a time
MARGIN = 6  # pixels around what a tile takes from the photograph, for the interpolation
FARTHEST = 8000  # pixels of the photograph that anything moves


@dataclass(frozen=True, eq=False)
class Change:
    """An edit along its whole path.

    Attributes:
        flow: ``[T, S, S, 2]`` float32: where what is seen at x comes from, x + flow(x), in shares of the side.
        colour: ``[T, S, S, 3, 4]`` float32: the affine map of colours there, on levels from 0 to 1. The first of the T
            fields change nothing, the last are the whole edit.
    """

    flow: np.ndarray
    colour: np.ndarray

    def __post_init__(self):
        steps = len(self.flow)
        if steps < 2 or self.flow.shape != (steps, GRID, GRID, 2) or self.colour.shape != (steps, GRID, GRID, 3, 4):
            raise ValueError("a change has fields of two pictures or more")

    def at(self, t: float) -> Fields:
        """The fields t of the way, 0 to 1."""
        place = t * (len(self.flow) - 1)
        low = min(int(place), len(self.flow) - 2)
        part = np.float32(place - low)
        return Fields(*((1 - part) * field[low] + part * field[low + 1] for field in (self.flow, self.colour)))


def change(
    net: Network,
    z0: Latent,
    z1: Latent,
    frames: int = 16,
    *,
    smoothness: float = 1.0,
    colour_smoothness: float = 1.0,
) -> Change:
    """How the pictures of ``net`` move and change colour from ``z0`` to ``z1``.

    Args:
        net: a DCGAN or a StyleGAN2.
        z0, z1: latents: tensors, seeds, or text of ``encode_latent``.
        frames: pictures of the path, 2 to 64; between fewer than 13 others are looked at too.
        smoothness, colour_smoothness: how even the motion and the change of colour are, 0.1 to 10.

    Raises UserError.
    """
    fields = list(_fields(net, z0, z1, frames, smoothness, colour_smoothness))
    return Change(np.stack([f.flow for f in fields]), np.stack([f.colour for f in fields]))


def apply(
    change: Change,
    image: Image.Image,
    t: float = 1.0,
    *,
    box: Sequence[int] | None = None,
    aligned: AlignedFace | None = None,
    motion: float = 1.0,
    colour: float = 1.0,
) -> Image.Image:
    """The photograph with the edit t of the way, at its own size; outside the crop it is what it was.

    Args:
        change: from ``change``.
        image: any picture; the answer is RGB and upright.
        t: 0 (the photograph) to 1.
        box: (left, top, right, bottom) in pixels: the square that the network's pictures correspond to. The largest one
            in the middle where neither this nor ``aligned`` is given.
        aligned: the face that they correspond to, from ``faces.align`` of this photograph.
        motion, colour: how much of either is carried over, 0 to 1.

    Raises UserError.
    """
    if not isinstance(change, Change):
        raise UserError("There is no edit to carry over; make one first.")
    image = photograph(image)
    t = checks.number(t, "The place on the path", 0, 1)
    return _Place(image, box, aligned, motion, colour).changed(change.at(t) if t else None)


@recipe("frames")
def transfer(
    net: Network,
    image: Image.Image | str,
    z0: Latent,
    z1: Latent,
    frames: int = 16,
    *,
    box: Sequence[int] | None = None,
    aligned: AlignedFace | None = None,
    smoothness: float = 1.0,
    colour_smoothness: float = 1.0,
    motion: float = 1.0,
    colour: float = 1.0,
) -> Iterator[Image.Image]:
    """The photograph with the edit that leads from G(z0) to G(z1), as ``frames`` pictures of its own size.

    The first is the upright RGB photograph itself, the last has the whole edit. Each is made when it is asked for, so
    any may be the last one that is. Arguments as in ``change`` and ``apply``; recipes hold the photograph as text
    (``images.encode_image``).

    Raises UserError: at once, for anything out of bounds.
    """
    image = photograph(decode_image(image) if isinstance(image, str) else image)
    place = _Place(image, box, aligned, motion, colour)
    fields = _fields(net, z0, z1, frames, smoothness, colour_smoothness)

    def made() -> Iterator[Image.Image]:
        for number, found in enumerate(fields):
            yield place.changed(found if number else None)

    return made()


def _fields(net, z0, z1, frames, smoothness, colour_smoothness) -> Iterator[Fields]:
    """The fields of each of ``frames`` pictures; checks its arguments at once."""
    space = Space(net)
    a, b = space.alike(space.latent(z0, "The first latent"), space.latent(z1, "The second latent"))
    frames = checks.integer(frames, "The number of frames", MIN_FRAMES, MAX_FRAMES)
    smoothness = checks.number(smoothness, "The smoothness of the motion", 0.1, 10)
    colour_smoothness = checks.number(colour_smoothness, "The smoothness of the colours", 0.1, 10)
    finer = -(-LEAST_STEPS // (frames - 1))
    count = finer * (frames - 1)

    def made() -> Iterator[Fields]:
        path = (_levels(space, space.between(a, b, k / count)) for k in range(count + 1))
        for number, found in enumerate(follow(path, smoothness, colour_smoothness)):
            if number % finer == 0:
                yield found

    return made()


def _levels(space: Space, latent) -> np.ndarray:
    """The picture of a latent as ``[R, R, 3]`` float32 from 0 to 1."""
    picture = (space.pictures(latent)[0].numpy().transpose(1, 2, 0) + 1) / 2
    return np.clip(np.broadcast_to(picture, (*picture.shape[:2], 3)), 0, 1)


class _Place:
    """Where in a photograph (upright, RGB) the network's picture is, and how much of a change goes there."""

    def __init__(self, image: Image.Image, box, aligned, motion, colour):
        self.image = image
        self.motion = checks.number(motion, "The share of the motion", 0, 1)
        self.colour = checks.number(colour, "The share of the colours", 0, 1)
        if aligned is not None:
            if not isinstance(aligned, AlignedFace) or aligned.photo_size != image.size:
                raise UserError("The face was cut from another photograph; align it again.")
            transform = geometry.resized(aligned.transform, aligned.size, GRID)
        else:
            left, top, side = _square(box, image.size)
            middle, about = (GRID - 1) / 2, (left + (side - 1) / 2, top + (side - 1) / 2)
            transform = geometry.similarity(GRID / side, 0.0, (middle, middle), about)
        # Rounded away: else the box of what is covered would have a pixel more.
        self.box = geometry.covered(transform, GRID, *image.size, margin=-1e-6)
        self.samples = int(np.clip(round(GRID / geometry.scale_of(transform)), GRID, LARGEST))
        self.transform = geometry.resized(transform, GRID, self.samples)  # from the photograph to the fields
        self.faded = _seen_borders(self.transform, self.samples, image.size)

    def changed(self, fields: Fields | None) -> Image.Image:
        """The photograph with these fields applied; None is no change."""
        result = self.image.copy()
        if fields is None:
            return result
        # Motion in pixels of the photograph, colours as what is added to them.
        back = np.linalg.inv(self.transform)[:2, :2]
        moves = self.motion * self.samples * fields.flow @ back.T
        added = self.colour * (fields.colour - np.eye(3, 4, dtype=np.float32))
        moves, added = (_enlarged(f.reshape(GRID, GRID, -1), self.samples) for f in (moves, added))
        left, top, right, bottom = self.box
        for y in range(top, bottom, TILE):
            for x in range(left, right, TILE):
                box = (x, y, min(x + TILE, right), min(y + TILE, bottom))
                pixels = self._tile(box, moves, added)
                if pixels is not None:
                    result.paste(Image.fromarray(pixels), box)
        return result

    def _tile(
        self, box: tuple[int, int, int, int], moves: list[np.ndarray], added: list[np.ndarray]
    ) -> np.ndarray | None:
        """The pixels of one box, or None where nothing changes."""
        left, top, right, bottom = box
        x, y = (a.astype(np.float32) for a in np.meshgrid(np.arange(left, right), np.arange(top, bottom)))
        a, b, c, d, e, f = self.transform[:2].ravel().tolist()  # Python floats: the arrays stay float32
        u, v = a * x + b * y + c, d * x + e * y + f
        motion_part, colour_part = self._fade(u, v, MOTION_FADE), self._fade(u, v, BROAD)
        move = np.clip(_sampled(moves, u, v) * motion_part, -FARTHEST, FARTHEST)
        maps = _sampled(added, u, v) * colour_part
        if not move.any() and not maps.any():
            return None
        pixels = self._moved(x, y, move)
        maps = maps.reshape(*x.shape, 3, 4)
        pixels += (maps[..., :3] @ pixels[..., None])[..., 0] + 255 * maps[..., 3]
        return np.clip(np.rint(pixels, out=pixels), 0, 255).astype(np.uint8)

    def _moved(self, x: np.ndarray, y: np.ndarray, move: np.ndarray) -> np.ndarray:
        """Pixels of the photograph at (x, y) + move, float32 in levels; the photograph is mirrored at its border."""
        import cv2

        width, height = self.image.size
        x, y = _mirrored(x + move[..., 0], width), _mirrored(y + move[..., 1], height)
        left, top = max(0, int(x.min()) - MARGIN), max(0, int(y.min()) - MARGIN)
        right, bottom = min(width, int(x.max()) + MARGIN + 1), min(height, int(y.max()) + MARGIN + 1)
        part = np.asarray(self.image.crop((left, top, right, bottom)), np.float32)
        return cv2.remap(part, x - left, y - top, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)

    def _fade(self, u: np.ndarray, v: np.ndarray, width: float) -> np.ndarray:
        """``[H, W, 1]``: 1 inside, without a kink to 0 at the crop's borders that are seen, 0 beyond them."""
        weight = np.ones((*u.shape, 1), np.float32)
        for distance, seen in zip(
            (u + 0.5, v + 0.5, self.samples - 0.5 - u, self.samples - 0.5 - v), self.faded, strict=True
        ):
            if seen:
                part = np.clip(distance / (width * self.samples), 0, 1)
                weight[..., 0] *= 0.5 - 0.5 * np.cos(np.pi * part)
        return weight


def _square(box, size: tuple[int, int]) -> tuple[int, int, int]:
    """Left, top and side of the square that a box is, or of the largest in the middle."""
    width, height = size
    if box is None:
        side = min(size)
        return (width - side) // 2, (height - side) // 2, side
    names = ("left", "top", "right", "bottom")
    box = checks.sequence(list(box) if isinstance(box, np.ndarray) else box, "The box", 4, 4)
    left, top, right, bottom = (
        checks.integer(v, f"The box's {name}", 0, limit)
        for v, name, limit in zip(box, names, (width, height, width, height), strict=True)
    )
    if abs((right - left) - (bottom - top)) > 1 or right - left < geometry.MIN_SIZE:
        raise UserError("The box must be a square in the photograph, at least 16 pixels a side; draw it again.")
    return left, top, min(right - left, bottom - top)


def _seen_borders(transform: np.ndarray, size: int, photo: tuple[int, int]) -> tuple[bool, bool, bool, bool]:
    """Left, top, right, bottom of the crop: whether the photograph goes on beyond it."""
    along = np.linspace(-0.5, size - 0.5, 33)
    beyond = 1.0 * geometry.scale_of(transform)  # one pixel of the photograph
    low, high = np.full(33, -0.5 - beyond), np.full(33, size - 0.5 + beyond)
    lines = [(low, along), (along, low), (high, along), (along, high)]
    back = np.linalg.inv(transform)
    seen = []
    for xs, ys in lines:
        points = geometry.apply(back, np.stack([xs, ys], axis=-1))
        inside = (points > -0.5) & (points < np.array(photo) - 0.5)
        seen.append(bool(inside.all(axis=1).any()))
    return tuple(seen)


def _enlarged(field: np.ndarray, size: int) -> list[np.ndarray]:
    """``[S, S, C]`` to ``[size, size, C]``, without kinks, in parts of the four channels that OpenCV takes."""
    import cv2

    parts = [np.ascontiguousarray(field[..., i : i + 4], np.float32) for i in range(0, field.shape[2], 4)]
    return [cv2.resize(part, (size, size), interpolation=cv2.INTER_CUBIC) for part in parts]


def _sampled(parts: list[np.ndarray], u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A field ``[S, S, C]``, in parts, at (u, v), bilinear; the border goes on."""
    import cv2

    how = {"interpolation": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    return np.dstack([cv2.remap(part, u, v, **how) for part in parts])


def _mirrored(place: np.ndarray, length: int) -> np.ndarray:
    """Places on a line of ``length`` pixels; those beyond its ends are mirrored into it."""
    last = length - 1
    return np.clip(last - np.abs(last - np.abs(place)), 0, last)
