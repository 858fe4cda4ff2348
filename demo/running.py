"""From a cell's wish to a pipeline's result, with the recipe that says how it was made."""

from __future__ import annotations

import functools
import importlib
import inspect
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from typing import Any

from models import device_of
from weights.errors import UserError

from . import backends, gpu, turns
from .networks import Reference

BEAT_S = 0.3  # seconds between two words of a call that gives its result at once


@dataclass(frozen=True)
class PipelineCall:
    """One call of a pipeline function, e.g. ``"stylegan2.sample"``, for a network.

    ``companions`` are further calls whose results are shown beside it (the header of a mixing grid).
    ``sha256``: of the checkpoint that a loaded recipe was made with.
    """

    network: Reference
    function: str
    arguments: dict
    output: dict | None = None
    companions: dict[str, tuple[str, dict]] = field(default_factory=dict)
    sha256: str | None = None


@dataclass(frozen=True)
class Started:
    """The call is valid and the network is there."""

    recipe: Any
    title: str
    resolution: int
    device: str


@dataclass(frozen=True)
class Step:
    """One item of a function that yields."""

    value: Any


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` parts of a result that comes at once are there."""

    done: int
    total: int


@dataclass(frozen=True)
class Finished:
    """The result (None where it came in steps), the companions' results, and the seconds that all took."""

    value: Any
    companions: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class _Refused:
    sentence: str


@dataclass(frozen=True)
class _TooLarge:
    """There was not enough memory beside what else is computed; the work begins again while nobody else computes."""


def run(wish: PipelineCall) -> Iterator[Started | Step | Progress | Finished]:
    """Does what is wished, step by step; closing the iterator stops the work. Raises UserError."""
    return backends.elsewhere(run, (wish,), _whose()) or _followed(_in_worker(wish))


def in_worker(work: Callable[..., Iterator]) -> Callable[..., Iterator]:
    """Decorates a generator function that computes: where it runs and for how long, with its UserErrors passed on.

    What goes in and what it yields is pickled on some machines. Closing the iterator stops the work.
    """
    guarded = gpu.accelerated(_guarded(work))

    @functools.wraps(work)
    def called(*args) -> Iterator:
        return backends.elsewhere(called, args, _whose()) or _followed(guarded(*args))

    called.computes = True
    return called


def _followed(events: Iterator) -> Iterator:
    if turns.current() is not None:  # part of a job that has its turn already
        for event in events:
            if not isinstance(event, _TooLarge):
                yield _checked(event)
        return
    with gpu.TURNS.job(*_whose()) as job, closing(events):
        for event in gpu.within(_step_by_step(events, job), gpu.time_limit(), lambda: job.seconds):
            yield _checked(event)


def _step_by_step(events: Iterator, job: turns.Job) -> Iterator:
    """Each step in a turn of its own."""
    with ExitStack() as alone:
        while True:
            with job.turn(), turns.within(job):
                event = next(events, _OVER)
            if event is _OVER:
                return
            if isinstance(event, _TooLarge):
                alone.enter_context(gpu.TURNS.one_at_a_time())
            else:
                yield event


def _checked(event):
    if isinstance(event, _Refused):
        raise UserError(event.sentence)
    return event


def _whose() -> tuple[str | None, str | None]:
    """The event that Gradio is at, and the visitor's session."""
    if (told := backends.WHOSE.get()) is not None:
        return told
    from gradio.context import LocalContext

    request = LocalContext.request.get(None)
    return LocalContext.event_id.get(None), getattr(request, "session_hash", None)


def _guarded(work: Callable[..., Iterator]) -> Callable[..., Iterator]:
    @functools.wraps(work)
    def guarded(*args) -> Iterator:
        handed_over = set()
        for last in (False, True):
            try:
                for event in work(*args):
                    if type(event) not in handed_over & {Started}:  # the second try says it again
                        handed_over.add(type(event))
                        yield event
                return
            except UserError as error:  # as a value, because a worker's exceptions lose their class on the way back
                yield _Refused(str(error))
                return
            except Exception as error:
                if not gpu.is_out_of_memory(error):
                    raise
            # Outside of the handler: the error holds the frames, and with them what fills the memory.
            gpu.release_memory()
            if handed_over - {Started, Progress}:
                yield _Refused(gpu.NO_MEMORY_LEFT)
            elif last:
                yield _Refused(gpu.NO_MEMORY)
            else:
                yield _TooLarge()
                continue
            return

    return guarded


def _work(wish: PipelineCall) -> Iterator:
    from pipelines import recipes

    started = time.perf_counter()
    net = wish.network.open()
    recipe = recipes.make(wish.function, net, output=wish.output, **wish.arguments)
    recipes.same_version(recipe.checkpoint, recipe.sha256, wish.sha256)
    device = device_of(net).type
    yield Started(recipe, wish.network.title or net.info.title, net.info.img_resolution, device)
    result = yield from with_progress(lambda: _call(recipe.function, net, recipe.arguments))
    if isinstance(result, Iterator):
        for value in result:
            yield Step(value)
        result = None
    companions = {}
    for name, (function, values) in wish.companions.items():
        companions[name] = yield from with_progress(lambda f=function, v=values: _call(f, net, v))
    yield Finished(result, companions, time.perf_counter() - started)


_OVER = object()


class _Stopped(BaseException):
    """Ends a call that nobody waits for any more; no handler of errors on the way may take it for one."""


def with_progress(call: Callable[[], Any]) -> Iterator[Progress]:
    """Does ``call`` in a thread of its own and yields a few times a second how far it is; returns its result.

    A call that cannot be left is a page on which Stop does nothing: closing this iterator ends the call after the part
    it is in, and waits for that, so that the lane is free when it says so.
    """
    from pipelines import progress

    events: queue.SimpleQueue = queue.SimpleQueue()
    stopped = threading.Event()
    job = turns.current()  # None where the accelerator has a process of its own
    far = Progress(0, 0)

    def hear(done: int, total: int) -> None:
        nonlocal far
        far = Progress(done, total)
        if job and not stopped.is_set():
            job.pass_on()
        if stopped.is_set():
            raise _Stopped

    def work(turn: Callable) -> None:
        try:
            with turn(), turns.within(job), progress.watched(hear):
                if stopped.is_set():
                    raise _Stopped
                result = call()
            events.put((result, None))
        except BaseException as error:
            events.put((None, error))

    with job.elsewhere() if job else nullcontext(nullcontext) as turn:
        thread = threading.Thread(target=work, args=(turn,), daemon=True)
        thread.start()
        try:
            while True:
                try:
                    result, error = events.get(timeout=BEAT_S)
                except queue.Empty:
                    yield far
                    continue
                if error is not None:
                    raise error
                return result
        finally:
            stopped.set()
            if job:
                job.hurry()  # to end, it has to come to its turn
            thread.join()


_in_worker = gpu.accelerated(_guarded(_work))
run.computes = True


def all_arguments(recipe) -> dict:
    """A recipe's arguments, and the function's defaults for what it does not say."""
    parameters = list(inspect.signature(_function(recipe.function)).parameters.values())[1:]
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {**{k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()}, **recipe.arguments}


def _call(function: str, net, arguments: dict):
    return _function(function)(net, **arguments)


def _function(name: str):
    module, name = name.split(".")
    return getattr(importlib.import_module(f"pipelines.{module}"), name)


def named(function: Callable, *names: Sequence[str]) -> Callable:
    """``function`` with a signature that Gradio can read, so that scripts see each control under its name."""

    @functools.wraps(function)
    def handle(*values):
        return (yield from function(*values))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind, default=None) for group in names for name in group]
    handle.__signature__ = inspect.Signature(parameters)
    return handle
