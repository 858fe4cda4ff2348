"""Trains the landmark network: ``python -m training landmarks --data faces_128.zip --out runs/landmarks``.

Photographs that are all cut alike need no landmarks drawn by hand: seen under a random similarity transform, the
transform is the exact truth. So that the network reads faces and not the edges of pictures, each photograph is first
cut in by a random amount at every side and laid on something else; so that it also says what is no face, some pictures
show parts of one, none, or one that lies on its side or upside down.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from models.landmarks import LandmarkNet, template

from . import loop
from .data import Images, load_images
from .supervised import Supervised

COMMAND = "network that finds the landmarks of a face"

SOURCE = 128  # px of the photographs that are warped
CUT = 0.28  # at most so much of each side is cut away, where the whole crop is 2
SWAP = (1, 0, 2, 4, 3)  # left for right


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training landmarks", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--data", required=True, help="zip or folder of aligned faces in the celeba crop")
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add("--images", type=int, default=300_000)
    add("--minutes", type=float, default=None)
    add("--limit", type=int, default=None, help="use at most so many photographs")
    add("--size", type=int, default=64)
    add("--widths", type=int, nargs="+", default=[32, 64, 96, 128])
    add("--batch", type=int, default=64)
    add("--lr", type=float, default=2e-3)
    add("--decay", type=float, default=0.02, help="weight decay of AdamW")
    add("--precision", default="bf16", choices=tuple(loop.PRECISIONS))
    add("--device", default="auto")
    add("--threads", type=int, default=None)
    add("--seed", type=int, default=0)
    add("--tick", type=int, default=20_000)
    return p


@dataclass(frozen=True)
class Spread:
    """How far a face may lie from its place: sides of half a picture, logarithm of the size, radians."""

    shift: float
    size: float
    turn: float


WIDE = Spread(shift=0.45, size=0.45, turn=math.radians(45))  # what a detector's box may be wrong by, and more
NEAR = Spread(shift=0.12, size=0.15, turn=math.radians(9))  # what is left when the network looks a second time


def transforms(n: int, rng: torch.Generator, spread: Spread) -> Tensor:
    """Similarity transforms ``[n, 2, 3]`` from the crop to the picture, both reaching from -1 to 1."""

    def uniform(high: float) -> Tensor:
        return (torch.rand(n, generator=rng) * 2 - 1) * high

    return _similarity(
        torch.exp(uniform(spread.size)), uniform(spread.turn), uniform(spread.shift), uniform(spread.shift)
    )


def strangers(n: int, rng: torch.Generator) -> Tensor:
    """Transforms ``[n, 2, 3]`` under which what is seen does not count as a face in its place."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=rng) * (high - low) + low

    kind = torch.randint(0, 4, (n,), generator=rng)
    sign = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    size, turn = torch.exp(uniform(-0.4, 0.4)), uniform(-0.7, 0.7)
    x, y = uniform(-0.4, 0.4), uniform(-0.4, 0.4)
    size = torch.where(kind == 0, uniform(2.6, 5.0), size)  # a cheek, an eye
    size = torch.where(kind == 1, uniform(0.15, 0.38), size)  # far too small
    turn = torch.where(kind == 2, sign * uniform(1.4, math.pi), turn)
    x = torch.where(kind == 3, sign * uniform(1.1, 1.7) * size.clamp(max=1), x)  # its edge at most
    wide = (kind == 0).float() * 1.5 + 1
    return _similarity(size, turn, x * wide, y * wide)


def _similarity(size: Tensor, turn: Tensor, x: Tensor, y: Tensor) -> Tensor:
    a, b = size * turn.cos(), size * turn.sin()
    return torch.stack([torch.stack([a, -b, x], dim=1), torch.stack([b, a, y], dim=1)], dim=1)


def inverse(m: Tensor) -> Tensor:
    """Of similarity transforms ``[N, 2, 3]``."""
    a = m[:, :, :2].transpose(1, 2) / (m[:, 0, 0] ** 2 + m[:, 1, 0] ** 2)[:, None, None]
    return torch.cat([a, -a @ m[:, :, 2:]], dim=2)


def carried(m: Tensor, points: Tensor) -> Tensor:
    """``points [N, P, 2]`` or ``[P, 2]`` under transforms ``[N, 2, 3]``."""
    points = points.expand(len(m), -1, -1)
    return points @ m[:, :, :2].transpose(1, 2) + m[:, None, :, 2]


def fitted(points: Tensor, to: Tensor) -> Tensor:
    """The similarity transforms ``[N, 2, 3]`` that bring ``points [N, P, 2]`` nearest to ``to [P, 2]``."""
    p, q = points - points.mean(dim=1, keepdim=True), to - to.mean(dim=0)
    norm = p.square().sum(dim=(1, 2))
    a = (p * q).sum(dim=(1, 2)) / norm
    b = (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(dim=1) / norm
    m = torch.stack([torch.stack([a, -b], dim=1), torch.stack([b, a], dim=1)], dim=1)
    return torch.cat([m, (to.mean(dim=0) - (m @ points.mean(dim=1)[..., None])[..., 0])[..., None]], dim=2)


def seen(photos: Tensor, m: Tensor, rng: torch.Generator, size: int, plain: bool = False) -> Tensor:
    """Photographs ``[N, 3, 128, 128]`` in [-1, 1] under ``m [N, 2, 3]``, as pictures ``[N, 3, size, size]``.

    ``plain``: whole, and mirrored beyond their edges; otherwise cut in and laid on another photograph blurred and seen
    otherwise, on one colour, on noise, or on their own mirrored edges, the cut sharp or soft.
    """
    n, fine = len(photos), size * max(1, SOURCE // size)
    back = inverse(m)
    grid = F.affine_grid(back, [n, 3, fine, fine], align_corners=False)
    x = F.grid_sample(photos, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    x = F.avg_pool2d(x, fine // size)
    if plain:
        return x
    grid = F.affine_grid(back, [n, 3, size, size], align_corners=False)
    cut = torch.rand(n, 4, 1, 1, generator=rng) * CUT
    soft = torch.exp(torch.rand(n, 1, 1, generator=rng) * 3 - 4.5)  # 0.01 to 0.2
    across, down = grid.unbind(dim=3)
    near = torch.minimum(across + 1 - cut[:, 0], 1 - cut[:, 1] - across)
    near = torch.minimum(near, torch.minimum(down + 1 - cut[:, 2], 1 - cut[:, 3] - down))
    inside = (near / soft).clamp_(0, 1)[:, None]
    kind = torch.rand(n, generator=rng)
    inside[kind < 0.15] = 1
    grounds = F.avg_pool2d(photos.roll(1, 0), 8)
    grid = F.affine_grid(strangers(n, rng), [n, 3, size, size], align_corners=False)
    ground = F.grid_sample(grounds, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    flat = (kind > 0.55) & (kind < 0.8)
    ground[flat] = torch.rand(int(flat.sum()), 3, 1, 1, generator=rng) * 2 - 1
    loud = kind >= 0.8
    noise = torch.rand(int(loud.sum()), 3, 8, 8, generator=rng) * 2 - 1
    noise = F.interpolate(noise, size=(size, size), mode="bilinear", align_corners=False)
    ground[loud] = noise + 0.4 * torch.randn(noise.shape, generator=rng)
    return torch.lerp(ground, x, inside)


def vary(x: Tensor, rng: torch.Generator) -> Tensor:
    """Light, contrast, colour, sharpness, noise and what hides a part of the face: pictures ``[N, 3, S, S]``."""
    n, size = len(x), x.shape[-1]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *(shape or (1, 1, 1)), generator=rng) * (high - low) + low

    grey = x.mean(dim=1, keepdim=True)
    x = torch.lerp(grey, x, uniform(0.6, 1.3) * (uniform(0, 1) > 0.15))
    some = torch.rand(n, generator=rng) < 0.2
    x[some] = F.interpolate(F.avg_pool2d(x[some], 2), size=(size, size), mode="bilinear", align_corners=False)
    slope = torch.linspace(-1, 1, size)
    light = uniform(-0.25, 0.25) * slope[:, None] + uniform(-0.25, 0.25) * slope
    x = x * torch.exp(uniform(-0.35, 0.35)) + (uniform(-0.25, 0.25) + uniform(-0.08, 0.08, 3, 1, 1) + light)
    x += uniform(0, 0.06) * torch.randn(n, 1, size, size, generator=rng)
    # A hand, a hat, a microphone: one bar or box of one colour before a third of the faces.
    across, down = (torch.arange(size).view(shape) for shape in ((1, 1, 1, -1), (1, 1, -1, 1)))
    left, top = uniform(0, 0.9) * size, uniform(0, 0.9) * size
    covered = (across > left) & (across < left + uniform(0.05, 0.35) * size)
    covered = covered & (down > top) & (down < top + uniform(0.05, 0.35) * size)
    x = torch.where(covered & (uniform(0, 1) < 0.33), uniform(-1, 1, 3, 1, 1), x)
    return x.clamp(-1, 1)


def shuffled(x: Tensor, rng: torch.Generator, parts: int = 4) -> Tensor:
    """The squares of a ``parts`` x ``parts`` division in another order: everything of a face, and no face."""
    n, c, size, _ = x.shape
    side = size // parts
    x = x.reshape(n, c, parts, side, parts, side).transpose(3, 4).reshape(n, c, parts**2, side, side)
    x = x[:, :, torch.randperm(parts**2, generator=rng)]
    return x.reshape(n, c, parts, parts, side, side).transpose(3, 4).reshape(n, c, size, size)


def batch_of(photos: Tensor, rng: torch.Generator, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures ``[N, 3, size, size]``, their landmarks ``[N, 5, 2]``, and where there is a face ``[N]`` (0 or 1).

    Two fifths of the faces lie anywhere, as many near their place; a fifth of the pictures shows none.
    """
    n = len(photos)
    wide, none = round(0.4 * n), max(1, round(0.2 * n))
    m = torch.cat([transforms(wide, rng, WIDE), transforms(n - wide - none, rng, NEAR), strangers(none, rng)])
    mirrored = torch.rand(n, generator=rng) < 0.5
    photos = torch.where(mirrored[:, None, None, None], photos.flip(3), photos)
    five = torch.tensor(template())
    flipped = (five * torch.tensor([-1.0, 1.0]))[list(SWAP)]
    points = carried(m, torch.where(mirrored[:, None, None], flipped, five))
    x = seen(photos, m, rng, size)
    face = torch.ones(n)
    face[n - none :] = 0
    broken = max(1, none // 5)
    x = torch.cat([x[:-broken], shuffled(x[:broken], rng)])
    return vary(x, rng), points, face


class LandmarksRun(Supervised):
    def __init__(self, args: argparse.Namespace, images: Images):
        torch.manual_seed(args.seed)
        super().__init__(args, images, LandmarkNet(args.size, args.widths), 10_000)

    def step(self) -> None:
        rng = self.rng()
        index = torch.randint(0, len(self.images), (self.batch,), generator=rng)
        x, points, face = batch_of(self.images.batch(index), rng, self.args.size)
        x = x.to(self.device, memory_format=torch.channels_last)
        points, face = points.to(self.device), face.to(self.device)
        self.net.train()
        with self.autocast():
            found, logits = self.net(x)
        off = (found.float() - points).abs().mean(dim=(1, 2))
        seen_faces = F.binary_cross_entropy_with_logits(logits.float(), face)
        self.update((off * face).sum() / face.sum() + 0.05 * seen_faces)


@torch.no_grad()
def eye_error(net: LandmarkNet, photos: Tensor, spread: Spread, looks: int, seed: int = 0) -> Tensor:
    """How far the eyes are from their place after alignment, in pixels of the 128 px crop, for each of ``photos``.

    Each photograph ``[N, 3, 128, 128]`` uint8 is seen once under a random transform; the network looks ``looks`` times,
    each time at what its last answer made of the picture (0: the error that there was).
    """
    rng = torch.Generator().manual_seed(seed)
    five, size, errors = torch.tensor(template()), net.img_resolution, []
    device = next(net.parameters()).device
    for some in photos.split(128):
        x = some.float() / 127.5 - 1
        now = transforms(len(x), rng, spread)
        for _ in range(looks):
            points, _face = net(seen(x, now, rng, size, plain=True).to(device))
            change = fitted(points.cpu(), five)
            now = torch.cat([change[:, :, :2] @ now[:, :, :2], carried(change, now[:, None, :, 2]).transpose(1, 2)], 2)
        errors.append((carried(now, five[:2]) - five[:2]).norm(dim=2).mean(dim=1) * SOURCE / 2)
    return torch.cat(errors)


@torch.no_grad()
def told(net: LandmarkNet, photos: Tensor, seed: int = 0) -> float:
    """Share of pictures, half with a face and half without, that the logit tells rightly, in percent."""
    rng = torch.Generator().manual_seed(seed)
    device, right = next(net.parameters()).device, 0
    for some in photos.split(128):
        x, n = some.float() / 127.5 - 1, len(some)
        m = torch.cat([transforms(n - n // 2, rng, WIDE), strangers(n // 2, rng)])
        face = torch.arange(n) < n - n // 2
        right += ((net(seen(x, m, rng, net.img_resolution).to(device))[1].cpu() > 0) == face).sum().item()
    return 100 * right / len(photos)


def measured(net: LandmarkNet, photos: Tensor) -> dict[str, float]:
    """Mean eye error from anywhere after no, one and two looks, and the share of faces told from others."""
    found = {f"eyes_{n}": eye_error(net, photos, WIDE, n).mean().item() for n in range(3)}
    return {**{k: round(v, 2) for k, v in found.items()}, "told": round(told(net, photos), 2)}


def train(args: argparse.Namespace, log=print) -> LandmarksRun:
    loop.use_threads(args.threads, args.device)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    images = load_images(args.data, SOURCE, "train", limit=args.limit)
    test = load_images(args.data, SOURCE, "test", limit=args.limit) if images.held_out else None
    run = LandmarksRun(args, images)
    loop.resume(run, out, log)
    log(f"{len(images)} photographs, {sum(p.numel() for p in run.net.parameters()):,} parameters")

    def report() -> dict:
        return {"loss": run.loss} if test is None else {"loss": run.loss, **measured(run.average, test.pixels)}

    loop.train_until(run, args.images, out, args.tick, report, log, args.minutes)
    return run


def main(argv: list[str]) -> int:
    train(parser().parse_args(argv), log=lambda s: print(s, flush=True))
    return 0
