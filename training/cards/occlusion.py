"""The model card of an occlusion network: how much it finds of what was put before photographs it has not seen."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.occlusion import OcclusionNet

from .. import sheets
from ..commands import command_line, data_and_out
from ..data import load_images
from ..occlusion import Covered, measured, sheet
from ..occlusion import parser as options
from ..supervised import load_trained
from .common import began_with, counted, last_rows, made_by, parameters, sha256_of, store_measured, write

KINDS = {"drawn": 1.0, "pieces": None}  # what lies there -> the share of drawings that ``measured`` is asked for
WORDS = {
    "drawn": "something drawn before each",
    "pieces": "a drawing, or a piece of another photograph, before three of four",
}


def export(args, notes: dict) -> int:
    """Writes ``occlusion/NAME.safetensors`` (float16), its card and its sheet for a run of ``training occlusion``."""
    net, state = load_trained(OcclusionNet, args.run)
    given = state["args"]
    covered = Covered(argparse.Namespace(**given), "cpu")
    photographs = load_images(args.data, covered.net.img_resolution, "test", limit=given["limit"]).pixels
    told = {**given, "textures": [Path(path).name for path in given["textures"]]}
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        **counted(state),
        "command": command_line(options(), data_and_out(args.data), told),
        "generator": given["generator"],
        "generator_sha256": sha256_of(given["generator"]),
        "test_images": len(photographs),
    }

    def found(stored: OcclusionNet) -> dict:
        return {"found": {kind: measured(stored, covered, photographs, drawn=share) for kind, share in KINDS.items()}}

    target, stored = store_measured(
        args, net, "network", card, found, lambda stored: sheets.kept(sheet(stored, covered))
    )
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, {card['found']}")
    return 0


def _write(path: Path, name: str, net: OcclusionNet, state: dict, card: dict, notes: dict) -> None:
    what = (
        f"{notes['what']} Columns: generated faces with something before them; what their generator makes of that; in"
        " red what the network finds."
    )
    table = {
        "network": f"U-Net, {net.img_resolution} px, {parameters(net)} parameters",
        "widths": ", ".join(map(str, net.config["widths"])),
        "learnt with": f"{card['generator']}, sha256 {card['generator_sha256'][:16]}…",
        "data": f"{notes['data']}; {state['train_images']:,} photographs of the train split",
        "terms": notes["terms"],
        "images shown": f"{card['images']:,}",
        "began with": began_with(card),
        **last_rows(card, notes),
    }
    sections = [
        "## How much it finds",
        "",
        f"Pixels of the {card['test_images']} photographs of the test split. Found: of what lies there. Taken for",
        "it: of all else, whatever nobody has marked included. Union: the intersection of found and there, over their",
        "union.",
        "",
        "| photographs with | found | taken for it | union |",
        "|---|---|---|---|",
        *[
            f"| {WORDS[kind]} | {row['found']:.1f} % | {row['taken']:.1f} % | {row['union']:.1f} % |"
            for kind, row in card["found"].items()
        ],
    ]
    write(path, name, what, table, sections, [f"{made_by(name, card)}."], notes.get("limits", ""))
