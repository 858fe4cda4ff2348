"""Edits of photographs: whether the person stays, where the mask lies, what changes, and whether the attribute does.

Test photographs, none chosen: drawn from all, from those that the table says wear a hat and from those with glasses,
and each of the first kind once more with something drawn before the face (``training.occluders``). The judges are dlib
(the person, 68 landmarks) and a classifier of attributes, at thresholds where it is fair (``readings``), beside how
often it reads photographs rightly that have the attribute so; no number here gets better when a mask gets larger.
Regions are those that dlib's landmarks give, not those that the edit itself used.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from . import measure
from .measure import cell, mean
from .projection import DATA
from .readings import Reader

NETWORK, FILE = "faces", "faces_128.zip"
USUAL = 40  # photographs, where nobody says how many; half of them as they are, a quarter with hats, a quarter glasses
LOCAL = ("Smiling", "Mouth_Slightly_Open", "Bangs", "Eyeglasses", "No_Beard")
GLOBAL = ("Young", "Blond_Hair", "Black_Hair")
MOUTHS = ("Smiling", "Mouth_Slightly_Open")
WAYS = ("plain", "hybrid", "ours")
PLACES = ("inside", "face", "background", "occluder")
# What is wanted of ours: the same person (local, global, inversion alone), mask (share, its lower part, on occluders),
# mean difference outside of the region in levels, attribute changed.
WANTED = {"local": 0.95, "global": 0.85, "inversion": 0.9, "mask": 0.25, "lower": 0.7, "on it": 0.02, "outside": 3.0,
          "changed": 0.75, "gain": 1.5}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """``photo`` of the network's size; ``kind``: as it is, drawn, hat, glasses; ``points [68, 2]`` by dlib, of the
    photograph before anything was drawn; ``drawn [size, size]`` bool, or None.
    """

    photo: Image.Image
    kind: str
    points: np.ndarray
    drawn: np.ndarray | None = None


@dataclass(frozen=True)
class Outcome:
    """One edit of one photograph, by one way. ``lost``: mean ``|edit - photograph|`` in levels by ``PLACES`` and
    "outside" (all but the attribute's region); ``mouth``: width and inner opening, in distances of the eyes, more than
    in the photograph.
    """

    way: str
    kind: str
    attribute: str
    up: bool
    apart: float
    mask: float
    lower: float | None
    on_it: float | None
    lost: dict[str, float | None]
    changed: bool
    mouth: tuple[float, float]
    warned: bool = False


# -- what is measured on -----------------------------------------------------------------------------------------------


def cases(count: int, size: int) -> Iterator[Case]:
    """``count`` test photographs by kind, and those of the first kind with a drawing. dlib has to find each face."""
    from training import judges, occluders
    from training.data import load_images

    loaded = load_images(DATA / FILE, size, "test", attributes=("Wearing_Hat", "Eyeglasses"))
    labels = loaded.attributes.bool().numpy()
    order = np.random.RandomState(0).permutation(len(loaded))
    plain = [i for i in order if not labels[i].any()]
    wanted = {"as it is": (plain, -(-count // 2)), "hat": (order[labels[order, 0]], count // 4),
              "glasses": (order[labels[order, 1]], count // 4)}  # fmt: skip
    kinds, kept = list(occluders.KINDS), []
    for kind, (indices, number) in wanted.items():
        found = 0
        for i in indices:
            if found == number:
                break
            points, detected = judges.load("dlib").landmarks(loaded.pixels[i][None])
            if detected[0]:
                found += 1
                photo = Image.fromarray(loaded.pixels[i].permute(1, 2, 0).numpy())
                kept.append(Case(photo, kind, points[0]))
                yield kept[-1]
    for i, case in enumerate(case for case in kept if case.kind == "as it is"):
        made, mask = occluders.draw(case.photo, kinds[i % len(kinds)], i)
        yield Case(made, "drawn", case.points, np.asarray(mask) > 127)


def five(points: np.ndarray) -> np.ndarray:
    """Eyes, nose and corners of the mouth ``[5, 2]`` of dlib's 68 landmarks."""
    return np.stack([points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[30], points[48], points[54]])


def mouth(points: np.ndarray) -> tuple[float, float]:
    """Width and inner opening of the mouth, in distances of the eyes, of dlib's 68 landmarks."""
    eyes = np.linalg.norm(np.subtract(*five(points)[:2]))
    opening = np.linalg.norm(points[61:64] - points[[67, 66, 65]], axis=1).mean()
    return float(np.linalg.norm(points[54] - points[48]) / eyes), float(opening / eyes)


def places(case: Case, attribute: str) -> dict[str, np.ndarray]:
    """Where each of ``PLACES`` is, and "outside", ``[size, size]`` bool."""
    from models import regions

    points, size = five(case.points), case.photo.width
    inside, face = regions.region(attribute, size, points) > 0, regions.face(size, points) > 0
    drawn = case.drawn if case.drawn is not None else np.zeros_like(inside)
    return {
        "inside": inside & ~drawn,
        "face": face & ~inside & ~drawn,
        "background": ~face & ~inside & ~drawn,
        "occluder": drawn,
        "outside": ~inside | drawn,
    }


def lower(mask: np.ndarray, points: np.ndarray) -> float | None:
    """The share of the mask's energy below the middle of the face, which lies between brows and chin."""
    total = float(np.square(mask).sum())
    middle = (points[17:27, 1].mean() + points[8, 1]) / 2
    return float(np.square(mask[max(0, round(middle)) :]).sum()) / total if total else None


# -- the measurement ---------------------------------------------------------------------------------------------------


class Judges:
    """dlib and the classifier, asked once for each picture."""

    def __init__(self, classifier):
        from training import judges

        self.dlib, self.reader = judges.load("dlib"), Reader(classifier, DATA / FILE)

    def person(self, image: Image.Image) -> np.ndarray:
        return self.dlib.judge(_pixels(image)).vectors[0]

    def points(self, image: Image.Image) -> np.ndarray:
        return self.dlib.landmarks(_pixels(image))[0][0]

    def has(self, image: Image.Image) -> dict[str, bool]:
        return self.reader.has(image)


def _pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None]


def outcome(case: Case, way: str, attribute: str, up: bool, edit: Image.Image, mask: np.ndarray, judges, before):
    """``before``: the photograph's embedding and mouth."""
    lost = np.abs(np.asarray(edit, np.float32) - np.asarray(case.photo, np.float32)).mean(axis=2)
    width, opening = mouth(judges.points(edit)) if attribute in MOUTHS else before[1]
    return Outcome(
        way,
        case.kind,
        attribute,
        up,
        float(np.linalg.norm(judges.person(edit) - before[0])),
        float(mask.mean()),
        lower(mask, case.points),
        float(mask[case.drawn].mean()) if case.drawn is not None and case.drawn.any() else None,
        {name: float(lost[there].mean()) if there.any() else None for name, there in places(case, attribute).items()},
        judges.has(edit)[attribute] == up,
        (width - before[1][0], opening - before[1][1]),
    )


def measured(nets, judges, count: int, attributes=(*LOCAL, *GLOBAL)) -> tuple[list[Outcome], list[float], list[float]]:
    """Every edit of every photograph by every way; dlib's distances of our inversions, and their seconds."""
    from pipelines import inversion
    from pipelines import out_of_domain as ood
    from pipelines.defaults import usual_strength

    found, apart, seconds = [], [], []
    whole = np.ones((nets.size, nets.size), np.float32)
    for case in cases(count, nets.size):
        began = time.perf_counter()
        *_, last = ood.invert(nets, case.photo, show_every=0)
        known = ood.inverted(nets, case.photo, last)
        seconds.append(time.perf_counter() - began)
        *_, first = inversion.invert(nets.generator, case.photo, "encoder", show_every=0)
        others = {"plain": ood.inverted(nets, case.photo, first.latent)}
        others["hybrid"] = ood.inverted(nets, case.photo, last.latent)
        had, before = judges.has(case.photo), (judges.person(case.photo), mouth(judges.points(case.photo)))
        apart.append(float(np.linalg.norm(judges.person(known.image) - before[0])))
        for name in attributes:
            up = not had[name]
            strength = usual_strength(name)
            edits = [(name, strength if up else -strength)]
            made = ood.edit(nets, known, edits=edits)
            mask = np.asarray(made.mask, np.float32) / 255
            pictures = {way: (ood.changed(nets, other, edits).image, whole) for way, other in others.items()}
            for way, (picture, shown) in {**pictures, "ours": (made.result, mask)}.items():
                found.append(outcome(case, way, name, up, picture, shown, judges, before))
    return found, apart, seconds


# -- the tables --------------------------------------------------------------------------------------------------------


def summary(rows: list[Outcome]) -> dict[str, float]:
    """Means over edits; NaN where nothing has the number."""
    from training.judges import SAME_PERSON

    found = {
        "same": mean(r.apart < SAME_PERSON for r in rows),
        "apart": mean(r.apart for r in rows),
        "mask": mean(r.mask for r in rows),
        "lower": mean(r.lower for r in rows),
        "on it": mean(r.on_it for r in rows),
        "changed": mean(r.changed for r in rows),
        "width": mean(r.mouth[0] * (1 if r.up else -1) for r in rows),
        "opening": mean(r.mouth[1] * (1 if r.up else -1) for r in rows),
    }
    return found | {place: mean(r.lost[place] for r in rows) for place in (*PLACES, "outside")}


def show(found: list[Outcome], apart: list[float], seconds: list[float], photographs: dict[str, float]) -> bool:
    """Prints the tables and what is missed; whether anything is. ``photographs``: of ``Reader``."""
    from training.judges import SAME_PERSON

    missed, attributes = [], list(dict.fromkeys(r.attribute for r in found))

    def miss(words: str, value: float, wanted: float, least: bool) -> None:
        if value == value and (value < wanted if least else value > wanted):
            missed.append(f"{words}: {value:.2f}, {'at least' if least else 'at most'} {wanted:g} is wanted")

    rows = []
    for name in attributes:
        of = summary([r for r in found if r.way == "ours" and r.attribute == name])
        row = [name, *(cell(of[key], ".0%") for key in ("same", "mask", "lower", "on it"))]
        row += [cell(of["outside"], ".1f"), cell(of["changed"], ".0%"), cell(photographs[name] / 100, ".0%")]
        mouths = (cell(of["width"], "+.2f"), cell(of["opening"], "+.2f")) if name in MOUTHS else ("–", "–")
        rows.append([*row, *mouths])
        miss(f"{name}, same person", of["same"], WANTED["local" if name in LOCAL else "global"], True)
        miss(f"{name}, changed", of["changed"], WANTED["changed"], True)
        miss(f"{name}, outside of its region", of["outside"], WANTED["outside"], False)
        miss(f"{name}, mask on what was drawn", of["on it"], WANTED["on it"], False)
        if name in MOUTHS:
            miss(f"{name}, mask", of["mask"], WANTED["mask"], False)
            miss(f"{name}, mask in the lower half of the face", of["lower"], WANTED["lower"], True)
    header = ["ours", "same person", "mask", "lower half", "on what was drawn", "outside, levels", "changed",
              "photographs", "mouth wider", "open more"]  # fmt: skip
    print(measure.table(header, rows))

    def by_way(chosen: list[Outcome], words: str) -> list[str]:
        of = summary(chosen)
        return [words, *(cell(of[k], ".0%") for k in ("same", "changed")), *(cell(of[k], ".1f") for k in PLACES)]

    rows = [by_way([r for r in found if r.way == way], way) for way in WAYS]
    kinds = list(dict.fromkeys(r.kind for r in found))
    rows += [by_way([r for r in found if r.way == "ours" and r.kind == kind], f"ours, {kind}") for kind in kinds]
    header = ["", "same person", "changed", "in the region", "elsewhere on the face", "background", "occluder"]
    print("\nMean difference to the photograph, in levels of 255, by place:\n\n" + measure.table(header, rows))
    same = mean(v < SAME_PERSON for v in apart)
    print(f"\nInversion alone: the same person in {same:.0%} (mean distance {mean(apart):.2f}), {mean(seconds):.1f} s.")
    miss("inversion alone, same person", same, WANTED["inversion"], True)
    for line in missed:
        print(f"MISSED {line}")
    return bool(missed)


def show_networks(nets, count: int) -> bool:
    """Diff-CAM and the deghosting network on what they were not trained on."""
    import argparse

    from training import deghosting, diffcam
    from training.data import load_images

    name = f"stylegan2/{NETWORK}"
    options = diffcam.parser().parse_args(["--out", "-", "--data", str(DATA / FILE), "--generator", name])
    pairs = diffcam.Pairs(argparse.Namespace(**vars(options)), "cpu")
    pixels = load_images(DATA / FILE, nets.size, "test", limit=max(count, 64)).pixels
    if nets.diffcam is not None:
        found = diffcam.measured(nets.diffcam, pairs, pixels.float() / 127.5 - 1, 512)
        print("\n" + measure.table(["Diff-CAM", "%"], [[key, f"{value:.1f}"] for key, value in found.items()]))
    if nets.deghosting is None:
        return False
    options = deghosting.parser().parse_args(["--out", "-", "--data", str(DATA / FILE), "--generator", name])
    ghosts = deghosting.Ghosts(options, "cpu")
    found = deghosting.measured(nets.deghosting, ghosts, pixels, len(pixels))
    gains = {key: found[f"{key}deghosted"] - found[f"{key}blended"] for key in ("", "kept_")}
    rows = [
        [words, f"{found[key + 'blended']:.2f}", f"{found[key + 'deghosted']:.2f}", f"{gains[key]:+.2f}"]
        for key, words in (("", "the photograph is the truth"), ("kept_", "the edit is the truth"))
    ]
    print("\n" + measure.table([f"{len(pixels)} made ghosts, PSNR in dB", "blended", "deghosted", "gain"], rows))
    if gains[""] < WANTED["gain"]:
        print(f"MISSED ghosts: {gains['']:+.2f} dB, {WANTED['gain']:+.1f} dB is wanted")
    return gains[""] < WANTED["gain"]


def main(device: str = "cpu", quick: bool = False, count: int | None = None) -> int:
    import weights
    from pipelines import out_of_domain as ood
    from training import judges

    count = count or (4 if quick else USUAL)
    print(f"\n## Out-of-domain edits of test photographs on {device}, as strong as the page ticks them\n")
    if not (DATA / FILE).is_file() or weights.status(f"stylegan2/{NETWORK}") != "shipped":
        print(f"Not measured: its photographs (../shared/data/{FILE}) or its network are not here.")
        return 0
    if not judges.installed("dlib"):
        print("Not measured: the judge dlib is not installed; run `make judges`.")
        return 0
    nets = ood.load(NETWORK, device)
    for sentence in nets.missing.values():
        print(f"{sentence}\n")
    if nets.encoder is None:
        print("Not measured: the plain way is that of an encoder.")
        return 0
    attributes = [name for name in (*LOCAL, *GLOBAL) if name in nets.steps]
    judge = Judges(weights.load(ood.JUDGE))
    found, apart, seconds = measured(nets, judge, count, attributes)
    print(f"{len(apart)} photographs, {len(attributes)} edits of each.\n")
    missed = show(found, apart, seconds, judge.reader.photographs)
    if not quick:
        missed |= show_networks(nets, count)
    return int(missed)
