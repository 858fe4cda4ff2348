"""The model card of a Diff-CAM network: how often it names the edit, and whether its masks lie where the edit is."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.diffcam import DiffCAM

from .. import sheets
from ..commands import command_line, out_and_data
from ..data import load_images
from ..diffcam import REGIONS, measured, sheet
from ..diffcam import parser as options
from ..edit_pairs import Pairs
from ..supervised import load_trained
from .common import began_with, counted, last_rows, made_by, parameters, sha256_of, store_measured, write

LATENTS = 1024  # random faces that it is measured on


def export(args, notes: dict) -> int:
    """Writes ``diffcam/NAME.safetensors`` (float16) and its card for a run of ``training diffcam``."""
    net, state = load_trained(DiffCAM, args.run)
    given = state["args"]
    pairs = Pairs(argparse.Namespace(**given, data=args.data), "cpu")
    photographs = None
    if pairs.encoder is not None:
        size = pairs.net.img_resolution
        photographs = load_images(args.data, size, "test", limit=given["limit"]).pixels.float() / 127.5 - 1
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        **counted(state),
        "command": command_line(options(), out_and_data(args.data, state), given),
        "generator": given["generator"],
        "generator_sha256": sha256_of(given["generator"]),
        "strength": list(given["strength"]),
        "test_images": 0 if photographs is None else len(photographs),
    }

    def right(stored: DiffCAM) -> dict:
        return {"accuracy": measured(stored, pairs, photographs, LATENTS)}

    target, stored = store_measured(args, net, "network", card, right, lambda stored: sheets.kept(sheet(stored, pairs)))
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    found = card["accuracy"]
    size = target.stat().st_size / 1e6
    print(f"{target.name}: {size:.2f} MB, {found['latents']:.1f} % (chance {found['chance']:.1f} %)")
    return 0


def _write(path: Path, name: str, net: DiffCAM, state: dict, card: dict, notes: dict) -> None:
    found, config = card["accuracy"], net.config
    words = [n.replace("_", " ").lower() for n in net.names]
    low, high = card["strength"]
    judged = [f"| random faces ({LATENTS:,}) | {found['latents']:.1f} % | {found['chance']:.1f} % |"]
    if "photographs" in found:
        line = f"| photographs of the test split ({card['test_images']}), inverted | {found['photographs']:.1f} % |"
        judged.append(f"{line} {found['chance']:.1f} % |")
    places = [
        f"| {n.replace('_', ' ').lower()} | {found[f'in {n}']:.1f} % | {100 * (bottom - top):.0f} % |"
        for n, (top, bottom) in REGIONS.items()
        if f"in {n}" in found
    ]
    if places:
        places = [
            "",
            "## Where it looks",
            "",
            "Share of the mask's energy in the rows of the picture that such edits change, beside these rows' share of",
            "the height, which is what a mask that knows nothing has.",
            "",
            "| edit | of the mask | of the height |",
            "|---|---|---|",
            *places,
        ]
    data = f"{state['train_images']:,} photographs of the train split, inverted, and random faces"
    what = f"{notes['what']} Columns: {', '.join(words)}; a generated face, the same edited, and the mask in red."
    table = {
        "network": f"{config['body']} body, {net.img_resolution} px, {parameters(net)} parameters",
        "widths": f"{', '.join(map(str, config['widths']))}; head {', '.join(map(str, config['head']))}",
        "belongs to": f"{card['generator']}, sha256 {card['generator_sha256'][:16]}…",
        "pairs of": data if state["train_images"] else "random faces",
        "data": notes["data"],
        "terms": notes["terms"],
        "pairs shown": f"{card['images']:,}",
        "began with": began_with(card),
        **last_rows(card, notes),
    }
    sections = [
        "## How often it names the edit",
        "",
        f"Steps of {low:g} to {high:g} standard deviations of w, of both signs.",
        "",
        "| edits of | right | chance |",
        "|---|---|---|",
        *judged,
        *places,
    ]
    write(path, name, what, table, sections, [f"{made_by(name, card)}."], notes.get("limits", ""))
