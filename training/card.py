"""Turns a training run into a shipped checkpoint: safetensors, model card, sample sheet.

``python -m training card --run runs/faces --name stylegan2/faces --data faces_128.zip``

Everything in the card comes from the run's state and from measurements made now; ``notes.toml`` beside this module
holds only what a machine cannot know: the data's name, source and terms.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

import torch

from models.stylegan2 import Generator
from weights import store

from . import judges, metrics, sheets
from .card_common import (
    change_words,
    command_line,
    data_and_out,
    distance_lines,
    distances,
    parameters,
    test_and_train,
    write,
)
from .data import load_images

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
NOTES = Path(__file__).with_name("notes.toml")
OTHERS = (
    "attgan",
    "attributes",
    "deghosting",
    "diffcam",
    "encoder",
    "igan",
    "landmarks",
    "occlusion",
)  # techniques whose cards say other things; each has a module of its own


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training card", description=__doc__.splitlines()[0])
    p.add_argument("--run", required=True, help="folder of the run, with its state.pt")
    p.add_argument("--name", required=True, help="technique/name of the checkpoint")
    p.add_argument("--data", required=True, help="the zip or folder it was trained on, for its test split")
    p.add_argument("--out", default=str(ROOT / "weights" / "embedded"))
    p.add_argument("--judge", default=None, help="folder of the run of the classifier that judges attgan's edits")
    p.add_argument(
        "--predictor", default=None, help="folder of the run of the predictor that belongs to an igan network"
    )
    p.add_argument("--psi", type=float, default=0.8, help="truncation of the sheet")
    return p


def load_run(folder: str | Path) -> tuple[dict, Generator]:
    """The state of a run and its averaged generator, eval and frozen."""
    state = torch.load(Path(folder) / "state.pt", map_location="cpu", weights_only=True)
    net = Generator(**state["G_config"])
    net.load_state_dict(state["G_ema"])
    return state, net.eval().requires_grad_(False)


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


def command(state: dict, data: str) -> str:
    """The options of the run that differ from the defaults."""
    from .stylegan2 import parser as options

    line = " ".join([command_line(options(), data_and_out(data), state["args"]), *filter(None, [state.get("origin")])])
    return line if "--images" in line else f"{line} --images {state['shown']}"


def summary(state: dict) -> dict:
    return {
        "resolution": state["G_config"]["img_resolution"],
        "images": state["shown"],
        "seconds": round(state["seconds"]),
        "data": state["data"],
        "command": command(state, state["data"]),
        "changes": [change_words(c) for c in state.get("changes", [])],
    }


def _commands(stage: dict) -> str:
    return "; ".join([f"`{stage['command']}`", *(f"`{c}`" for c in stage.get("changes", []))])


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
    sections = distance_lines(measured, "pictures (psi 1)") + judges.card_lines(measured["judged"])
    write(path, name, what, table, sections, made, notes.get("limits", ""))


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    technique, short = args.name.split("/")
    notes = tomllib.loads(NOTES.read_text(encoding="utf-8"))
    notes = {**notes["common"], **notes[args.name]}
    if technique in OTHERS:
        return importlib.import_module(f"training.card_{technique}").ship(args, notes)
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
