"""Runs recipes: ``python -m training run faces cats``, or ``--all``; a stage that was stopped goes on where it stood.

``recipes.toml`` says the stages of each network. A stage is finished when its state has seen the images that its
options ask for; the next begins then, and the card is written after the last.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import subprocess
import sys
from pathlib import Path

import torch

import training

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

COMMAND = "the recipes of the networks that ship, stage after stage"

ROOT = Path(__file__).resolve().parent.parent


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training run", description=__doc__.splitlines()[0])
    p.add_argument("names", nargs="*", help="networks, in the order in which they are trained")
    p.add_argument("--all", action="store_true", help="every network of recipes.toml, in its order")
    p.add_argument("--data", default="../shared/data", help="folder of faces_128.zip, cats_256.zip, ...")
    p.add_argument("--runs", default="runs", help="folder of the runs")
    p.add_argument("--processes", type=int, default=2, help="that share a batch, of one thread each, where they can")
    p.add_argument("--no-card", dest="card", action="store_false", help="stop before the cards")
    p.add_argument("--list", action="store_true", help="only say what is finished and what is not")
    return p


def recipes() -> dict[str, dict]:
    """Those of ``recipes.toml``, then those of a technique's own folder."""
    found = {}
    for folder in map(Path, training.__path__):
        for file in (*folder.glob("recipes.toml"), *sorted(folder.glob("*/recipes.toml"))):
            found |= tomllib.loads(file.read_text(encoding="utf-8"))
    for recipe in found.values():
        stages = recipe.get("stages", [])
        for before, stage in zip(stages, stages[1:], strict=False):
            if "goes_on" in stage:  # of two values of an option the last counts
                stage |= {**before, "options": f"{before['options']} {stage['goes_on']}"}
    return found


def arguments(stage: dict, data: str, runs: str) -> list[str]:
    """The command line of a stage, after ``python -m training``."""
    options = stage["options"].format(data=data, runs=runs)
    where = ["--out", f"{runs}/{stage['out']}"] if "out" in stage else []
    return [stage["trainer"], *options.split(), *where]


def progress(stage: dict, data: str, runs: str) -> tuple[int, int]:
    """Images shown so far, and those asked for; (0, 0) for a stage without a state, which is run each time."""
    trainer, *options = arguments(stage, data, runs)
    if "out" not in stage:
        return 0, 0
    wanted = importlib.import_module(f"training.{trainer}").parser().parse_args(options).images
    path = Path(runs) / stage["out"] / "state.pt"
    if not path.exists():
        return 0, wanted
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)["shown"], wanted


def run(command: list[str], processes: int = 1) -> int:
    """Runs ``python -m training ...``, passing SIGTERM and SIGINT on; returns its status."""
    start = [sys.executable]
    if processes > 1 and getattr(importlib.import_module(f"training.{command[0]}"), "IN_PROCESSES", False):
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [*command, "--threads", "1"]
    process = subprocess.Popen([*start, "-m", "training", *command], cwd=ROOT)
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda number, _: process.send_signal(number))
    return process.wait()


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    known = recipes()
    names = list(known) if args.all else args.names
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        print(f"no recipe for {', '.join(wrong) or 'nothing'}; there are: {', '.join(known)}")
        return 2
    data, runs = (str(Path(folder).resolve()) for folder in (args.data, args.runs))
    for name in names:
        for stage in known[name].get("stages", []):
            shown, wanted = progress(stage, data, runs)
            print(f"{name}: {stage.get('out', stage['trainer'])} {shown:,} of {wanted:,} images", flush=True)
            if args.list or 0 < wanted <= shown:
                continue
            status = run(arguments(stage, data, runs), args.processes)
            if status or progress(stage, data, runs)[0] < wanted:  # stopped: the next stage has to wait
                return status
        for card in known[name].get("cards", []):
            if args.card and not args.list and (status := run(["card", *card.format(data=data, runs=runs).split()])):
                return status
    return 0
