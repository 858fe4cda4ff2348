"""Where the page's calls of pipelines run: in this process, or in replicas that Ray Serve holds (``--backend ray``).

This is the one seam. ``running.run`` and every function that ``running.in_worker`` marks ask ``elsewhere`` first; it
gives None while everything is local. What crosses is a function's name and its arguments, and back come its steps, so
that a visitor's session stays with the page. A replica calls the same function, and there it takes turns, has a time
limit and ends when its iterator is closed, as it does here.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import importlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weights.errors import UserError

LOST = "The machine that made this is gone, and what it had not handed over yet with it; press the button again."
NOT_INSTALLED = "--backend ray needs Ray: pip install -r requirements-ray.txt, or pip install 'ganbook[ray]'."
APPLICATION = "ganbook"
MAX_FOLDER = 44  # characters: a socket's path has 107 at most, of which Ray needs up to 62
ONGOING = 24  # calls that a replica has under way at most; two of them compute at a time (gpu.TURNS)

# Whose call it is, on a replica, where Gradio knows of no event: its id and the visitor's session.
WHOSE: contextvars.ContextVar[tuple[str | None, str | None] | None] = contextvars.ContextVar("whose", default=None)
_remote: RayServe | None = None


def elsewhere(function: Callable, arguments: tuple, whose: tuple[str | None, str | None]) -> Iterator | None:
    """The events of ``function(*arguments)`` from wherever it runs; None where that is here."""
    return None if _remote is None else _remote.call(f"{function.__module__}:{function.__qualname__}", arguments, whose)


def use(remote: RayServe | None) -> None:
    """From now on calls go there; None: they run here."""
    global _remote
    _remote = remote


@dataclass(frozen=True)
class Replicas:
    """How many there are, 1 to ``most``, as the calls under way ask for; and what each has of its machine.

    ``gpus`` may be a fraction: with 0.25 four replicas share a GPU.
    """

    least: int = 1
    most: int = 1
    cpus: float = 1
    gpus: float = 0

    @classmethod
    def parse(cls, text: str, cpus: float, gpus: float) -> Replicas:
        """``"2"`` or ``"1-8"``. Raises ValueError."""
        least, _, most = text.partition("-")
        made = cls(int(least), int(most or least), cpus, gpus)
        if not 1 <= made.least <= made.most or made.cpus < 0 or made.gpus < 0:
            raise ValueError(text)
        return made


class RayServe:
    """A running Ray Serve application of this program's replicas."""

    def __init__(self, handle):
        import ray

        self._handle, self._ray = handle, ray

    @classmethod
    def start(cls, replicas: Replicas) -> RayServe:
        """Joins the cluster of ``$RAY_ADDRESS``, or starts one on this machine, and has the replicas started.

        Ends the program with a sentence where Ray is not installed.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
        try:
            import ray
            from ray import serve
        except ImportError:
            sys.exit(NOT_INSTALLED)
        if not ray.is_initialized():
            local = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False, "_temp_dir": _sockets()}
            ray.init(log_to_driver=False, **local)
        serve.start(proxy_location="Disabled")  # the page is what visitors talk to
        return cls(serve.run(application(replicas), name=APPLICATION, route_prefix=None))

    def call(self, name: str, arguments: tuple, whose: tuple[str | None, str | None]) -> Iterator:
        """The events of a function on some replica; closing the iterator cancels it there. Raises UserError."""
        response = self._handle.options(method_name="call", stream=True).remote(name, arguments, whose)
        try:
            for kind, value in response:
                if kind == "refused":
                    raise UserError(value)
                yield value
        except (UserError, self._ray.exceptions.RayTaskError):
            raise  # the second is a fault of the function, which the log has to have
        except (self._ray.exceptions.RayError, OSError, RuntimeError) as error:
            raise UserError(LOST) from error
        finally:
            response.cancel()

    def states(self) -> list[dict[str, int]]:
        """What each replica is at, see ``Replica.state``."""
        return self._handle.broadcast("state").results()

    def stop(self) -> None:
        """Ends the replicas; the cluster stays if it was there before."""
        from ray import serve

        serve.delete(APPLICATION)


def application(replicas: Replicas):
    """The Ray Serve application; ``serve.run`` starts it."""
    from ray import serve

    options: dict[str, Any] = {
        "max_ongoing_requests": ONGOING,
        "health_check_period_s": 2,
        "ray_actor_options": {
            "num_cpus": replicas.cpus,
            "num_gpus": replicas.gpus,
            # Workers of this machine find this checkout; on others ganbook is installed.
            "runtime_env": {"env_vars": {"PYTHONPATH": _search_path(), **_settings()}},
        },
    }
    if replicas.most > replicas.least:
        options["autoscaling_config"] = {
            "min_replicas": replicas.least,
            "max_replicas": replicas.most,
            "target_ongoing_requests": 2,  # as many as compute at a time
        }
    else:
        options["num_replicas"] = replicas.least
    return serve.deployment(Replica, name="Replica", **options).bind()


def _sockets() -> str:
    """Where Ray keeps its sockets: beside the page's other files, unless their paths would be too long for sockets."""
    folder = os.path.join(tempfile.gettempdir(), "ray")
    if len(folder) > MAX_FOLDER:
        folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # noqa: S108  # nothing shorter is there everywhere
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _settings() -> dict[str, str]:
    """What this process was told that decides what a call gives: device, checkpoints, limits."""
    return {k: v for k, v in os.environ.items() if k.startswith("GANBOOK_") or k in ("HF_HUB_OFFLINE", "HF_HUB_CACHE")}


def _search_path() -> str:
    here = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))


class Replica:
    """Holds networks, as every process does that has loaded them, and runs what the page asks for."""

    def __init__(self) -> None:
        import pipelines.stylegan2  # noqa: F401  # torch, before the first visitor waits for it

        self._under_way = 0
        self._events = 0

    async def call(self, name: str, arguments: tuple, whose: tuple[str | None, str | None]) -> AsyncIterator:
        """The events of one call. Cancelling it ends the function after the step that it is in."""
        from . import gpu

        events: asyncio.Queue = asyncio.Queue()
        loop, stopped = asyncio.get_running_loop(), threading.Event()

        def say(kind: str, value: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(events.put_nowait, (kind, value))

        def work() -> None:
            WHOSE.set(whose)
            self._under_way += 1
            try:
                with closing(_marked(name)(*arguments)) as steps:
                    for event in steps:
                        self._events += 1
                        say("event", event)
                        if stopped.is_set():
                            return
                say("over", None)
            except UserError as error:
                say("refused", str(error))
            except BaseException as error:
                say("failed", error)
            finally:
                self._under_way -= 1

        threading.Thread(target=work, name=name, daemon=True).start()
        try:
            while True:
                kind, value = await events.get()
                if kind == "over":
                    return
                if kind == "failed":
                    raise value
                yield kind, value
                if kind == "refused":
                    return
        finally:
            stopped.set()
            gpu.TURNS.hurry(whose[1])  # to end, it has to come to its turn

    async def state(self) -> dict[str, int]:
        """What it is at: its process, calls under way, and events that it has made in all."""
        return {"process": os.getpid(), "under_way": self._under_way, "events": self._events}


def _marked(name: str) -> Callable[..., Iterator]:
    """A function of the page that computes, by the name under which ``elsewhere`` sent it."""
    module, _, function = name.partition(":")
    found = getattr(importlib.import_module(module), function)
    if not getattr(found, "computes", False):
        raise ValueError(f"{name} is not a function that computes")
    return found
