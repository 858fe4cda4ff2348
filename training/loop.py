"""What every trainer does around its steps: go on where it was left, stop when told, save, log.

A run offers ``step()``, ``state()``, ``restore(state)``, ``shown`` (images seen), ``seconds`` (of steps alone) and
``batch`` (images a step).
"""

from __future__ import annotations

import json
import math
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch

from weights.atomic import replacing

from . import parallel

# Options that make no other network: where and how long it runs, and what is logged.
RUNTIME_OPTIONS = ("threads", "tick", "device", "minutes", "impl", "images", "metric_images", "judged_images")

SAVE_SECONDS = 180
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}


class Steps(Protocol):
    shown: int
    seconds: float
    batch: int
    device: str

    def step(self) -> None: ...

    def state(self) -> dict: ...

    def restore(self, state: dict) -> None: ...


def use_threads(threads: int | None, device: str) -> None:
    """Sets torch up for training: the number of CPU threads, and what makes CUDA quick."""
    if threads:
        torch.set_num_threads(threads)
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True


def resolve(device: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def dtype_of(precision: str, device: str) -> torch.dtype | None:
    """What a run computes in, None for float32: one of ``PRECISIONS``, or fp16.

    A processor without instructions for bf16 computes it number by number, about a hundred times as slowly, so there
    bf16 becomes float32, and a warning says so.
    """
    if precision == "bf16" and device == "cpu" and not has_bf16():
        warnings.warn("this processor has no instructions for bf16: the run computes in fp32", stacklevel=2)
        return None
    return torch.float16 if precision == "fp16" else PRECISIONS[precision]


def has_bf16() -> bool:
    """Whether the processor and this build of torch have instructions for bf16."""
    try:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return False


def random_of_step(seed: int, step: int) -> torch.Generator:
    """The random numbers of a step: the same whenever it is taken, others in each process and for each seed."""
    # The CPU's generator looks at 32 bits only; an odd factor scatters the seeds' sequences of steps over them.
    return torch.Generator().manual_seed((seed * 0x9E3779B1 + (parallel.rank() << 28) + step) & 0xFFFFFFFF)


def half_cosine(done: float) -> float:
    """Share of a learning rate, from 1 down to 0, after a share ``done`` in [0, 1] of the steps."""
    return 0.5 * (1 + math.cos(math.pi * done))


@torch.no_grad()
def update_ema(average: torch.nn.Module, net: torch.nn.Module, half_lives: float) -> None:
    """Moves a running average towards a network by so many half-lives; counters are copied.

    The norms' statistics are averages already: they follow slowly too, so that they fit the averaged weights.
    """
    beta = 0.5**half_lives
    torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1 - beta)
    for mean, new in zip(average.buffers(), net.buffers(), strict=True):
        mean.lerp_(new, 1 - beta) if mean.is_floating_point() else mean.copy_(new)


def save_state(run: Steps, path: Path) -> None:
    with replacing(path) as beside:  # a run that is killed while saving keeps its last state
        torch.save(run.state(), beside)


def resume(run: Steps, out: Path, log: Callable[[str], None]) -> None:
    """Goes on from ``out/state.pt`` when there is one."""
    path = out / "state.pt"
    if path.exists():
        run.restore(torch.load(path, map_location=run.device, weights_only=True))
        log(f"goes on at {run.shown} images")


class Clock:
    """Seconds of training, pauses left out: a step that a stopped process slept through counts as a usual one."""

    PAUSE = 10  # times the usual step

    def __init__(self):
        self.last, self.usual = time.monotonic(), 0.0

    def step(self) -> float:
        """Seconds of the step that has just ended."""
        now = time.monotonic()
        seconds, self.last = now - self.last, now
        if self.usual and seconds > self.PAUSE * self.usual:
            return self.usual
        self.usual += (0.1 if self.usual else 1.0) * (seconds - self.usual)
        return seconds

    def skip(self) -> None:
        """Leaves out what went by since the last step."""
        self.last = time.monotonic()


def train_until(
    run: Steps,
    images: int,
    out: Path,
    tick: int,
    report: Callable[[], dict],
    log: Callable[[str], None],
    minutes: float | None = None,
) -> None:
    """Steps until ``images`` are shown, the minutes are over, or SIGTERM or SIGINT comes.

    Each ``tick`` images, and at the end: the state, and one line in ``log.jsonl`` with what ``report()`` measures (its
    time does not count as training). The state is also saved every few minutes, for a machine that is switched off.
    """
    stop = []
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: stop.append(True))
    began = saved = time.monotonic()
    clock = Clock()
    shown_last, seconds_last = run.shown, run.seconds
    while run.shown < images:
        late = minutes is not None and time.monotonic() - began > minutes * 60
        if parallel.any_of(bool(stop) or late):
            break
        run.step()
        if parallel.rank():
            continue
        run.seconds += clock.step()
        if run.shown // tick != (run.shown - run.batch) // tick or run.shown >= images:
            rate = (run.shown - shown_last) / (run.seconds - seconds_last)
            save_state(run, out / "state.pt")
            line = {"images": run.shown, "seconds": round(run.seconds, 1), "images_per_second": round(rate, 1)}
            line |= report()
            with open(out / "log.jsonl", "a") as f:
                f.write(json.dumps(line) + "\n")
            log(" ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items()))
            shown_last, seconds_last = run.shown, run.seconds
            saved = time.monotonic()
            clock.skip()
        elif time.monotonic() - saved > SAVE_SECONDS:
            save_state(run, out / "state.pt")
            saved = time.monotonic()
            clock.skip()
    if not parallel.rank():
        save_state(run, out / "state.pt")
