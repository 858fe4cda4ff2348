"""Trains a StyleGAN2: ``python -m training stylegan2 --data faces.zip --out runs/faces``.

A run is a folder: ``state.pt`` (everything, so that a stopped run goes on exactly where it stood), ``log.jsonl``,
``sheets/*.png``. Every random number of step n comes from a generator seeded with (seed, n): a resumed run therefore
takes the same steps as one that was never stopped. ``python -m training card`` turns a run into a shipped checkpoint.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
from torch import Tensor

from models.layers import channel_widths
from models.stylegan2 import Discriminator, Generator
from weights import store

from . import critics, loop, losses, metrics, parallel, sheets
from .augment import AdaptiveProbability, augment
from .data import Images, load_images
from .growing import Growth, fade_in, grow, growing_images

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training stylegan2", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--data", required=True, help="zip or folder of images, with labels.csv where there are splits or classes")
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add("--images", type=int, default=600_000, help="stop after so many images shown to the discriminator")
    add("--minutes", type=float, default=None, help="stop after this time even so")
    add("--resolution", type=int, default=64)
    add("--label", default=None, help="column of labels.csv: makes the network conditional on it")
    add("--z-dim", type=int, default=128)
    add("--w-dim", type=int, default=128)
    add("--mapping-layers", type=int, default=4)
    add("--channel-base", type=int, default=1024)
    add("--channel-max", type=int, default=128)
    add("--channel-min", type=int, default=1, help="a layer has at least so many feature maps, whatever the base says")
    add("--d-channel-base", type=int, default=None, help="of the discriminator; as the generator's when not given")
    add("--architecture", default="skip", choices=("skip", "resnet", "orig", "growing"))
    add("--modulation", default="demod", choices=("demod", "adain"))
    add("--batch", type=int, default=32)
    add("--lr", type=float, default=2e-3)
    add(
        "--noise-rate",
        type=float,
        default=1.0,
        help="of the noise strengths, times the generator's; a few numbers each",
    )
    add("--r1-gamma", type=float, default=1.0)
    add("--r1-every", type=int, default=16)
    add("--pl-weight", type=float, default=0.0, help="path length regularisation; the paper's is 2, 0 switches it off")
    add("--pl-every", type=int, default=4)
    add("--style-mixing", type=float, default=0.0, help="probability; the paper's is 0.9")
    add("--ema-half-life", type=float, default=10_000, help="in images")
    add("--ema-rampup", type=float, default=0.05, help="share of the images shown that the half-life may reach")
    add(
        "--ada-target",
        type=float,
        default=0.0,
        help="adaptive augmentation; the paper's target is 0.6, 0 switches it off",
    )
    add("--ada-images", type=float, default=500_000, help="images that take p from 0 to 1")
    add("--no-xflip", dest="xflip", action="store_false", help="do not mirror the images")
    add("--precision", default="bf16", choices=tuple(PRECISIONS))
    add("--device", default="auto")
    add("--threads", type=int, default=None)
    add("--seed", type=int, default=0)
    add("--tick", type=int, default=10_000, help="images between lines of the log, states and sheets")
    add(
        "--metric-images", type=int, default=256, help="test images compared with at each tick; 0 leaves the metric out"
    )
    add("--grow-from", default=None, help="state.pt of a run at half the resolution whose blocks are kept")
    add(
        "--start-from",
        default=None,
        help="state.pt of a run whose weights are the start, or a generator's .safetensors such as those that ship",
    )
    add("--warm-up", type=int, default=0, help="images that a new discriminator sees before the generator learns too")
    add(
        "--strided",
        type=int,
        default=0,
        help="so many feature maps in the first layer of a discriminator of strided convolutions (critics.py)",
    )
    add("--d-lr", type=float, default=None, help="of the discriminator; as the generator's when not given")
    add("--fade", type=int, default=30_000, help="images over which a new discriminator block fades in")
    add("--growing-stage", type=int, default=20_000, help="images a stage of --architecture growing (fade, then stay)")
    add("--impl", default="composed", choices=("fast", "composed", "reference"))
    return p


def widths(args: argparse.Namespace, base: int) -> dict:
    """The networks' options of their feature maps."""
    chosen = {"channel_base": base, "channel_max": args.channel_max}
    usual = channel_widths(args.resolution, **chosen)
    if min(usual.values()) < args.channel_min:
        chosen["channels"] = {str(res): max(n, args.channel_min) for res, n in usual.items()}
    return chosen


class Run:
    """One training run: networks, optimisers, counters; ``step()`` is one discriminator and one generator update."""

    def __init__(self, args: argparse.Namespace, images: Images):
        self.args, self.batch = args, args.batch
        self.device = loop.resolve(args.device)
        parallel.share(args.batch)
        self.images = images.to(self.device)
        self.dtype = PRECISIONS[args.precision]
        c_dim = len(images.classes) if images.classes else 0
        clamp = 256.0 if args.precision == "fp16" else None
        torch.manual_seed(args.seed)
        self.G = Generator(
            z_dim=args.z_dim,
            w_dim=args.w_dim,
            c_dim=c_dim,
            img_resolution=args.resolution,
            mapping_layers=args.mapping_layers,
            **widths(args, args.channel_base),
            architecture=args.architecture,
            modulation=args.modulation,
            conv_clamp=clamp,
        ).to(self.device)
        if args.strided:
            if c_dim or args.architecture == "growing" or args.grow_from:
                raise ValueError("--strided goes with neither --label nor growing")
            D = critics.strided(critics.halving_widths(args.strided, args.resolution, args.strided * critics.WIDEST))
        else:
            D = Discriminator(
                c_dim=c_dim,
                img_resolution=args.resolution,
                **widths(args, args.d_channel_base or args.channel_base),
                architecture="growing" if args.architecture == "growing" else "resnet",
                conv_clamp=clamp,
            )
        self.D = D.to(self.device)
        self.growth = Growth(args.resolution, args.growing_stage) if args.architecture == "growing" else None
        self.step_number = self.shown = 0
        self.shown_before = 0  # by the runs that this one grew or started from
        self.seconds = self.seconds_before = 0.0
        self.parents: list[dict] = []  # summaries of those runs, first to last
        self.changes: list[dict] = []  # options that were others up to some image: {"until", "option": former value}
        self.pl_mean = torch.zeros([], device=self.device)
        self.ada = AdaptiveProbability(args.ada_target, args.ada_images)
        if args.grow_from:
            self._inherit(args.grow_from, growing=True)
        elif args.start_from:
            self._inherit(args.start_from, growing=False)
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        self.opt_G = self._adam(self.G, args.lr, args.pl_every if args.pl_weight else None)
        self.opt_D = self._adam(self.D, args.d_lr or args.lr, args.r1_every if args.r1_gamma else None)
        self.stats: dict[str, float] = {}

    def _adam(self, net, lr: float, every: int | None):
        # Lazy regularisation takes an optimiser step of its own, so rates and memories are shortened to match
        # (Karras et al. 2020, appendix B).
        ratio = every / (every + 1) if every else 1.0
        # foreach=True groups hundreds of small tensors; the betas must both be floats.
        groups = [{"params": list(net.parameters())}]
        if net is self.G and self.args.noise_rate != 1:
            # Adam moves a lone number as far as any weight, and a strength speaks for each pixel of a map: beside a
            # quick discriminator it overshoots, and pictures get grain.
            named = dict(net.named_parameters())
            strengths = [p for name, p in named.items() if name.endswith("noise_strength")]
            others = [p for name, p in named.items() if not name.endswith("noise_strength")]
            groups = [{"params": others}, {"params": strengths, "lr": lr * ratio * self.args.noise_rate}]
        return torch.optim.Adam(groups, lr * ratio, betas=(0.0, 0.99**ratio), eps=1e-8, foreach=True)

    def _start(self, path: str) -> None:
        """From a generator alone, as it ships: its discriminator is a new one."""
        self.G.load_state_dict(store.load(path).state_dict())
        card = store.header(path)["card"]
        self.parents = list(card.get("stages", []))
        self.shown_before, self.seconds_before = card.get("images", 0), card.get("seconds", 0)

    def _inherit(self, path: str, growing: bool) -> None:
        if path.endswith(".safetensors"):
            return self._start(path)
        state = torch.load(path, map_location=self.device, weights_only=True)
        if growing:
            grow(self.G, self.D, state, self.args.fade)
        else:
            self.G.load_state_dict(state["G_ema"])
            self.D.load_state_dict(state["D"])
        from .card import summary  # here, because the card module reads this module's options

        self.parents = [*state.get("parents", []), summary(state)]
        self.shown_before = state["shown"] + state["shown_before"]
        self.seconds_before = state["seconds"] + state["seconds_before"]

    # -- one step ------------------------------------------------------------------------------------------------

    def _latents(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        z = torch.randn(n, self.G.z_dim, generator=rng).to(self.device)
        c = None
        if self.G.c_dim:
            labels = self.images.labels[torch.randint(0, len(self.images), (n,), generator=rng)]
            c = torch.eye(self.G.c_dim)[labels].to(self.device)
        return z, c

    def _ws(self, z: Tensor, c: Tensor | None, rng: torch.Generator) -> Tensor:
        ws = self.G.mapping(z, c, update_w_avg=torch.is_grad_enabled())
        if self.args.style_mixing and torch.rand([], generator=rng).item() < self.args.style_mixing:
            other = self.G.mapping(torch.randn(z.shape, generator=rng).to(self.device), c, update_w_avg=False)
            cut = int(torch.randint(1, ws.shape[1], [], generator=rng))
            ws = torch.cat([ws[:, :cut], other[:, cut:]], dim=1)
        return ws

    def _synthesis(self, ws: Tensor, rng: torch.Generator) -> Tensor:
        # On CUDA the noise is drawn there, from a generator seeded like the step's.
        if self.device != "cpu":
            seed = int(torch.randint(0, 2**62, [], generator=rng))
            rng = torch.Generator(self.device).manual_seed(seed)
        return self.G.synthesis(ws, "random", self.dtype, self.args.impl, rng)

    def _logits(self, x: Tensor, c: Tensor | None, rng: torch.Generator) -> Tensor:
        return self._judge(augment(x, self.ada.p, rng), c)

    def _judge(self, x: Tensor, c: Tensor | None) -> Tensor:
        if not self.args.strided:
            return self.D(x, c, self.dtype, self.args.impl)
        with torch.autocast(self.device, self.dtype, enabled=self.dtype is not None):
            return self.D(x.float()).float()

    def _real(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        index = torch.randint(0, len(self.images), (n,), generator=rng)
        flip = torch.rand(n, generator=rng) < 0.5 if self.args.xflip else None
        x = self.images.batch(index, flip)
        if self.growth is not None:
            x = growing_images(x, *self.G.synthesis.growth)
        c = torch.eye(self.G.c_dim)[self.images.labels[index]].to(self.device) if self.G.c_dim else None
        return x, c

    def _update(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.args.precision == "fp16":  # the official way with overflow: forget it, the clamp keeps it rare
            for group in optimizer.param_groups:
                for q in group["params"]:
                    if q.grad is not None:
                        torch.nan_to_num(q.grad, nan=0, posinf=1e5, neginf=-1e5, out=q.grad)
        parallel.average_gradients(q for group in optimizer.param_groups for q in group["params"])
        optimizer.step()

    def step(self) -> None:
        args, n = self.args, parallel.share(self.args.batch)
        rng = loop.random_of_step(args.seed, self.step_number)
        if self.growth is not None:
            self.growth.apply(self.shown, self.G_ema.synthesis, self.G.synthesis, self.D)
        fade_in(self.D, self.shown, args.fade)

        self.G.requires_grad_(False)
        self.D.requires_grad_(True)
        z, c = self._latents(n, rng)
        with torch.no_grad():
            fake = self._synthesis(self._ws(z, c, rng), rng)
        real, c_real = self._real(n, rng)
        logits_fake = self._logits(fake, c, rng)
        logits_real = self._logits(real, c_real, rng)
        loss_D = losses.discriminator_loss(logits_real, logits_fake)
        self._update(self.opt_D, loss_D)
        self.ada.observe(logits_real)
        if args.r1_gamma and self.step_number % args.r1_every == 0:
            real = augment(real, self.ada.p, rng).detach().requires_grad_(True)
            penalty = losses.r1_penalty(self._judge(real, c_real), real)
            self._update(self.opt_D, penalty * (args.r1_gamma / 2 * args.r1_every))
            self.stats["r1"] = penalty.item()
        if self.shown < args.warm_up:
            self.stats.update(loss_D=loss_D.item())
            self._count()
            return

        self.D.requires_grad_(False)
        self.G.requires_grad_(True)
        z, c = self._latents(n, rng)
        loss_G = losses.generator_loss(self._logits(self._synthesis(self._ws(z, c, rng), rng), c, rng))
        self._update(self.opt_G, loss_G)
        if args.pl_weight and self.step_number % args.pl_every == 0:
            z, c = self._latents(max(n // 2, 1), rng)
            ws = self._ws(z, c, rng)
            # Second derivatives in half precision are too coarse; the half batch runs in float32.
            images = self.G.synthesis(ws, "random", None, "fast", rng if self.device == "cpu" else None)
            penalty, self.pl_mean = losses.path_length_penalty(images, ws, self.pl_mean, rng)
            self._update(self.opt_G, penalty * (args.pl_weight * args.pl_every))
            self.stats["path_length"] = self.pl_mean.item()

        self._average(args.batch)
        self._count()
        if self.step_number % 16 == 0:
            self.stats.update(loss_D=loss_D.item(), loss_G=loss_G.item(), ada_p=self.ada.p)

    def _count(self) -> None:
        self.step_number += 1
        self.shown += self.batch
        if self.step_number % 4 == 0:
            self.ada.signs, self.ada.observed = parallel.total(self.ada.signs, self.ada.observed)
        if self.step_number % 4 == 0 and (r_t := self.ada.adjust()) is not None:
            self.stats["r_t"] = r_t

    @torch.no_grad()
    def _average(self, n: int) -> None:
        total = self.shown + self.shown_before
        half_life = min(self.args.ema_half_life, max(total, n) * self.args.ema_rampup)
        beta = 0.5 ** (n / max(half_life, 1e-8))
        ema, new = list(self.G_ema.parameters()), list(self.G.parameters())
        torch._foreach_lerp_(ema, new, 1 - beta)
        for a, b in zip(self.G_ema.buffers(), self.G.buffers(), strict=True):
            a.copy_(b)

    # -- the run's folder ----------------------------------------------------------------------------------------

    def state(self) -> dict:
        names = ("G", "D", "G_ema", "opt_G", "opt_D")
        return {
            **{k: getattr(self, k).state_dict() for k in names},
            **{
                k: getattr(self, k)
                for k in ("step_number", "shown", "shown_before", "seconds", "seconds_before", "pl_mean")
            },
            "ada_p": self.ada.p,
            "ada_sums": [float(self.ada.signs), float(self.ada.observed)],
            "G_config": self.G.config,
            "D_config": self.D.config,
            "parents": self.parents,
            "changes": self.changes,
            "args": self._options(),
            "data": Path(self.args.data).name,
            "train_images": len(self.images),
            "classes": list(self.images.classes or []),
        }

    def _options(self) -> dict:
        return {k: v for k, v in vars(self.args).items() if k not in ("data", "out", "grow_from", "start_from")}

    def restore(self, state: dict) -> None:
        if getattr(self.D, "fade", None) is None and any(k.startswith("fade_fromrgb") for k in state["D"]):
            raise ValueError("this state belongs to a run that was grown: give --grow-from again")
        optimisers = (self.opt_G, self.opt_D)
        rates = [[{k: group[k] for k in ("lr", "betas")} for group in opt.param_groups] for opt in optimisers]
        for k in ("G", "D", "G_ema", "opt_G", "opt_D"):
            getattr(self, k).load_state_dict(state[k])
        for opt, groups in zip(optimisers, rates, strict=True):  # those asked for now, not the state's
            for group, asked in zip(opt.param_groups, groups, strict=True):
                group.update(asked)
        for k in ("step_number", "shown", "shown_before", "seconds", "seconds_before", "pl_mean"):
            setattr(self, k, state[k])
        self.pl_mean = self.pl_mean.to(self.device)
        self.parents = state.get("parents", self.parents)
        self.changes = list(state.get("changes", []))
        former = {k: v for k, v in state["args"].items() if self._options().get(k) != v and k not in loop.HARMLESS}
        if former:
            self.changes.append({"until": self.shown, **former})
        self.ada.p = state["ada_p"]
        self.ada.signs, self.ada.observed = state["ada_sums"]


def train(args: argparse.Namespace, log=print) -> Run:
    loop.use_threads(args.threads, args.device)
    parallel.join(loop.resolve(args.device))
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    images = load_images(args.data, args.resolution, "train", args.label)
    run = Run(args, images)
    loop.resume(run, out, log)
    log(
        f"{len(images)} images of {args.resolution} px, "
        f"generator {sum(p.numel() for p in run.G.parameters()):,} parameters, "
        f"discriminator {sum(p.numel() for p in run.D.parameters()):,}, {run.device} {args.precision}"
    )
    test = None
    if args.metric_images and images.held_out:
        test = load_images(args.data, args.resolution, "test", limit=args.metric_images).pixels.float() / 127.5 - 1

    def report() -> dict:
        sheets.save_sheet(run.G_ema, out / "sheets" / f"{run.shown:08d}.png")
        return dict(run.stats) if test is None else {**run.stats, "swd": distance(run, test)}

    loop.until(run, args.images, out, args.tick, report, log, args.minutes)
    if not parallel.rank():
        sheets.save_sheet(run.G_ema, out / "sheets" / f"{run.shown:08d}.png")
    parallel.leave()
    return run


def distance(run: Run, test: Tensor) -> float:
    """Mean sliced Wasserstein distance of the averaged generator to test pictures, stored noise not used."""
    fake = sheets.sample(run.G_ema, len(test), seed=1234, noise_mode="random")
    if fake.shape[2] < test.shape[2]:  # a growing network that has not reached its size
        test = torch.nn.functional.avg_pool2d(test, test.shape[2] // fake.shape[2])
    return metrics.sliced_wasserstein(fake, test)["mean"]


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    train(args, log=lambda s: print(s, flush=True))
    return 0
