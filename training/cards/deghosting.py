"""The model card of a deghosting network: how near to the truth it brings ghosts that were made with known truth."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.deghosting import Deghosting

from .. import sheets
from ..commands import command_line, out_and_data
from ..data import load_images
from ..deghosting import Ghosts, measured, sheet
from ..deghosting import parser as options
from ..supervised import load_trained
from .common import began_with, counted, last_rows, made_by, parameters, sha256_of, store_measured, write

GENERATED = 256  # ghosts of generated faces, where there is no encoder


def export(args, notes: dict) -> int:
    """Writes ``deghosting/NAME.safetensors`` (float16, without the generator) and its card."""
    net, state = load_trained(Deghosting, args.run)
    given = state["args"]
    ghosts = Ghosts(argparse.Namespace(**given, data=args.data), "cpu")
    photographs = None
    if ghosts.pairs.encoder is not None:
        photographs = load_images(args.data, net.img_resolution, "test", limit=given["limit"]).pixels
    count = GENERATED if photographs is None else len(photographs)
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        **counted(state),
        "command": command_line(options(), out_and_data(args.data, state), given),
        "generator": given["generator"],
        "generator_sha256": sha256_of(given["generator"]),
        "compared_by": state["judged_by"],
        "masks": "Diff-CAM" if ghosts.diffcam is not None else "smooth noise",
        "test_images": count,
        "of_photographs": photographs is not None,
    }

    def psnr(stored: Deghosting) -> dict:
        return {"psnr": measured(stored.attach(ghosts.pairs.net), ghosts, photographs, count)}

    target, stored = store_measured(args, net, "network", card, psnr, lambda stored: sheets.kept(sheet(stored, ghosts)))
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    found = card["psnr"]
    gain = found["deghosted"] - found["blended"]
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, {found['deghosted']:.2f} dB ({gain:+.2f})")
    return 0


def _write(path: Path, name: str, net: Deghosting, state: dict, card: dict, notes: dict) -> None:
    found, config = card["psnr"], net.config
    of = "photographs of the test split" if card["of_photographs"] else "generated faces"
    what = f"{notes['what']} Columns: ghosts made of generated faces; blended, deghosted, the truth."
    table = {
        "network": f"{config['num_rrdbs']} dense blocks of {config['rrdb_channels']} channels at"
        f" {config['in_size']} px, fused with the generator, {parameters(net)} parameters without it",
        "belongs to": f"{card['generator']}, sha256 {card['generator_sha256'][:16]}…, which it does not contain",
        "data": f"{notes['data']}; {state['train_images']:,} photographs of the train split",
        "terms": notes["terms"],
        "masks": f"{card['masks']}, folded",
        "loss": f"L2, {state['args']['perceptual']:g} of {card['compared_by']},"
        f" {state['args']['adversarial']:g} adversarial",
        "ghosts shown": f"{card['images']:,}",
        "began with": began_with(card),
        "also sees": "the mask of the blend" if config["guided"] else None,
        **last_rows(card, notes),
    }
    sections = [
        "## How near to the truth",
        "",
        f"PSNR over {card['test_images']} made ghosts of {of}, about half of them with something drawn before the",
        "face.",
        "",
        "| | blended | deghosted | gain |",
        "|---|---|---|---|",
        *[
            f"| {words} | {found[key + 'blended']:.2f} dB | {found[key + 'deghosted']:.2f} dB |"
            f" {found[key + 'deghosted'] - found[key + 'blended']:+.2f} dB |"
            for words, key in (
                ("the edit shines through the photograph", ""),
                ("the photograph shines through the edit", "kept_"),
            )
        ],
        "",
        f"Pictures without ghosts are changed by {found['untouched']:.2f} of 255 levels on average.",
    ]
    write(path, name, what, table, sections, [f"{made_by(name, card)}."], notes.get("limits", ""))
