"""Trains the predictor of a DCGAN: ``python -m training predictor --run runs/igan-shoes --data ... --out runs/p``.

``P`` makes small ``|G(P(x)) - x|^2 + lambda |C(G(P(x))) - C(x)|^2`` over photographs (Zhu et al. 2016, eq. 3), C being
the generator's discriminator. Besides, it learns from pictures of the generator whose latents are known: a photograph
only ever says how near its picture came.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from models.dcgan import Discriminator, Generator, Predictor

from . import loop, sheets
from .data import Images, load_images
from .dcgan import load_run
from .discriminators import halving_widths
from .supervised import Supervised, load_trained

COMMAND = "network that says the latent of a photograph, for a DCGAN"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training predictor", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--run", required=True, help="folder of the finished run of `training dcgan`")
    add("--data", required=True, help="the zip or folder that it was trained on")
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add("--images", type=int, default=300_000)
    add("--minutes", type=float, default=None)
    add("--width", type=int, default=48, help="feature maps of the first layer; each later one has twice")
    add("--batch", type=int, default=64)
    add("--lr", type=float, default=1e-3)
    add("--decay", type=float, default=1e-4)
    add("--lambda-features", type=float, default=0.02, help="of the discriminator's features, in units of their size")
    add("--lambda-latent", type=float, default=0.1, help="of the known latents of generated pictures")
    add("--no-xflip", dest="xflip", action="store_false", help="do not mirror the images")
    add("--precision", default="bf16", choices=tuple(loop.PRECISIONS))
    add("--device", default="auto")
    add("--threads", type=int, default=None)
    add("--seed", type=int, default=0)
    add("--tick", type=int, default=20_000)
    return p


class PredictorRun(Supervised):
    """``step()``: half a batch of photographs and half a batch of pictures of the generator."""

    def __init__(self, args: argparse.Namespace, images: Images, G: Generator, D: Discriminator):
        torch.manual_seed(args.seed)
        self.G, self.D, self.source = G, D, Path(args.run).name
        size = self.G.img_resolution
        kernel = self.G.config["kernel"]
        bounded = self.G.prior == "uniform"
        net = Predictor(halving_widths(args.width, size), kernel=kernel, outputs=self.G.z_dim, bounded=bounded)
        super().__init__(args, images, net, half_life=10_000)
        for network in (self.net, self.average, self.G, self.D):
            network.to(self.device, memory_format=torch.channels_last)

    def step(self) -> None:
        args, n, rng = self.args, self.batch // 2, self.rng()
        index = torch.randint(0, len(self.images), (n,), generator=rng)
        x = self.images.batch(index, torch.rand(n, generator=rng) < 0.5 if args.xflip else None).to(self.device)
        z = self.G.sample_z(n, rng).to(self.device)
        self.net.train()
        with self.autocast():
            with torch.no_grad():
                made = self.G(z).float()
                wanted = self.D.features(x)[1:3]
            found = self.net(torch.cat([x, made]).contiguous(memory_format=torch.channels_last)).float()
            image = self.G(found[:n])
            features = zip(self.D.features(image)[1:3], wanted, strict=True)
            apart = sum(
                (a - b).float().square().mean() / b.float().square().mean().clamp_min(1e-8) for a, b in features
            )
        loss = (image.float() - x).square().mean()
        loss = loss + args.lambda_features * apart + args.lambda_latent * (found[n:] - z).square().mean()
        self.update(loss)

    def state(self) -> dict:
        return super().state() | {"source": self.source, "data": Path(self.args.data).name}


@torch.no_grad()
def projected(G: Generator, P: Predictor, x: Tensor, batch: int = 64) -> Tensor:
    """``G(P(x))`` of pictures ``[N, 3, R, R]``, on the CPU."""
    return torch.cat([G(P(part)).float().cpu() for part in x.split(batch)])


def load_predictor(folder: str | Path) -> tuple[Predictor, dict]:
    return load_trained(Predictor, folder)


def train(args: argparse.Namespace, log=print) -> PredictorRun:
    loop.use_threads(args.threads, args.device)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    G, D, _state = load_run(args.run)
    size = G.img_resolution
    images = load_images(args.data, size, "train")
    run = PredictorRun(args, images, G, D)
    loop.resume(run, out, log)
    log(f"{len(images)} images of {size} px, predictor {sum(p.numel() for p in run.net.parameters()):,} parameters")
    test = load_images(args.data, size, "test" if images.held_out else "train", limit=256)
    x = (test.pixels.float() / 127.5 - 1).to(run.device)

    def report() -> dict:
        made = projected(run.G, run.average, x)
        path = out / "sheets" / f"{run.shown:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sheets.grid(torch.stack([x[:24].cpu(), made[:24]], dim=1).flatten(0, 1), 8).save(path)
        return {"loss": run.loss, "l2": float((made - x.cpu()).square().mean())}

    loop.train_until(run, args.images, out, args.tick, report, log, args.minutes)
    return run


def main(argv: list[str]) -> int:
    train(parser().parse_args(argv), log=lambda s: print(s, flush=True))
    return 0
