"""Finds faces: YuNet where its file is at hand, OpenCV's bundled cascades otherwise, then a landmark network of ours.

The cascade knows upright faces alone, so it looks at the picture turned as well; what it finds is a rough square. The
landmark network (``landmarks/faces``) looks at that square, corrects it, looks again, and says whether there is a face
at all.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import weights
from models import device_of
from weights import hub
from weights.errors import UserError

from .. import checks
from ..photographs import photograph
from . import geometry

DETECTORS = ("auto", "yunet", "cascade")
YUNET = "faces/yunet"
NETWORK = "landmarks/faces"
MAX_FACES = 32
LOOK = 640  # longest side, in pixels, of the picture that is searched first
LOOK_CLOSER = 1600  # and then, when it shows no face and there are more pixels
ENLARGED = 256  # a smaller picture is brought to this
BORDER = {"yunet": 0.25, "cascade": 0.1}  # of the longest side, all round: detectors miss faces that fill the picture
SMALLEST = 1 / 22, 1 / 40  # of the longest side: faces that the cascade looks for first, and when it looks closer
TURNS = (0, -22, 22)  # degrees by which the cascade turns the picture
MORE_TURNS = (90, 180, 270, -45, 45)  # if it has found nothing so far
YUNET_SCORE = 0.6
SAME = 0.35  # of the crop's side: two finds nearer to each other are one face
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Face:
    """A face in an upright photograph, all of it in that photograph's pixels (whole numbers at pixel centres).

    Attributes:
        box: left, top, right, bottom; from brow to chin.
        landmarks: five (x, y): left and right eye as seen in the picture, nose, left and right corner of the mouth. For
            faces of the cascade nose and mouth are where an average face has them.
        score: 0 to 1, how sure the detector (or, for the cascade, the landmark network) is.
        detector: "yunet" or "cascade".
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[tuple[float, float], ...]
    score: float
    detector: str


# Of a face in the `celeba` crop at 128 px: the box, and the square that the cascade finds (middle and side; medians
# over training photographs).
_BOX = ((28.0, 19.0), (101.0, 19.0), (101.0, 117.0), (28.0, 117.0))
_CASCADE = ((64.0, 67.0), 88.0)


def detect(
    image: Image.Image, detector: str = "auto", online: bool = False, refine: bool = True, limit: int = MAX_FACES
) -> list[Face]:
    """The faces of a photograph, the largest and most central first; none is an empty list.

    Args:
        image: any picture, see ``photographs.photograph``.
        detector: "yunet" (raises if its file cannot be had), "cascade", or "auto": YuNet if its file is at hand.
        online: with True, YuNet's file (0.2 MB) may be fetched from the Hub.
        refine: whether the landmark network corrects what was found.
        limit: at most so many faces, 1 to 32.

    Raises UserError: not a picture, too small or too large; a detector that is unknown or cannot be had.
    """
    image = photograph(image)
    detector = checks.choice(detector, "The detector", DETECTORS)
    limit = checks.integer(limit, "The number of faces", 1, MAX_FACES)
    path = None
    if detector != "cascade":
        try:
            path = yunet_file(online)
        except UserError:
            if detector == "yunet":
                raise
    found = None
    if path is not None:
        try:
            found = by_yunet(image, path, refine)
        except ImportError:
            raise
        except Exception as error:  # cv2.error, where this OpenCV cannot run that file
            if detector == "yunet":
                raise UserError("This OpenCV cannot run the face detector YuNet; use the cascade instead.") from error
            log.warning("YuNet cannot be run, so the cascade looks for faces: %s", error)
    if found is None:
        found = by_cascade(image, refine)
    return sorted(found, key=lambda face: -_prominence(face, image.size))[:limit]


def yunet_file(online: bool = False) -> Path:
    """YuNet's file: from the cache, or with ``online`` from the Hub. A spoilt copy is thrown away.

    Raises UserError if it cannot be had.
    """
    entry = weights.entry(YUNET)
    for last in (False, True):
        path = weights.fetch(YUNET, offline=None if online else True)
        if entry.sha256 is None or hub.file_sha256(path) == entry.sha256:
            return path
        weights.forget(YUNET)
        if last:
            break
    raise UserError("The face detector YuNet on this machine is damaged; use the cascade instead.")


def _prominence(face: Face, size: tuple[int, int]) -> float:
    left, top, right, bottom = face.box
    aside = math.hypot((left + right) / size[0] - 1, (top + bottom) / size[1] - 1)  # 0 in the middle, 1.4 in a corner
    return (right - left) * (bottom - top) * (1 - 0.4 * min(aside, 1.4))


# -- YuNet


def by_yunet(image: Image.Image, path: str | Path, refine: bool = True) -> list[Face]:
    """What YuNet (Wu et al. 2023) finds in an upright RGB photograph.

    If it finds nothing, or the landmark network sees no face in what it finds (it takes faces that stand on their head
    for upright ones), it looks at the photograph turned by quarters, and closer.
    """
    import cv2

    doubtful: list[Face] = []
    net = cv2.FaceDetectorYN.create(str(path), "", (320, 320), YUNET_SCORE, 0.3, 200)
    for longest in _looks(image):
        pixels, scale, pad = _searched(image, longest, BORDER["yunet"])
        for turn in (0, 90, 180, 270):
            turned = np.ascontiguousarray(np.rot90(pixels, -turn // 90)[..., ::-1])
            back = _quarter(turn, pixels.shape[1], pixels.shape[0])
            net.setInputSize((turned.shape[1], turned.shape[0]))
            _, rows = net.detect(turned)
            if rows is None:
                continue
            points = (geometry.apply(back, rows[:, 4:14].reshape(-1, 5, 2)) - pad + 0.5) / scale - 0.5
            faces = [_face(p, row[14], "yunet") for p, row in zip(points, rows, strict=True)]
            faces = _inside(faces, image)
            if not refine:
                return _distinct(faces)
            sure, unsure = _refined(image, faces)
            if sure:
                return _distinct(sure + unsure)
            doubtful = doubtful or unsure
    return doubtful


def _quarter(turn: int, width: int, height: int) -> np.ndarray:
    """From a picture turned by ``turn`` degrees (clockwise) back to the one of ``width`` x ``height``."""
    angle = math.radians(turn)
    middle = ((width - 1) / 2, (height - 1) / 2)
    turned = middle[::-1] if turn % 180 else middle
    return geometry.similarity(1.0, -angle, middle, turned)


# -- the cascades


def by_cascade(image: Image.Image, refine: bool = True) -> list[Face]:
    """What OpenCV's frontal-face cascade (Viola and Jones 2001) finds in an upright RGB photograph, turned and not.

    Without ``refine``, its cascade for eyes says how large the face is and how it is turned, where it finds two.
    """
    network = weights.status(NETWORK) == "shipped"
    for longest, smallest in zip(_looks(image), SMALLEST, strict=False):
        pixels, scale, pad = _searched(image, longest, BORDER["cascade"])
        least = max(20, round(smallest * longest))
        for turns in (TURNS, MORE_TURNS) if smallest == SMALLEST[0] else (TURNS,):
            squares = [face for turn in turns for face in _squares(pixels, turn, least, eyes=not (refine and network))]
            moved = [_face((np.array(f.landmarks) - pad + 0.5) / scale - 0.5, f.score, f.detector) for f in squares]
            moved = _inside(moved, image)
            found = _refined(image, moved)[0] if refine and network else _distinct(moved)
            if found:
                return found
    return []


def _squares(pixels: np.ndarray, turn: float, least: int, eyes: bool) -> list[Face]:
    """Finds of the cascade in ``pixels`` turned by ``turn`` degrees, as faces in ``pixels``."""
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    angle = math.radians(turn)
    c, s = abs(math.cos(angle)), abs(math.sin(angle))
    size = (round(width * c + height * s), round(width * s + height * c))
    there = geometry.similarity(1.0, angle, ((size[0] - 1) / 2, (size[1] - 1) / 2), ((width - 1) / 2, (height - 1) / 2))
    back = np.linalg.inv(there)
    if turn:
        grey = cv2.warpAffine(grey, there[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cascade = _cascade("haarcascade_frontalface_default.xml")
    boxes, _, sure = cascade.detectMultiScale3(
        grey, scaleFactor=1.1, minNeighbors=1, minSize=(least, least), outputRejectLevels=True
    )
    found = []
    for (x, y, side, _), weight in zip(boxes, np.ravel(sure), strict=True):
        (mx, my), usual = _CASCADE
        to_crop = geometry.similarity(usual / side, 0.0, (mx, my), (x + (side - 1) / 2, y + (side - 1) / 2))
        if eyes:
            to_crop = _by_eyes(grey, (x, y, side), to_crop)
        points = geometry.apply(np.linalg.inv(to_crop), geometry.celeba_landmarks(128))
        # Two faces side by side are told apart by their place; of two finds of one face, the surer counts.
        face = _face(geometry.apply(back, points), 1 / (1 + math.exp(-float(weight) / 2)), "cascade")
        found.append(face)
    return found


def _by_eyes(grey: np.ndarray, square: tuple[int, int, int], to_crop: np.ndarray) -> np.ndarray:
    """``to_crop`` such that two eyes found in the upper part of the square lie where eyes lie; as it is without."""
    import cv2

    x, y, side = (int(v) for v in square)
    part = grey[y : y + round(0.6 * side), x : x + side]
    factor = max(1.0, 160 / side)
    part = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    least = int(0.15 * side * factor)
    boxes = _cascade("haarcascade_eye_tree_eyeglasses.xml").detectMultiScale(part, 1.05, 2, minSize=(least, least))
    expected = geometry.celeba_landmarks(128)[:2]
    best = []
    for eye in expected:
        near = []
        for left, top, width, height in boxes:
            middle = ((left + width / 2) / factor - 0.5 + x, (top + height / 2) / factor - 0.5 + y)
            off = np.linalg.norm(geometry.apply(to_crop, middle) - eye)
            near.append((off, middle))
        best.append(min(near, default=(math.inf, None), key=lambda pair: pair[0]))
    if max(off for off, _ in best) > 13:
        return to_crop
    return geometry.fit([middle for _, middle in best], expected)


def _cascade(name: str):
    """A cascade of one's own: OpenCV's classifiers keep what they are looking at, so threads must not share one."""
    import cv2

    cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / name))
    if cascade.empty():
        raise UserError("This OpenCV lacks its face cascades; install opencv-python-headless of release 4.")
    return cascade


# -- what both share


def _looks(image: Image.Image) -> list[int]:
    """Longest sides at which a photograph is searched, one after the other until a face is found."""
    longest = max(image.size)
    if longest <= LOOK:
        return [max(longest, ENLARGED)]
    return [LOOK, min(longest, LOOK_CLOSER)]


def _searched(image: Image.Image, longest: int, border: float) -> tuple[np.ndarray, float, int]:
    """The photograph at that size with a border all round: uint8 pixels, pixels for one of its, pixels of border."""
    import cv2

    scale = longest / max(image.size)
    if scale != 1:
        size = tuple(max(1, round(side * scale)) for side in image.size)
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    pad = round(border * min(longest, LOOK))
    pixels = np.ascontiguousarray(np.asarray(image))
    return cv2.copyMakeBorder(pixels, pad, pad, pad, pad, cv2.BORDER_REPLICATE), scale, pad


def _face(landmarks: np.ndarray, score: float, detector: str) -> Face | None:
    """A face by its landmarks; None where they all lie in one place."""
    to_crop = geometry.crop_transform(landmarks, "celeba", 128)
    if not np.isfinite(to_crop).all() or geometry.scale_of(to_crop) > 64:
        return None
    around = geometry.apply(np.linalg.inv(to_crop), _BOX)
    low, high = around.min(axis=0), around.max(axis=0)
    points = tuple((float(x), float(y)) for x, y in landmarks)
    return Face((*map(float, low), *map(float, high)), points, float(min(max(score, 0.0), 1.0)), detector)


def _inside(faces: list[Face | None], image: Image.Image) -> list[Face]:
    """Those whose middle lies in the photograph, and not in the border that was added to it."""
    found = []
    for face in faces:
        x, y = np.mean(face.landmarks, axis=0) if face is not None else (-1, -1)
        if 0 <= x < image.width and 0 <= y < image.height:
            found.append(face)
    return found


def _distinct(faces: list[Face]) -> list[Face]:
    """Of finds of the same face the surest."""
    kept: list[tuple[Face, np.ndarray, float]] = []
    for face in sorted(faces, key=lambda f: -f.score):
        middle = np.mean(face.landmarks, axis=0)
        side = 128 / geometry.scale_of(geometry.crop_transform(face.landmarks, "celeba", 128))
        if all(np.linalg.norm(middle - m) > SAME * max(side, s) for _, m, s in kept):
            kept.append((face, middle, side))
    return [face for face, _, _ in kept]


def landmarks_of(crop: Image.Image) -> np.ndarray | None:
    """Five landmarks ``[5, 2]`` of the face in an aligned crop, in its pixels; None where the network sees no face.

    Left and right eye as seen, nose, left and right corner of the mouth, where an average face has them that lies like
    this one.
    """
    import torch

    if weights.status(NETWORK) != "shipped":
        return None
    net = weights.load(NETWORK)
    small = crop.convert("RGB").resize((net.img_resolution,) * 2, Image.Resampling.LANCZOS)
    with torch.inference_mode():
        x = torch.from_numpy(np.array(small)).to(device_of(net)).permute(2, 0, 1)[None]
        points, logits = net(x.float() / 127.5 - 1)
    if float(torch.sigmoid(logits)[0]) < SURE:
        return None
    return (points[0].double().cpu().numpy() + 1) * (crop.width / 2) - 0.5


LOOKS = 2  # of the landmark network: the second sees what the first has corrected
SURE = 0.5


def _refined(image: Image.Image, faces: list[Face]) -> tuple[list[Face], list[Face]]:
    """Faces with the landmarks that the network sees, and, as they were, those that it takes for none."""
    import torch

    faces = _distinct(faces)
    if not faces or weights.status(NETWORK) != "shipped":
        return faces, []
    net = weights.load(NETWORK)
    size, device = net.img_resolution, device_of(net)
    now = [geometry.crop_transform(face.landmarks, "celeba", size) for face in faces]
    goal = geometry.celeba_landmarks(size)
    for _ in range(LOOKS):
        pixels = np.stack([geometry.resample(image, transform, size) for transform in now])
        with torch.inference_mode():
            x = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
            points, logits = net(x)
        points = (points.double().cpu().numpy() + 1) * (size / 2) - 0.5
        certain = torch.sigmoid(logits).double().cpu().numpy()
        now = [geometry.fit(p, goal) @ t for p, t in zip(points, now, strict=True)]
    sure, unsure = [], []
    for face, transform, certainty in zip(faces, now, certain, strict=True):
        if certainty < SURE:
            unsure.append(face)
            continue
        points = geometry.apply(np.linalg.inv(transform), goal)
        score = certainty if face.detector == "cascade" else face.score
        seen = _face(points, score, face.detector)
        if seen is not None:
            sure.append(seen)
    return _distinct(_inside(sure, image)), unsure
