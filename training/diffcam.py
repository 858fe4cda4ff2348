"""Trains Diff-CAM: ``python -m training diffcam --data faces_128.zip --out runs/diffcam``.

Pairs are made on the fly: the latent of a random face, or of a photograph where there is an encoder, before and after
a step along one of the named directions, of random length and sign. The network names the direction (softmax
cross-entropy). The paper: alpha 20 of one sign, Adam 1e-4, batch 6, 1000 steps on a pretrained ResNet-101; here
strengths are those that sliders allow, both signs count as the same attribute, and a small network begins from
nothing, so that the rate is higher and the steps are more.

A step along a direction changes other things too, always the same ones, and a network that has only to name it may
look at those. So (ours) of some pairs only a part of the edit is shown (``--parts``), and an independent classifier of
photographs says how much of the attribute came with that part: by as much less the network has to name it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.diffcam import BODIES, DiffCAM
from weights import store
from weights.errors import UserError

from . import edit_pairs, loop, sheets
from .data import Images, load_images
from .edit_pairs import Pairs
from .supervised import Supervised

COMMAND = "network that names an edit and shows where it is, from pairs of a StyleGAN2"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training diffcam", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add("--data", default=None, help="zip or folder of faces: with an encoder, half of the pairs are of photographs")
    add("--images", type=int, default=200_000)
    add("--start-from", default=None, help="safetensors file of a Diff-CAM network of the same edits to begin with")
    add("--size", type=int, default=128)
    add("--body", default="light", choices=BODIES)
    add("--widths", type=int, nargs="+", default=[16, 32, 64])
    add("--head", type=int, nargs="+", default=[96, 128])
    add("--layers", type=int, nargs=4, default=[3, 4, 23, 3])
    add("--split", type=int, default=10)
    add("--judge", default="attributes/faces", help="classifier of photographs that says what a part of an edit shows")
    add("--parts", type=float, default=0.5, help="share of pairs of which a part is shown; 0: whole edits only")
    add("--batch", type=int, default=16)
    add("--lr", type=float, default=1e-3)
    add("--decay", type=float, default=0.01, help="weight decay of AdamW")
    add("--tick", type=int, default=4_000)
    return edit_pairs.options(p)


# Edits whose place is known in the crop `celeba`: the rows of the picture, from 0 to 1, that they change.
REGIONS = {"Eyeglasses": (0.3, 0.56), "Smiling": (0.5, 1.0), "Mouth_Slightly_Open": (0.5, 1.0), "Bangs": (0.0, 0.4)}


JUDGED = 0.3  # a change of the judge's logit below which it cannot say what a part of the edit brought


@torch.no_grad()
def parts_of(
    judge: nn.Module, names: Sequence[str], before: Tensor, after: Tensor, label: Tensor, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pictures with a part of their edit only, and how much of the attribute came with it.

    Args:
        judge: a classifier with ``attrs``, logits ``[N, attributes]`` of pictures in [-1, 1].
        names: of the attributes that ``label [N]`` counts.
        before, after: ``[N, 3, R, R]``.

    Returns:
        ``[N, 3, R, R]`` and the share ``[N]`` from 0 to 1 by which the logit of the edited attribute moved, of its
        movement by the whole edit. Pairs that the judge cannot tell apart are left whole, with a share of 1.
    """
    index = torch.tensor([judge.attrs.index(names[i]) if names[i] in judge.attrs else -1 for i in label.tolist()])
    known = (index >= 0).to(before.device)
    if not known.any():
        return after, torch.ones(len(after), device=after.device)
    shown = edit_pairs.smooth_masks(len(before), before.shape[-1], rng).to(before.device)
    some = torch.lerp(before, after, shown)
    picked = index.clamp_min(0).to(before.device)[:, None]
    first, last, now = (judge(x).gather(1, picked)[:, 0] for x in (before, after, some))
    whole = last - first
    known &= whole.abs() >= JUDGED
    share = torch.where(known, ((now - first) / torch.where(known, whole, 1)).clamp(0, 1), 1)
    return torch.where(known[:, None, None, None], some, after), share


class DiffCAMRun(Supervised):
    def __init__(self, args: argparse.Namespace, images: Images | list, pairs: Pairs):
        torch.manual_seed(args.seed)
        body = {"widths": args.widths, "head": args.head, "layers": args.layers, "split": args.split}
        net = DiffCAM(pairs.directions.names, args.size, args.body, **body).to(memory_format=torch.channels_last)
        if args.start_from and list(store.load(args.start_from).names) != list(net.names):
            raise UserError(f"The network in {Path(args.start_from).name} names other edits than these directions.")
        super().__init__(args, images, net, 10_000, args.start_from)
        self.pairs = pairs
        self.judge = edit_pairs.network(args.judge, self.device) if args.parts else None

    def step(self) -> None:
        rng, half = self.rng(), self.batch // 2
        photographs = None
        if len(self.images):
            mirrored = torch.rand(half, generator=rng) < 0.5
            photographs = self.images.batch(torch.randint(0, len(self.images), (half,), generator=rng), mirrored)
        before, after, label, _alpha = self.pairs.edit(self.pairs.latents(photographs, self.batch, rng), rng)
        flip = (torch.rand(self.batch, generator=rng) < 0.5)[:, None, None, None].to(before.device)
        before, after = (torch.where(flip, x.flip(3), x) for x in (before, after))
        wanted = F.one_hot(label, len(self.net.names)).float().to(before.device)
        if self.judge is not None:
            part = torch.rand(self.batch, generator=rng) < self.args.parts
            some, share = parts_of(self.judge, self.net.names, before[part], after[part], label[part], rng)
            after[part] = some
            wanted[part] = share[:, None] * wanted[part] + (1 - share[:, None]) / wanted.shape[1]
        layout = torch.channels_last
        self.net.train()
        with self.autocast():
            logits = self.net(before.contiguous(memory_format=layout), after.contiguous(memory_format=layout))
        self.update(F.cross_entropy(logits.float(), wanted))


@torch.no_grad()
def measured(
    net: DiffCAM, pairs: Pairs, photographs: Tensor | None = None, count: int = 256, seed: int = 1234
) -> dict[str, float]:
    """How often the edited attribute is named, in percent: ``latents`` of random faces, ``photographs`` inverted.

    ``in NAME``: how much of the mask's energy lies in the rows that edits of this attribute change (``REGIONS``), in
    percent; a mask that knows nothing has their share of the height.

    Args:
        photographs: ``[N, 3, R, R]`` in [-1, 1], none of those that were trained on; used where there is an encoder.
    """
    found = _named(net, pairs, None, count, seed)
    result = {"latents": found[0], "chance": 100 / len(net.names), **found[1]}
    if photographs is not None and pairs.encoder is not None:
        result["photographs"] = _named(net, pairs, photographs, len(photographs), seed)[0]
    return {name: round(value, 2) for name, value in result.items()}


def _named(
    net: DiffCAM, pairs: Pairs, photographs: Tensor | None, count: int, seed: int
) -> tuple[float, dict[str, float]]:
    rng, right, inside = torch.Generator().manual_seed(seed), 0, {name: [] for name in REGIONS}
    for start in range(0, count, 16):
        some = None if photographs is None else photographs[start : start + 16]
        before, after, label, _alpha = pairs.edit(pairs.latents(some, min(16, count - start), rng), rng)
        mask, logits = net.mask(before, after, label)
        right += (logits.argmax(dim=1).cpu() == label).sum().item()
        rows = mask.sum(dim=(1, 3)) / mask.sum(dim=(1, 2, 3)).clamp_min(1e-8)[:, None]
        for i, attribute in enumerate(label.tolist()):
            if (name := net.names[attribute]) in REGIONS:
                top, bottom = (round(edge * rows.shape[1]) for edge in REGIONS[name])
                inside[name].append(rows[i, top:bottom].sum().item())
    return 100 * right / count, {f"in {n}": 100 * sum(found) / len(found) for n, found in inside.items() if found}


@torch.no_grad()
def sheet(net: DiffCAM, pairs: Pairs, seed: int = 7, strength: float = 3.0):
    """A column for each attribute: a generated face, the same edited, and the mask over it."""
    rng = torch.Generator().manual_seed(seed)
    w = edit_pairs.latents(pairs.net, len(net.names), rng, (0.7, 0.7))
    label = torch.arange(len(net.names))
    alpha = torch.full((len(label),), strength)
    before = edit_pairs.rendered(pairs.net, w)
    after = edit_pairs.rendered(pairs.net, edit_pairs.edited(w, pairs.directions, label, alpha))
    mask = net.mask(before, after, label)[0]
    red = torch.tensor([1.0, -1.0, -1.0], device=mask.device)[:, None, None]
    over = torch.lerp(after.mean(dim=1, keepdim=True).expand_as(after), red.expand_as(after), 0.75 * mask)
    return sheets.grid(torch.cat([before, after, over]).cpu(), len(net.names))


def train(args: argparse.Namespace, log=print) -> DiffCAMRun:
    loop.use_threads(args.threads, args.device)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    pairs = Pairs(args, loop.resolve(args.device))
    images, test = [], None
    if pairs.encoder is not None:
        images = load_images(args.data, pairs.net.img_resolution, "train", limit=args.limit)
        if images.held_out:
            test = load_images(args.data, pairs.net.img_resolution, "test", limit=256).pixels.float() / 127.5 - 1
    run = DiffCAMRun(args, images, pairs)
    loop.resume(run, out, log)
    log(
        f"{len(pairs.directions)} directions, {len(images)} photographs,"
        f" {sum(p.numel() for p in run.net.parameters()):,} parameters"
    )

    def report() -> dict:
        path = out / "sheets" / f"{run.shown:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet(run.average, pairs).save(path)
        return {"loss": run.loss, **measured(run.average, pairs, test)}

    loop.train_until(run, args.images, out, args.tick, report, log, args.minutes)
    return run


def main(argv: list[str]) -> int:
    train(parser().parse_args(argv), log=lambda s: print(s, flush=True))
    return 0
