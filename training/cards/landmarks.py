"""The model card of the landmark network: how near to their place it brings the eyes of photographs it has not seen."""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

import weights
from models.landmarks import LandmarkNet

from .. import sheets
from ..commands import command_line, data_and_out
from ..data import load_images
from ..landmarks import NEAR, SOURCE, WIDE, Spread, eye_error, seen, told, transforms
from ..landmarks import parser as options
from ..supervised import load_trained
from .common import last_rows, made_by, parameters, store_measured, write

SPREADS = {"anywhere": WIDE, "near its place": NEAR}


def measure(net: LandmarkNet, photos: Tensor) -> dict:
    """Mean and median eye error in pixels of the 128 px crop by the number of looks, and the share told from others."""
    found = {}
    for name, spread in SPREADS.items():
        by_looks = [eye_error(net, photos, spread, looks, seed=1234) for looks in range(4)]
        found[name] = [{"mean": round(e.mean().item(), 2), "median": round(e.median().item(), 2)} for e in by_looks]
    return {"test_images": len(photos), "eye_error": found, "told": round(told(net, photos, seed=1234), 2)}


@torch.no_grad()
def sheet(net: LandmarkNet, rows: int = 3, columns: int = 8) -> Image.Image:
    """What the network finds at its first look at faces that our own network made: photographs are not passed on."""
    faces = sheets.sample(weights.load("stylegan2/faces", "cpu"), rows * columns, psi=0.7).clamp(-1, 1)
    rng = torch.Generator().manual_seed(0)
    x = seen(F.interpolate(faces, size=(SOURCE, SOURCE)), transforms(len(faces), rng, WIDE), rng, net.img_resolution)
    points, _ = net(x)
    picture = sheets.grid(F.interpolate(x, size=(SOURCE, SOURCE), mode="bilinear"), columns)
    pen = ImageDraw.Draw(picture)
    for i, five in enumerate(((points + 1) * SOURCE / 2).tolist()):
        for x, y in five:
            x, y = x + i % columns * SOURCE, y + i // columns * SOURCE
            pen.ellipse([x - 2, y - 2, x + 2, y + 2], fill="lime", outline="black")
    return picture


def export(args, notes: dict) -> int:
    """Writes ``TECHNIQUE/NAME.safetensors`` (float16), and its card and sheet for a run of ``training landmarks``."""
    net, state = load_trained(LandmarkNet, args.run)
    photos = load_images(args.data, SOURCE, "test").pixels
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "images": state["shown"],
        "seconds": round(state["seconds"]),
        "command": command_line(options(), data_and_out(args.data), state["args"]),
    }
    target, stored = store_measured(args, net, "network", card, lambda stored: measure(stored, photos), sheet)
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, {card['eye_error']}, told {card['told']} %")
    return 0


def _words(spread: Spread) -> str:
    return (
        f"shifted by up to {spread.shift / 2:.0%} of the side, scaled by {math.exp(-spread.size):.2f} to "
        f"{math.exp(spread.size):.2f}, turned by up to {math.degrees(spread.turn):.0f} degrees"
    )


def _write(path: Path, name: str, net: LandmarkNet, state: dict, card: dict, notes: dict) -> None:
    table = {
        "network": f"convolutional, {net.img_resolution} px, {parameters(net)} parameters",
        "widths": ", ".join(map(str, net.config["widths"])),
        "data": f"{notes['data']}; {state['train_images']:,} pictures of the train split",
        "terms": notes["terms"],
        "images shown": f"{state['shown']:,}",
        **last_rows(card, notes),
    }
    sections = [
        "## How far from their place the eyes are",
        "",
        f"Each of the {card['test_images']} photographs of the test split under a random transform, in pixels of the",
        "128 px crop (mean / median), before the network has looked and after it has looked once and more often.",
        *[f"{name[0].upper()}{name[1:]}: {_words(spread)}." for name, spread in SPREADS.items()],
        "",
        "| looks | " + " | ".join(SPREADS) + " |",
        "|---|" + "---|" * len(SPREADS),
        *[
            f"| {looks} | "
            + " | ".join(f"{e[looks]['mean']:.2f} / {e[looks]['median']:.2f}" for e in card["eye_error"].values())
            + " |"
            for looks in range(4)
        ],
        "",
        f"Of pictures half of which show a face and half none, or one out of its place, it tells {card['told']:.1f} %",
        "rightly.",
    ]
    made = [f"{made_by(name, card)}."]
    write(path, name, notes["what"], table, sections, made, notes.get("limits", ""), alt="What it finds")
