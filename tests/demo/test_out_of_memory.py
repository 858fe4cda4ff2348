"""A full GPU: smaller, then later, then a sentence. The memory is simulated; the errors are PyTorch's own class."""

from __future__ import annotations

import functools
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from demo import gpu, running
from demo.networks import Reference
from demo.running import PipelineCall
from models.stylegan2 import SynthesisNetwork
from pipelines import stylegan2
from weights import paths
from weights.errors import UserError

FACES = Reference("stylegan2/faces")


@pytest.fixture(autouse=True)
def small_networks(shelf, monkeypatch, forgotten):
    monkeypatch.setattr(paths, "EMBEDDED", shelf)


class Memory:
    """Has room for so many that compute at once; one more is PyTorch's error."""

    def __init__(self, room: int):
        self.room, self.used, self.most, self.refused, self.lock = room, 0, 0, 0, threading.Lock()

    def filled(self, forward):
        @functools.wraps(forward)
        def full(*args, **kwargs):
            with self.lock:
                self.used += 1
                self.most = max(self.most, self.used)
                fits = self.used <= self.room
                self.refused += not fits
            try:
                if not fits:
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
                time.sleep(0.05)  # long enough to meet another one
                return forward(*args, **kwargs)
            finally:
                with self.lock:
                    self.used -= 1

        return full


def sampled(seed: int) -> list:
    return list(running.run(PipelineCall(FACES, "stylegan2.sample", {"seeds": [seed]})))


def test_of_eight_visitors_at_once_nobody_is_turned_away(monkeypatch):
    expected = {seed: stylegan2.sample(FACES.open(), [seed])[0].tobytes() for seed in range(8)}
    memory = Memory(1)
    monkeypatch.setattr(SynthesisNetwork, "forward", memory.filled(SynthesisNetwork.forward))
    with ThreadPoolExecutor(8) as visitors:
        made = dict(zip(range(8), visitors.map(sampled, range(8)), strict=True))
    for seed, events in made.items():
        assert events[-1].value[0].tobytes() == expected[seed]
        assert sum(isinstance(event, running.Started) for event in events) == 1
    assert memory.refused > 0, "it was never full, so nothing was tested"
    assert not gpu.TURNS._narrow, "two compute at once again afterwards"


def test_what_does_not_fit_by_itself_is_said(monkeypatch):
    memory = Memory(0)
    monkeypatch.setattr(SynthesisNetwork, "forward", memory.filled(SynthesisNetwork.forward))
    with pytest.raises(UserError) as caught:
        sampled(1)
    assert str(caught.value) == gpu.NO_MEMORY and memory.refused == 2


def test_steps_that_were_shown_are_kept(monkeypatch):
    """A walk whose memory is gone in the middle does not begin again behind the visitor's back."""
    frames = iter([True, True, False])

    def walk(*_args, **_kwargs):
        for fits in frames:
            if not fits:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            yield object()

    walk.__signature__ = inspect.signature(stylegan2.interpolate)
    monkeypatch.setattr(stylegan2, "interpolate", walk)
    seen = []
    with pytest.raises(UserError) as caught:
        for event in running.run(PipelineCall(FACES, "stylegan2.interpolate", {"seeds": [1, 2]})):
            seen.append(event)
    assert str(caught.value) == gpu.NO_MEMORY_LEFT
    assert sum(isinstance(event, running.Step) for event in seen) == 2


def test_a_gallery_is_made_in_smaller_parts(monkeypatch):
    net = FACES.open()
    expected = stylegan2.sample(net, range(11))
    whole, sizes = type(net.synthesis).forward, []

    def narrow(self, ws, *args, **kwargs):
        if len(ws) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        sizes.append(len(ws))
        return whole(self, ws, *args, **kwargs)

    monkeypatch.setattr(type(net.synthesis), "forward", narrow)
    made = stylegan2.sample(net, range(11))
    assert max(sizes) > 1 and sum(sizes) == len(made) == 11
    for one, other in zip(made, expected, strict=True):
        assert np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 1


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory"), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_which_errors_those_are(error, full):
    assert gpu.is_out_of_memory(error) is full


def test_one_at_a_time_waits_for_whoever_computes():
    from demo.turns import Turns

    turns, inside, most = Turns(2), 0, 0
    first, lock = threading.Event(), threading.Lock()

    def compute():
        nonlocal inside, most
        with turns.job() as job:
            for _ in range(5):
                with job.turn():
                    with lock:
                        inside += 1
                        most = max(most, inside)
                    first.set()
                    time.sleep(0.005)
                    with lock:
                        inside -= 1

    with turns.one_at_a_time():
        threads = [threading.Thread(target=compute) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 1
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: compute(), range(4)))
    assert most == 2
