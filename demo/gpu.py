"""Who may use the accelerator, how many at once, and for how long. Here and on Hugging Face's shared ZeroGPU machines.

On ZeroGPU a function gets a GPU only while it runs, in a process of its own, if it is marked with ``spaces.GPU``; what
goes in and comes out is pickled. Everywhere else the mark does nothing.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from weights.errors import UserError

from . import turns, zero_gpu

ON_ZERO_GPU = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true", "yes")
if ON_ZERO_GPU:
    import spaces  # has to come before torch

# How many compute at the same time; more would only slow each other down.
TURNS = turns.Turns(2)
# What every event that computes is wired with. So many may be under way, of which ``TURNS`` lets two compute at a time:
# a long one must not keep the quick ones waiting. ZeroGPU has a queue of its own.
LANE = {"concurrency_id": "gpu", "concurrency_limit": 2 if ON_ZERO_GPU else 24}
# Events waiting at most, all visitors together; the next one is told that the queue is full.
QUEUE = 64
# Long enough for tuning a network of 1024 px on two cores; without an end, two calls would close the page.
LIMIT_S, SPACE_LIMIT_S = 900.0, 180.0


NO_MEMORY = (
    "There is not enough memory for this, not even while nobody else computes; ask for fewer or smaller pictures, or"
    " choose a smaller network."
)
NO_MEMORY_LEFT = (
    "The memory was full, so this ended early; what was made so far is still there, and you can go on from it in a"
    " moment, or choose a smaller network."
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a GPU's or the machine's memory was not enough."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch may not be loaded
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def release_memory() -> None:
    """Gives back what PyTorch keeps of a GPU's memory for later, and what Python no longer needs."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def pace(seconds: float) -> float:
    """Seconds between two pictures of what goes on, for ``seconds`` where nobody has to wait."""
    return TURNS.pace(seconds)


def accelerated(function: Callable) -> Callable:
    """Marks what needs the GPU; ``function`` takes and yields only what can be pickled."""
    return spaces.GPU(duration=functools.partial(zero_gpu.seconds, function))(function) if ON_ZERO_GPU else function


def unasked() -> bool:
    """Whether cells may compute before anyone has asked: unless ``$GANBOOK_UNASKED`` is 0, and not on ZeroGPU."""
    return not ON_ZERO_GPU and os.environ.get("GANBOOK_UNASKED") != "0"


def time_limit() -> float | None:
    """Seconds that a call may run: ``$GANBOOK_TIME_LIMIT`` (0 for None, no limit), else ``LIMIT_S``, on Spaces less."""
    usual = SPACE_LIMIT_S if os.environ.get("SPACE_ID") else LIMIT_S
    try:
        return float(os.environ.get("GANBOOK_TIME_LIMIT", usual)) or None
    except ValueError:
        return usual


def within(steps: Iterable, seconds: float | None, spent: Callable[[], float] | None = None) -> Iterator:
    """Passes ``steps`` on until the time is up; then raises UserError. ``spent``: seconds so far, else the clock's."""
    started = time.perf_counter()
    spent = spent or (lambda: time.perf_counter() - started)
    for step in steps:
        yield step
        if seconds is not None and spent() > seconds:
            raise UserError(f"This took longer than the {seconds:g} seconds allowed here; ask for less at a time.")
