"""The model card of an encoder: how near to photographs it comes in one pass, and how long that takes."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

import weights
from models.encoders import Encoder
from models.stylegan2 import Generator

from .. import sheets
from ..commands import command_line, data_and_out
from ..data import load_images
from ..encoder import inverted, l2, pairs
from ..encoder import parser as options
from ..supervised import load_trained
from .common import last_rows, made_by, parameters, store_measured, write

TIMED = 20  # photographs of which each is encoded by itself for the seconds


@torch.no_grad()
def measure(G: Generator, net: Encoder, photos: Tensor) -> dict:
    """Mean square differences to photographs ``[N, 3, R, R]`` uint8, in [-1, 1], and seconds of one pass.

    Beside them what the average face is off, and of pictures of the generator how far the latents are from the known
    ones, in deviations of w.
    """
    x = photos.float() / 127.5 - 1
    made, spread = inverted(G, net, x)
    each = l2(made, x)
    average = G.synthesis(net.w_avg.expand(1, G.num_ws, -1).contiguous(), noise_mode="const").cpu()
    seconds = []
    for one in x[:TIMED].split(1):
        began = time.perf_counter()
        net(one)
        seconds.append(time.perf_counter() - began)
    known = G.mapping(torch.randn(256, G.z_dim, generator=torch.Generator().manual_seed(1234)))
    own = torch.cat([G.synthesis(w, noise_mode="const").clamp(-1, 1) for w in known.split(32)])
    off = torch.cat([(net(some) - w) / net.w_std for some, w in zip(own.split(32), known.split(32), strict=True)])
    return {
        "test_images": len(photos),
        "l2": round(each.mean().item(), 4),
        "l2_median": round(each.median().item(), 4),
        "l2_of_the_average_face": round(l2(average, x).mean().item(), 4),
        "seconds_each": round(statistics.median(seconds), 4),
        "row_spread": round(spread.mean().sqrt().item(), 3),
        "l2_of_own_pictures": round(l2(inverted(G, net, own)[0], own).mean().item(), 4),
        "latent_error_of_own_pictures": round(off.square().mean().sqrt().item(), 3),
    }


@torch.no_grad()
def sheet(G: Generator, net: Encoder, rows: int = 3, columns: int = 8) -> Image.Image:
    """Pictures of the generator, and under each what it makes of the latent that the encoder says.

    Generated, because the photographs themselves are not for passing on.
    """
    x = sheets.sample(G, rows * columns, seed=7).clamp(-1, 1)
    if x.shape[-1] < 128:
        x = F.interpolate(x, size=(128, 128))
    return sheets.grid(pairs(x, F.interpolate(inverted(G, net, x)[0], size=x.shape[-2:]), columns), columns)


def export(args, notes: dict) -> int:
    """Writes ``TECHNIQUE/NAME.safetensors`` (float16), and its card and sheet for a run of ``training encoder``."""
    net, state = load_trained(Encoder, args.run)
    G = weights.load(net.generator, device="cpu")
    photos = load_images(args.data, G.img_resolution, "test").pixels
    if state["generator_sha256"] != G.info.sha256:
        raise SystemExit(f"{net.generator} has changed since this run began: train its encoder again")
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "generator": net.generator,
        "generator_sha256": G.info.sha256,
        "images": state["shown"],
        "seconds": round(state["seconds"]),
        "command": command_line(options(), data_and_out(args.data), state["args"]),
    }
    target, stored = store_measured(
        args,
        net,
        "encoder",
        card,
        lambda stored: measure(G, stored, photos),
        lambda stored: sheets.kept(sheet(G, stored)),
    )
    _write(target.with_suffix(".md"), args.name, stored, state, card, notes)
    print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB, L2 {card['l2']:.4f}, {card['seconds_each']:.3f} s")
    return 0


def _write(path: Path, name: str, net: Encoder, state: dict, card: dict, notes: dict) -> None:
    what = (
        f"{notes['what']} The first, third and fifth row are pictures of `{net.generator}`; under each is what that"
        " network makes of the latent that the encoder says. Seeds of one fixed list, not chosen by hand."
    )
    table = {
        "network": f"residual convolutional encoder, {net.img_resolution} px, {parameters(net)} parameters",
        "says": f"w+ of {net.num_ws} rows of {net.w_dim}: one w for all, and what each row differs from it",
        "belongs to": f"`{net.generator}`, the file with SHA-256 `{card['generator_sha256']}`",
        "data": f"{notes['data']}; {state['train_images']:,} pictures of the train split; the generator's own",
        "terms": notes["terms"],
        "images shown": f"{state['shown']:,}, half of them photographs",
        **last_rows(card, notes),
    }
    sections = [
        "## How near it comes",
        "",
        f"Mean square difference of pixels in [-1, 1] to the {card['test_images']} photographs of the test split.",
        "",
        "| | L2 |",
        "|---|---|",
        f"| of what the encoder says: mean | {card['l2']:.4f} |",
        f"| median | {card['l2_median']:.4f} |",
        f"| of the average face, the same for all | {card['l2_of_the_average_face']:.4f} |",
        f"| of the generator's own pictures | {card['l2_of_own_pictures']:.4f} |",
        "",
        f"One pass takes {card['seconds_each']:.3f} s. The rows of w+ differ from each other by"
        f" {card['row_spread']:.2f} deviations of w; of the generator's own pictures the known latents are missed by"
        f" {card['latent_error_of_own_pictures']:.2f} deviations. What optimisation reaches is measured by"
        " `python -m benchmarks inversion`.",
    ]
    write(path, name, what, table, sections, [f"{made_by(name, card)}."], notes.get("limits", ""))
