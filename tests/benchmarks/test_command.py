"""What the benchmarks count and how they measure; not how fast this machine is today."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import __main__ as command
from benchmarks import measure, synthesis
from models.stylegan2 import Generator

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("base", "resolution", "gigaflops"), [(16384, 256, 30), (32768, 1024, 149)])
def test_work_of_the_published_sizes(base, resolution, gigaflops):
    net = Generator(img_resolution=resolution, channel_base=base, mapping_layers=1)
    assert round(measure.synthesis_flops(net) / 1e9) == gigaflops


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_work_is_what_torch_counts(architecture):
    net = Generator(img_resolution=32, channel_base=512, channel_max=32, architecture=architecture).eval()
    ws = torch.randn(1, net.num_ws, net.w_dim)
    # Reference arithmetic has the same convolutions, and each FIR filter as one grouped convolution with k = 4.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.synthesis(ws, noise_mode="none", impl="reference")
    counts = counter.get_flop_counts()["Global"]
    convolutions = sum(value for operation, value in counts.items() if "conv" in str(operation))
    filters = 2 * 16 * sum(net.synthesis.widths[r] * r**2 for r in (8, 16, 32))
    if architecture == "skip":
        filters += 2 * 16 * 3 * (8**2 + 16**2 + 32**2)
    if architecture == "resnet":
        filters *= 2
    assert measure.synthesis_flops(net) == convolutions - filters


def test_tasks_take_turns():
    order = []
    tasks = {"a": lambda: (order.append("a"), time.sleep(0.02)), "b": lambda: order.append("b")}
    seconds = measure.interleaved(tasks, 3)
    assert "".join(order) == "abababab"
    assert seconds["a"] >= 0.02 > seconds["b"]


def test_peak_memory_sees_what_came_and_went():
    with measure.PeakMemory() as memory:
        block = torch.ones(50 * 2**20)  # 200 MB
        del block
    assert 190 < memory.bytes / 2**20 < 300


def test_tables_are_markdown():
    lines = measure.table(["", "s"], [["one", "1.0"], ["three", "3.25"]]).splitlines()
    assert lines == ["|       |    s |", "| ----- | ---: |", "| one   |  1.0 |", "| three | 3.25 |"]


def test_ours_and_the_reference_make_the_same_pictures():
    """What is compared for speed must be the same thing."""
    ours, flops = synthesis.pictures(256, 1, "fast", "cpu")
    reference, flops_reference = synthesis.pictures(256, 1, "reference", "cpu")
    a, b = ours(), reference()
    assert flops == flops_reference and a.shape == (1, 3, 256, 256)
    assert (a - b).abs().max() < 1e-3 * b.abs().max()


def test_less_memory_than_the_reference():
    ours, reference = (synthesis.peak(256, 4, impl, "cpu", False) for impl in ("fast", "reference"))
    assert 0 < ours < reference


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("arguments", [["gpu-check"], ["synthesis", "--device", "cuda"]])
def test_without_a_cuda_device_it_says_so(arguments, capsys):
    assert command.main(arguments) == 0
    assert "No CUDA device is here" in capsys.readouterr().out


def test_unknown_names_are_refused():
    done = subprocess.run([sys.executable, "-m", "benchmarks", "nonsense"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "synthesis" in done.stderr


def test_every_name_has_its_module():
    for name in command.NAMES:
        assert (ROOT / "benchmarks" / f"{name.replace('-', '_')}.py").is_file()
