"""Edits of faces: AttGAN's published size at 128 px, against the plain module run once for every variant.

``plain`` is the module as it is trained: norms on their own, maps in the default layout, and for each variant the face
encoded and decoded afresh, as the original program does. Random weights; the numbers do not matter for the time.
"""

from __future__ import annotations

import torch

from models.attgan import Generator
from models.attgan_inference import Fast
from pipelines.attgan import DEFAULT_SIZE

from . import measure

# How many times as fast as the plain module.
WANTED = {"all 13 flips and the reconstruction": 2.5, "one edit": 1.3}


def network(device: str = "cpu") -> Generator:
    torch.manual_seed(0)
    return Generator(img_size=DEFAULT_SIZE).to(device).eval().requires_grad_(False)


def tasks(net: Generator, device: str) -> dict:
    """What is measured, ours and the plain module's, by what it is called."""
    quick = Fast(net)
    x = torch.rand(1, 3, DEFAULT_SIZE, DEFAULT_SIZE, device=device) * 2 - 1
    rows = torch.rand(net.n_attrs + 1, net.n_attrs, device=device) - 0.5
    kept = quick.encode(x)

    @torch.no_grad()
    def plain(count: int):
        return [net(x, rows[i : i + 1]) for i in range(count)]

    return {
        "all 13 flips and the reconstruction": (lambda: quick.decode(quick.encode(x), rows), lambda: plain(len(rows))),
        "one edit": (lambda: quick.decode(quick.encode(x), rows[:1]), lambda: plain(1)),
        "a slider moved": (lambda: quick.decode(kept, rows[:1]), lambda: plain(1)),
    }


def main(device: str = "cpu", quick: bool = False) -> int:
    if device == "cuda" and not torch.cuda.is_available():
        print("No CUDA device is here, so nothing was measured on one.")
        return 0
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"\n## Edits of a face, {DEFAULT_SIZE} px, {where}, torch {torch.__version__}\n")
    rows, missed = [], []
    for name, (ours, plain) in tasks(network(device), device).items():
        found = measure.interleaved({"ours": ours, "plain": plain}, 5 if quick else 15, device)
        ratio = found["plain"] / found["ours"]
        rows.append([name, f"{found['ours'] * 1e3:.0f} ms", f"{found['plain'] * 1e3:.0f} ms", f"{ratio:.2f}x"])
        if device == "cpu" and ratio < WANTED.get(name, 0):
            missed.append(f"{name}: {ratio:.2f}x, {WANTED[name]}x is wanted")
    print(measure.table(["", "ours", "plain", "as fast"], rows))
    for line in missed:
        print(f"MISSED {line}")
    return int(bool(missed))
