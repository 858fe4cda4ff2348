"""Named directions in w, from a classifier's scores of generated pictures (InterFaceGAN, Shen et al. 2020).

    python -m training directions --generator stylegan2/faces --classifier attributes/faces \
        --out weights/embedded/directions/faces.safetensors

Seeded latents are mapped to w and painted, the classifier scores the pictures, and for each attribute a logistic
regression with L2 finds the hyperplane in w that parts those that have it from those that have not. Its normal is the
direction. What a step along it does, to its attribute and to the others, is measured on latents kept apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import weights
from models.stylegan2 import Generator
from weights import latent_directions, paths
from weights.errors import UserError
from weights.latent_directions import LatentDirection

from . import loop

COMMAND = "named directions in w of a StyleGAN2 that ships, from a classifier's scores"

ALPHAS = (-3, -2, -1, 1, 2, 3)
HELD_OUT = 0.2  # share of the latents that no direction is fitted to
FEWEST = 10  # pictures on either side, below which nothing can be learnt
WEAKEST = 0.08  # change of the mean probability, at 3 steps either way, below which a direction does nothing to see
NEAR_BEST = 0.7  # rows that change the attribute this much of the most that any rows do are compared by the rest


@dataclass(frozen=True)
class Scored:
    """``w [N, w_dim]`` and ``logits [N, attributes]`` of its pictures, on the CPU."""

    w: Tensor
    logits: Tensor


@torch.no_grad()
def logits_of(net: Generator, judge: nn.Module, ws: Tensor, batch: int = 32) -> Tensor:
    """The classifier's logits ``[N, attributes]`` of the pictures of w+ ``[N, num_ws, w_dim]``."""
    device = next(net.parameters()).device
    return torch.cat([judge(net.synthesis(part.to(device), noise_mode="const")).cpu() for part in ws.split(batch)])


@torch.no_grad()
def scored(net: Generator, judge: nn.Module, count: int, seed: int = 0) -> Scored:
    """``count`` seeded latents without truncation, and what the classifier says of their pictures."""
    z = torch.randn(count, net.z_dim, generator=torch.Generator().manual_seed(seed))
    device = next(net.parameters()).device
    w = torch.cat([net.mapping(part.to(device))[:, 0].cpu() for part in z.split(1024)])
    logits = [logits_of(net, judge, part[:, None].expand(-1, net.num_ws, -1)) for part in w.split(512)]
    return Scored(w, torch.cat(logits))


def fit(w: Tensor, logits: Tensor, l2: float = 1e-3) -> Tensor:
    """The unit normal ``[w_dim]`` of the hyperplane between latents with an attribute and those without.

    Weighted logistic regression by L-BFGS-B: each latent counts by how sure the classifier is of it, ``|2p - 1|``, and
    both sides count alike together, however rare the attribute is. ``w`` is measured in its mean deviation.

    Raises UserError where one side has fewer than ten pictures.
    """
    normal, _offset = _plane(w, logits, l2)
    return normal / normal.norm()


def _plane(w: Tensor, logits: Tensor, l2: float) -> tuple[Tensor, float]:
    from scipy.optimize import minimize

    has = (logits > 0).numpy()
    if min(has.sum(), (~has).sum()) < FEWEST:
        raise UserError(f"Fewer than {FEWEST} of the pictures are on one side; more samples are needed.")
    sign = np.where(has, 1.0, -1.0)
    sure = (2 * torch.sigmoid(logits.double()) - 1).abs().numpy() + 1e-6
    for side in (has, ~has):
        sure[side] /= 2 * sure[side].sum()
    middle, scale = w.double().mean(dim=0).numpy(), float(w.double().std(dim=0).mean())
    x = (w.double().numpy() - middle) / scale

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (x @ theta[:-1] + theta[-1])
        pull = -sign * sure / (1 + np.exp(np.clip(margin, -60, 60)))
        value = sure @ np.logaddexp(0, -margin) + l2 / 2 * theta[:-1] @ theta[:-1]
        return value, np.append(x.T @ pull + l2 * theta[:-1], pull.sum())

    theta = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    normal = theta[:-1] / scale
    return torch.from_numpy(normal).float(), float(theta[-1] - normal @ middle)


def accuracy(w: Tensor, logits: Tensor, normal: Tensor, offset: float) -> float:
    """Mean of the shares, of held-out latents with and without the attribute, on the right side of the plane.

    0.5 is chance; the side that is missing among the latents is left out.
    """
    side, has = w @ normal + offset > 0, logits > 0
    parts = [(side[which] == has[which]).float().mean() for which in (has, ~has) if which.any()]
    return float(torch.stack(parts).mean())


def row_ranges(net: Generator) -> dict[str, range]:
    """The rows of w+ that are compared: coarse (to 8 px), middle (16 and 32 px), fine, neighbours together, all."""
    starts = {r: net.synthesis.rows(r).start for r in net.synthesis.block_resolutions}
    middle, fine = starts.get(16, net.num_ws), starts.get(64, net.num_ws)
    bounds = {
        "all": (0, net.num_ws),
        "coarse": (0, middle),
        "middle": (middle, fine),
        "fine": (fine, net.num_ws),
        "coarse+middle": (0, fine),
        "middle+fine": (middle, net.num_ws),
    }
    found, seen = {}, set()
    for name, (start, stop) in bounds.items():
        if start < stop and (start, stop) not in seen:
            seen.add((start, stop))
            found[name] = range(start, stop)
    return found


def shift(net, judge, w: Tensor, base: Tensor, step: Tensor, rows: Sequence[int]) -> Tensor:
    """Mean change of each probability ``[attributes]`` when ``step [w_dim]`` is added to those rows of w+."""
    ws = w[:, None].repeat(1, net.num_ws, 1)
    ws[:, list(rows)] += step
    return (torch.sigmoid(logits_of(net, judge, ws)) - torch.sigmoid(base)).mean(dim=0)


def best_rows(net, judge, w: Tensor, base: Tensor, step: Tensor, index: int) -> tuple[str, dict[str, list[float]]]:
    """Which rows change attribute ``index`` with the least change of the others.

    Both ways by two steps. Of the ranges that change it by at least 0.7 of the most, the one with the largest ratio of
    its change to the mean change of the others.

    Returns:
        The range's name, and for each range (change of the attribute from -2 to +2, mean change of the others).
    """
    measured = {}
    others = [i for i in range(base.shape[1]) if i != index]
    for name, rows in row_ranges(net).items():
        change = shift(net, judge, w, base, 2 * step, rows) - shift(net, judge, w, base, -2 * step, rows)
        measured[name] = [float(change[index]), float(change[others].abs().mean())]
    most = max(own for own, _rest in measured.values())
    able = [name for name, (own, _rest) in measured.items() if own >= NEAR_BEST * most]
    return max(able, key=lambda name: measured[name][0] / (measured[name][1] + 1e-3)), measured


def learn(net, judge, count: int, test: int, l2: float = 1e-3, seed: int = 0, say=print) -> tuple[dict, dict]:
    """Directions of every attribute of the classifier, and what was measured of them on held-out latents.

    An attribute is left out when too few pictures have it, or lack it, and when its direction does next to nothing: the
    generator cannot show what it has hardly seen.

    Args:
        count: latents in all; a fifth of them is held out.
        test: of the held-out ones, how many the effects are measured on.

    Returns:
        Attribute -> LatentDirection, and attribute -> measurements.
    """
    began = time.time()
    data = scored(net, judge, count, seed)
    say(f"{count} pictures scored in {time.time() - began:.0f} s")
    kept = max(int(HELD_OUT * count), 2)
    w, logits = data.w[kept:], data.logits[kept:]
    held = Scored(data.w[:kept], data.logits[:kept])
    probe = Scored(held.w[:test], held.logits[:test])
    few = Scored(held.w[-max(test // 3, 8) :], held.logits[-max(test // 3, 8) :])
    found, measured = {}, {}
    for index, name in enumerate(judge.attrs):
        try:
            normal, offset = _plane(w, logits[:, index], l2)
        except UserError as error:
            say(f"{name:20} left out: {error}")
            continue
        unit = normal / normal.norm()
        spread = float((w @ unit).std())
        chosen, ranges = best_rows(net, judge, few.w, few.logits, spread * unit, index)
        rows = tuple(row_ranges(net)[chosen])
        others = [i for i in range(len(judge.attrs)) if i != index]
        effects = {}
        for alpha in ALPHAS:
            change = shift(net, judge, probe.w, probe.logits, alpha * spread * unit, rows)
            effects[f"{alpha:+d}"] = {
                "own": round(float(change[index]), 4),
                "others": round(float(change[others].abs().mean()), 4),
                "most": judge.attrs[max(others, key=lambda i: abs(float(change[i])))] if others else None,
                "most_by": round(max((abs(float(change[i])) for i in others), default=0.0), 4),
            }
        own = effects["+3"]["own"], effects["-3"]["own"]
        if max(map(abs, own)) < WEAKEST:
            say(f"{name:20} left out: three steps change it by {own[1]:+.2f} and {own[0]:+.2f}")
            continue
        found[name] = LatentDirection(name, unit, spread, rows)
        measured[name] = {
            "accuracy": round(100 * accuracy(held.w, held.logits[:, index], normal, offset), 2),
            "share": round(float((data.logits[:, index] > 0).float().mean()), 4),
            "start": round(float(torch.sigmoid(probe.logits[:, index]).mean()), 4),
            "rows": chosen,
            "ranges": {key: [round(v, 4) for v in value] for key, value in ranges.items()},
            "effects": effects,
        }
        say(f"{name:20} {measured[name]['accuracy']:5.1f} %  -3 {own[1]:+.2f}  +3 {own[0]:+.2f}  rows {chosen}")
    return found, measured


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training directions", description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--generator", default="stylegan2/faces", help="name of a StyleGAN2 that ships")
    add("--classifier", default="attributes/faces", help="name of a classifier that ships")
    add("--out", default=str(paths.embedded("directions/faces")))
    add("--samples", type=int, default=20_000, help="pictures that are scored")
    add("--test", type=int, default=192, help="held-out latents on which effects are measured")
    add("--l2", type=float, default=1e-3, help="weight of the squared length of the normal")
    add("--seed", type=int, default=0)
    add("--device", default="auto")
    add("--threads", type=int, default=None)
    return p


def main(argv: list[str]) -> int:
    from .cards.directions import export

    args = parser().parse_args(argv)
    loop.use_threads(args.threads, args.device)
    device = loop.resolve(args.device)
    began = time.time()
    net = weights.load(args.generator, device)
    judge = weights.load(args.classifier, device)
    found, measured = learn(net, judge, args.samples, args.test, args.l2, args.seed)
    if not found:
        raise UserError("No attribute could be learnt; more samples are needed.")
    card = {
        "generator": args.generator,
        "classifier": args.classifier,
        "classifier_sha256": weights.sha256(args.classifier),
        "samples": args.samples,
        "test": args.test,
        "l2": args.l2,
        "seed": args.seed,
        "seconds": round(time.time() - began),
        "left_out": [name for name in judge.attrs if name not in found],
        "directions": measured,
    }
    out = Path(args.out)
    latent_directions.write(out, args.generator, net.info.sha256, net.num_ws, found, card)
    export(out, net, latent_directions.read(out))
    print(f"{out.name}: {len(found)} directions, {out.stat().st_size / 1e3:.0f} kB, {card['seconds']} s")
    return 0
