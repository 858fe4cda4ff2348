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
from ..reconstruction import Reconstruction
from ..stylegan2_options import summary
from ..stylegan2_state import load_run
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


def _of_encoder_run(run: str) -> tuple[Encoder, dict, Generator, str]:
    net, state = load_trained(Encoder, run)
    G = weights.load(net.generator, device="cpu")
    if state["generator_sha256"] != G.info.sha256:
        raise SystemExit(f"{net.generator} has changed since this run began: train its encoder again")
    return net, state, G, command_line(options(), data_and_out(state["data"]), state["args"])


def of_generator_run(run: str, generator: str) -> tuple[Encoder, dict, Generator, str]:
    """The averaged encoder of a ``training stylegan2`` run that had one in the loop, its state, G and the command.

    Raises SystemExit when ``generator`` is not the network of that run at this image.
    """
    state, trained = load_run(run)
    G = weights.load(generator, device="cpu")
    stored, own = dict(G.named_parameters()), dict(trained.named_parameters())
    same = stored.keys() == own.keys() and all(torch.equal(own[k].half(), v.half()) for k, v in stored.items())
    if not same:
        raise SystemExit(f"{generator} is not the network of this run: write its card first")
    net = Encoder(generator, Reconstruction.SIZE, G.num_ws, G.w_dim, state["args"]["encoder_widths"])
    prefix = "average."
    net.load_state_dict({k.removeprefix(prefix): v for k, v in state["reconstruction"].items() if k.startswith(prefix)})
    return net.eval().requires_grad_(False), state, G, summary(state)["command"]


def export(args, notes: dict) -> int:
    """Writes ``TECHNIQUE/NAME.safetensors`` (float16), and its card and sheet.

    For a run of ``training encoder``, or of ``training stylegan2`` with an encoder in the loop: it belongs to the
    generator of its own name then, whose card comes first.
    """
    state = torch.load(Path(args.run) / "state.pt", map_location="cpu", weights_only=True)
    if "reconstruction" in state:
        net, state, G, command = of_generator_run(args.run, f"stylegan2/{args.name.split('/')[-1]}")
    else:
        net, state, G, command = _of_encoder_run(args.run)
    photos = load_images(args.data, G.img_resolution, "test").pixels
    card = {
        "data": notes["data"],
        "terms": notes["terms"],
        "generator": net.generator,
        "generator_sha256": G.info.sha256,
        "images": state["shown"],
        "seconds": round(state["seconds"]),
        "command": command,
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


def _images_shown(state: dict) -> str:
    if "reconstruction" not in state:
        return f"{state['shown']:,}, half of them photographs"
    count, batch = state["args"]["reconstructed"], state["args"]["batch"]
    return f"{state['shown']:,} while the generator learned, {count} of {batch} of them photographs"


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
        "images shown": _images_shown(state),
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
    target = name.split("/")[-1] if "reconstruction" in state else None  # it learned with its generator
    write(path, name, what, table, sections, [f"{made_by(name, card, target)}."], notes.get("limits", ""))
