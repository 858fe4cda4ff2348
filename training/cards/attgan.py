"""The model card of an AttGAN generator: how often its edits show, and what they leave alone, to another classifier."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image

import weights
from models.attgan import Generator
from models.attributes import Classifier

from .. import editing, judges, sheets, thresholds
from ..attgan import complete
from ..attgan import parser as options
from ..attgan_regions import parts_of
from ..attributes import accuracy
from ..attributes import parser as judge_options
from ..commands import command_line, data_and_out
from ..data import Images, load_images
from ..editing import edited, restored
from ..supervised import load_trained
from .common import last_rows, made_by, parameters, store_measured, write

FACES = 100  # photographs of whose edits dlib says who they are, a sixth of a second each


def export(args, notes: dict) -> int:
    """Writes ``TECHNIQUE/NAME.safetensors`` (float16) and its card for a run of ``training attgan``.

    ``args.judge`` is the folder of a run of ``training attributes`` with which the generator was not trained.
    """
    if not args.judge:
        raise SystemExit(
            "what it edits has to be judged by somebody: --judge, a run of `python -m training attributes`"
        )
    state = torch.load(Path(args.run) / "state.pt", map_location="cpu", weights_only=True)
    net = Generator(**state["G_config"])
    net.load_state_dict(state["G_ema"])
    judge, judging = load_trained(Classifier, args.judge)
    test = load_images(args.data, net.img_size, "test", attributes=net.attrs)
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "recipe": state["args"]["recipe"],
        "local": state["args"].get("local", False),
        "images": state["shown"] + state.get("shown_before", 0),
        "seconds": round(state["seconds"] + state.get("seconds_before", 0.0)),
        "command": _command(args.data, state),
        "test_images": len(test),
        "judge": {
            "command": command_line(judge_options(), data_and_out(args.data), judging["args"]),
            "accuracy": accuracy(judge, load_images(args.data, judge.img_size, "test", attributes=judge.attrs))["mean"],
        },
    }
    x, a = test.pixels.float() / 127.5 - 1, test.attributes.float()
    edge, card["photographs"], card["photographs_half"] = _readings(args.data, judge, net.attrs)

    parts = parts_of(test) if card["local"] else None

    def measured(stored: Generator) -> dict:
        found = {"restored": restored(stored, x, a), **edited(stored, judge, x, a, None, parts, edge)}
        if judges.installed("dlib"):
            few = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:FACES]
            told = edited(stored, judge, x[few], a[few], judges.people, None if parts is None else parts[few], edge)
            found |= {"people_images": len(few), "same": told["same"], "both": told["both"]}
        return found

    target, stored = store_measured(
        args, net, "generator", card, measured, lambda stored: sheets.kept(sheet(stored, card["local"]))
    )
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    print(
        f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, flips {card['success']['mean']:.1f} %, "
        + (f"the same person too {card['both']['mean']:.1f} %, " if "both" in card else "")
        + "others move "
        f"{card['shift']['mean']:.1f} %, PSNR {card['restored']['psnr']:.2f} dB, SSIM {card['restored']['ssim']:.3f}"
    )
    return 0


def _readings(data: str, judge: Classifier, attrs: list[str]) -> tuple[torch.Tensor, dict, dict]:
    """Where the judge sees an attribute, by photographs of the train split; what those of the test split get, there
    and at one half, as edits do: by attribute, and ``mean``."""
    edge, *shares = thresholds.of_judge(judge, data, attrs)
    shares = [of.tolist() for of in shares]
    return edge, *({**dict(zip(attrs, of, strict=True)), "mean": sum(of) / len(of)} for of in shares)


def _command(data: str, state: dict) -> str:
    given = state["args"]
    usual = vars(complete(options().parse_args(["--data", "x", "--out", "x", "--recipe", given["recipe"]])))
    line = command_line(options(), data_and_out(data), given, usual)
    return line if given["recipe"] == "paper" else f"{line} --recipe ours --classifier {state['classifier']}"


@torch.no_grad()
def sheet(net: Generator, local: bool = False, count: int = 8) -> Image.Image:
    """A row for each of so many generated faces: itself, its reconstruction, then each attribute flipped.

    Generated, because the photographs themselves are not for passing on; what they have is what the shipped classifier
    sees. ``local``: edits stay where their attributes lie.
    """
    x = sheets.sample(weights.load("stylegan2/faces", "cpu"), count, seed=27, psi=0.7)
    x = F.interpolate(x, size=(net.img_size, net.img_size), mode="area")
    classifier = weights.load("attributes/faces", "cpu")
    a = (classifier(x)[:, [classifier.attrs.index(name) for name in net.attrs]] > 0).float()
    parts = parts_of(Images(((x.clamp(-1, 1) + 1) * 127.5).round().byte())) if local else None
    return editing.sheet(net, x, a, parts)


def _write(path: Path, name: str, net: Generator, state: dict, card: dict, notes: dict) -> None:
    told, moved, back, config = card["success"], card["shift"], card["restored"], net.config
    what = (
        f"{notes['what']} Each row is a generated face (`stylegan2/faces`), its reconstruction, and the face with one"
        f" attribute turned over: {', '.join(a.replace('_', ' ').lower() for a in net.attrs)}."
    )
    table = {
        "network": f"AttGAN, {net.img_size} px, {parameters(net)} parameters",
        "layers": f"encoder {config['enc_layers']}, decoder {config['dec_layers']}, from {config['enc_dim']} maps; "
        f"shortcuts {config['shortcut_layers']}, injections {config['inject_layers']}",
        "data": f"{notes['data']}; {state['train_images']:,} pictures of the train split",
        "terms": notes["terms"],
        "recipe": f"{card['recipe']} (see `training/attgan.py`)",
        "images shown": f"{card['images']:,}",
        **last_rows(card, notes),
    }
    columns = {"flips, %": told, "photographs, %": card["photographs"], "others move, %": moved}
    if "both" in card:
        columns |= {"same person, %": card["same"], "both, %": card["both"]}
    columns |= {"flips at one half, %": card["half"], "photographs at one half, %": card["photographs_half"]}
    sections = [
        "## How well it edits",
        "",
        f"On the {card['test_images']} photographs of the test split, at test intensity 1, judged by a classifier of"
        " another seed",
        f"and architecture that had no part in the training ({card['judge']['accuracy']:.1f} % right on photographs).",
        "*Flips*: of those whose attribute it reads rightly, the share that it reads the other way once it is turned",
        "over. *Photographs*: how often it reads that attribute rightly in other photographs that have it so, which is",
        "what an edit that looks like them would reach. It sees an attribute from that probability on at which it is",
        "as often right where it is as where it is not, on photographs of the train split. *At one half*: at a",
        "probability of one half, of all photographs; there it sees what is rare too seldom for a measure. *Others",
        "move*: how much the probabilities of the others change from those of the reconstruction, on average.",
        *(_of_people(card["people_images"]) if "both" in card else []),
        *(
            ["What an edit changes outside of its attribute's region is undone, as the page does."]
            if card["local"]
            else []
        ),
        "",
        "| attribute | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
        *[_row(a.replace("_", " ").lower(), columns, a) for a in net.attrs],
        _row("**mean**", columns, "mean"),
        "",
        f"Reconstruction: PSNR **{back['psnr']:.2f} dB**, SSIM **{back['ssim']:.3f}**, L1 {back['l1']:.4f} in [-1, 1].",
    ]
    made = [f"{made_by(name, card)}; the judge is `{card['judge']['command']}`."]
    write(path, name, what, table, sections, made, notes.get("limits", ""))


def _of_people(count: int) -> list[str]:
    return [
        f"*Same person*, of {count} of them: share that dlib takes for the person of the photograph. *Both*: flipped",
        "and the same person, which neither a stain nor an edit that changes nothing is.",
    ]


def _row(words: str, columns: dict[str, dict[str, float]], key: str) -> str:
    return f"| {words} | " + " | ".join(f"{of[key]:.1f}" for of in columns.values()) + " |"
