"""Training in several processes, each with its part of the batch: two of a thread are a quarter faster than one of two.

``python -m torch.distributed.run --standalone --nproc-per-node 2 -m training stylegan2 --threads 1 ...`` starts them;
without it every function here is that of a single process. For the CPU; gradients are averaged over gloo.
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist


def join(device: str) -> None:
    """Joins the other processes when ``torch.distributed.run`` has started them. Raises ValueError on a GPU."""
    if "RANK" not in os.environ or dist.is_initialized():
        return
    if device != "cpu":
        raise ValueError("several processes are for the CPU: give --device cpu, or start one")
    dist.init_process_group("gloo")


def leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def count() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """0 for the process that logs and saves."""
    return dist.get_rank() if dist.is_initialized() else 0


def share(batch: int) -> int:
    """This process's part of a batch. Raises ValueError when it does not divide."""
    if batch % count():
        raise ValueError(f"a batch of {batch} does not divide among {count()} processes")
    return batch // count()


def average_gradients(parameters) -> None:
    """Gives every process the mean of all processes' gradients."""
    if count() == 1:
        return
    with_gradient = [p for p in parameters if p.grad is not None]
    flat = torch.cat([p.grad.reshape(-1) for p in with_gradient])
    dist.all_reduce(flat)
    flat /= count()
    for p, part in zip(with_gradient, flat.split([p.numel() for p in with_gradient]), strict=True):
        p.grad.copy_(part.view_as(p))


def total(*numbers: float) -> list[float]:
    """Each number summed over the processes."""
    if count() == 1:
        return list(numbers)
    sums = torch.tensor(numbers, dtype=torch.float64)
    dist.all_reduce(sums)
    return sums.tolist()


def gathered(x: torch.Tensor) -> torch.Tensor:
    """The rows ``[N, ...]`` of every process one after another, the same in all of them; N must be the same in each."""
    if count() == 1:
        return x
    parts = [torch.empty_like(x) for _ in range(count())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def any_of(flag: bool) -> bool:
    """Whether it is so in any process: they stop together, or those that go on would wait for ever."""
    return total(float(flag))[0] > 0
