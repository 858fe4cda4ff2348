"""Measures that no training sees: distances between people and pictures in features of networks kept for judging.

``python -m training measure`` prints them for a network; cards and logs carry them where the judges are installed
(``make judges``). A judge turns pictures into vectors; ``metrics`` compares the vectors.

- ``dlib``: 128 features in which one person's pictures lie closer than 0.6. It also finds faces and 68 landmarks.
- ``inception``: 768 features of InceptionV3 (block mixed5, averaged over the picture), for anything else. The weights
  are those of npm's nsfwjs, which trained only what comes behind this block: up to it they are ImageNet's.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from weights.atomic import replacing

from . import features, loop, metrics, sheets, tfjs_layers
from .data import load_images

FEWEST = 200  # pictures: below that the distances say little
NEIGHBOURS = 3  # of the manifolds of precision and recall, as published


class JudgeError(RuntimeError):
    """A judge is not installed, or the measurement cannot be made."""


@dataclass(frozen=True)
class Judged:
    """What a judge says of pictures: ``vectors [N, D]`` float32 and, of faces, ``detected [N]`` bool."""

    vectors: np.ndarray
    detected: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def first(self, count: int) -> Judged:
        return Judged(self.vectors[:count], None if self.detected is None else self.detected[:count])


class Dlib:
    """dlib's face detector, landmarks and recognition network, on faces cropped as ``celeba``.

    Pictures are enlarged to 256 px, since the detector knows faces from 80 px on. A face counts as detected if the
    detector for frontal faces finds one whose centre lies in the middle half of the picture, at its usual threshold.
    Every picture is embedded all the same, broken ones with the box that faces of this crop have on average, so that
    no distance gets better because bad pictures are left out.
    """

    name = "dlib"
    dimensions = 128
    size = 256  # px
    box = (44, 62, 208, 226)  # left, top, right, bottom at 256 px: where the detector finds the faces of photographs

    def __init__(self):
        import dlib

        found = find_spec("face_recognition_models")
        models = Path(found.origin).parent / "models"
        self.dlib = dlib
        self.detector = dlib.get_frontal_face_detector()
        self.predictor = dlib.shape_predictor(str(models / "shape_predictor_68_face_landmarks.dat"))
        self.recogniser = dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))

    def enlarge(self, picture: np.ndarray) -> np.ndarray:
        import cv2

        if picture.shape[:2] == (self.size, self.size):
            return np.ascontiguousarray(picture)
        kind = cv2.INTER_CUBIC if picture.shape[0] < self.size else cv2.INTER_AREA
        return cv2.resize(picture, (self.size, self.size), interpolation=kind)

    def face(self, picture: np.ndarray):
        """The landmarks that dlib finds on ``[256, 256, 3]`` uint8, and whether it found the face by itself."""
        middle = (self.size / 4, 3 * self.size / 4)
        boxes, scores, _ = self.detector.run(picture, 0, 0.0)
        inside = [
            (score, box)
            for score, box in zip(scores, boxes, strict=True)
            if middle[0] < box.center().x < middle[1] and middle[0] < box.center().y < middle[1]
        ]
        box = max(inside, key=lambda pair: pair[0])[1] if inside else self.dlib.rectangle(*self.box)
        return self.predictor(picture, box), bool(inside)

    def judge(self, pixels: Tensor) -> Judged:
        """Embeds ``pixels [N, 3, R, R]`` uint8."""
        vectors, detected = np.empty((len(pixels), self.dimensions), np.float32), np.empty(len(pixels), bool)
        for i, picture in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
            picture = self.enlarge(picture)
            shape, detected[i] = self.face(picture)
            vectors[i] = self.recogniser.compute_face_descriptor(picture, shape)
        return Judged(vectors, detected)

    def landmarks(self, pixels: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """68 landmarks ``[N, 68, 2]`` (x, y in pixels of the pictures given) and ``detected [N]``.

        ``pixels [N, 3, R, R]`` uint8, faces cropped as ``celeba``. Where no face was detected, the landmarks are those
        of the average box: leave these pictures out of a measurement, and count them.
        """
        points, detected = np.empty((len(pixels), 68, 2), np.float32), np.empty(len(pixels), bool)
        scale = pixels.shape[2] / self.size
        for i, picture in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
            shape, detected[i] = self.face(self.enlarge(picture))
            # Pixel centres: dlib counts them from 0, a resized picture keeps its edges in place.
            points[i] = [((p.x + 0.5) * scale - 0.5, (p.y + 0.5) * scale - 0.5) for p in shape.parts()]
        return points, detected


class Inception:
    """ImageNet features of InceptionV3, another family than what training learns from; pictures of 192 px."""

    name = "inception"
    dimensions = 768
    size = 192  # px
    layer = "mixed5"
    package = Path("nsfwjs") / "dist" / "models" / "inception_v3"
    batch = 20

    def __init__(self):
        graph = tfjs_layers.read(features.folder() / self.package, [self.layer])
        self.dtype = torch.bfloat16 if loop.has_bf16() else torch.float32
        self.graph = graph.to(self.dtype).to(memory_format=torch.channels_last)

    @torch.no_grad()
    def judge(self, pixels: Tensor) -> Judged:
        """Embeds ``pixels [N, 3, R, R]`` uint8."""
        parts = []
        for part in pixels.split(self.batch):
            x = part.float()
            if x.shape[2] != self.size:
                x = F.interpolate(
                    x,
                    size=(self.size, self.size),
                    mode="bicubic",
                    align_corners=False,
                    antialias=x.shape[2] > self.size,
                ).clamp(0, 255)
            x = (x / 127.5 - 1).to(self.dtype).contiguous(memory_format=torch.channels_last)
            parts.append(self.graph(x)[0].float().mean((2, 3)))
        return Judged(torch.cat(parts).numpy())


SAME_PERSON = 0.6  # dlib's distance below which two pictures show one person, by its authors


def people(x: Tensor) -> np.ndarray:
    """dlib's vectors ``[N, 128]`` of faces ``[N, 3, R, R]`` in [-1, 1]."""
    return load("dlib").judge(to_pixels(x)).vectors


def same_people(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which pairs of such vectors dlib takes for one person, bool ``[N]``."""
    return np.linalg.norm(a - b, axis=1) < SAME_PERSON


def same_person(a: Tensor, b: Tensor) -> float:
    """The share of pairs of faces ``[N, 3, R, R]`` in [-1, 1] that dlib takes for the same person."""
    return float(same_people(people(a), people(b)).mean())


def to_pixels(x: Tensor) -> Tensor:
    """Pictures in [-1, 1] as uint8, both ``[N, 3, H, W]``."""
    return torch.from_numpy(sheets.to_uint8(x)).permute(0, 3, 1, 2)


def installed(name: str) -> bool:
    """Whether the judge ``name`` can be loaded here."""
    if name == "dlib":
        return find_spec("dlib") is not None and find_spec("face_recognition_models") is not None
    return (features.folder() / JUDGES[name].package / "model.min.js").is_file()


def fitting(data: str) -> list[str]:
    """The installed judges for the pictures in ``data``: dlib for faces alone."""
    return [n for n in JUDGES if installed(n) and (n != "dlib" or Path(data).name.startswith("faces"))]


@functools.cache
def load(name: str):
    """The judge ``name``. Raises JudgeError, which says what to install, where it is missing."""
    if name not in JUDGES:
        raise JudgeError(f"There is no judge {name!r}; there are {', '.join(JUDGES)}.")
    if not installed(name):
        raise JudgeError(f"The judge {name} is not installed: run `make judges`.")
    return JUDGES[name]()


def landmarks(images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """dlib's 68 landmarks ``[N, 68, 2]`` in pixels of ``images [N, 3, R, R]`` in [-1, 1], and ``detected [N]``."""
    return load("dlib").landmarks(to_pixels(images))


JUDGES = {"dlib": Dlib, "inception": Inception}


# -- the measurement -------------------------------------------------------------------------------------------------


def cached(name: str, pixels: Tensor, folder: str | os.PathLike | None) -> Judged:
    """What the judge says of ``pixels``, kept in ``folder`` (None: not kept) by the pictures themselves."""
    if folder is None:
        return load(name).judge(pixels)
    digest = hashlib.sha256(pixels.contiguous().numpy().tobytes() + str(tuple(pixels.shape)).encode()).hexdigest()
    path = Path(folder) / f"{name}-{digest[:32]}.npz"
    if path.is_file():
        with np.load(path) as kept:
            return Judged(kept["vectors"], kept["detected"] if "detected" in kept else None)
    judged = load(name).judge(pixels)
    path.parent.mkdir(parents=True, exist_ok=True)
    extra = {} if judged.detected is None else {"detected": judged.detected}
    with replacing(path) as beside:
        np.savez(beside, vectors=judged.vectors, **extra)
    return judged


def compare(generated: Judged, photographs: Judged) -> dict[str, float]:
    """The numbers of one row: ``generated`` against ``photographs``."""
    precision, recall = metrics.precision_recall(photographs.vectors, generated.vectors, NEIGHBOURS)
    row = {
        "images": len(generated),
        "frechet": metrics.frechet_distance(photographs.vectors, generated.vectors),
        "precision": precision,
        "recall": recall,
        "spread": metrics.spread(generated.vectors),
    }
    if generated.detected is not None:
        row["detected"] = float(generated.detected.mean())
    return row


def photographs(data: str, resolution: int, count: int) -> tuple[Tensor, Tensor]:
    """Two sets of ``count`` training photographs without a picture in common, ``[count, 3, R, R]`` uint8.

    Raises JudgeError where there are not enough.
    """
    pixels = load_images(data, resolution, "train").pixels
    if len(pixels) < 2 * count:
        raise JudgeError(
            f"{Path(data).name} has {len(pixels)} training pictures; {2 * count} are needed, twice --count."
        )
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    return pixels[order[:count]], pixels[order[count : 2 * count]]


def generated(net, count: int, psi: float, seed: int) -> Tensor:
    """Pictures ``[count, 3, R, R]`` uint8 with random noise, the same for the same arguments."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return to_pixels(sheets.sample(net, count, seed=seed, psi=psi, noise_mode="random"))


def measure(
    net,
    data: str,
    judges: Sequence[str],
    count: int = 1000,
    psis: Sequence[float] = (1.0, 0.7),
    smaller: Sequence[int] = (),
    cache: str | os.PathLike | None = None,
    seed: int = 1234,
) -> list[dict]:
    """One row for photographs and one for each psi, of each judge; ``smaller`` adds the same for fewer pictures.

    ``count`` generated pictures (random noise, latents of ``seed``) are compared with ``count`` training photographs,
    and as many other training photographs with the same: what a perfect generator would score. All distances depend
    on the count, so compare only rows of one count. ``cache`` is a folder that keeps what is said of photographs.
    """
    reference, others = photographs(data, net.img_resolution, count)
    pictures = {"photographs": others}
    for psi in psis:
        pictures[f"psi {psi:g}"] = generated(net, count, psi, seed)
    rows = []
    for name in judges:
        against = cached(name, reference, cache)
        # Generated pictures are others at every measurement: keeping them would fill the disk of a long run.
        judged = {of: cached(name, x, cache if x is others else None) for of, x in pictures.items()}
        for n in (count, *smaller):
            for of, value in judged.items():
                rows.append({"judge": name, "pictures": of, **compare(value.first(n), against.first(n))})
    return rows


def for_card(net, data: str) -> list[dict]:
    """The rows of a card: none where no judge is installed or photographs are too few to say much."""
    names = fitting(data)
    if not names:
        return []
    count = min(1000, len(load_images(data, net.img_resolution, "train")) // 2)
    return measure(net, data, names, count) if count >= FEWEST else []


def card_lines(rows: Sequence[dict]) -> list[str]:
    """The section of a card."""
    if not rows:
        return []
    return [
        "",
        "## What judges say that had no part in the training",
        "",
        "Generated pictures, and other training photographs, against as many training photographs: Fréchet distance,",
        "precision and recall (3 neighbours), mean distance between two pictures (spread), and the share of faces that",
        "dlib's detector finds. dlib: 128-d identity embeddings; inception: 768 features of InceptionV3's mixed5.",
        "",
        *table(rows),
    ]


COLUMNS = ("judge", "pictures", "images", "frechet", "precision", "recall", "spread", "detected")


def table(rows: Sequence[dict]) -> list[str]:
    """The rows as lines of a Markdown table."""
    used = [c for c in COLUMNS if any(c in row for row in rows)]
    digits = {"frechet": ".3f", "spread": ".3f", "precision": ".3f", "recall": ".3f", "detected": ".3f", "images": ",d"}
    lines = ["| " + " | ".join(used) + " |", "|" + "---|" * len(used)]
    for row in rows:
        cells = [format(row[c], digits.get(c, "s")) if c in row else "" for c in used]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
