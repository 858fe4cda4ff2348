"""Turns a training run into a shipped checkpoint: safetensors, model card, sample sheet.

``python -m training card --run runs/faces --name stylegan2/faces --data faces_128.zip``

``cards/TECHNIQUE.py`` writes it. Everything in a card comes from the run's state and from measurements made now;
``notes.toml`` beside it holds only what a machine cannot know: the data's name, source and terms.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import training

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

COMMAND = "export a training state: weights, card, sheet"

ROOT = Path(__file__).resolve().parent.parent
AS_STYLEGAN2 = ("history",)  # techniques whose networks are StyleGAN2s too


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


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    technique = args.name.split("/")[0]
    known = notes()
    return writer(technique).export(args, {**known["common"], **known[args.name]})


def notes() -> dict[str, dict]:
    """By the name of the checkpoint, and what is common to all: ``notes.toml`` of every folder here."""
    files = [file for folder in training.__path__ for file in sorted(Path(folder).glob("*/notes.toml"))]
    return {name: one for file in files for name, one in tomllib.loads(file.read_text(encoding="utf-8")).items()}


def writer(technique: str) -> ModuleType:
    """What writes the cards of a technique: ``cards/TECHNIQUE.py``, or ``card.py`` in the technique's folder."""
    technique = "stylegan2" if technique in AS_STYLEGAN2 else technique
    ours = importlib.util.find_spec(f"training.cards.{technique}") is not None
    return importlib.import_module(f"training.cards.{technique}" if ours else f"training.{technique}.card")
