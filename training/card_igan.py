"""The model card of a DCGAN with its predictor: distance to photographs, and how near projections come."""

from __future__ import annotations

from pathlib import Path

import torch

from models.dcgan import DCGAN
from weights import store

from . import metrics, sheets
from .card import change_words, distance_lines, words_of
from .data import load_images
from .dcgan import load_run, sample
from .dcgan import parser as dcgan_options
from .predictor import load_predictor, projected
from .predictor import parser as predictor_options

SHEET = (6, 10)


def ship(args, notes: dict) -> int:
    """Writes ``igan/NAME.safetensors`` (float16) and its card for runs of ``training dcgan`` and ``predictor``."""
    if not args.predictor:
        raise SystemExit("card: --predictor is the folder of the run of `python -m training predictor`")
    G, D, state = load_run(args.run)
    P, state_P = load_predictor(args.predictor)
    net = DCGAN(G.config, D.config, P.config)
    for part, trained in zip((net.generator, net.discriminator, net.predictor), (G, D, P), strict=True):
        part.load_state_dict(trained.state_dict())
    target = Path(args.out) / f"{args.name}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "images": state["shown"],
        "seconds": round(state["seconds"]),
        "command": _command("dcgan", state, dcgan_options()),
        "changes": [*state.get("earlier", []), *(change_words(c) for c in state.get("changes", []))],
        "predictor": {
            "images": state_P["shown"],
            "seconds": round(state_P["seconds"]),
            "command": _command("predictor", state_P, predictor_options()),
        },
    }
    # What is measured is what is stored.
    store.save(target, net, "igan", "generator", card=card, dtype=torch.float16)
    stored = store.load(target)
    card |= measure(stored, args.data)
    store.save(target, stored, "igan", "generator", card=card, dtype=torch.float16)
    sheets.grid(sample(stored.generator, SHEET[0] * SHEET[1]), SHEET[1]).save(target.with_suffix(".png"))
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    print(
        f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, SWD {card['swd']['mean']:.1f} "
        f"(photographs {card['swd_of_photographs']['mean']:.1f}), predictor's mean square {card['predicted_l2']:.4f}"
    )
    return 0


@torch.no_grad()
def measure(net: DCGAN, data: str) -> dict:
    """Sliced Wasserstein distance (x 1e3) to the test split beside that of training pictures; the predictor's error."""
    size = net.img_resolution
    test = load_images(data, size, "test").pixels.float() / 127.5 - 1
    train = load_images(data, size, "train", limit=4 * len(test)).pixels
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[: len(test)]
    return {
        "test_images": len(test),
        "swd": metrics.sliced_wasserstein(sample(net.generator, len(test), seed=1234), test),
        "swd_of_photographs": metrics.sliced_wasserstein(train[order].float() / 127.5 - 1, test),
        "predicted_l2": float((projected(net.generator, net.predictor, test) - test).square().mean()),
    }


def _command(trainer: str, state: dict, options) -> str:
    required = {"dcgan": [], "predictor": ["--run", "x"]}[trainer]
    defaults = vars(options.parse_args(["--data", "x", "--out", "x", *required]))
    given = {k: v for k, v in state["args"].items() if k != "run"}
    words = [f"python -m training {trainer}"] + ([f"--run runs/{state['source']}"] if "source" in state else [])
    return " ".join([*words, f"--data {state['data']} --out runs/NAME", *words_of(given, defaults)])


def _write(path: Path, name: str, net: DCGAN, state: dict, card: dict, notes: dict) -> None:
    predictor = card["predictor"]
    parts = {part: getattr(net, part) for part in ("generator", "discriminator", "predictor")}
    sizes = ", ".join(f"{part} {sum(p.numel() for p in m.parameters()):,}" for part, m in parts.items())
    lines = [
        f"# {name}",
        "",
        f"![Sample sheet]({path.with_suffix('.png').name})",
        "",
        f"{notes['what']} Latents of one fixed seed, not chosen by hand.",
        "",
        "| | |",
        "|---|---|",
        f"| network | DCGAN, {net.img_resolution} px, z {net.z_dim} ({net.prior} prior); parameters: {sizes} |",
        f"| widths | {', '.join(map(str, net.generator.widths))} from 4 px up |",
        f"| data | {notes['data']}; {state['train_images']:,} pictures of the train split |",
        f"| terms | {notes['terms']} |",
        f"| images shown | {card['images']:,}; the predictor {predictor['images']:,} |",
        f"| training time | {card['seconds']:,} s and {predictor['seconds']:,} s ({notes['machine']}) |",
        "| stored as | float16; the numbers below are of the stored file |",
        "",
        *distance_lines(card, "pictures"),
        "## What the predictor finds",
        "",
        f"Mean square difference (pixels in -1 to 1) between the {card['test_images']} test photographs and what the",
        f"generator makes of the predictor's latents: {card['predicted_l2']:.4f}. `python -m benchmarks projection`"
        " sets it beside the other ways.",
        "",
        "## How it was made",
        "",
        f"`make train-igan-{name.split('/')[1]}`, which runs `{card['command']}` and then `{predictor['command']}`.",
        *[f"This one had `{c}`." for c in card["changes"]],
        "",
        notes.get("limits", ""),
    ]
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
