"""The model card of a DCGAN with its predictor: distance to photographs, and how near projections come."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image

from models.dcgan import DCGAN

from .. import sheets
from ..commands import change_words, command_line, data_and_out
from ..dcgan import load_run, sample
from ..dcgan import parser as dcgan_options
from ..predictor import load_predictor, projected
from ..predictor import parser as predictor_options
from .common import STORED, distance_lines, distances, parameters, store_measured, test_and_train, write

SHEET = (6, 10)


def export(args, notes: dict) -> int:
    """Writes ``igan/NAME.safetensors`` (float16) and its card for runs of ``training dcgan`` and ``predictor``."""
    if not args.predictor:
        raise SystemExit("card: --predictor is the folder of the run of `python -m training predictor`")
    G, D, state = load_run(args.run)
    P, state_P = load_predictor(args.predictor)
    net = DCGAN(G.config, D.config, P.config)
    for part, trained in zip((net.generator, net.discriminator, net.predictor), (G, D, P), strict=True):
        part.load_state_dict(trained.state_dict())
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "images": state["shown"],
        "seconds": round(state["seconds"]),
        "command": _command(state, dcgan_options()),
        "changes": [*state.get("earlier", []), *(change_words(c) for c in state.get("changes", []))],
        "predictor": {
            "images": state_P["shown"],
            "seconds": round(state_P["seconds"]),
            "command": _command(state_P, predictor_options()),
        },
    }

    def sheet(stored: DCGAN) -> Image.Image:
        return sheets.grid(sample(stored.generator, SHEET[0] * SHEET[1]), SHEET[1])

    target, stored = store_measured(args, net, "generator", card, lambda stored: measure(stored, args.data), sheet)
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    print(
        f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, SWD {card['swd']['mean']:.1f} "
        f"(photographs {card['swd_of_photographs']['mean']:.1f}), predictor's mean square {card['predicted_l2']:.4f}"
    )
    return 0


@torch.no_grad()
def measure(net: DCGAN, data: str) -> dict:
    """Sliced Wasserstein distance (x 1e3) to the test split beside that of training pictures; the predictor's error."""
    test, train = test_and_train(data, net.img_resolution)
    found = distances(sample(net.generator, len(test), seed=1234), test, train)
    error = (projected(net.generator, net.predictor, test) - test).square().mean()
    return {**found, "predicted_l2": float(error)}


def _command(state: dict, options: argparse.ArgumentParser) -> str:
    given = {k: v for k, v in state["args"].items() if k != "run"}
    first = f"--run runs/{state['source']} " if "source" in state else ""
    return command_line(options, first + data_and_out(state["data"]), given)


def _write(path: Path, name: str, net: DCGAN, state: dict, card: dict, notes: dict) -> None:
    predictor = card["predictor"]
    parts = {part: getattr(net, part) for part in ("generator", "discriminator", "predictor")}
    sizes = ", ".join(f"{part} {parameters(m)}" for part, m in parts.items())
    what = f"{notes['what']} Latents of one fixed seed, not chosen by hand."
    table = {
        "network": f"DCGAN, {net.img_resolution} px, z {net.z_dim} ({net.prior} prior); parameters: {sizes}",
        "widths": f"{', '.join(map(str, net.generator.widths))} from 4 px up",
        "data": f"{notes['data']}; {state['train_images']:,} pictures of the train split",
        "terms": notes["terms"],
        "images shown": f"{card['images']:,}; the predictor {predictor['images']:,}",
        "training time": f"{card['seconds']:,} s and {predictor['seconds']:,} s ({notes['machine']})",
        "stored as": STORED,
    }
    sections = [
        *distance_lines(card, "pictures"),
        "",
        "## What the predictor finds",
        "",
        f"Mean square difference (pixels in -1 to 1) between the {card['test_images']} test photographs and what the",
        f"generator makes of the predictor's latents: {card['predicted_l2']:.4f}. `python -m benchmarks projection`"
        " sets it beside the other ways.",
    ]
    made = [
        f"`make train-igan-{name.split('/')[1]}`, which runs `{card['command']}` and then `{predictor['command']}`.",
        *[f"This one had `{c}`." for c in card["changes"]],
    ]
    write(path, name, what, table, sections, made, notes.get("limits", ""))
