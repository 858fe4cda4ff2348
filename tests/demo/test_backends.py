"""``--backend ray``: a real cluster of two replicas on this machine gives the same pixels, stops, loses a replica."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from demo import backends, running
from demo.networks import Reference
from demo.running import PipelineCall
from demo.tabs.draggan import jobs as draggan
from weights.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
FACES = Reference("stylegan2/faces")
PATIENCE_S = 120


def until(what, *arguments):
    """Waits until something holds; a busy machine may take its time, a wrong one would take for ever."""
    begun = time.monotonic()
    while not (found := what(*arguments)):
        assert time.monotonic() - begun < PATIENCE_S, what
        time.sleep(0.05)
    return found


def sampled(seeds) -> list:
    *_, last = running.run(PipelineCall(FACES, "stylegan2.sample", {"seeds": seeds}))
    return last.value


@pytest.mark.parametrize(
    ("text", "expected"), [("2", (2, 2)), ("1-8", (1, 8)), ("1", (1, 1))], ids=["two", "a range", "one"]
)
def test_replicas_of_a_flag(text, expected):
    made = backends.Replicas.parse(text, 1, 0.25)
    assert (made.least, made.most) == expected and made.gpus == 0.25


@pytest.mark.parametrize("text", ["0", "3-2", "many", "", "1-", "-1"])
def test_replicas_that_make_no_sense(text):
    if text == "1-":
        assert backends.Replicas.parse(text, 1, 0).most == 1
        return
    with pytest.raises(ValueError):
        backends.Replicas.parse(text, 1, 0)


def test_calls_are_local_by_default():
    assert backends.elsewhere(running.run, (), (None, None)) is None


def test_only_marked_functions_can_be_called():
    assert backends._marked("demo.running:run") is running.run
    assert backends._marked("demo.tabs.draggan.jobs:pulled") is draggan.pulled
    for name in ("os:getpid", "demo.running:named", "demo.tabs.draggan.jobs:opened"):
        with pytest.raises(ValueError, match="not a function that computes"):
            backends._marked(name)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Ray itself, in processes of its own, with two replicas of one core each."""
    pytest.importorskip("ray", reason="Ray is not installed (pip install -r requirements-ray.txt)")
    import ray

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("GANBOOK_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.delenv("RAY_ADDRESS", raising=False)
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    made = backends.RayServe.start(backends.Replicas(2, 2, cpus=1))
    yield made
    made.stop()
    ray.shutdown()
    patch.undo()


@pytest.fixture
def remote(cluster, forgotten):
    backends.use(cluster)
    yield cluster
    backends.use(None)


def states(cluster) -> dict[int, dict]:
    """Of every replica, by its process; of none while one of them is being replaced."""
    import ray

    try:
        return {state["process"]: state for state in cluster.states()}
    except (ray.exceptions.RayError, RuntimeError):
        return {}


def test_the_same_pixels_as_here(remote):
    there = [sampled([seed]) for seed in range(1, 5)]
    drag = {"handles": [(64, 80)], "targets": [(70, 80)], "steps": 5}
    from pipelines import stylegan2

    w = stylegan2.latent(FACES.open(), 1)
    steps = list(draggan.pulled(FACES, w, None, drag))
    backends.use(None)
    for pictures, seed in zip(there, range(1, 5), strict=True):
        assert pictures[0].tobytes() == sampled([seed])[0].tobytes()
    for step, here in zip(steps, draggan.pulled(FACES, w, None, drag), strict=True):
        assert step.image.tobytes() == here.image.tobytes() and step.distance == here.distance


def test_both_replicas_work(remote):
    until(lambda: len(states(remote)) == 2)
    until(lambda: sampled([1]) and all(state["events"] for state in states(remote).values()))
    assert os.getpid() not in states(remote)


def test_what_is_wrong_is_the_same_sentence(remote):
    with pytest.raises(UserError, match="is not a seed"):
        sampled("abc")


def test_a_fault_is_no_sentence_for_visitors(remote):
    """It goes to the log with its traceback, as it does here."""
    with pytest.raises(Exception) as caught:
        list(draggan.pulled(FACES, None, None, {"nothing": 1}))
    assert not isinstance(caught.value, UserError) and "nothing" in str(caught.value)


def long_drag():
    from pipelines import stylegan2

    drag = {"handles": [(20, 20)], "targets": [(100, 100)], "steps": 2000, "patience": 2000, "stop_distance": 0.05}
    return draggan.pulled(FACES, stylegan2.latent(FACES.open(), 1), None, drag)


def test_stop_reaches_the_replica(remote):
    """After the step that it is in, and those that it makes while the word is on its way: of 2000, a few."""
    with closing(long_drag()) as steps:
        next(steps)
        [before] = [state["events"] for state in states(remote).values() if state["under_way"]]
    until(lambda: not any(state["under_way"] for state in states(remote).values()))
    made = max(state["events"] for state in states(remote).values()) - before
    print(f"steps from the last look to the end of a stopped drag: {made}")
    assert made < 400


def test_a_lost_replica_is_one_sentence_and_the_next_click_works(remote):
    steps = long_drag()
    next(steps)
    [busy] = [process for process, state in states(remote).items() if state["under_way"]]
    os.kill(busy, signal.SIGKILL)
    with pytest.raises(UserError) as caught:
        list(steps)
    assert str(caught.value) == backends.LOST
    assert len(sampled([1])) == 1
    until(lambda: len(states(remote)) == 2)  # and another one takes its place
    assert busy not in states(remote)
