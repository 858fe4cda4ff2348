"""Edits of photographs with and without a mask: what they keep, whether they succeed, and where Diff-CAM looks.

Each test photograph is edited as it is, and with something drawn before the face (``training.occluders``), so that it
is known what has to stay. All ways start from the same latent. The judge is a classifier that took no part in any of
it, apart from naming the directions.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from . import measure
from .projection import DATA, photographs

NETWORK, FILE = "faces", "faces_128.zip"
USUAL = 40  # photographs, where nobody says how many
ATTRIBUTES = ("Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Young", "Male", "Bangs", "No_Beard", "Pale_Skin")
STRENGTH = 4.0
FARTHER = 1.25  # of it: what a mask takes away of an edit, one makes up for with the slider, at no cost outside of it
WAYS = ("plain", "hybrid", "ours", "ours, farther")
# With the drawing laid over the plain edit again, which takes knowing where it is: what an edit that leaves the drawing
# alone can come to, as far as the judge sees it.
LAID = "plain, drawing laid over"
WANTED = {"kept": 5.0, "changed": 0.9, "gain": 1.5}


@dataclass(frozen=True)
class Outcome:
    """Mean ``|edit - photograph|`` in levels of 255, outside of the mask and on what was drawn (None: nothing was), and
    how far the judge's probability moved towards what was wanted, of the whole way that there was.
    """

    outside: float | None
    drawn: float | None
    moved: float
    succeeded: bool


def cases(count: int, size: int) -> Iterator[tuple[Image.Image, np.ndarray | None]]:
    """Photographs, then the same with a drawing; and the drawing's mask ``[size, size]`` bool."""
    from training import occluders

    kinds = list(occluders.KINDS)
    images = photographs(DATA / FILE, size, count)
    for image in images:
        yield image, None
    for i, image in enumerate(images):
        made, mask = occluders.draw(image, kinds[i % len(kinds)], i)
        yield made, np.asarray(mask) > 127


def outcome(edit: Image.Image, photo: Image.Image, outside: np.ndarray, drawn, judge, name: str, up: bool) -> Outcome:
    lost = np.abs(np.asarray(edit, np.float32) - np.asarray(photo, np.float32)).mean(axis=2)
    before, after = judge(photo)[name], judge(edit)[name]
    way = (1 - before) if up else -before
    return Outcome(
        float(lost[outside].mean()) if outside.any() else None,
        float(lost[drawn].mean()) if drawn is not None and drawn.any() else None,
        (after - before) / way if abs(way) > 1e-6 else 1.0,
        (after > 0.5) == up,
    )


def measured(nets, judge, count: int, attributes=ATTRIBUTES) -> dict[str, dict[str, list[Outcome]]]:
    """Outcomes by "without" or "with" a drawing, then by way (``WAYS``): T of the encoder's latent, T of the hybrid
    one, the result, and the result of a strength ``FARTHER``; with a drawing also ``LAID``.
    """
    from pipelines import inversion
    from pipelines import out_of_domain as ood

    found: dict = {"without": {way: [] for way in WAYS}, "with": {way: [] for way in (*WAYS, LAID)}}
    for photo, drawn in cases(count, nets.size):
        *_, last = ood.invert(nets, photo, show_every=0)
        known = ood.inverted(nets, photo, last.latent)
        *_, first = inversion.invert(nets.generator, photo, "encoder", show_every=0)
        encoded = ood.inverted(nets, photo, first.latent)
        had = judge(photo)
        for name in attributes:
            up = had[name] < 0.5
            edits = [(name, STRENGTH if up else -STRENGTH)]
            made = ood.edit(nets, known, edits=edits)
            farther = ood.edit(nets, known, name, FARTHER * edits[0][1])
            plain = ood.changed(nets, encoded, edits).image
            results = {
                "plain": (plain, made.mask),
                "hybrid": (made.edited, made.mask),
                "ours": (made.result, made.mask),
                "ours, farther": (farther.result, farther.mask),
            }
            if drawn is not None:
                laid = Image.composite(made.photo, plain, Image.fromarray(drawn))
                results[LAID] = (laid, made.mask)
            for way, (picture, mask) in results.items():
                row = outcome(picture, made.photo, np.asarray(mask) == 0, drawn, judge, name, up)
                found["without" if drawn is None else "with"][way].append(row)
    return found


def summary(rows: list[Outcome]) -> tuple[float, float, float, float]:
    """Means: lost outside, lost on drawings (NaN where there are none), way gone, share of successes."""

    def mean(values: list) -> float:
        there = [v for v in values if v is not None]
        return statistics.mean(there) if there else float("nan")

    return (
        mean([r.outside for r in rows]),
        mean([r.drawn for r in rows]),
        mean([r.moved for r in rows]),
        mean([float(r.succeeded) for r in rows]),
    )


def show_edits(found: dict) -> bool:
    """Prints the table and what is missed; whether anything is."""
    rows, missed = [], []
    for key, words in (("without", "as it is"), ("with", "with a drawing")):
        means = {way: summary(found[key][way]) for way in found[key]}
        for way, (outside, drawn, moved, succeeded) in means.items():
            on = "–" if drawn != drawn else f"{drawn:.2f}"
            rows.append([f"{words}, {way}", f"{outside:.2f}", on, f"{moved:.0%}", f"{succeeded:.0%}"])
        ours = means["ours"]
        for other in ("plain", "hybrid"):
            theirs = means[other]
            for i, what in ((0, "outside of the mask"), (1, "on what was drawn")):
                if theirs[i] == theirs[i] and theirs[i] < WANTED["kept"] * ours[i]:
                    missed.append(f"{words}, {what}: {theirs[i] / ours[i]:.1f}x less is lost than by {other}")
        for other in ("plain", "hybrid", LAID):
            if other in means and ours[3] < WANTED["changed"] * means[other][3]:
                missed.append(f"{words}: {ours[3] / means[other][3]:.0%} of the successes of {other}")
    print(measure.table(["photograph, way", "lost outside", "lost on it", "way gone", "succeeded"], rows))
    print(
        f"\nFarther: with {FARTHER:g} times the strength. Lost: mean |edit - photograph| in levels. Way gone: of the"
        " judge's probability, of the whole way there is."
    )
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
    from pipelines import attgan
    from pipelines import out_of_domain as ood

    count = count or (4 if quick else USUAL)
    print(f"\n## Out-of-domain edits of test photographs on {device}, strength {STRENGTH:g}\n")
    if not (DATA / FILE).is_file() or weights.status(f"stylegan2/{NETWORK}") != "shipped":
        print(f"Not measured: its photographs (../shared/data/{FILE}) or its network are not here.")
        return 0
    nets = ood.load(NETWORK, device)
    for sentence in nets.missing.values():
        print(f"{sentence}\n")
    if nets.encoder is None:
        print("Not measured: the plain way is that of an encoder.")
        return 0
    classifier = weights.load(ood.JUDGE)
    found = measured(nets, lambda image: attgan.attributes(image, classifier), count)
    print(f"{count} photographs, twice {len(ATTRIBUTES)} edits of each.\n")
    missed = show_edits(found)
    missed |= show_networks(nets, count)
    return int(missed)
