"""Taking turns, counting work, peak memory, tables."""

from __future__ import annotations

import ctypes
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence

import torch


def wait(device: str) -> None:
    """Until a CUDA device has done what it was given; a processor always has."""
    if device == "cuda":
        torch.cuda.synchronize()


def interleaved(tasks: dict[str, Callable], repetitions: int, device: str = "cpu") -> dict[str, float]:
    """Median seconds of each task. They take turns (A B A B ...), so that a busy spell of the machine meets all."""
    seconds = {name: [] for name in tasks}
    for turn in range(repetitions + 1):
        for name, task in tasks.items():
            wait(device)
            began = time.perf_counter()
            task()
            wait(device)
            if turn:  # the first turn only warms up
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def matmul_task(device: str, dtype: torch.dtype = torch.float32, size: int = 2048) -> tuple[Callable, float]:
    """A product of two square matrices, and the floating-point operations that it takes."""
    size = size * 4 if device == "cuda" else size
    a = torch.randn(size, size, device=device).to(dtype)
    out = torch.empty_like(a)
    return lambda: torch.mm(a, a, out=out), 2.0 * size**3


def synthesis_flops(net) -> float:
    """Floating-point operations (two a multiply-add) of the convolutions of one picture, from the architecture alone.

    An upsampling convolution multiplies each input pixel with each tap once; FIR filters, modulation, noise and
    activations are left out: they are what a perfect implementation would have for nothing.
    """
    synthesis = net.synthesis
    total = 0
    for res, width in synthesis.widths.items():
        block = synthesis.block(res)
        below = synthesis.widths.get(res // 2, 0)
        total += width * width * 9 * res**2
        if res > 4:
            total += below * width * 9 * (res // 2) ** 2
            if block.architecture == "resnet":
                total += below * width * (res // 2) ** 2
        if block.num_torgb:
            total += width * synthesis.img_channels * res**2
    return 2.0 * total


class PeakMemory:
    """``with PeakMemory(device) as peak: ...``, then ``peak.bytes``: the most that was in use inside, more than before.

    On Linux the kernel's own high-water mark is set back first; elsewhere it counts from the start of the process, so
    one process should measure one thing.
    """

    def __init__(self, device: str = "cpu"):
        self.device, self.bytes = device, 0

    def __enter__(self) -> PeakMemory:
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
            return self
        try:  # glibc keeps freed blocks; what is kept would hide as much of what comes
            ctypes.CDLL(None).malloc_trim(0)
        except (AttributeError, OSError, TypeError):
            pass
        try:
            with open("/proc/self/clear_refs", "w") as f:
                f.write("5")
        except OSError:
            pass
        self._before = self._status("VmRSS") or self._highest()
        return self

    def __exit__(self, *_) -> None:
        if self.device == "cuda":
            self.bytes = torch.cuda.max_memory_allocated() - self._before
        else:
            self.bytes = self.highest() - self._before

    @staticmethod
    def _status(field: str) -> int:
        try:
            with open("/proc/self/status") as f:
                return next((int(line.split()[1]) * 1024 for line in f if line.startswith(field)), 0)
        except OSError:
            return 0

    @staticmethod
    def _highest() -> int:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    @classmethod
    def highest(cls) -> int:
        """The most bytes resident in this process since it began (or since a ``with`` block set the mark back)."""
        return cls._status("VmHWM") or cls._highest()  # the latter begins with what the parent process had


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown, columns padded so that it reads well in a terminal too; the first column to the left."""
    cells = [list(header), *[list(map(str, row)) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]

    def line(row):
        padded = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([line(cells[0]), line(rule), *map(line, cells[1:])])


def mean(values: Iterable[float | None]) -> float:
    """Of those that are there; NaN where none is."""
    there = [float(v) for v in values if v is not None]
    return sum(there) / len(there) if there else float("nan")


def cell(value: float, form: str) -> str:
    """A number of a table, a dash for NaN."""
    return "–" if value != value else format(value, form)
