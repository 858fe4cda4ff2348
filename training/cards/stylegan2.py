"""The card of a StyleGAN2, and of the small ones of the history."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from models.stylegan2 import Generator
from weights import store

from .. import judges, metrics, sheets
from ..data import load_images
from ..stylegan2_options import summary
from ..stylegan2_state import load_run
from .common import distance_lines, distances, parameters, test_and_train, write


def measure(net: Generator, data: str) -> dict:
    """Sliced Wasserstein distance (x 1e3) to the test split, beside that of as many training pictures."""
    test, train = test_and_train(data, net.img_resolution)
    fake = sheets.sample(net, len(test), seed=1234, noise_mode="random")
    return distances(fake, test, train) | {"judged": judges.for_card(net, data)}


def measure_history(net: Generator, data: str) -> dict:
    """What cell 7 of the notebook compares: an even latent space, detail that sticks to places, peaks in the maps."""
    test = load_images(data, net.img_resolution, "test").pixels.float() / 127.5 - 1
    return {
        "path_length": metrics.path_length(net, 512),
        "position_bias": metrics.position_bias(sheets.sample(net, len(test), seed=1234, noise_mode="random")),
        "position_bias_of_photographs": metrics.position_bias(test),
        "peak_to_mean": metrics.peak_to_mean(net),
    }


def _commands(stage: dict) -> str:
    return "; ".join([f"`{stage['command']}`", *(f"`{c}`" for c in stage.get("changes", []))])


SHIPPED = "weights/embedded"


def write_card(
    path: Path, name: str, net: Generator, state: dict, chain: list[dict], measured: dict, notes: dict, psi: float
):
    images, seconds = sum(s["images"] for s in chain), sum(s["seconds"] for s in chain)
    what = f"{notes['what']} Seeds of one fixed list, truncation psi {psi:g}, not chosen by hand."
    table = {
        "network": f"StyleGAN2, {state['G_config']['architecture']} generator, {net.img_resolution} px, "
        f"{parameters(net)} parameters",
        "mapping": f"{state['G_config']['mapping_layers']} layers, z {net.z_dim}, w {net.w_dim}",
        "widths": ", ".join(f"{c} at {r} px" for r, c in net.synthesis.widths.items()),
        "data": f"{notes['data']}; {state['train_images']:,} pictures of the train split",
        "terms": notes["terms"],
        "images shown": f"{images:,}",
        "training time": f"{seconds:,} s in all ({notes['machine']})",
        "stored as": notes.get("stored", "float16"),
    }
    made = [
        f"`make train-{notes.get('target', name.split('/')[-1])}` runs all of it. Stage by stage:",
        "",
        "| px | images | seconds | command |",
        "|---|---|---|---|",
        *[f"| {s['resolution']} | {s['images']:,} | {s['seconds']:,} | {_commands(s)} |" for s in chain],
    ]
    if any(SHIPPED in s["command"] for s in chain):
        made += ["", f"A file in `{SHIPPED}` that a stage starts from is the one that shipped when the stage began."]
    sections = distance_lines(measured, "pictures (psi 1)") + judges.card_lines(measured["judged"])
    write(path, name, what, table, sections, made, notes.get("limits", ""))


def export(args: argparse.Namespace, notes: dict) -> int:
    """Writes the checkpoint, its sheet and its card."""
    technique, short = args.name.split("/")
    state, net = load_run(args.run)
    chain = [*state.get("parents", []), summary(state)]  # the runs that led to it, first to last
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "images": sum(s["images"] for s in chain),
        "seconds": sum(s["seconds"] for s in chain),
        "stages": chain,
    }
    target = Path(args.out) / technique / f"{short}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    store.save(target, net, "stylegan2", "generator", card=card, dtype=torch.float16)
    stored = store.load(target)  # what is measured is what is stored
    measured = measure(stored, args.data)
    if technique == "history":
        measured.update(measure_history(stored, args.data))
    store.save(target, net, "stylegan2", "generator", card=card | measured, dtype=torch.float16)
    difference = (sheets.sample(net, 16) - sheets.sample(stored, 16)).abs()
    levels = difference.mean().item() * 127.5
    notes["stored"] = f"float16; pictures differ from float32 by {levels:.2f} of 255 levels on average"
    sheets.save_sheet(stored, target.with_suffix(".png"), rows=6, columns=10, seed=0, psi=args.psi)
    write_card(target.with_suffix(".md"), args.name, stored, state, chain, measured, notes, args.psi)
    print(
        f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, SWD {measured['swd']['mean']:.1f} "
        f"(photographs {measured['swd_of_photographs']['mean']:.1f})"
    )
    return 0
