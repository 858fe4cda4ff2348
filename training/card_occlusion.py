"""The model card of an occlusion network: how much it finds of what was put before photographs it has not seen."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from models.occlusion import OcclusionNet
from weights import store

from . import sheets
from .card import words_of
from .card_diffcam import sha256_of
from .data import load_images
from .occlusion import Covered, measured, sheet
from .occlusion import parser as options
from .supervised import finished

KINDS = {"drawn": 1.0, "pieces": None}  # what lies there -> the share of drawings that ``measured`` is asked for
WORDS = {
    "drawn": "something drawn before each",
    "pieces": "a drawing, or a piece of another photograph, before three of four",
}


def ship(args, notes: dict) -> int:
    """Writes ``occlusion/NAME.safetensors`` (float16), its card and its sheet for a run of ``training occlusion``."""
    net, state = finished(OcclusionNet, args.run)
    given = state["args"]
    covered = Covered(argparse.Namespace(**given), "cpu")
    photographs = load_images(args.data, covered.net.img_resolution, "test", limit=given["limit"]).pixels
    words = words_of(
        {**given, "textures": [Path(path).name for path in given["textures"]]},
        vars(options().parse_args(["--data", "x", "--out", "x"])),
    )
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "images": state["shown"],
        "seconds": round(state["seconds"]),
        "command": " ".join([f"python -m training occlusion --data {Path(args.data).name} --out runs/NAME", *words]),
        "generator": given["generator"],
        "generator_sha256": sha256_of(given["generator"]),
        "test_images": len(photographs),
    }
    target = Path(args.out) / f"{args.name}.safetensors"
    # What is measured is what is stored.
    store.save(target, net, "occlusion", "network", card=card, dtype=torch.float16)
    stored = store.load(target)
    card["found"] = {kind: measured(stored, covered, photographs, drawn=share) for kind, share in KINDS.items()}
    store.save(target, net, "occlusion", "network", card=card, dtype=torch.float16)
    sheets.kept(sheet(stored, covered)).save(target.with_suffix(".png"))
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, {card['found']}")
    return 0


def _write(path: Path, name: str, net: OcclusionNet, state: dict, card: dict, notes: dict) -> None:
    lines = [
        f"# {name}",
        "",
        f"![Sample sheet]({path.with_suffix('.png').name})",
        "",
        f"{notes['what']} Columns: generated faces with something before them; what their generator makes of that; in"
        " red what the network finds.",
        "",
        "| | |",
        "|---|---|",
        f"| network | U-Net, {net.img_resolution} px, {sum(p.numel() for p in net.parameters()):,} parameters |",
        f"| widths | {', '.join(map(str, net.config['widths']))} |",
        f"| learnt with | {card['generator']}, sha256 {card['generator_sha256'][:16]}… |",
        f"| data | {notes['data']}; {state['train_images']:,} photographs of the train split |",
        f"| terms | {notes['terms']} |",
        f"| images shown | {state['shown']:,} |",
        f"| training time | {card['seconds']:,} s ({notes['machine']}) |",
        "| stored as | float16; the numbers below are of the stored file |",
        "",
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
        "",
        "## How it was made",
        "",
        f"`make train-{name.split('/')[0]}`, which runs `{card['command']}`.",
        "",
        notes.get("limits", ""),
    ]
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
