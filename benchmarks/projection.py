"""How near projections come to test photographs, and how long they take: the three ways of iGAN side by side."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image

from . import measure

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
SETS = {"igan/shoes": "shoes_128.zip", "igan/faces": "faces_128.zip", "igan/flowers": "flowers_128.zip"}
USUAL = 100  # photographs of each set, where nobody says how many


def photographs(file: Path, size: int, count: int) -> list[Image.Image]:
    """``count`` test photographs of a set, spread over all of them."""
    from training.data import load_images

    pixels = load_images(file, size, "test").pixels.permute(0, 2, 3, 1).numpy()
    indices = np.linspace(0, len(pixels) - 1, min(count, len(pixels))).round().astype(int)
    return [Image.fromarray(pixels[i]) for i in indices]


def measured(net, images: list[Image.Image], method: str) -> tuple[list[float], list[float]]:
    """Mean square differences in [-1, 1], and seconds, of each picture."""
    from pipelines import igan

    errors, seconds = [], []
    for i, image in enumerate(images):
        began = time.perf_counter()
        for step in igan.project(net, image, method, seed=i, show_every=0):
            last = step
        seconds.append(time.perf_counter() - began)
        errors.append(last.l2)
    return errors, seconds


def main(device: str = "cpu", quick: bool = False, count: int | None = None) -> int:
    import weights
    from pipelines import igan

    count = count or (5 if quick else USUAL)
    print(f"\n## Projection of test photographs on {device}: mean square difference, pixels in -1 to 1\n")
    rows, words = [], ""
    for name, file in SETS.items():
        if not (DATA / file).is_file() or weights.status(name) != "shipped":
            print(f"{name} was not measured: its photographs (../shared/data/{file}) or its network are not here.")
            continue
        net = weights.load(name, device=device)
        words = igan.features_in_use(net)
        images = photographs(DATA / file, net.img_resolution, count)
        for method in igan.METHODS:
            errors, seconds = measured(net, images, method)
            rows.append(
                [
                    name,
                    str(len(images)),
                    method,
                    f"{statistics.mean(errors):.4f}",
                    f"{statistics.median(errors):.4f}",
                    f"{statistics.mean(seconds):.2f}",
                ]
            )
    if rows:
        print(measure.table(["network", "photographs", "way", "mean", "median", "seconds"], rows))
        print(f"\nFeatures compared besides pixels: {words}.")
    return 0
