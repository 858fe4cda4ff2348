"""Synthesis of full-width networks: ours against the arithmetic of stylegan2-ada-pytorch (``impl="reference"``)."""

from __future__ import annotations

import json
import subprocess
import sys

import torch

from models.stylegan2 import Generator

from . import measure

# The published networks: 256 px with half the channels of 1024 px. (base, resolution)
SIZES = {256: 16384, 1024: 32768}
BATCHES = (1, 4)
# How many times as fast as the reference a picture is to be, by (resolution, batch), on a CPU.
WANTED = {(256, 1): 1.1, (256, 4): 1.8, (1024, 1): 1.6, (1024, 4): 1.6}


def network(resolution: int, device: str, num_fp16_res: int = 0) -> Generator:
    """A generator as published, with seeded weights and noise that is not zero."""
    torch.manual_seed(0)
    clamp = 256 if num_fp16_res else None
    net = Generator(
        img_resolution=resolution, channel_base=SIZES[resolution], num_fp16_res=num_fp16_res, conv_clamp=clamp
    )
    for name, parameter in net.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.1)
    return net.eval().requires_grad_(False).to(device)


@torch.inference_mode()
def pictures(resolution: int, batch: int, impl: str, device: str, half: bool = False):
    """A function that makes ``batch`` pictures."""
    net = network(resolution, device, num_fp16_res=4 if half else 0)
    ws = net.mapping(torch.randn(batch, net.z_dim, generator=torch.Generator().manual_seed(1)).to(device))

    @torch.inference_mode()
    def make():
        return net.synthesis(ws, noise_mode="const", impl=impl)

    return make, measure.synthesis_flops(net)


def peak(resolution: int, batch: int, impl: str, device: str, half: bool) -> int:
    """Bytes that synthesis needs beside the network, in a process of its own: memory once taken is not given back."""
    command = [sys.executable, "-m", "benchmarks.synthesis", json.dumps([resolution, batch, impl, device, half])]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _peak_here(resolution: int, batch: int, impl: str, device: str, half: bool) -> int:
    make, _ = pictures(resolution, batch, impl, device, half)
    with measure.PeakMemory(device) as memory:
        make()
    return memory.bytes


def main(device: str = "cpu", quick: bool = False) -> int:
    if device == "cuda" and not torch.cuda.is_available():
        print("No CUDA device is here, so nothing was measured on one.")
        return 0
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"\n## Synthesis, {where}, torch {torch.__version__}\n")
    variants = [("fast", False), ("fast", True)] if device == "cuda" else [("fast", False)]
    rows, missed = [], []
    for resolution in (256,) if quick else SIZES:
        for batch in BATCHES:
            matmul, matmul_flops = measure.matmul_task(device)
            tasks = {"reference": pictures(resolution, batch, "reference", device)}
            tasks |= {(impl, half): pictures(resolution, batch, impl, device, half) for impl, half in variants}
            flops = tasks["reference"][1]
            repetitions = max(3, 8 if resolution == 256 else 12 // (3 * batch)) if not quick else 3
            if device == "cuda":
                repetitions *= 5
            turns = {key: make for key, (make, _) in tasks.items()} | {"matmul": matmul}
            seconds = measure.interleaved(turns, repetitions, device)
            del tasks, turns
            peak_reference = peak(resolution, batch, "reference", device, False)
            for impl, half in variants:
                ratio = seconds["reference"] / seconds[impl, half]
                peak_ours = peak(resolution, batch, impl, device, half)
                rate = flops * batch / seconds[impl, half]
                rows.append(
                    [
                        f"{resolution} px, batch {batch}" + (", fp16" if half else ""),
                        f"{seconds[impl, half] / batch:.3f}",
                        f"{seconds['reference'] / batch:.3f}",
                        f"{ratio:.2f}x",
                        f"{peak_ours / 2**20:.0f} MB",
                        f"{peak_reference / 2**20:.0f} MB",
                        f"{peak_ours / max(peak_reference, 1):.2f}",
                        f"{flops / 1e9:.0f}",
                        f"{rate / 1e9:.0f}",
                        f"{rate / (matmul_flops / seconds['matmul']):.0%}",
                    ]
                )
                wanted = WANTED[resolution, batch]
                if device == "cpu" and ratio < wanted:
                    missed.append(f"{resolution} px, batch {batch}: {ratio:.2f}x, {wanted}x is wanted")
                if device == "cpu" and peak_ours > peak_reference:
                    missed.append(f"{resolution} px, batch {batch}: more memory than the reference")
    header = ["", "s/picture", "reference", "as fast", "memory", "reference", "ratio", "GFLOP", "GFLOP/s", "of matmul"]
    print(measure.table(header, rows))
    print("\nSeconds are medians of turns taken with the reference; memory is the most beside the network's own.")
    print("of matmul: share of the rate at which this machine multiplied large float32 matrices in the same turns.")
    for line in missed:
        print(f"MISSED {line}")
    return int(bool(missed))


if __name__ == "__main__":
    print(_peak_here(*json.loads(sys.argv[1])))
