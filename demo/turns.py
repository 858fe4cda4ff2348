"""Whose turn it is to compute, when more visitors want something than there are cores.

A job is what one event of the page computes. It takes a turn for each of its steps. Most of the time goes to whoever
has computed least so far (least attained service, by levels: up to half a second, up to one, two, four, ...; within a
level the older comes first). Nobody has to say how long a job will be: what is quick is over before it falls behind.
The rest of the time goes to the oldest job, whatever it has had, so that a long search comes to its end, too.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

FIRST_S = 0.5  # seconds of computing of the first level; each further level is twice as long
OLDEST = 0.6  # share of the time that goes to the oldest job
HURRY_S = 1.0  # seconds of computing for which a job comes first that is to stop
REMEMBERED = 512  # jobs that are over whose event may have another one
SLOWEST_S = 1.0  # a picture of what goes on is shown at least this often, however many wait
_here = threading.local()


class Job:
    """What one event computes; made by ``Turns.job``. ``seconds`` is how long it has computed.

    Its steps may be made by one thread after another; while it works in a thread of its own (``elsewhere``), only that
    thread takes turns.
    """

    def __init__(self, turns: Turns, owner: Hashable, born: float, seconds: float):
        self._turns, self.owner, self.born, self.seconds = turns, owner, born, seconds
        self._hurried_until: float | None = None  # seconds of computing up to which it comes first
        self._since = 0.0
        self._held: object | None = None  # stands for the turn that it has
        self._elsewhere = self._as_oldest = False
        self._granted = threading.Event()

    @property
    def urgent(self) -> bool:
        return self._hurried_until is not None and self.seconds < self._hurried_until

    def hurry(self) -> None:
        """It comes first for a little while, so that it can end; once, or Stop would be a way to the front."""
        if self._hurried_until is None:
            self._hurried_until = self.seconds + HURRY_S

    @property
    def level(self) -> int:
        """0 for what has computed little; the lowest comes first."""
        return 0 if self.seconds <= FIRST_S else math.ceil(math.log2(self.seconds / FIRST_S))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for the turn, and has it inside; while the work is elsewhere, nothing has to be waited for."""
        if self._elsewhere:
            yield
        else:
            with self._turn():
                yield

    @contextmanager
    def elsewhere(self) -> Iterator[Callable]:
        """Inside, a thread of its own does the work: it gets the ``turn`` that this one gives away."""
        if self._held is not None:
            self._turns._give_back(self)
        self._elsewhere = True
        try:
            yield self._turn
        finally:
            self._elsewhere = False

    def pass_on(self) -> None:
        """Inside a turn, between two parts: whoever comes first now goes on."""
        if self._turns.waiting:
            mine = self._held
            self._turns._give_back(self)
            self._turns._take(self)
            self._held = mine

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self._turns._take(self)
        self._held = mine = object()
        try:
            yield
        finally:
            if self._held is mine:
                self._turns._give_back(self)


class Turns:
    """``at_once``: how many compute at the same time; ``oldest``: the share of the time that goes to the oldest job."""

    def __init__(self, at_once: int, clock: Callable[[], float] = time.perf_counter, oldest: float = OLDEST):
        self._lock, self._clock, self._free = threading.Lock(), clock, at_once
        self._at_once, self._oldest, self._narrow = at_once, oldest, 0
        self._given = {True: 0.0, False: 0.0}  # seconds, to the oldest job and to those that had computed least
        self._waiting: list[Job] = []
        self._live: set[Job] = set()
        self._past: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @contextmanager
    def job(self, event: Hashable = None, owner: Hashable = None) -> Iterator[Job]:
        """A job. What the same ``event`` has computed before counts; ``owner`` is for ``hurry``."""
        with self._lock:
            born, seconds = self._past.pop(event, None) or (self._clock(), 0.0)
            job = Job(self, owner, born, seconds)
            self._live.add(job)
        try:
            yield job
        finally:
            with self._lock:
                self._live.discard(job)
                if event is not None:
                    self._past[event] = (job.born, job.seconds)
                    while len(self._past) > REMEMBERED:
                        self._past.popitem(last=False)

    @contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Inside nobody computes beside anybody else, from the next turn on: for work that needs all the memory."""
        with self._lock:
            self._narrow += 1
        try:
            yield
        finally:
            with self._lock:
                self._narrow -= 1
                self._grant()

    def hurry(self, owner: Hashable) -> None:
        """The owner's jobs come first for a little while, so that one that is to stop can do so."""
        with self._lock:
            for job in self._live:
                if owner is not None and job.owner == owner:
                    job.hurry()

    def awaited(self, owner: Hashable) -> bool:
        """Whether a job of the owner has not had a turn yet."""
        with self._lock:
            return any(job.owner == owner and not job.seconds for job in self._waiting)

    def pace(self, seconds: float) -> float:
        """Seconds between two pictures of what goes on, ``seconds`` where nobody has to wait.

        Of many jobs that take turns each is slower, and pictures cost time too: a job shows as many as it would alone.
        """
        return max(seconds, min(SLOWEST_S, seconds * len(self._live) / self._at_once))

    def _take(self, job: Job) -> None:
        with self._lock:
            job._granted.clear()
            self._waiting.append(job)
            self._grant()
        job._granted.wait()
        job._since = self._clock()

    def _give_back(self, job: Job) -> None:
        with self._lock:
            spent = self._clock() - job._since
            job.seconds += spent
            self._given[job._as_oldest] += spent
            job._held = None
            self._free += 1
            self._grant()

    def _grant(self) -> None:
        while self._waiting and self._free > (self._at_once - 1 if self._narrow else 0):
            by_age = self._given[True] * (1 - self._oldest) < self._given[False] * self._oldest
            first = min(self._waiting, key=lambda j: (not j.urgent, 0 if by_age else j.level, j.born))
            first._as_oldest = by_age
            self._waiting.remove(first)
            self._free -= 1
            first._granted.set()


def current() -> Job | None:
    """The job whose turn this thread has."""
    return getattr(_here, "job", None)


@contextmanager
def within(job: Job | None) -> Iterator[None]:
    """``job`` is the current one of this thread inside."""
    before, _here.job = current(), job
    try:
        yield
    finally:
        _here.job = before
