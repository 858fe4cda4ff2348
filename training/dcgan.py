"""Trains a DCGAN for the iGAN tab: ``python -m training dcgan --data shoes_128.zip --out runs/igan-shoes``.

The networks are those of Radford et al. 2016; the recipe is younger, because it needs fewer images: logistic loss with
lazy R1 and therefore no norm in the discriminator, adaptive augmentation, and the running average of the generator's
weights is what counts. Its batch norms are given the exact statistics of those weights at the end of each tick, as
iGAN's programs do after training. ``python -m training predictor`` goes on from here.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from models.dcgan import PRIORS, Discriminator, Generator
from weights import store

from . import discriminators, loop, losses, metrics, sheets
from .augment import AdaptiveProbability, augment
from .data import Images, load_images

COMMAND = "DCGAN generator and discriminator, for the iGAN tab"

SETTLE_BATCHES = 40  # of the batch size; statistics of that many pictures no longer change what is seen


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training dcgan", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--data", required=True, help="zip or folder of images, with labels.csv where some are kept for tests")
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add("--start-from", default=None, help="a .safetensors such as those that ship, whose networks are the start")
    add("--images", type=int, default=600_000)
    add("--minutes", type=float, default=None)
    add("--resolution", type=int, default=64)
    add("--z-dim", type=int, default=100)
    add("--prior", default="uniform", choices=PRIORS, help="of the latents; iGAN's is uniform in -1 to 1")
    add("--width", type=int, default=64, help="feature maps of the generator's last layer; each before has twice")
    add("--d-width", type=int, default=48, help="feature maps of the discriminator's first layer")
    add("--kernel", type=int, default=4, choices=(4, 5))
    add("--batch", type=int, default=64)
    add("--lr", type=float, default=4e-4)
    add("--r1-gamma", type=float, default=1.0)
    add("--r1-every", type=int, default=8)
    add("--ema-half-life", type=float, default=10_000, help="in images")
    add("--ada-target", type=float, default=0.6, help="adaptive augmentation; 0 switches it off")
    add("--ada-images", type=float, default=300_000, help="images that take p from 0 to 1")
    add("--no-xflip", dest="xflip", action="store_false", help="do not mirror the images")
    add("--precision", default="bf16", choices=tuple(loop.PRECISIONS))
    add("--device", default="auto")
    add("--threads", type=int, default=None)
    add("--seed", type=int, default=0)
    add("--tick", type=int, default=20_000, help="images between lines of the log, states and sheets")
    add("--metric-images", type=int, default=256, help="test images compared with at each tick")
    return p


@torch.no_grad()
def settle(net: Generator, seed: int = 0, batch: int = 64) -> None:
    """Gives the batch norms the statistics that these weights have on average over many latents; leaves it in eval."""
    norms = [m for m in net.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    former = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # a plain average
    generator = torch.Generator().manual_seed(seed)
    device = next(net.parameters()).device
    net.train()
    for _ in range(SETTLE_BATCHES):
        net(net.sample_z(batch, generator).to(device))
    for m, momentum in zip(norms, former, strict=True):
        m.momentum = momentum
    net.eval()


@torch.no_grad()
def sample(net: Generator, count: int, seed: int = 0, batch: int = 64) -> Tensor:
    """``[count, C, R, R]`` pictures of seeded latents, on the CPU."""
    z = net.sample_z(count, torch.Generator().manual_seed(seed)).to(next(net.parameters()).device)
    return torch.cat([net(part).float().cpu() for part in z.split(batch)])


class DCGANRun:
    """Networks, optimisers, counters; ``step()`` is one discriminator and one generator update."""

    def __init__(self, args: argparse.Namespace, images: Images):
        self.args, self.batch = args, args.batch
        self.device = loop.resolve(args.device)
        self.images = images.to(self.device)
        self.dtype = loop.dtype_of(args.precision, self.device)
        torch.manual_seed(args.seed)
        widths = discriminators.halving_widths(args.width, args.resolution)[::-1]
        self.G = Generator(args.z_dim, widths, kernel=args.kernel, prior=args.prior)
        self.D = discriminators.strided(discriminators.halving_widths(args.d_width, args.resolution), args.kernel)
        for net in (self.G, self.D):
            net.to(self.device, memory_format=torch.channels_last)
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        betas = (0.0, 0.99)
        self.opt_G = torch.optim.Adam(self.G.parameters(), args.lr, betas, foreach=True)
        self.opt_D = torch.optim.Adam(self.D.parameters(), args.lr, betas, foreach=True)
        self.ada = AdaptiveProbability(args.ada_target, args.ada_images)
        self.shown = self.step_number = 0
        self.seconds = 0.0
        self.stats: dict[str, float] = {}
        self.changes: list[dict] = []  # options that were others up to some image: {"until", "option": former value}
        self.earlier: list[str] = []  # what the card of the networks that it started from says of their way
        if args.start_from:
            self._start(args.start_from)

    def _start(self, path: str) -> None:
        """Goes on from networks as they ship: averaged weights, without the optimisers' memories."""
        net, card = store.load(path), store.header(path)["card"]
        for mine, theirs in ((self.G, net.generator), (self.G_ema, net.generator), (self.D, net.discriminator)):
            mine.load_state_dict(theirs.state_dict())
        self.shown, self.seconds = card.get("images", 0), card.get("seconds", 0)
        self.step_number = self.shown // self.batch
        self.earlier = [
            *card.get("changes", []),
            f"another optimiser, and weights before their average, until image {self.shown:,}",
        ]

    def _autocast(self):
        return torch.autocast(self.device, self.dtype, enabled=self.dtype is not None)

    def _latents(self, rng: torch.Generator) -> Tensor:
        return self.G.sample_z(self.batch, rng).to(self.device)

    def _logits(self, x: Tensor, rng: torch.Generator) -> Tensor:
        x = augment(x.float(), self.ada.p, rng).contiguous(memory_format=torch.channels_last)
        with self._autocast():
            return self.D(x).float()

    def _update(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def step(self) -> None:
        args, n = self.args, self.batch
        rng = loop.random_of_step(args.seed, self.step_number)
        index = torch.randint(0, len(self.images), (n,), generator=rng)
        real = self.images.batch(index, torch.rand(n, generator=rng) < 0.5 if args.xflip else None)

        self.G.train()
        self.D.requires_grad_(True)
        with torch.no_grad(), self._autocast():
            fake = self.G(self._latents(rng))
        logits_fake, logits_real = self._logits(fake, rng), self._logits(real, rng)
        loss_D = losses.discriminator_loss(logits_real, logits_fake)
        self._update(self.opt_D, loss_D)
        self.ada.observe(logits_real)
        if args.r1_gamma and self.step_number % args.r1_every == 0:
            # Second derivatives in half precision are too coarse; half of the batch runs in float32.
            x = augment(real[: n // 2], self.ada.p, rng).detach().requires_grad_(True)
            penalty = losses.r1_penalty(self.D(x), x)
            self._update(self.opt_D, penalty * (args.r1_gamma / 2 * args.r1_every))
            self.stats["r1"] = penalty.item()

        self.D.requires_grad_(False)
        with self._autocast():
            fake = self.G(self._latents(rng))
        loss_G = losses.generator_loss(self._logits(fake, rng))
        self._update(self.opt_G, loss_G)
        half_life = min(args.ema_half_life, max(self.shown, n) * 0.05)
        loop.update_ema(self.G_ema, self.G, n / half_life)
        self.step_number += 1
        self.shown += n
        if self.step_number % 4 == 0 and (r_t := self.ada.adjust()) is not None:
            self.stats["r_t"] = r_t
        if self.step_number % 16 == 0:
            self.stats.update(loss_D=loss_D.item(), loss_G=loss_G.item(), ada_p=self.ada.p)

    def settled(self) -> Generator:
        """A copy of the averaged generator whose norms have the statistics of its weights."""
        net = copy.deepcopy(self.G_ema)
        settle(net)
        return net

    def state(self) -> dict:
        names = ("G", "D", "G_ema", "opt_G", "opt_D")
        return {
            **{k: getattr(self, k).state_dict() for k in names},
            **{k: getattr(self, k) for k in ("shown", "step_number", "seconds", "stats")},
            "ada": [self.ada.p, float(self.ada.signs), float(self.ada.observed)],
            "G_config": self.G.config,
            "D_config": self.D.config,
            "data": Path(self.args.data).name,
            "train_images": len(self.images),
            "args": self._options(),
            "changes": self.changes,
            "earlier": self.earlier,
        }

    def _options(self) -> dict:
        return {k: v for k, v in vars(self.args).items() if k not in ("data", "out", "start_from")}

    def restore(self, state: dict) -> None:
        for k in ("G", "D", "G_ema", "opt_G", "opt_D"):
            getattr(self, k).load_state_dict(state[k])
        for k in ("shown", "step_number", "seconds", "stats"):
            setattr(self, k, state[k])
        self.ada.p, self.ada.signs, self.ada.observed = state["ada"]
        if self.ada.target <= 0:  # switched off
            self.ada.p = 0.0
        self.changes, self.earlier = list(state.get("changes", [])), list(state.get("earlier", []))
        former = {
            k: v for k, v in state["args"].items() if self._options().get(k) != v and k not in loop.RUNTIME_OPTIONS
        }
        if former:
            self.changes.append({"until": self.shown, **former})


def load_run(folder: str | Path) -> tuple[Generator, Discriminator, dict]:
    """The averaged generator of a run with settled norms, its discriminator (both eval, frozen), and its state."""
    state = torch.load(Path(folder) / "state.pt", map_location="cpu", weights_only=True)
    G, D = Generator(**state["G_config"]), Discriminator(**state["D_config"])
    G.load_state_dict(state["G_ema"])
    D.load_state_dict(state["D"])
    settle(G)
    return G.requires_grad_(False), D.eval().requires_grad_(False), state


def train(args: argparse.Namespace, log=print) -> DCGANRun:
    loop.use_threads(args.threads, args.device)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    images = load_images(args.data, args.resolution, "train")
    run = DCGANRun(args, images)
    loop.resume(run, out, log)
    sizes = [sum(p.numel() for p in net.parameters()) for net in (run.G, run.D)]
    log(f"{len(images)} images of {args.resolution} px, generator {sizes[0]:,} parameters, discriminator {sizes[1]:,}")
    test = None
    if args.metric_images and images.held_out:
        test = load_images(args.data, args.resolution, "test", limit=args.metric_images).pixels.float() / 127.5 - 1

    def report() -> dict:
        net = run.settled()
        path = out / "sheets" / f"{run.shown:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        sheets.grid(sample(net, 60), 10).save(path)
        if test is None:
            return dict(run.stats)
        distance = metrics.sliced_wasserstein(sample(net, len(test), seed=1234), test)["mean"]
        return {**run.stats, "swd": distance}

    loop.train_until(run, args.images, out, args.tick, report, log, args.minutes)
    return run


def main(argv: list[str]) -> int:
    train(parser().parse_args(argv), log=lambda s: print(s, flush=True))
    return 0
