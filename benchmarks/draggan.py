"""Steps of a drag: ours against the arithmetic of the authors' program (``mode="reference"``), time and memory.

Networks of the published sizes with random weights (stylegan2-ada's configurations), one point; and those that ship.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import torch
from PIL import Image, ImageDraw

from pipelines import draggan, stylegan2

from . import measure, synthesis

# How many times as fast as the reference a step with a mask is to be on a CPU, by resolution.
WANTED = {256: 1.6, 1024: 8.0}
MOST_MEMORY = 1.5 * 2**30  # resident, the whole process, at 1024 px
RATE = 15  # steps a second on shipped networks, every one shown
SHIPPED = ("stylegan2/faces", "stylegan2/cats")


def floor_flops(net, resolution: int) -> float:
    """Floating-point operations of the convolutions up to a block, forwards and backwards to their input.

    No step that has a mask can do with less: every feature counts. At 1024 px, up to the block of 128 px, 122e9.
    """
    widths, total = net.synthesis.widths, 0
    for res in (r for r in widths if r <= resolution):
        total += widths[res] ** 2 * 9 * res**2
        if res > 4:
            total += widths[res // 2] * widths[res] * 9 * (res // 2) ** 2
    return 2 * 2.0 * total


def half_mask(size: int) -> Image.Image:
    """An ellipse around the middle may move."""
    mask = Image.new("L", (size, size))
    ImageDraw.Draw(mask).ellipse([size // 4, size // 4, 3 * size // 4, 3 * size // 4], fill=255)
    return mask


def stepping(net, mode: str, masked: bool, show_every: int = 0) -> Callable:
    """A function that makes one more step of a drag that never arrives."""
    size = net.img_resolution
    w = stylegan2.latent(net, seed=1)
    handle, target = (size * 0.4, size * 0.5), (size * 0.6, size * 0.5)
    steps = None

    def step():
        nonlocal steps
        found = next(steps, None) if steps is not None else None
        if found is None or found.done:
            steps = draggan.drag(
                net,
                w,
                [handle],
                [target],
                half_mask(size) if masked else None,
                steps=draggan.MAX_STEPS,
                mode=mode,
                stop_distance=0.05,
                patience=draggan.MAX_STEPS,
                show_every=show_every,
            )
            next(steps)  # where it starts is no step
            next(steps)

    return step


def peak(resolution: int, mode: str, device: str) -> int:
    """The most bytes resident in a process of its own that makes three steps and two pictures."""
    request = json.dumps([resolution, mode, device])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.draggan", request], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1])


def _peak_here(resolution: int, mode: str, device: str) -> int:
    net = synthesis.network(resolution, device)
    size = net.img_resolution
    points = [(size * 0.4, size * 0.5)], [(size * 0.6, size * 0.5)]
    with measure.PeakMemory(device) as memory:
        last = list(draggan.drag(net, stylegan2.latent(net, seed=1), *points, half_mask(size), steps=3, mode=mode))[-1]
    if last.image.size != (size, size):
        raise RuntimeError("the last step has no picture")
    return memory.bytes if device == "cuda" else measure.PeakMemory.highest()


def published(device: str, quick: bool) -> list[str]:
    """Prints the table of the published sizes; gives what was missed."""
    rows, missed = [], []
    for resolution in (256,) if quick else WANTED:
        net = synthesis.network(resolution, device)
        matmul, matmul_flops = measure.matmul_task(device)
        tasks = {
            "reference": stepping(net, "reference", True),
            "fast": stepping(net, "fast", True),
            "free": stepping(net, "fast", False),
            "matmul": matmul,
        }
        repetitions = (3 if quick else 6 if resolution == 256 else 3) * (5 if device == "cuda" else 1)
        seconds = measure.interleaved(tasks, repetitions, device)
        flops = floor_flops(net, draggan.defaults(net).feature_resolution)
        del tasks, net
        ours, theirs = (peak(resolution, mode, device) for mode in ("fast", "reference"))
        ratio = seconds["reference"] / seconds["fast"]
        rate = flops / seconds["fast"]
        rows.append(
            [
                f"{resolution} px",
                f"{seconds['fast']:.3f}",
                f"{seconds['reference']:.3f}",
                f"{ratio:.2f}x",
                f"{seconds['free']:.3f}",
                f"{seconds['reference'] / seconds['free']:.1f}x",
                f"{ours / 2**20:.0f} MB",
                f"{theirs / 2**20:.0f} MB",
                f"{flops / 1e9:.0f}",
                f"{rate / (matmul_flops / seconds['matmul']):.0%}",
            ]
        )
        if device == "cpu" and ratio < WANTED[resolution]:
            missed.append(f"{resolution} px: {ratio:.2f}x, {WANTED[resolution]}x is wanted")
        if device == "cpu" and ours > MOST_MEMORY:
            missed.append(f"{resolution} px: {ours / 2**20:.0f} MB, {MOST_MEMORY / 2**20:.0f} MB are the most")
    header = ["", "s/step", "reference", "as fast", "no mask", "as fast", "memory", "reference", "GFLOP", "of matmul"]
    print(measure.table(header, rows))
    print("\nOne point with a mask; no mask: one point, everything may move. Memory: the most resident in a process")
    print("that makes three steps and shows them. GFLOP: convolutions to the feature block and back, with a mask;")
    print("of matmul: share of the rate at which this machine multiplied large float32 matrices in the same turns.")
    return missed


def shipped(device: str, quick: bool) -> list[str]:
    """Prints the table of the shipped networks; gives what was missed."""
    import weights

    rows, missed = [], []
    for name in SHIPPED:
        net = weights.load(name, device)
        tasks = {(masked, shown): stepping(net, "fast", masked, shown) for masked in (False, True) for shown in (1, 0)}
        tasks["reference"] = stepping(net, "reference", True)
        seconds = measure.interleaved(tasks, 10 if quick else 60, device)
        rates = {key: 1 / value for key, value in seconds.items()}
        order = [(False, 1), (True, 1), (True, 0), "reference"]
        rows.append([name, *[f"{rates[key]:.1f}" for key in order]])
        if device == "cpu" and rates[True, 1] < RATE:
            missed.append(f"{name}: {rates[True, 1]:.1f} steps a second with pictures, {RATE} are wanted")
    print(measure.table(["steps/s", "shown", "shown, mask", "mask, not shown", "reference, mask"], rows))
    return missed


def main(device: str = "cpu", quick: bool = False) -> int:
    if device == "cuda" and not torch.cuda.is_available():
        print("No CUDA device is here, so nothing was measured on one.")
        return 0
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"\n## Steps of a drag, {where}, torch {torch.__version__}\n")
    missed = published(device, quick)
    print()
    missed += shipped(device, quick)
    for line in missed:
        print(f"MISSED {line}")
    return int(bool(missed))


if __name__ == "__main__":
    print(_peak_here(*json.loads(sys.argv[1])))
