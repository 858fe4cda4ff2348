"""Trains an attribute classifier: ``python -m training attributes --data faces_128.zip --out runs/attributes``.

Binary cross-entropy on all attributes at once; flips, shifts, scale, light and colour are varied, so that the judge
looks at what the attribute is and not at how the picture was taken. What counts is the running average of the weights.

``--robust`` trains one that small changes do not deceive (Madry et al. 2018): every picture is first moved a little,
in the direction in which the network errs most. What changes the mind of such a classifier is what a person sees as
the attribute (Santurkar et al. 2019), so a generator can be taught by it. An ordinary one is content with stripes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import weights
from models.attributes import Classifier
from weights.attributes import ATTRS

from . import loop
from .data import Images, load_images
from .supervised import Supervised, load_trained

COMMAND = "classifier of a face's attributes"

# The thirteen that AttGAN edits, and what later directions ask for.
ATTGAN = ATTRS
MORE = ("Smiling",)


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
    add(
        "--robust", type=float, default=0.0, help="L2 distance, at 64 px and colours in [-1, 1], of what deceives least"
    )
    add("--robust-steps", type=int, default=2, help="steps in which the worst such picture is looked for")
    add("--precision", default="bf16", choices=tuple(loop.PRECISIONS))
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


def deceiving(net: Classifier, x: Tensor, y: Tensor, distance: float, steps: int, rng: torch.Generator) -> Tensor:
    """Pictures ``[N, 3, S, S]`` no farther than ``distance`` (L2) from ``x`` in which ``net`` errs more about ``y``.

    Projected gradient ascent from a random place (Madry et al. 2018).
    """

    def within(change: Tensor) -> Tensor:
        length = change.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
        change = change * (distance / length).clamp_max(1)
        return (x + change).clamp(-1, 1) - x

    change = torch.randn(x.shape, generator=rng).to(x.device)
    change = within(change * distance / change.flatten(1).norm(dim=1)[:, None, None, None] / 2)
    for _ in range(steps):
        moved = (x + change).requires_grad_(True)
        loss = F.binary_cross_entropy_with_logits(net(moved).float(), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, moved)
        length = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
        change = within(change + gradient / length * (1.5 * distance / steps))
    return (x + change).detach()


class AttributesRun(Supervised):
    def __init__(self, args: argparse.Namespace, images: Images):
        torch.manual_seed(args.seed)
        super().__init__(args, images, Classifier(args.attrs, args.size, args.widths, args.blocks, args.kind), 20_000)

    def step(self) -> None:
        rng = self.rng()
        index = torch.randint(0, len(self.images), (self.batch,), generator=rng)
        x = vary(self.images.batch(index).to(self.device), rng).to(memory_format=torch.channels_last)
        y = self.images.attributes[index].float().to(self.device)
        torch.manual_seed(self.step_number)  # dropout
        if self.args.robust:
            self.net.eval()
            with self.autocast():
                x = deceiving(self.net, x, y, self.args.robust * self.args.size / 64, self.args.robust_steps, rng)
        self.net.train()
        with self.autocast():
            logits = self.net(x)
        self.update(F.binary_cross_entropy_with_logits(logits.float(), y))


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


def classifier_name(where: str | None) -> str | None:
    """How a card names it: a run without the folders of a machine."""
    return where if where is None or where in weights.names() else f"runs/{Path(where).name}"


def load_classifier(where: str) -> Classifier:
    """That of a run's folder, or one that ships by its name, such as ``attributes/faces``."""
    return weights.load(where) if where in weights.names() else load_trained(Classifier, where)[0]


def train(args: argparse.Namespace, log=print) -> AttributesRun:
    loop.use_threads(args.threads, args.device)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    images = load_images(args.data, args.size, "train", attributes=args.attrs)
    test = load_images(args.data, args.size, "test", attributes=args.attrs) if images.held_out else None
    run = AttributesRun(args, images)
    loop.resume(run, out, log)
    log(f"{len(images)} images of {args.size} px, {sum(p.numel() for p in run.net.parameters()):,} parameters")

    def report() -> dict:
        found = {"loss": run.loss}
        return found if test is None else {**found, "accuracy": accuracy(run.average, test)["mean"]}

    loop.train_until(run, args.images, out, args.tick, report, log, args.minutes)
    return run


def main(argv: list[str]) -> int:
    train(parser().parse_args(argv), log=lambda s: print(s, flush=True))
    return 0
