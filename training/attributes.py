"""Trains an attribute classifier: ``python -m training attributes --data faces_128.zip --out runs/attributes``.

Binary cross-entropy on all attributes at once; flips, shifts, scale, light and colour are varied, so that the judge
looks at what the attribute is and not at how the picture was taken. What counts is the running average of the weights.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from models.attributes import Classifier

from . import loop
from .data import Images, load_images

# The thirteen that AttGAN edits, and what later directions ask for.
ATTGAN = (
    "Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Bushy_Eyebrows", "Eyeglasses", "Male",
    "Mouth_Slightly_Open", "Mustache", "No_Beard", "Pale_Skin", "Young",
)  # fmt: skip
MORE = ("Smiling",)
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training attributes", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--data", required=True, help="zip or folder of faces with labels.csv, a 0/1 column for each attribute")
    add("--out", required=True, help="folder of the run; an unfinished run in it goes on")
    add("--images", type=int, default=600_000)
    add("--minutes", type=float, default=None)
    add("--attrs", nargs="+", default=[*ATTGAN, *MORE])
    add("--size", type=int, default=64)
    add("--kind", default="residual", choices=("residual", "plain"))
    add("--widths", type=int, nargs="+", default=[24, 48, 96, 192])
    add("--blocks", type=int, nargs="+", default=[1, 2, 2, 2])
    add("--batch", type=int, default=64)
    add("--lr", type=float, default=2e-3)
    add("--decay", type=float, default=0.05, help="weight decay of AdamW")
    add("--precision", default="bf16", choices=tuple(PRECISIONS))
    add("--device", default="auto")
    add("--threads", type=int, default=None)
    add("--seed", type=int, default=0)
    add("--tick", type=int, default=20_000)
    return p


def vary(x: Tensor, rng: torch.Generator, shift: float = 0.06, scale: float = 0.08, turn: float = 0.12) -> Tensor:
    """Each picture ``[N, 3, S, S]`` mirrored, moved, turned and scaled a little, and its light and colour changed."""
    n = x.shape[0]

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=rng) * (high - low) + low

    angle, size = uniform(-turn, turn), torch.exp(uniform(-scale, scale))
    mirror = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = size * angle.cos() * mirror, -size * angle.sin()
    theta[:, 1, 0], theta[:, 1, 1] = size * angle.sin() * mirror, size * angle.cos()
    theta[:, 0, 2], theta[:, 1, 2] = uniform(-2 * shift, 2 * shift), uniform(-2 * shift, 2 * shift)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False).to(x.device)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    contrast, light = torch.exp(uniform(-0.2, 0.2)), uniform(-0.15, 0.15)
    tint = (torch.rand(n, 3, generator=rng) - 0.5) * 0.12
    change = (light[:, None] + tint)[:, :, None, None].to(x.device)
    return (x * contrast[:, None, None, None].to(x.device) + change).clamp(-1, 1)


class Run:
    def __init__(self, args: argparse.Namespace, images: Images):
        self.args, self.batch, self.images = args, args.batch, images
        self.device = loop.resolve(args.device)
        self.dtype = PRECISIONS[args.precision]
        torch.manual_seed(args.seed)
        self.net = Classifier(args.attrs, args.size, args.widths, args.blocks, args.kind).to(self.device)
        self.average = copy.deepcopy(self.net).requires_grad_(False).eval()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), args.lr, weight_decay=args.decay)
        self.shown = self.step_number = 0
        self.seconds = 0.0
        self.loss = 0.0

    def rate(self) -> float:
        """Warm-up over the first hundredth, then half a cosine down to nothing."""
        done = min(self.shown / self.args.images, 1.0)
        warm = min(done / 0.01, 1.0)
        return self.args.lr * warm * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * done)).item())

    def step(self) -> None:
        rng = torch.Generator().manual_seed((self.args.seed << 40) + self.step_number)
        index = torch.randint(0, len(self.images), (self.batch,), generator=rng)
        x = vary(self.images.batch(index).to(self.device), rng).to(memory_format=torch.channels_last)
        y = self.images.attributes[index].float().to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        torch.manual_seed(self.step_number)  # dropout
        self.net.train()
        with torch.autocast(self.device, self.dtype, enabled=self.dtype is not None):
            logits = self.net(x)
        loss = F.binary_cross_entropy_with_logits(logits.float(), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.step_number += 1
        self.shown += self.batch
        self.loss += 0.02 * (loss.item() - self.loss) if self.loss else loss.item()
        with torch.no_grad():
            beta = 0.5 ** (self.batch / min(20_000, max(self.shown * 0.1, 1)))
            mean, new = list(self.average.parameters()), list(self.net.parameters())
            torch._foreach_lerp_(mean, new, 1 - beta)
            for a, b in zip(self.average.buffers(), self.net.buffers(), strict=True):
                if a.is_floating_point():  # the norms' statistics are averages already; these follow them slowly
                    a.lerp_(b, 1 - beta)
                else:
                    a.copy_(b)

    def state(self) -> dict:
        return {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "shown": self.shown,
            "step_number": self.step_number,
            "seconds": self.seconds,
            "loss": self.loss,
            "config": self.net.config,
            "train_images": len(self.images),
            "args": {k: v for k, v in vars(self.args).items() if k not in ("data", "out")},
        }

    def restore(self, state: dict) -> None:
        for k in ("net", "average", "optimizer"):
            getattr(self, k).load_state_dict(state[k])
        for k in ("shown", "step_number", "seconds", "loss"):
            setattr(self, k, state[k])


@torch.no_grad()
def logits(net: Classifier, pixels: Tensor, batch: int = 128) -> Tensor:
    """``[N, 3, S, S]`` uint8 -> ``[N, attributes]``, the mean over the picture and its mirror image."""
    device, parts = next(net.parameters()).device, []
    for some in pixels.split(batch):
        x = some.to(device).float() / 127.5 - 1
        parts.append(((net(x) + net(x.flip(3))) / 2).cpu())
    return torch.cat(parts)


def accuracy(net: Classifier, test: Images) -> dict[str, float]:
    """Share of pictures whose attribute is told right, for each, in percent; ``mean`` over AttGAN's thirteen."""
    right = ((logits(net, test.pixels) > 0) == test.attributes.bool()).float().mean(dim=0) * 100
    each = {name: round(float(value), 2) for name, value in zip(net.attrs, right, strict=True)}
    return {**each, "mean": round(sum(each[a] for a in ATTGAN if a in each) / sum(a in each for a in ATTGAN), 2)}


def train(args: argparse.Namespace, log=print) -> Run:
    loop.use_threads(args.threads, args.device)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    images = load_images(args.data, args.size, "train", attributes=args.attrs)
    test = load_images(args.data, args.size, "test", attributes=args.attrs) if images.held_out else None
    run = Run(args, images)
    loop.resume(run, out, log)
    log(f"{len(images)} images of {args.size} px, {sum(p.numel() for p in run.net.parameters()):,} parameters")

    def report() -> dict:
        found = {"loss": run.loss}
        return found if test is None else {**found, "accuracy": accuracy(run.average, test)["mean"]}

    loop.until(run, args.images, out, args.tick, report, log, args.minutes)
    return run


def main(argv: list[str]) -> int:
    train(parser().parse_args(argv), log=lambda s: print(s, flush=True))
    return 0
