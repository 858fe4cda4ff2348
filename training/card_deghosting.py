"""The model card of a deghosting network: how near to the truth it brings ghosts that were made with known truth."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from models.deghosting import Deghosting
from weights import store

from . import sheets
from .card_diffcam import command, sha256_of
from .data import load_images
from .deghosting import Ghosts, measured, sheet
from .deghosting import parser as options
from .supervised import finished

GENERATED = 256  # ghosts of generated faces, where there is no encoder


def ship(args, notes: dict) -> int:
    """Writes ``deghosting/NAME.safetensors`` (float16, without the generator) and its card."""
    net, state = finished(Deghosting, args.run)
    given = state["args"]
    ghosts = Ghosts(argparse.Namespace(**given, data=args.data), "cpu")
    photographs = None
    if ghosts.pairs.encoder is not None:
        photographs = load_images(args.data, net.img_resolution, "test", limit=given["limit"]).pixels
    count = GENERATED if photographs is None else len(photographs)
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "images": state["shown"] + state.get("shown_before", 0),
        "seconds": round(state["seconds"] + state.get("seconds_before", 0)),
        "images_before": state.get("shown_before", 0),
        "command": command(given, options(), "deghosting", state, args.data),
        "generator": given["generator"],
        "generator_sha256": sha256_of(given["generator"]),
        "compared_by": state["judged_by"],
        "masks": "Diff-CAM" if ghosts.diffcam is not None else "smooth noise",
        "test_images": count,
        "of_photographs": photographs is not None,
    }
    target = Path(args.out) / f"{args.name}.safetensors"
    # What is measured is what is stored.
    store.save(target, net, "deghosting", "network", card=card, dtype=torch.float16)
    stored = store.load(target).attach(ghosts.pairs.net)
    card["psnr"] = found = measured(stored, ghosts, photographs, count)
    store.save(target, net, "deghosting", "network", card=card, dtype=torch.float16)
    sheets.kept(sheet(stored, ghosts)).save(target.with_suffix(".png"))
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    gain = found["deghosted"] - found["blended"]
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, {found['deghosted']:.2f} dB ({gain:+.2f})")
    return 0


def _write(path: Path, name: str, net: Deghosting, state: dict, card: dict, notes: dict) -> None:
    found, config = card["psnr"], net.config
    of = "photographs of the test split" if card["of_photographs"] else "generated faces"
    lines = [
        f"# {name}",
        "",
        f"![Sample sheet]({path.with_suffix('.png').name})",
        "",
        f"{notes['what']} Columns: ghosts made of generated faces; blended, deghosted, the truth.",
        "",
        "| | |",
        "|---|---|",
        f"| network | {config['num_rrdbs']} dense blocks of {config['rrdb_channels']} channels at {config['in_size']}"
        f" px, fused with the generator, {sum(p.numel() for p in net.parameters()):,} parameters without it |",
        f"| belongs to | {card['generator']}, sha256 {card['generator_sha256'][:16]}…, which it does not contain |",
        f"| data | {notes['data']}; {state['train_images']:,} photographs of the train split |",
        f"| terms | {notes['terms']} |",
        f"| masks | {card['masks']}, folded |",
        f"| loss | L2, {state['args']['perceptual']:g} of {card['compared_by']}, {state['args']['adversarial']:g}"
        " adversarial |",
        f"| ghosts shown | {card['images']:,} |",
        *(
            [f"| began with | the network that shipped before, after {card['images_before']:,} of them |"]
            if card["images_before"]
            else []
        ),
        *(["| also sees | the mask of the blend |"] if config["guided"] else []),
        f"| training time | {card['seconds']:,} s ({notes['machine']}) |",
        "| stored as | float16; the numbers below are of the stored file |",
        "",
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
        "",
        "## How it was made",
        "",
        f"`make train-{name.split('/')[0]}`, which runs `{card['command']}`.",
        "",
        notes.get("limits", ""),
    ]
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
