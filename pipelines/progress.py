"""How far a long call is, told to whoever watches it; the watcher may end the call by raising.

Functions that give one result at the end (a gallery, a grid) say ``passed(done, total)`` after each part. Whoever
called them inside ``watched(hook)`` hears it; without a watcher nothing happens. Watchers belong to their thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_watchers = threading.local()


def passed(done: int, total: int) -> None:
    """``done`` of ``total`` parts are there."""
    hook = getattr(_watchers, "hook", None)
    if hook is not None:
        hook(done, total)


@contextmanager
def watched(hook: Callable[[int, int], None]) -> Iterator[None]:
    """Calls ``hook(done, total)`` for the parts that this thread makes inside; what it raises ends the call."""
    before = getattr(_watchers, "hook", None)
    _watchers.hook = hook
    try:
        yield
    finally:
        _watchers.hook = before
