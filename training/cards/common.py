"""What the writers of model cards share: what is stored and measured, the frame of the text."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from weights import hub, paths, store

from .. import metrics
from ..data import load_images

STORED = "float16; the numbers below are of the stored file"


# -- what is stored and measured -------------------------------------------------------------------------------------


def sha256_of(generator: str) -> str:
    """Of the file of a generator that ships, or of a file."""
    own = Path(generator)
    return hub.file_sha256(own if own.suffix == ".safetensors" else paths.embedded(generator))


def counted(state: dict) -> dict:
    """What the card of a supervised run says of its length, with what the network that it began with had seen."""
    before = state.get("shown_before", 0)
    seconds = round(state["seconds"] + state.get("seconds_before", 0))
    return {"images": state["shown"] + before, "seconds": seconds, "images_before": before}


def began_with(card: dict) -> str | None:
    before = card["images_before"]
    return f"the network that shipped before, after {before:,} of them" if before else None


def store_measured(
    args: argparse.Namespace,
    net: nn.Module,
    kind: str,
    card: dict,
    measured: Callable[[nn.Module], dict],
    sheet: Callable[[nn.Module], Image.Image],
) -> tuple[Path, nn.Module]:
    """Writes ``TECHNIQUE/NAME.safetensors`` (float16) and its sheet; returns the path and the network as stored.

    Args:
        args: of ``training card``: ``out`` and ``name``.
        measured: what it says of the stored network is added to ``card``.
    """
    target = Path(args.out) / f"{args.name}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)

    def save() -> None:
        store.save(target, net, args.name.split("/")[0], kind, card=card, dtype=torch.float16)

    save()
    stored = store.load(target)  # what is measured is what is stored
    card |= measured(stored)
    save()
    sheet(stored).save(target.with_suffix(".png"))
    return target, stored


def test_and_train(data: str, size: int) -> tuple[Tensor, Tensor]:
    """The test split and as many pictures of the train split, ``[N, 3, size, size]`` in [-1, 1]."""
    test = load_images(data, size, "test").pixels.float() / 127.5 - 1
    train = load_images(data, size, "train", limit=4 * len(test)).pixels
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[: len(test)]
    return test, train[order].float() / 127.5 - 1


def distances(fake: Tensor, test: Tensor, train: Tensor) -> dict:
    """Sliced Wasserstein distance (x 1e3) of generated pictures to the test split, and of training pictures to it."""
    return {
        "test_images": len(test),
        "swd": metrics.sliced_wasserstein(fake, test),
        "swd_of_photographs": metrics.sliced_wasserstein(train, test),
    }


# -- the text --------------------------------------------------------------------------------------------------------


def parameters(net: nn.Module) -> str:
    return f"{sum(p.numel() for p in net.parameters()):,}"


def last_rows(card: dict, notes: dict) -> dict[str, str]:
    """The rows with which most tables end."""
    return {"training time": f"{card['seconds']:,} s ({notes['machine']})", "stored as": STORED}


def made_by(name: str, card: dict, target: str | None = None) -> str:
    """``target``: of the Makefile, where it is not called as the technique is."""
    return f"`make train-{target or name.split('/')[0]}`, which runs `{card['command']}`"


def distance_lines(measured: dict, what: str) -> list[str]:
    """The section of a card on the distance to photographs; ``what`` was compared with the test split."""
    swd, photographs = measured["swd"], measured["swd_of_photographs"]
    levels = [k for k in swd if k != "mean"]
    return [
        "## Distance to photographs",
        "",
        f"Sliced Wasserstein distance × 10³ (Karras et al. 2018) of {measured['test_images']} {what}",
        "to the test split, and of as many training photographs to it: what a perfect generator would score.",
        "",
        "| | " + " | ".join(f"{k} px" for k in levels) + " | mean |",
        "|---|" + "---|" * (len(levels) + 1),
        "| this network | " + " | ".join(f"{swd[k]:.1f}" for k in levels) + f" | {swd['mean']:.1f} |",
        "| photographs | " + " | ".join(f"{photographs[k]:.1f}" for k in levels) + f" | {photographs['mean']:.1f} |",
    ]


def write(
    path: Path,
    name: str,
    what: str,
    table: dict[str, str | None],
    sections: Sequence[str],
    made: Sequence[str] = (),
    limits: str = "",
    alt: str = "Sample sheet",
) -> None:
    """Writes a card.

    Args:
        what: the words below the sheet.
        table: a row for each entry; None leaves it out.
        sections: the lines between the table and how it was made.
        made: how it was made.
        alt: what stands for the sheet where pictures are not shown.
    """
    lines = [
        f"# {name}",
        "",
        f"![{alt}]({path.with_suffix('.png').name})",
        "",
        what,
        "",
        "| | |",
        "|---|---|",
        *[f"| {label} | {value} |" for label, value in table.items() if value is not None],
        "",
        *sections,
        "",
    ]
    if made:
        lines += ["## How it was made", "", *made, ""]
    lines.append(limits)
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
