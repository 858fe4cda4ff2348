"""How often a face is found in a larger picture, and how near to its place an alignment brings it.

The test photographs are aligned already, so a copy that is scaled, turned and laid on something else has a known
alignment. The eyes of what is found are compared with where they belong, in pixels of the aligned 128 px crop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from . import measure

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT.parent / "shared" / "data" / "faces_128.zip"
YUNET = ROOT.parent / "shared" / "fixtures" / "face_detection_yunet_2026may.onnx"
EYES = ((47.0, 55.0), (80.0, 55.0))  # in the celeba crop at 128 px
SCALES = (0.5, 2.0)
TURN = 25  # degrees to either side
FOUND = 12.0  # pixels of the crop, a third of the distance of the eyes: farther off, it is not this face that was found
USUAL = 300  # photographs, where nobody says how many


@dataclass(frozen=True)
class Case:
    picture: Image.Image
    truth: np.ndarray  # [3, 3], from the photograph's 128 px crop to the picture


def background(kind: int, size: tuple[int, int], photos: np.ndarray, rng: np.random.RandomState) -> Image.Image:
    """Another photograph so blurred that there is no face in it any more; noise; a gradient of two colours."""
    if kind == 0:
        other = Image.fromarray(photos[rng.randint(len(photos))])
        return other.filter(ImageFilter.GaussianBlur(16)).resize(size, Image.Resampling.BICUBIC)
    if kind == 1:
        fine = rng.normal(0, 25, (size[1], size[0], 1))
        coarse = Image.fromarray(rng.randint(0, 256, (8, 8, 3)).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        return Image.fromarray((np.asarray(coarse) + fine).clip(0, 255).astype(np.uint8))
    a, b = rng.randint(0, 256, (2, 3))
    across = np.linspace(0, 1, size[0])[None, :, None] * np.ones((size[1], 1, 1))
    return Image.fromarray((a + (b - a) * across).astype(np.uint8))


def case(photos: np.ndarray, index: int) -> Case:
    """Photograph ``index`` of ``photos [N, 128, 128, 3]`` uint8 somewhere in a larger picture; seeded by the index."""
    from pipelines.faces import geometry

    rng = np.random.RandomState(index)
    size = (int(rng.randint(420, 901)), int(rng.randint(420, 901)))
    side = round(128 * math.exp(rng.uniform(*np.log(SCALES))))  # so that half and double are as frequent
    angle = math.radians(rng.uniform(-TURN, TURN))
    half = side / 2 * (math.cos(abs(angle)) + math.sin(abs(angle)))
    middle = tuple(rng.uniform(half, length - half) for length in size)
    truth = geometry.similarity(side / 128, angle, middle, (63.5, 63.5))
    picture = background(index % 3, size, photos, rng)
    photo = Image.fromarray(photos[index]).resize((side, side), Image.Resampling.LANCZOS)
    # Its edge is soft in every second picture.
    cover = Image.new("L", (side, side), 0)
    soft = round(0.04 * side) if index % 2 else 0
    cover.paste(255, (soft, soft, side - soft, side - soft))
    cover = cover.filter(ImageFilter.GaussianBlur(soft / 2)) if soft else cover
    back = np.linalg.inv(geometry.resized(np.linalg.inv(truth), 128, side))
    a, b, c, d, e, f = np.linalg.inv(back)[:2].ravel()
    # Pillow counts pixels from their corners.
    corners = (a, b, c + 0.5 - 0.5 * (a + b), d, e, f + 0.5 - 0.5 * (d + e))
    laid, cover = (
        im.transform(size, Image.Transform.AFFINE, corners, Image.Resampling.BICUBIC) for im in (photo, cover)
    )
    picture.paste(laid, (0, 0), cover)
    return Case(picture, truth)


def eye_error(face, truth: np.ndarray) -> float:
    """Mean distance of the two eyes from their place in the crop that this face's landmarks give."""
    from pipelines.faces import geometry

    aligned = geometry.crop_transform(face.landmarks, "celeba", 128)
    eyes = geometry.apply(aligned, geometry.apply(truth, EYES))
    return float(np.linalg.norm(eyes - EYES, axis=1).mean())


def methods() -> dict[str, Callable]:
    from pipelines.faces import detection

    found = {
        "cascade": lambda picture: detection.by_cascade(picture, refine=False),
        "cascade + landmark network": lambda picture: detection.by_cascade(picture, refine=True),
    }
    if YUNET.is_file():
        found["YuNet"] = lambda picture: detection.by_yunet(picture, YUNET, refine=False)
        found["YuNet + landmark network"] = lambda picture: detection.by_yunet(picture, YUNET, refine=True)
    return found


@dataclass
class Tally:
    errors: list[float]
    false: int = 0
    seconds: float = 0.0

    def row(self, name: str, count: int) -> list[str]:
        errors = np.array(self.errors) if self.errors else np.array([math.nan])
        return [
            name,
            f"{len(self.errors) / count:.1%}",
            f"{errors.mean():.2f}",
            f"{np.median(errors):.2f}",
            f"{np.percentile(errors, 95):.2f}",
            f"{self.false / count:.3f}",
            f"{self.seconds / count:.2f}",
        ]


def measured(photos: np.ndarray, indices, tried: dict[str, Callable]) -> dict[str, Tally]:
    tallies = {name: Tally([]) for name in tried}
    for index in indices:
        made = case(photos, index)
        for name, method in tried.items():
            began = time.process_time()
            faces = method(made.picture)
            tally = tallies[name]
            tally.seconds += time.process_time() - began
            errors = sorted(eye_error(face, made.truth) for face in faces)
            if errors and errors[0] <= FOUND:
                tally.errors.append(errors[0])
            tally.false += sum(error > FOUND for error in errors)
    return tallies


def main(device: str = "cpu", quick: bool = False, count: int | None = None) -> int:
    if device == "cuda":
        print("Faces are found on the processor; nothing was measured on CUDA.")
        return 0
    if not PHOTOS.is_file():
        print("The photographs (../shared/data/faces_128.zip) are not here, so alignment was not measured.")
        return 0
    import cv2

    from training.data import load_images

    cv2.setNumThreads(1)
    photos = load_images(PHOTOS, 128, "test").pixels.permute(0, 2, 3, 1).numpy()
    count = min(count or (30 if quick else USUAL), len(photos))
    # Spread over all of them, so that a part is like the whole.
    indices = np.linspace(0, len(photos) - 1, count).round().astype(int).tolist()
    tried = methods()
    tallies = measured(photos, indices, tried)
    print(f"\n## Alignment, {count} test photographs at {SCALES[0]}x to {SCALES[1]}x, turned by up to {TURN} degrees\n")
    header = ["", "found", "eye error, mean", "median", "95 %", "others a picture", "CPU s"]
    print(measure.table(header, [tally.row(name, count) for name, tally in tallies.items()]))
    print(f"\nErrors are in pixels of the aligned 128 px crop; found: nearer than {FOUND:g}.")
    print("Others: finds that are not the face that was laid in.")
    if not YUNET.is_file():
        print("YuNet's file is not in ../shared/fixtures, so only the cascade was measured.")
    return 0
