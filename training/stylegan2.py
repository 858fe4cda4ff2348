"""Trains a StyleGAN2: ``python -m training stylegan2 --data faces.zip --out runs/faces``.

A run is a folder: ``state.pt`` (everything, so that a stopped run goes on exactly where it stood), ``log.jsonl``,
``sheets/*.png``. ``stylegan2_run`` has the steps. ``python -m training card`` turns a run into a shipped checkpoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from . import judges, loop, metrics, parallel, sheets
from .data import load_images
from .stylegan2_options import parser
from .stylegan2_run import StyleGAN2Run

COMMAND = "StyleGAN2 generator and discriminator"
IN_PROCESSES = True  # knows parallel.py


def train(args: argparse.Namespace, log=print) -> StyleGAN2Run:
    loop.use_threads(args.threads, args.device)
    parallel.join(loop.resolve(args.device))
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    images = load_images(args.data, args.resolution, "train", args.label)
    run = StyleGAN2Run(args, images)
    loop.resume(run, out, log)
    log(
        f"{len(images)} images of {args.resolution} px, "
        f"generator {sum(p.numel() for p in run.G.parameters()):,} parameters, "
        f"discriminator {sum(p.numel() for p in run.D.parameters()):,}, {run.device} {args.precision}"
    )
    test = None
    if args.metric_images and images.held_out:
        test = load_images(args.data, args.resolution, "test", limit=args.metric_images).pixels.float() / 127.5 - 1

    judged = args.judged_images if judges.installed("dlib") else 0
    if judged < args.judged_images:
        log("dlib is not installed (make judges), so its numbers are left out of the log")

    def report() -> dict:
        sheets.save_sheet(run.G_ema, out / "sheets" / f"{run.shown:08d}.png")
        line = dict(run.stats)
        if test is not None:
            line["swd"] = distance(run, test)
        if judged:
            rows = judges.measure(run.G_ema, args.data, ["dlib"], judged, (1.0,), cache=out / "judged")
            line |= {name: rows[-1][name] for name in ("frechet", "spread", "detected", "precision", "recall")}
        if run.reconstruction is not None:
            x, made = reconstructions(run)
            columns = min(10, len(x))
            rows = zip(x[:30].split(columns), made[:30].split(columns), strict=True)
            pairs = torch.cat([part for row in rows for part in row if len(part) == columns])
            sheets.grid(pairs, columns).save(out / "sheets" / f"{run.shown:08d}-reconstructed.png")
            if judged:
                line["same_person"] = judges.same_person(x, made)
        return line

    loop.train_until(run, args.images, out, args.tick, report, log, args.minutes)
    if not parallel.rank():
        sheets.save_sheet(run.G_ema, out / "sheets" / f"{run.shown:08d}.png")
    parallel.leave()
    return run


@torch.no_grad()
def reconstructions(run: StyleGAN2Run, count: int = 60) -> tuple[Tensor, Tensor]:
    """Training photographs, and what the averaged generator makes of the latents that the averaged encoder says.

    Of the training split, because the test photographs choose nothing.
    """
    x = run.images.batch(torch.arange(min(count, len(run.images))))
    made = run.G_ema.synthesis(run.reconstruction.encode(x, run.reconstruction.average)[2], noise_mode="const")
    return x, made.clamp(-1, 1)


def distance(run: StyleGAN2Run, test: Tensor) -> float:
    """Mean sliced Wasserstein distance of the averaged generator to test pictures, stored noise not used."""
    fake = sheets.sample(run.G_ema, len(test), seed=1234, noise_mode="random")
    if fake.shape[2] < test.shape[2]:  # a growing network that has not reached its size
        test = torch.nn.functional.avg_pool2d(test, test.shape[2] // fake.shape[2])
    return metrics.sliced_wasserstein(fake, test)["mean"]


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    train(args, log=lambda s: print(s, flush=True))
    return 0
