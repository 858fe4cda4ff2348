"""The model card of a Diff-CAM network: how often it names the edit, and whether its masks lie where the edit is."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from models.diffcam import DiffCAM
from weights import hub, paths, store

from . import sheets
from .card import words_of
from .data import load_images
from .diffcam import REGIONS, measured, sheet
from .diffcam import parser as options
from .edit_pairs import Pairs
from .supervised import finished

LATENTS = 1024  # random faces that it is measured on


def ship(args, notes: dict) -> int:
    """Writes ``diffcam/NAME.safetensors`` (float16) and its card for a run of ``training diffcam``."""
    net, state = finished(DiffCAM, args.run)
    given = state["args"]
    pairs = Pairs(argparse.Namespace(**given, data=args.data), "cpu")
    photographs = None
    if pairs.encoder is not None:
        size = pairs.net.img_resolution
        photographs = load_images(args.data, size, "test", limit=given["limit"]).pixels.float() / 127.5 - 1
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "images": state["shown"],
        "seconds": round(state["seconds"]),
        "command": command(given, options(), "diffcam", state, args.data),
        "generator": given["generator"],
        "generator_sha256": sha256_of(given["generator"]),
        "strength": list(given["strength"]),
        "test_images": 0 if photographs is None else len(photographs),
    }
    target = Path(args.out) / f"{args.name}.safetensors"
    # What is measured is what is stored.
    store.save(target, net, "diffcam", "network", card=card, dtype=torch.float16)
    stored = store.load(target)
    card["accuracy"] = found = measured(stored, pairs, photographs, LATENTS)
    store.save(target, net, "diffcam", "network", card=card, dtype=torch.float16)
    sheets.kept(sheet(stored, pairs)).save(target.with_suffix(".png"))
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    size = target.stat().st_size / 1e6
    print(f"{target.name}: {size:.2f} MB, {found['latents']:.1f} % (chance {found['chance']:.1f} %)")
    return 0


def sha256_of(generator: str) -> str:
    """Of the file of a generator that ships, or of a file."""
    own = Path(generator)
    return hub.file_sha256(own if own.suffix == ".safetensors" else paths.embedded(generator))


def command(given: dict, parser: argparse.ArgumentParser, trainer: str, state: dict, data: str) -> str:
    """The line that made a run; ``--data`` only where photographs took part."""
    words = words_of(given, vars(parser.parse_args(["--out", "x"])))
    with_data = [f"--data {Path(data).name}"] if state["train_images"] else []
    return " ".join([f"python -m training {trainer} --out runs/NAME", *with_data, *words])


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
    lines = [
        f"# {name}",
        "",
        f"![Sample sheet]({path.with_suffix('.png').name})",
        "",
        f"{notes['what']} Columns: {', '.join(words)}; a generated face, the same edited, and the mask in red.",
        "",
        "| | |",
        "|---|---|",
        f"| network | {config['body']} body, {net.img_resolution} px, "
        f"{sum(p.numel() for p in net.parameters()):,} parameters |",
        f"| widths | {', '.join(map(str, config['widths']))}; head {', '.join(map(str, config['head']))} |",
        f"| belongs to | {card['generator']}, sha256 {card['generator_sha256'][:16]}… |",
        f"| pairs of | {data if state['train_images'] else 'random faces'} |",
        f"| data | {notes['data']} |",
        f"| terms | {notes['terms']} |",
        f"| pairs shown | {state['shown']:,} |",
        f"| training time | {card['seconds']:,} s ({notes['machine']}) |",
        "| stored as | float16; the numbers below are of the stored file |",
        "",
        "## How often it names the edit",
        "",
        f"Steps of {low:g} to {high:g} standard deviations of w, of both signs.",
        "",
        "| edits of | right | chance |",
        "|---|---|---|",
        *judged,
        *places,
        "",
        "## How it was made",
        "",
        f"`make train-{name.split('/')[0]}`, which runs `{card['command']}`.",
        "",
        notes.get("limits", ""),
    ]
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
