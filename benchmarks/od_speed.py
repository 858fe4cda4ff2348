"""How long an out-of-domain edit takes, from the upload on, against inverting by 200 steps and at every move."""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw

from . import measure

NETWORK = "faces"
STEPS = 200  # of the inversion that everybody did before encoders
WANTED = {
    "from the upload to the first result": 6.0,
    "a slider of strength": 0.3,
    "a slider of the mask": 0.3,
}  # seconds


def photograph(nets) -> Image.Image:
    """A face that nobody has, with a hat, in a picture of 640 x 480."""
    from pipelines import stylegan2

    face = stylegan2.picture(nets.generator, stylegan2.latent(nets.generator, 4)).resize((300, 300))
    ImageDraw.Draw(face).rectangle([40, 0, 260, 60], fill=(30, 40, 110))
    ground = Image.new("RGB", (640, 480), (120, 140, 160))
    ground.paste(face, (170, 100))
    return ground


def tasks(nets) -> dict:
    """(ours, baseline) by what is measured."""
    from pipelines import faces, inversion
    from pipelines import out_of_domain as ood

    photo = photograph(nets)
    crop = nets.generator.info.crop

    def first(method: str | None = None, steps: int | None = None):
        face = faces.align(photo, faces.detect(photo)[0], crop, nets.size)
        if method is None:
            *_, last = ood.invert(nets, face.image, show_every=0)
        else:
            *_, last = inversion.invert(nets.generator, face.image, method, steps, show_every=0)
        known = ood.inverted(nets, face.image, last)
        return known, face, ood.paste(photo, face, ood.edit(nets, known, "Smiling", 3.0))

    known, face, _whole = first()
    change = ood.changed(nets, known, [("Smiling", 3.0)])

    def whole(made):
        return ood.paste(photo, face, made)

    before = ("w+", STEPS)
    return {
        "from the upload to the first result": (first, lambda: first(*before)),
        "a slider of strength": (lambda: whole(ood.edit(nets, known, "Smiling", 2.0)), lambda: first(*before)),
        "a slider of the mask": (
            lambda: whole(ood.composed(nets, known, change, ood.soft_mask(change, 0.2, 0.3))),
            lambda: whole(ood.edit(nets, known, "Smiling", 3.0, threshold=0.2)),
        ),
    }


def main(device: str = "cpu", quick: bool = False) -> int:
    from pipelines import out_of_domain as ood

    if device == "cuda" and not torch.cuda.is_available():
        print("No CUDA device is here, so nothing was measured on one.")
        return 0
    nets = ood.load(NETWORK, device)
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"\n## Out-of-domain edits by {NETWORK}, {nets.size} px, {where}, torch {torch.__version__}\n")
    print(f"Baselines: {STEPS} steps of optimisation in w+; for the mask, T and its map made again.\n")
    for sentence in nets.missing.values():
        print(f"{sentence}\n")
    rows, missed = [], []
    for name, (ours, baseline) in tasks(nets).items():
        found = measure.interleaved({"ours": ours, "baseline": baseline}, 2 if quick else 5, device)
        ratio = found["baseline"] / found["ours"]
        rows.append([name, f"{found['ours']:.3f} s", f"{found['baseline']:.3f} s", f"{ratio:.1f}x"])
        if device == "cpu" and found["ours"] > WANTED[name]:
            missed.append(f"{name}: {found['ours']:.2f} s, {WANTED[name]} s is wanted on two cores")
    print(measure.table(["", "ours", "baseline", "as fast"], rows))
    for line in missed:
        print(f"MISSED {line}")
    return int(bool(missed))
