"""Calls that report by a callback, as iterators: what a library's optimiser finds can be shown, and it can be stopped.

The call runs in a thread of its own, but never beside whoever reads: it waits at each report until the next is asked
for. So nothing is computed that nobody wants, and nothing runs on after the iterator is closed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class _Closed(BaseException):
    """Ends the call from within its report; no ``except Exception`` on the way may mistake it for a failure."""


def iterate(call: Callable[[Callable[[T], None]], None], name: str = "stepwise") -> Iterator[T]:
    """What ``call(report)`` reports, one after another; closing the iterator ends the call at its next report.

    What the call raises comes out of the iterator.
    """
    asked, told = threading.Semaphore(0), threading.Semaphore(0)
    box: list = []
    closed = ended = False

    def report(value: T) -> None:
        box.append(value)
        told.release()
        asked.acquire()
        if closed:
            raise _Closed

    def work() -> None:
        nonlocal ended
        try:
            asked.acquire()
            if not closed:
                call(report)
        except _Closed:
            pass
        except BaseException as error:
            box.append(error)
        finally:
            ended = True
            told.release()

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        while True:
            asked.release()
            told.acquire()
            if ended:
                if box:
                    raise box.pop()
                return
            yield box.pop()
    finally:
        closed = True
        asked.release()
        thread.join()
