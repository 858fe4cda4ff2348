"""The model card of an attribute classifier: how often it is right on photographs it has not seen, name by name."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image

import weights
from models.attributes import Classifier

from .. import sheets
from ..attributes import ATTGAN, accuracy
from ..attributes import parser as options
from ..commands import command_line, data_and_out
from ..data import load_images
from ..supervised import load_trained
from .common import last_rows, made_by, parameters, store_measured, write


def export(args, notes: dict) -> int:
    """Writes ``TECHNIQUE/NAME.safetensors`` (float16) and its card for a run of ``training attributes``."""
    net, state = load_trained(Classifier, args.run)
    test = load_images(args.data, net.img_size, "test", attributes=net.attrs)
    often = test.attributes.float().mean(dim=0)
    usual = {a: round(max(p, 1 - p) * 100, 2) for a, p in zip(net.attrs, often.tolist(), strict=True)}
    usual["mean"] = round(sum(usual[a] for a in ATTGAN if a in usual) / sum(a in usual for a in ATTGAN), 2)
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "images": state["shown"],
        "seconds": round(state["seconds"]),
        "command": command_line(options(), data_and_out(args.data), state["args"]),
        "test_images": len(test),
        "majority": usual,
    }
    target, stored = store_measured(
        args, net, "classifier", card, lambda stored: {"accuracy": accuracy(stored, test)}, sheet
    )
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    size = target.stat().st_size / 1e6
    print(f"{target.name}: {size:.2f} MB, {card['accuracy']['mean']:.2f} % (majority {usual['mean']:.2f} %)")
    return 0


@torch.no_grad()
def sheet(net, count: int = 768, rows: int = 4) -> Image.Image:
    """A column for each attribute: of so many generated faces those in which it is seen most surely.

    Generated, because the photographs themselves are not for passing on.
    """
    made = sheets.sample(weights.load("stylegan2/faces", "cpu"), count, seed=7)
    made = F.interpolate(made, size=(64, 64), mode="area")
    surest = torch.cat([net(some) for some in made.split(64)]).topk(rows, dim=0).indices  # [rows, attributes]
    return sheets.grid(made[surest.flatten()], len(net.attrs))


def _write(path: Path, name: str, net, state: dict, card: dict, notes: dict) -> None:
    right, usual = card["accuracy"], card["majority"]
    what = (
        f"{notes['what']} Each column has the generated faces (`stylegan2/faces`) in which one of them is seen most"
        f" surely: {', '.join(a.replace('_', ' ').lower() for a in net.attrs)}."
    )
    table = {
        "network": f"{net.config['kind']} convolutional classifier, {net.img_size} px, {parameters(net)} parameters",
        "widths": f"{', '.join(map(str, net.config['widths']))}; blocks {', '.join(map(str, net.config['blocks']))}",
        "data": f"{notes['data']}; {state['train_images']:,} pictures of the train split",
        "terms": notes["terms"],
        "images shown": f"{state['shown']:,}",
        **last_rows(card, notes),
    }
    sections = [
        "## How often it is right",
        "",
        f"On the {card['test_images']} photographs of the test split (mean of each and its mirror image), in percent,",
        "beside the rate of always naming what is more frequent there.",
        "",
        "| attribute | right | more frequent |",
        "|---|---|---|",
        *[f"| {a.replace('_', ' ').lower()} | {right[a]:.1f} | {usual[a]:.1f} |" for a in net.attrs],
        f"| **mean of AttGAN's {sum(a in right for a in ATTGAN)}** | **{right['mean']:.2f}** | {usual['mean']:.2f} |",
    ]
    write(path, name, what, table, sections, [f"{made_by(name, card)}."], notes.get("limits", ""))
