"""Training in several processes gives each of them what one would have, and they start, stop and save as one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing

from training import loop, parallel

from . import stylegan2_helpers as one

ROOT = Path(__file__).resolve().parents[2]
if Path("/sys/class/net/lo").exists():  # a machine whose name leads nowhere has this one still
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")


def meet(rank: int, folder: Path, work) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    try:
        torch.save(work(rank), folder / f"{rank}.pt")
    finally:
        parallel.leave()


def steps() -> dict:
    run = one.stylegan2.StyleGAN2Run(
        one.options(ROOT, "--ada-target", "0.6", "--ada-images", "100", "--r1-every", "2"), one.blobs()
    )
    for _ in range(5):
        run.step()
    nets = {name: dict(getattr(run, name).named_parameters()) for name in ("G", "D", "G_ema")}
    tensors = {f"{name}.{k}": v.detach() for name, net in nets.items() for k, v in net.items()}
    return {"shown": run.shown, "p": run.ada.p, "tensors": tensors}


def agreed(rank: int) -> dict:
    a, b, c = (torch.nn.Parameter(torch.zeros(n)) for n in (3, 2, 1))
    a.grad, b.grad = torch.full((3,), float(rank)), torch.tensor([2.0, 4.0 * rank])
    parallel.average_gradients([a, b, c])
    return {
        "grads": [a.grad, b.grad],
        "none": c.grad is None,
        "total": parallel.total(rank + 1.0, 10.0),
        "any": [parallel.any_of(rank == 1), parallel.any_of(False)],
        "rows": parallel.gathered(torch.full((2, 1), float(rank))).tolist(),
        "rank": parallel.rank(),
        "share": parallel.share(8),
        "drawn": torch.rand(2, generator=loop.random_of_step(3, 7)).tolist(),
        "run": steps(),
    }


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list:
    """What two processes say: they take long to start, so they start once."""
    folder = tmp_path_factory.mktemp("two")
    multiprocessing.spawn(meet, (folder, agreed), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def test_what_two_processes_agree_on(two):
    first, second = two
    for found in (first, second):
        assert found["grads"][0].tolist() == [0.5] * 3 and found["grads"][1].tolist() == [2.0, 2.0]
        assert found["none"] and found["total"] == [3.0, 20.0] and found["any"] == [True, False]
        assert found["share"] == 4 and found["rows"] == [[0.0], [0.0], [1.0], [1.0]]
    assert (first["rank"], second["rank"]) == (0, 1)
    assert first["drawn"] == torch.rand(2, generator=loop.random_of_step(3, 7)).tolist()
    assert first["drawn"] != second["drawn"], "each process sees latents and photographs of its own"


def test_two_processes_stay_the_same_network(two, tmp_path):
    first, second = (said["run"] for said in two)
    assert first["shown"] == second["shown"] == 40 and first["p"] == second["p"] > 0
    assert all(torch.equal(v, second["tensors"][k]) for k, v in first["tensors"].items())
    alone = one.stylegan2.StyleGAN2Run(one.options(tmp_path), one.blobs())
    moved = {f"G.{k}": v for k, v in alone.G.named_parameters()}
    assert any((first["tensors"][k] - v).abs().max() > 1e-3 for k, v in moved.items()), "they have learnt"


def test_steps_of_other_seeds_are_others():
    drawn = {
        float(torch.rand(1, generator=loop.random_of_step(*at))) for at in ((0, 0), (0, 1), (1, 0), (1, 1), (7, 1))
    }
    assert len(drawn) == 5 and float(torch.rand(1, generator=loop.random_of_step(7, 1))) in drawn


def test_a_process_alone():
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.ones(2)
    parallel.average_gradients([weight])
    assert weight.grad.tolist() == [1, 1] and parallel.share(7) == 7 and parallel.total(1.5) == [1.5]
    assert parallel.gathered(weight) is weight
    assert parallel.count() == 1 and parallel.rank() == 0 and parallel.any_of(True) and not parallel.any_of(False)


def test_not_on_a_gpu(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ValueError, match="for the CPU"):
        parallel.join("cuda")
    monkeypatch.setattr(parallel, "count", lambda: 2)
    with pytest.raises(ValueError, match="a batch of 7 does not divide among 2 processes"):
        parallel.share(7)


def test_the_command_in_two_processes(tmp_path):
    """They go on where one process stopped, write one log, and stop together when they are told to."""
    source = one.folder_of(tmp_path, False)
    argv = ["stylegan2", "--data", str(source), "--out", str(tmp_path / "run"), "--resolution", "8", "--batch", "4"]
    argv += ["--channel-base", "32", "--channel-max", "4", "--z-dim", "4", "--w-dim", "4", "--mapping-layers", "1"]
    argv += ["--tick", "8", "--device", "cpu", "--threads", "1", "--metric-images", "0"]
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "training"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "training", *argv, "--images", "16"], cwd=ROOT, env=environment, check=True)
    running = subprocess.Popen([*two, *argv, "--images", "1000000"], cwd=ROOT, env=environment)
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and running.poll() is None and len(log.read_text().splitlines()) < 5:
        time.sleep(0.2)
    running.send_signal(signal.SIGTERM)
    running.wait(60)
    lines = [json.loads(line)["images"] for line in log.read_text().splitlines()]
    assert lines == list(range(8, 8 * len(lines) + 1, 8)) and len(lines) >= 5, "one line a tick, by one of them"
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["shown"] >= lines[-1] and not list((tmp_path / "run").glob(".state*"))
