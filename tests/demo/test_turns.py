"""Whose turn it is: quick jobs pass long ones, nobody waits for ever, and what is to stop comes first."""

from __future__ import annotations

import threading

import pytest

from demo import gpu, running, turns
from weights.errors import UserError

PATIENCE_S = 120  # that a thread may take for a moment's work on a busy machine


class Clock:
    """Time that passes when a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Runner:
    """A job in a thread of its own that makes a step of so many seconds whenever it has its turn and is told to."""

    def __init__(self, room: turns.Turns, name: str, order: list, event=None, owner=None):
        self.go, self.at, self.over = threading.Semaphore(0), threading.Semaphore(0), False
        self.room, self.name, self.order, self.whose = room, name, order, (event, owner)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self) -> None:
        with self.room.job(*self.whose) as self.job:
            self.at.release()
            while True:
                self.go.acquire()
                if self.over:
                    return
                with self.job.turn():
                    self.order.append(self.name)
                    self.at.release()
                    self.go.acquire()  # the step goes on until the test ends it
                self.at.release()

    def end(self) -> None:
        self.over = True
        self.go.release()
        self.thread.join(PATIENCE_S)


@pytest.fixture
def room():
    clock = Clock()
    made = turns.Turns(1, clock, oldest=0.0)
    made.clock = clock
    return made


@pytest.fixture
def start(room):
    started, order = [], []

    def of(name: str, **whose) -> Runner:
        runner = Runner(room, name, order, **whose)
        assert runner.at.acquire(timeout=PATIENCE_S)
        started.append(runner)
        return runner

    of.order = order
    yield of
    for runner in started:
        runner.end()


def step(room, runner: Runner, seconds: float) -> None:
    """A whole step of a job that nobody keeps from it."""
    runner.go.release()
    assert runner.at.acquire(timeout=PATIENCE_S)
    room.clock.now += seconds
    runner.go.release()
    assert runner.at.acquire(timeout=PATIENCE_S)


def wait(room, *runners: Runner) -> None:
    """All of them want their turn now."""
    for number, runner in enumerate(runners, 1):
        runner.go.release()
        while room.waiting < number:
            pass


def finish(room, runner: Runner, seconds: float = 0.1) -> None:
    room.clock.now += seconds
    runner.go.release()
    assert runner.at.acquire(timeout=PATIENCE_S)


def contest(room, start, *runners: Runner) -> str:
    """Who comes first of those that wait while another computes."""
    other = start("other")
    other.go.release()
    assert other.at.acquire(timeout=PATIENCE_S)
    wait(room, *runners)
    before = len(start.order)
    finish(room, other)
    for runner in runners:  # each comes to its turn and ends it
        while not any(r.at.acquire(timeout=0.01) for r in runners):
            pass
        first = next(r for r in runners if r.name == start.order[-1])
        first.go.release()
        assert first.at.acquire(timeout=PATIENCE_S)
        del runner
    return start.order[before]


def test_who_has_computed_least_comes_first(room, start):
    long, quick = start("long"), start("quick")
    step(room, long, 5.0)
    assert contest(room, start, long, quick) == "quick"


def test_the_older_comes_first_among_quick_ones(room, start):
    old = start("old")
    room.clock.now += 1
    young = start("young")
    step(room, old, 0.4)  # still of the first level
    assert contest(room, start, young, old) == "old"


def test_a_share_of_the_time_is_that_of_the_oldest(room, start):
    long, quick = start("long"), start("quick")
    step(room, long, 5.0)
    room._oldest, room._given = 0.4, {True: 0.0, False: 5.0}
    assert contest(room, start, long, quick) == "long"
    room._given = {True: 50.0, False: 60.0}  # it has had more than that
    step(room, quick, 0.0)
    assert contest(room, start, long, quick) == "quick"


def test_what_is_to_stop_comes_first(room, start):
    long, quick = start("long", owner="ann"), start("quick", owner="bob")
    step(room, long, 5.0)
    room.hurry("ann")
    assert contest(room, start, long, quick) == "long"
    room.hurry(None)  # of nobody
    assert not quick.job.urgent


def test_stop_is_no_way_to_the_front(room):
    with room.job(owner="ann") as job:
        for expected in (True, False):
            room.hurry("ann")
            assert job.urgent is expected
            with job.turn():
                room.clock.now += turns.HURRY_S


def test_what_an_event_has_computed_before_counts(room):
    with room.job("event") as job:
        with job.turn():
            room.clock.now += 7
    with room.job("event") as again, room.job("another") as other:
        assert again.seconds == 7 and other.seconds == 0


def test_only_so_many_at_once():
    room, inside, most = turns.Turns(2), [], []

    def work():
        with room.job() as job:
            for _ in range(50):
                with job.turn():
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(most) == 400 and max(most) <= 2 and room.waiting == 0


def test_a_turn_comes_back_after_a_failure(room):
    with pytest.raises(ValueError), room.job() as job, job.turn():
        raise ValueError
    with room.job() as job, job.turn():
        pass


def test_pictures_become_rarer(room):
    assert room.pace(0.1) == 0.1
    with room.job(), room.job(), room.job():
        assert room.pace(0.1) == pytest.approx(0.3)
        assert room.pace(0.9) == turns.SLOWEST_S and room.pace(3.0) == 3.0


# -- as the page computes


@pytest.fixture
def lane(monkeypatch):
    made = turns.Turns(1)
    monkeypatch.setattr(gpu, "TURNS", made)
    return made


def test_each_step_is_a_turn(lane):
    @running.in_worker
    def steps(count):
        for number in range(count):
            assert turns.current() is not None
            yield number

    made = steps(3)
    assert next(made) == 0 and lane._free == 1, "whoever shows a step does not keep the turn"
    assert list(made) == [1, 2] and turns.current() is None


def test_a_refusal_gives_the_turn_back(lane):
    @running.in_worker
    def refused():
        yield 1
        raise UserError("No.")

    with pytest.raises(UserError, match="No."):
        list(refused())
    assert lane._free == 1


def test_a_call_that_gives_its_result_at_once_computes_elsewhere(lane):
    from pipelines import progress

    seen = []

    def call():
        for number in range(3):
            seen.append(lane._free)
            progress.passed(number, 3)
        return "done"

    @running.in_worker
    def work():
        result = yield from running.with_progress(call)
        yield result

    assert list(work())[-1] == "done"
    assert seen == [0, 0, 0] and lane._free == 1


def test_leaving_such_a_call_ends_it_and_gives_the_turn_back(lane, monkeypatch):
    from pipelines import progress

    monkeypatch.setattr(running, "BEAT_S", 0.01)
    over = threading.Event()

    def call():
        try:
            while True:
                progress.passed(1, 2)
        finally:
            over.set()

    @running.in_worker
    def work():
        yield from running.with_progress(call)

    going = work()
    next(going)
    going.close()
    assert over.wait(5) and lane._free == 1 and lane.waiting == 0


def test_waiting_is_not_held_against_anybody(lane, monkeypatch):
    """The time that is allowed is that of computing."""
    import time

    monkeypatch.setenv("GANBOOK_TIME_LIMIT", "0.2")

    @running.in_worker
    def steps():
        yield 1
        yield 2

    made = steps()
    next(made)
    time.sleep(0.3)
    assert next(made) == 2
