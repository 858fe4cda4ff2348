"""Trains the encoder of a generator: ``python -m training encoder --data faces_128.zip --out runs/encoder``.

Half of each batch are photographs: the picture of the encoder's latent must be near them in pixels, on every scale and
in the features of the attribute classifier. Half are pictures of the generator, whose latent is known. What keeps the
latents where edits work is e4e's (Tov et al. 2021, sections 4 and 5): the rows of w+ may differ little from one w, and
that w has to be one that the mapping network makes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import weights
from models.encoders import COARSE, Encoder
from models.stylegan2 import Generator
from weights import CheckpointInfo, hub

from . import loop, sheets
from .data import Images, load_images
from .stylegan2_state import load_run
from .supervised import Supervised

COMMAND = "network that says the latent w+ of a photograph, for a StyleGAN2 that ships"

SAMPLES = 20_000  # latents from which the statistics of w are taken


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training encoder", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--data", required=True, help="zip or folder of photographs like those that the generator was trained on")
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add("--generator", default="stylegan2/faces", help="name of a checkpoint that ships, or the folder of a run")
    add("--images", type=int, default=300_000)
    add("--minutes", type=float, default=None)
    add("--widths", type=int, nargs=4, default=[48, 96, 128, 192])
    add("--batch", type=int, default=32)
    add("--lr", type=float, default=2e-3)
    add("--decay", type=float, default=0.01, help="weight decay of AdamW")
    add("--lambda-features", type=float, default=0.1, help="of the classifier's features, in units of their size")
    add("--lambda-scales", type=float, default=1.0, help="of pixels at a half, a quarter and an eighth of the size")
    add("--lambda-latent", type=float, default=0.1, help="of the known latents of generated pictures")
    add("--lambda-delta", type=float, default=0.02, help="of what rows differ from the one w")
    add("--lambda-stay", type=float, default=0.005, help="of the distance of that w from those of the mapping network")
    add("--no-xflip", dest="xflip", action="store_false", help="do not mirror the photographs")
    add("--precision", default="fp32", choices=tuple(loop.PRECISIONS))
    add("--device", default="auto")
    add("--threads", type=int, default=None)
    add("--seed", type=int, default=0)
    add("--tick", type=int, default=10_000)
    return p


@torch.no_grad()
def statistics(G: Generator, count: int = SAMPLES) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and deviation of w ``[w_dim]``, and the matrix ``[w_dim, w_dim]`` that whitens what is in deviations."""
    z = torch.randn(count, G.z_dim, generator=torch.Generator().manual_seed(0))
    device = next(G.parameters()).device
    w = torch.cat([G.mapping(part.to(device), update_w_avg=False)[:, 0] for part in z.split(2000)]).double()
    mean, deviation = w.mean(dim=0), w.std(dim=0).clamp_min(1e-8)
    u = (w - mean) / deviation
    values, vectors = torch.linalg.eigh(u.T @ u / count)
    # Directions in which w hardly varies would count for far more than what can be seen of them.
    whiten = vectors / values.clamp_min(1e-2).sqrt()
    return mean.float(), deviation.float(), whiten.float()


class EncoderRun(Supervised):
    """``step()``: half a batch of photographs and half a batch of pictures of the generator."""

    def __init__(self, args: argparse.Namespace, images: Images, G: Generator, features):
        torch.manual_seed(args.seed)
        net = Encoder(G.info.name, G.img_resolution, G.num_ws, G.w_dim, args.widths)
        mean, deviation, whiten = statistics(G)
        net.w_avg.copy_(mean)
        net.w_std.copy_(deviation)
        super().__init__(args, images, net, half_life=10_000)
        self.G, self.features, self.whiten = G.to(self.device), features, whiten.to(self.device)
        for network in (self.net, self.average):
            network.to(memory_format=torch.channels_last)
        self.generator_sha256 = G.info.sha256
        self.near = 0.0  # running mean of the photographs' mean square

    def step(self) -> None:
        args, n, rng = self.args, self.batch // 2, self.rng()
        index = torch.randint(0, len(self.images), (n,), generator=rng)
        x = self.images.batch(index, torch.rand(n, generator=rng) < 0.5 if args.xflip else None).to(self.device)
        z = torch.randn(n, self.G.z_dim, generator=rng).to(self.device)
        self.net.train()
        with self.autocast():
            with torch.no_grad():
                known = self.G.mapping(z, update_w_avg=False)
                made = self.G.synthesis(known, noise_mode="const").float().clamp(-1, 1)
                wanted = self.features(halved(x))
            w0, deltas = self.net.offsets(torch.cat([x, made]).contiguous(memory_format=torch.channels_last))
            latents = self.net.latent(w0 + deltas)
            image = self.G.synthesis(latents[:n], noise_mode="const", dtype=self.dtype)
            found = self.features(halved(image))
        near = (image.float() - x).square().mean()
        loss = near + args.lambda_scales * scales(image.float() - x)
        loss = loss + args.lambda_features * apart(found, wanted)
        off = (latents[n:] - known) / self.net.w_std
        loss = loss + args.lambda_latent * off.square().mean()
        loss = loss + args.lambda_delta * deltas.square().mean()
        loss = loss + args.lambda_stay * strayed(w0[:n, 0], self.whiten)
        self.near += 0.02 * (near.item() - self.near) if self.near else near.item()
        self.update(loss)

    def state(self) -> dict:
        own = {"near": self.near, "data": Path(self.args.data).name, "generator_sha256": self.generator_sha256}
        return super().state() | own

    def restore(self, state: dict) -> None:
        if state["generator_sha256"] != self.generator_sha256:
            raise ValueError(f"{self.args.generator} has changed since this run began; begin another")
        super().restore(state)
        self.near = state["near"]


def strayed(w0: Tensor, whiten: Tensor) -> Tensor:
    """How far latents ``[N, w_dim]`` in deviations lie outside of those of the mapping network, of which it is none.

    Whitened, those have a mean square of 1; only what is farther out costs.
    """
    return F.relu((w0 @ whiten).square().mean(dim=1) - 1).mean()


def scales(difference: Tensor, halvings: int = 3) -> Tensor:
    """Mean squares of a difference ``[N, 3, H, W]`` at a half, a quarter, ... of its size, their mean."""
    total = 0.0
    for _ in range(halvings):
        difference = halved(difference)
        total = total + difference.square().mean()
    return total / halvings


def halved(x: Tensor) -> Tensor:
    """Means of two by two pixels; torch's own pooling takes ten times as long to go back through."""
    return x.unflatten(3, (-1, 2)).mean(dim=4).unflatten(2, (-1, 2)).mean(dim=3)


def apart(found: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Mean square difference of feature maps, each in units of its own size, their mean."""
    each = [(a - b).float().square().mean() / b.float().square().mean() for a, b in zip(found, wanted, strict=True)]
    return torch.stack(each).mean()


@torch.no_grad()
def inverted(G: Generator, net: Encoder, x: Tensor, batch: int = 32) -> tuple[Tensor, Tensor]:
    """Pictures ``[N, 3, R, R]`` of the latents that the encoder says, and what their rows differ from one w (mean
    square in deviations of w, ``[N]``), both on the CPU."""
    device, made, spread = next(net.parameters()).device, [], []
    for part in x.split(batch):
        w0, deltas = net.offsets(part.to(device))
        made.append(G.synthesis(net.latent(w0 + deltas), noise_mode="const").float().cpu())
        spread.append((deltas - deltas[:, :COARSE].mean(dim=1, keepdim=True)).square().mean(dim=(1, 2)).cpu())
    return torch.cat(made), torch.cat(spread)


def l2(made: Tensor, x: Tensor) -> Tensor:
    """Mean square of each picture, values outside of -1 to 1 brought to it, ``[N]``."""
    return (made.clamp(-1, 1) - x).square().mean(dim=(1, 2, 3))


def pairs(x: Tensor, made: Tensor, columns: int) -> Tensor:
    """Rows of pictures, and under each row what was made of them."""
    rows = zip(x.split(columns), made.split(columns), strict=True)
    return torch.cat([part for row in rows for part in row])


def classifier_features(device: str):
    """The first three maps of the attribute classifier that ships."""
    classifier = weights.load("attributes/faces", device=device)
    return lambda x: classifier.features(x)[:3]


def generator_of(name: str, device: str) -> Generator:
    """A generator that ships, or the averaged one of a ``training stylegan2`` run's folder."""
    path = Path(name) / "state.pt"
    if not path.is_file():
        return weights.load(name, device=device)
    G = load_run(name)[1]
    own = {"name": f"stylegan2/{Path(name).name}", "sha256": hub.file_sha256(path)}
    G.info = CheckpointInfo(**dict.fromkeys(CheckpointInfo.__dataclass_fields__) | own)
    return G.to(device)


def train(args: argparse.Namespace, log=print) -> EncoderRun:
    loop.use_threads(args.threads, args.device)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    device = loop.resolve(args.device)
    G = generator_of(args.generator, device)
    images = load_images(args.data, G.img_resolution, "train")
    run = EncoderRun(args, images, G, classifier_features(device))
    loop.resume(run, out, log)
    log(f"{len(images)} images of {G.img_resolution} px, {sum(p.numel() for p in run.net.parameters()):,} parameters")
    test = load_images(args.data, G.img_resolution, "test" if images.held_out else "train", limit=128)
    x = test.pixels.float() / 127.5 - 1

    def report() -> dict:
        made, spread = inverted(run.G, run.average, x)
        path = out / "sheets" / f"{run.shown:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sheets.grid(pairs(x[:24], made[:24], 8), 8).save(path)
        test_l2 = float(l2(made, x).mean())
        return {"loss": run.loss, "train_l2": run.near, "l2": test_l2, "spread": float(spread.mean())}

    loop.train_until(run, args.images, out, args.tick, report, log, args.minutes)
    return run


def main(argv: list[str]) -> int:
    train(parser().parse_args(argv), log=lambda s: print(s, flush=True))
    return 0
