"""Whether an edit does what was asked: how far constraint errors fall under seeded strokes."""

from __future__ import annotations

import math
import statistics

import numpy as np
from PIL import Image, ImageDraw

from . import measure

SETS = ("igan/shoes", "igan/faces", "igan/flowers")
USUAL = 50
FINER = 8
CRAYONS = (
    (220, 40, 40), (240, 140, 30), (250, 220, 60), (60, 160, 60), (50, 110, 200), (120, 60, 150),
    (240, 160, 180), (120, 75, 45), (20, 20, 24), (128, 128, 128), (235, 235, 230), (230, 190, 150),
)  # fmt: skip


def curve(rng: np.random.RandomState, size: int, length: float) -> list[tuple[float, float]]:
    """A bent line of about so many pixels, within the middle four fifths of the picture."""
    while True:
        x, y = rng.uniform(0.15 * size, 0.85 * size, 2)
        angle, bend = rng.uniform(0, 2 * math.pi), rng.uniform(-1.5, 1.5) / length
        points = []
        for _ in range(int(length)):
            points.append((x, y))
            x, y = x + math.cos(angle), y + math.sin(angle)
            angle += bend
        if all(0.1 * size < v < 0.9 * size for p in points for v in p):
            return points


def drawn(points: list[tuple[float, float]], size: int, width: float) -> np.ndarray:
    """The line as levels ``[size, size]`` 0 to 255."""
    image = Image.new("L", (size * FINER,) * 2)
    places = [((x + 0.5) * FINER, (y + 0.5) * FINER) for x, y in points]
    ImageDraw.Draw(image).line(places, fill=255, width=round(width * FINER), joint="curve")
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def colour_stroke(rng: np.random.RandomState, size: int, other: np.ndarray | None) -> dict:
    """A stroke in the mean colour that another picture has there, or in that of a crayon."""
    levels = drawn(curve(rng, size, rng.uniform(8, 24)), size, rng.uniform(3, 6))
    if other is None:
        colour = CRAYONS[rng.randint(len(CRAYONS))]
    else:
        colour = np.average(other.reshape(-1, 3), axis=0, weights=levels.ravel()).round()
    rgba = np.zeros((size, size, 4), dtype=np.uint8)
    rgba[..., :3], rgba[..., 3] = colour, levels
    return {"colour": Image.fromarray(rgba)}


def sketch_stroke(rng: np.random.RandomState, size: int, other: np.ndarray | None) -> dict:
    """A line along a contour of another picture, or anywhere."""
    points = None if other is None else contour(rng, other)
    return {"sketch": drawn(points or curve(rng, size, rng.uniform(12, 28)), size, 1.5)}


def contour(rng: np.random.RandomState, picture: np.ndarray) -> list[tuple[float, float]] | None:
    """A piece of 12 to 28 pixels of one of its longest edges."""
    import cv2

    large = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    edges = cv2.Canny(cv2.GaussianBlur(large, (0, 0), 3), 20, 50)
    found, _ = cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    found = sorted((c[: len(c) // 2, 0] for c in found), key=len, reverse=True)[:3]  # they run there and back
    found = [c for c in found if len(c) >= 48]
    if not found:
        return None
    line = found[rng.randint(len(found))] / 4.0
    length = min(int(rng.uniform(12, 28) * 4), len(line))
    first = rng.randint(len(line) - length + 1)
    return [tuple(p) for p in line[first : first + length : 2]]


KINDS = {"colour": colour_stroke, "sketch": sketch_stroke}


def outcome(net, kind: str, seed: int, asked_elsewhere: bool, on_picture: bool) -> tuple[float, float]:
    """The constraint's error before and after one stroke: of G(z0) if it is drawn on a picture, else of the starts."""
    from pipelines import igan

    rng = np.random.RandomState(seed)
    other = np.asarray(igan.picture(net, 100_000 + seed)) if asked_elsewhere else None
    stroke = KINDS[kind](rng, net.img_resolution, other)
    z0 = 200_000 + seed if on_picture else None
    *_steps, last = igan.brush(net, z0=z0, seed=seed, show_every=0, **stroke)
    if on_picture:
        asked = igan.constraints(igan.Space(net), [igan.Edits(**stroke)])
        before = float(asked.errors(igan.Space(net).images(igan.Space(net).latent(z0)))[kind])
    else:
        first = next(igan.brush(net, seed=seed, steps=1, top_k=16, **stroke))
        before = statistics.mean(c.errors[kind] for c in first.candidates)
    return before, last.candidates[0].errors[kind]


def main(device: str = "cpu", quick: bool = False, count: int | None = None) -> int:
    import weights

    count = count or (6 if quick else USUAL)
    rows = []
    for name in SETS:
        if weights.status(name) != "shipped":
            print(f"{name} is not here; make it with `make train-{name.replace('/', '-')}`.")
            continue
        net = weights.load(name, device=device)
        for kind in KINDS:
            for asked, elsewhere in (("as another picture", True), ("anything", False)):
                for place, on_picture in (("on a picture", True), ("from scratch", False)):
                    pairs = [outcome(net, kind, seed, elsewhere, on_picture) for seed in range(count)]
                    before, after = (statistics.mean(p[i] for p in pairs) for i in range(2))
                    halved = sum(a <= b / 2 for b, a in pairs) / len(pairs)
                    shown = [f"{v:.3f}" if kind == "colour" else f"{v:.2f}" for v in (before, after)]
                    rows.append([name, kind, asked, place, *shown, f"{halved:.0%}"])
    print(f"\n## Do edits do what was asked: {count} seeded strokes of each kind, 16 starts, 40 steps\n")
    print(measure.table(["network", "brush", "what is asked", "where", "error before", "after", "halved"], rows))
    print("\nErrors of the best candidate: mean square colour in -1 to 1, mean square histogram of edges.")
    return 0
