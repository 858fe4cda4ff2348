"""How a picture moves and changes colour along a path of pictures (Zhu et al. 2016, section 4.3).

Between the first picture and each later one of the path, a displacement ``u(x)`` and an affine map of colours ``A(x)``
make small

    sum_x w |I_t(x) - A(x) I_0(x + u(x))|^2 + alpha |grad u|^2 + beta |lap u|^2 + gamma |A - A_wide|^2

Neighbouring pictures differ little, so OpenCV's DIS flow (Kroeger et al. 2016) follows the motion from one to the next,
and what it finds is composed. Composed errors add up, so each step ends with a few Gauss-Newton steps on the energy
itself, against the first picture and in all three colours; the blurred structure tensor makes them robust against noise
(Bruhn et al. 2005). Where motion forth and back disagree, or no colour explains what is seen, a pixel has little
weight: motion comes from its surroundings there, and the remaining change is a plain change of colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

WORK = 256  # pixels a side for DIS, which is weak on small pictures
GRID = 64  # samples a side of the fields
ALPHA, BETA = 0.003, 0.3  # weights of the first and second derivatives of the motion, on the grid, levels being 0..1
GAMMA = 0.003  # of a local map of colours that is unlike the wider one, as a variance of levels
WIDTH = 0.12  # of the side: deviation of the window of a local map of colours
PLAIN = 0.02  # the same of the plain change of colour
TENSOR = 2.0  # samples: deviation of the blur of the structure tensor
ROBUST = 0.2  # a difference of levels from which on a pixel counts less
LEAST = 0.4  # weight of a pixel whose motion forth and back disagree: it lies at an edge, and edges show motion
BACK = 1.0  # pixels of WORK that motion forth and back may disagree
LONGEST = 0.4  # of the side: no motion goes farther
ROUNDS = 3  # Gauss-Newton steps per picture, colours estimated anew before each
SOLVER = 10  # steps of conjugate gradients in each


@dataclass(frozen=True)
class Fields:
    """What became of the first picture: at x it is ``colour(x) * I_0(x + flow(x))``.

    Attributes:
        flow: ``[GRID, GRID, 2]`` float32, x and y, in shares of the picture's side.
        colour: ``[GRID, GRID, 3, 4]`` float32, on RGB levels from 0 to 1 and a one.
    """

    flow: np.ndarray
    colour: np.ndarray


def unchanged() -> Fields:
    flow = np.zeros((GRID, GRID, 2), np.float32)
    return Fields(flow, np.broadcast_to(np.eye(3, 4, dtype=np.float32), (GRID, GRID, 3, 4)).copy())


def follow(pictures: Iterable[np.ndarray], smoothness: float = 1.0, colour_smoothness: float = 1.0) -> Iterator[Fields]:
    """The fields of each picture of a path, the first one's (nothing changed) included.

    Args:
        pictures: square ``[R, R, 3]`` float32 levels from 0 to 1, all of one size, each near to the one before.
        smoothness, colour_smoothness: factors of the weights of the two regularisers.
    """
    path = _Path(smoothness, colour_smoothness)
    for picture in pictures:
        yield path.step(np.ascontiguousarray(picture, np.float32))


class _Path:
    """The pictures seen so far: the first, the last, and what the fields are."""

    def __init__(self, smoothness: float, colour_smoothness: float):
        import cv2

        self.smoothness, self.gamma = smoothness, GAMMA * colour_smoothness
        self.width = WIDTH * GRID * colour_smoothness**0.25
        self.first = None
        self.dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self.dis.setFinestScale(1)
        self.dis.setVariationalRefinementAlpha(20.0 * smoothness)

    def step(self, picture: np.ndarray) -> Fields:
        large, small = _resized(picture, WORK), _resized(picture, GRID)
        if self.first is None:
            self.first = small
            self.flow = np.zeros((GRID, GRID, 2), np.float32)  # samples
            self.sure = np.ones((GRID, GRID), np.float32)
            self.before, self.small_before = large, small
            return unchanged()
        motion, sure = self._from_neighbour(large, small)
        self.flow = motion + warped(self.flow, motion)
        self.sure = np.clip(sure, LEAST, 1)
        for _ in range(ROUNDS):
            self.flow = self._corrected(small)
        colour = self._recoloured(small)
        self.before, self.small_before = large, small
        return Fields(self.flow / GRID, colour)

    def _from_neighbour(self, large: np.ndarray, small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Motion from this picture to the one before ``[GRID, GRID, 2]`` in samples, and how sure it is."""
        maps = colour_maps(self.small_before, small, np.ones_like(self.sure), self.width, self.gamma)
        now, before = _eight_bits(large, recoloured(_resized(maps, WORK), self.before))
        there, back = self.dis.calc(now, before, None), self.dis.calc(before, now, None)
        apart = np.linalg.norm(there + warped(back, there), axis=2)
        sure = np.exp(-((apart / BACK) ** 2)).astype(np.float32)
        return _resized(_filled(there, sure), GRID) * (GRID / WORK), _resized(sure, GRID)

    def _corrected(self, small: np.ndarray) -> np.ndarray:
        """One Gauss-Newton step of the motion on the energy, against the first picture."""
        import cv2

        moved = warped(self.first, self.flow)
        maps = colour_maps(moved, small, self.sure, self.width, self.gamma)
        seen, wanted = (cv2.GaussianBlur(im, (0, 0), 0.7) for im in (recoloured(maps, moved), small))
        gx, gy = (
            (cv2.Sobel(seen, -1, *d, ksize=3) + cv2.Sobel(wanted, -1, *d, ksize=3)) / 16 for d in ((1, 0), (0, 1))
        )
        off = wanted - seen
        weight = self.sure * ROBUST / np.sqrt((off * off).sum(axis=2) + ROBUST**2)
        products = (gx * gx, gx * gy, gy * gy, gx * off, gy * off)
        parts = [cv2.GaussianBlur(weight * p.sum(axis=2), (0, 0), TENSOR) for p in products]
        alpha, beta = ALPHA * self.smoothness, BETA * self.smoothness
        right = np.stack(parts[3:], axis=-1) - _roughness(self.flow, alpha, beta)
        change = _solved(parts[:3], alpha, beta, right)
        longest = LONGEST * GRID
        return np.clip(self.flow + np.clip(change, -1, 1), -longest, longest).astype(np.float32)

    def _recoloured(self, small: np.ndarray) -> np.ndarray:
        """The maps of colours, with the plain change of colour where motion and maps leave something unexplained."""
        import cv2

        moved = warped(self.first, self.flow)
        maps = colour_maps(moved, small, self.sure, self.width, self.gamma)
        left = small - recoloured(maps, moved)
        unsure = 1 - self.sure * ROBUST / np.sqrt((left * left).sum(axis=2) + ROBUST**2)
        plain = cv2.GaussianBlur(left * unsure[..., None], (0, 0), PLAIN * GRID, borderType=cv2.BORDER_REFLECT)
        maps[..., 3] += plain
        return maps


def warped(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """``image [S, S, ...]`` at x + flow(x), bilinear; the border goes on."""
    import cv2

    y, x = np.mgrid[: len(flow), : len(flow)].astype(np.float32)
    return cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def recoloured(maps: np.ndarray, image: np.ndarray) -> np.ndarray:
    """``maps [H, W, 3, 4]`` applied to ``image [H, W, 3]``."""
    return (maps[..., :3] @ image[..., None])[..., 0] + maps[..., 3]


def edited(fields: Fields, picture: np.ndarray) -> np.ndarray:
    """``picture [R, R, 3]``, of levels or of differences of levels, moved and recoloured; nothing is clipped."""
    size = len(picture)
    moved = warped(np.ascontiguousarray(picture, np.float32), size * _resized(fields.flow, size))
    return recoloured(_resized(fields.colour, size), moved)


def colour_maps(source: np.ndarray, target: np.ndarray, weight: np.ndarray, width: float, gamma: float) -> np.ndarray:
    """Affine maps ``[S, S, 3, 4]`` that bring the colours of ``source [S, S, 3]`` to those of ``target`` around each
    pixel: weighted least squares in Gaussian windows of deviation ``width`` (as in the guided filter, He et al. 2010).

    The ridge ``gamma`` pulls the local map to that of the whole picture, and that one to the identity, so that what has
    one colour only keeps its contrast.
    """
    import cv2

    size = len(source)
    xx = (source[..., :, None] * source[..., None, :]).reshape(size, size, 9)
    yx = (target[..., :, None] * source[..., None, :]).reshape(size, size, 9)
    sums = np.concatenate([source, target, xx, yx], axis=2) * weight[..., None]
    blur = {"ksize": (0, 0), "sigmaX": width, "borderType": cv2.BORDER_REFLECT}
    local = np.dstack([cv2.GaussianBlur(np.ascontiguousarray(sums[..., i : i + 4]), **blur) for i in range(0, 24, 4)])
    local /= cv2.GaussianBlur(weight, **blur)[..., None] + 1e-6
    whole = sums.mean(axis=(0, 1), dtype=np.float64) / weight.mean()
    wide = _least_squares(whole[None, None], np.eye(3), gamma / 3)
    return _least_squares(local, wide[..., :3], gamma).astype(np.float32)


def _least_squares(means: np.ndarray, prior: np.ndarray, ridge: float) -> np.ndarray:
    """Maps of means of x, y, x x^T, y x^T ``[..., 24]``; the linear part is drawn to ``prior``."""
    means = means.astype(np.float64)
    x, y = means[..., :3], means[..., 3:6]
    xx = means[..., 6:15].reshape(*x.shape, 3) - x[..., :, None] * x[..., None, :]
    yx = means[..., 15:].reshape(*x.shape, 3) - y[..., :, None] * x[..., None, :]
    linear = (yx + ridge * prior) @ np.linalg.inv(xx + ridge * np.eye(3))
    return np.concatenate([linear, (y - (linear @ x[..., None])[..., 0])[..., None]], axis=-1)


def _resized(field: np.ndarray, size: int) -> np.ndarray:
    """``[S, S, ...]`` to ``[size, size, ...]``: cubic when enlarged, means when shrunk."""
    import cv2

    if len(field) == size:
        return field
    how = cv2.INTER_CUBIC if size > len(field) else cv2.INTER_AREA
    flat = field.reshape(len(field), len(field), -1)
    parts = [
        cv2.resize(np.ascontiguousarray(flat[..., i : i + 4]), (size, size), interpolation=how)
        for i in range(0, flat.shape[2], 4)
    ]
    return np.dstack(parts).reshape(size, size, *field.shape[2:])


def _eight_bits(a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    """Luma of two pictures, stretched alike to the 256 levels that DIS takes."""
    lumas = [im @ np.array([0.299, 0.587, 0.114], np.float32) for im in (a, b)]
    low, high = min(im.min() for im in lumas), max(im.max() for im in lumas)
    return [np.rint((im - low) * (255 / max(high - low, 0.2))).astype(np.uint8) for im in lumas]


def _filled(flow: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Motion where it is sure, elsewhere that of the nearest surroundings that are (normalised convolution)."""
    import cv2

    filled, covered = flow * sure[..., None], sure
    for part in (1 / 64, 1 / 24, 1 / 8, 1 / 3):
        width = part * len(flow)
        weight = cv2.GaussianBlur(sure, (0, 0), width)
        around = cv2.GaussianBlur(flow * sure[..., None], (0, 0), width) / (weight + 1e-6)[..., None]
        more = (1 - covered) * np.clip(2 * weight, 0, 1)
        filled, covered = filled + more[..., None] * around, covered + more
    return filled / np.maximum(covered, 0.5)[..., None]


def _laplacian(field: np.ndarray) -> np.ndarray:
    """Four times each sample less its neighbours; beyond the border the field goes on."""
    wide = np.pad(field, ((1, 1), (1, 1), (0, 0)), "edge")
    return 4 * field - wide[:-2, 1:-1] - wide[2:, 1:-1] - wide[1:-1, :-2] - wide[1:-1, 2:]


def _roughness(field: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """Half the gradient of ``alpha |grad|^2 + beta |lap|^2``."""
    first = _laplacian(field)
    return alpha * first + beta * _laplacian(first)


def _solved(tensor: list[np.ndarray], alpha: float, beta: float, right: np.ndarray) -> np.ndarray:
    """The change of motion ``[S, S, 2]``: preconditioned conjugate gradients on the normal equations.

    Waves are the eigenvectors of the roughness, with borders that go on cosines; so with the structure tensor's mean
    in place of the tensor the equations are solved at once in the frequencies, and that is the preconditioner.
    """
    from scipy.fft import dctn, idctn

    xx, xy, yy = tensor
    frequencies = 2 - 2 * np.cos(np.pi * np.arange(len(right)) / len(right))
    waves = (frequencies[:, None] + frequencies)[..., None]
    means = np.array([xx.mean(), yy.mean()]) + 1e-6
    stiff = (means + alpha * waves + beta * waves**2).astype(right.dtype)

    def conditioned(rest: np.ndarray) -> np.ndarray:
        return idctn(dctn(rest, axes=(0, 1), norm="ortho") / stiff, axes=(0, 1), norm="ortho")

    found, rest = np.zeros_like(right), right
    way = scaled = conditioned(rest)
    length = float((rest * scaled).sum())
    for _ in range(SOLVER):
        if length < 1e-14:
            break
        x, y = way[..., 0], way[..., 1]
        made = np.stack([xx * x + xy * y, xy * x + yy * y], axis=-1) + _roughness(way, alpha, beta)
        step = length / float((way * made).sum())
        found, rest = found + step * way, rest - step * made
        scaled = conditioned(rest)
        length, before = float((rest * scaled).sum()), length
        way = scaled + (length / before) * way
    return found
