"""``make gpu-check``: does a CUDA device compute what the processor computes, and how fast? Needs no Gradio."""

from __future__ import annotations

import functools
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from . import measure, synthesis

ROOT = Path(__file__).resolve().parent.parent
TESTS = "tests/models/test_device.py"
# (name, half precision, compiled); the first is what the others are compared with.
VARIANTS = (
    ("float32", False, False),
    ("float32, compiled", False, True),
    ("float16", True, False),
    ("float16, compiled", True, True),
)
LEVELS = 2.0  # mean difference between half and single precision, of 255


@torch.inference_mode()
def half_precision() -> list[tuple[str, float, float]]:
    """(network, mean, largest) difference in levels of 255 between pictures in float16 and in float32 on the GPU.

    Pictures are as they are shown: cut to [-1, 1]. The published sizes with random weights, then what ships here.
    """
    import weights

    cases = [(f"{res} px, random", synthesis.network(res, "cuda", num_fp16_res=4)) for res in synthesis.SIZES]
    shipped = [f"stylegan2/{name}" for name in weights.names("stylegan2")]
    shipped = [name for name in shipped if weights.status(name) == "shipped"]
    cases += [(name, weights.load(name, device="cuda")) for name in shipped]
    found = []
    for name, net in cases:
        z = torch.randn(4, net.z_dim, generator=torch.Generator().manual_seed(2)).cuda()
        c = torch.eye(net.c_dim, device="cuda")[torch.arange(4) % net.c_dim] if net.c_dim else None
        ws = net.mapping(z, c, truncation_psi=0.7)
        single = net.synthesis(ws, noise_mode="const", dtype=torch.float32)
        # Random networks say themselves which blocks run in half precision; of the shipped ones all do.
        half = net.synthesis(ws, noise_mode="const", dtype=None if net.config["num_fp16_res"] else torch.float16)
        apart = (single.clamp(-1, 1) - half.float().clamp(-1, 1)).abs() * 127.5
        found.append((name, apart.mean().item(), apart.max().item()))
    return found


@torch.inference_mode()
def speeds(device: str = "cuda", sizes: Sequence[int] = tuple(synthesis.SIZES), repetitions: int = 15) -> list[list]:
    """Rows for the table: one picture in single precision, in half, and compiled, of each size.

    Blocks in half precision have channels last, as the tensor cores want them (``SynthesisNetwork.forward``). Compiling
    is measured only: the page does not compile, because the first picture of each shape then takes a minute.
    """
    rows = []
    for res in sizes:
        tasks, refused = {}, {}
        for name, fp16, compiled in VARIANTS:
            net = synthesis.network(res, device, num_fp16_res=4 if fp16 else 0)
            ws = net.mapping(torch.randn(1, net.z_dim, generator=torch.Generator().manual_seed(1)).to(device))
            forward = torch.compile(net.synthesis) if compiled else net.synthesis
            make = functools.partial(forward, ws, noise_mode="const")
            try:
                make()  # here a compiler is missing, or takes its time
            except Exception as error:  # whatever a compiler stumbles over is a row of the table
                refused[name] = type(error).__name__
            else:
                tasks[name] = make
        first = tasks[VARIANTS[0][0]]()
        seconds = measure.interleaved(tasks, repetitions, device)
        for name, *_ in VARIANTS:
            if name in refused:
                rows.append([f"{res} px, {name}", refused[name], "", ""])
                continue
            apart = (first.float().clamp(-1, 1) - tasks[name]().float().clamp(-1, 1)).abs().mean().item() * 127.5
            once = seconds[name]
            rows.append(
                [f"{res} px, {name}", f"{once * 1e3:.1f}", f"{seconds[VARIANTS[0][0]] / once:.2f}x", f"{apart:.3f}"]
            )
    return rows


def main(device: str = "cuda", quick: bool = False) -> int:
    if not torch.cuda.is_available():
        print("No CUDA device is here, so nothing was checked: run this on a machine that has one.")
        return 0
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}")
    if importlib.util.find_spec("pytest") is None:
        print("pytest is not installed, so the fixture tests cannot run: pip install pytest")
        return 1
    tests = subprocess.run([sys.executable, "-m", "pytest", TESTS, "--device", "cuda"], cwd=ROOT).returncode
    print("\n## Half precision against single, levels of 255\n")
    found = half_precision()
    rows = [[name, f"{mean:.3f}", f"{most:.1f}"] for name, mean, most in found]
    print(measure.table(["", "mean", "largest"], rows))
    print("\n## One picture in each precision, to paste into docs/benchmarks.md\n")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}:\n")
    sizes = (256,) if quick else tuple(synthesis.SIZES)
    print(measure.table(["", "ms", "as fast", "levels from float32"], speeds("cuda", sizes)))
    apart = [name for name, mean, _ in found if not mean <= LEVELS]
    for name in apart:
        print(f"MISSED {name}: the mean difference is above {LEVELS:.0f} levels")
    return int(bool(tests or apart or synthesis.main("cuda", quick)))
