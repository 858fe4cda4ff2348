"""The card of named directions: what a step along each does, in numbers and in pictures."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from weights.latent_directions import DirectionsFile

from .. import sheets
from .common import write

STEPS = (-3, -2, -1, 0, 1, 2, 3)
PSI = 0.7


@torch.no_grad()
def sheet(net, file: DirectionsFile, seed: int = 0) -> Image.Image:
    """A row for each attribute: one face, the same in every row, from -3 to +3 standard deviations."""
    device = next(net.parameters()).device
    z = torch.randn(1, net.z_dim, generator=torch.Generator().manual_seed(seed)).to(device)
    w = net.mapping(z, truncation_psi=PSI)
    rows = []
    for one in file.found.values():
        ws = w.repeat(len(STEPS), 1, 1)
        ws[:, list(one.rows)] += torch.tensor(STEPS, device=device)[:, None, None] * one.spread * one.vector.to(device)
        rows.append(net.synthesis(ws, noise_mode="const").cpu())
    return sheets.grid(torch.cat(rows), len(STEPS))


def export(path: Path, net, file: DirectionsFile) -> None:
    """Writes the card ``.md`` and the sheet ``.png`` beside the file."""
    sheets.kept(sheet(net, file)).save(path.with_suffix(".png"))
    card = file.card
    found = card["directions"]
    ranges = next(iter(found.values()))["ranges"]
    what = (
        f"Directions in w of `{file.generator}`, one for each attribute. A row of the sheet is one face, from −3 to +3"
        " standard deviations of w along the direction, in the order of the table."
    )
    table = {
        "generator": f"`{file.generator}`, SHA-256 {file.sha256}",
        "judge": f"`{card['classifier']}`, SHA-256 {card['classifier_sha256']}",
        "terms": "research, non-commercial: generator and judge have learnt from CelebA",
        "pictures scored": f"{card['samples']:,}, of which a fifth is held out",
        "time": f"{card['seconds']:,} s",
        "left out, for want of an effect": ", ".join(card["left_out"]) or "none",
        "method": "InterFaceGAN (Shen et al. 2020): logistic regression with L2 in w, weighted by how sure the judge"
        " is",
    }
    sections = [
        "`make train-directions` makes them; they belong to this one state of the generator and have to be made again"
        " when it changes.",
        "",
        "## What they do",
        "",
        f"Measured on {card['test']} held-out latents, with the rows of w+ named in the table. *Right* is the mean of"
        " the shares, with and without the attribute, that lie on their side of the plane (50 % is chance). *Share*:"
        " of the generated pictures that have it. Then how much a step moves the attribute's mean probability, and in"
        " brackets that of the other attributes, on average; at last the one that moves along most at +3.",
        "",
        "| attribute | right | share | rows | −3 | −2 | −1 | +1 | +2 | +3 | along with it |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *[_row(attribute, one) for attribute, one in found.items()],
        "",
        "## Which rows",
        "",
        "From −2 to +2: the attribute's change, and the others' mean change. Of the rows that change it at least 0.7 as"
        " much as any do, those with the largest ratio are the direction's own.",
        "",
        "| attribute | " + " | ".join(ranges) + " |",
        "|---|" + "---|" * len(ranges),
        *[
            f"| {attribute} | " + " | ".join(f"{own:.2f} ({rest:.2f})" for own, rest in one["ranges"].values()) + " |"
            for attribute, one in found.items()
        ],
        "",
        "The judge learnt from photographs and is sometimes wrong about generated pictures; attributes that go"
        " together in CelebA (beard and man, hair and age) go together here, and can be taken apart with"
        " `pipelines.directions.orthogonal`.",
    ]
    write(path.with_suffix(".md"), f"directions/{path.stem}", what, table, sections, alt="Sheet")


def _row(attribute: str, one: dict) -> str:
    """A line of the table of what the directions do."""
    moved = [f"{e['own']:+.2f} ({e['others']:.2f})".replace("-", "−") for e in one["effects"].values()]
    last = one["effects"]["+3"]
    return (
        f"| {attribute} | {one['accuracy']:.1f} % | {100 * one['share']:.1f} % | {one['rows']} | "
        + " | ".join(moved)
        + f" | {last['most']} ({last['most_by']:.2f}) |"
    )
