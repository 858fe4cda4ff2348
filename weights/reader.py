"""The process in which foreign files are read, so that the page's own never is at the mercy of one.

``python -m weights.reader`` reads one request from its input and answers on its output. ``--serve`` (Linux) loads
torch once and forks a child for each request that comes over the socket which is its standard input; a request brings
the file descriptor on which its answer is wanted. Either way the process that reads the file has limits of memory,
processor time and file size; the server also ends a child that takes too long, and one whose answer nobody waits for.

A request: ``{"task", "arguments", "limits"}``, see ``conversion`` and ``Limits``. An answer is one line of JSON: one of
``done``, ``refused`` (a sentence), ``stopped`` (a sentence: a limit was met) and ``full`` (a sentence: no room on the
disk), beside it ``used`` and ``log``. The server adds a line ``{"ended": status, "late": bool}``.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import BinaryIO

from .errors import TOO_LARGE, NoRoom, ReadingStopped, UserError

IDLE_S = 300.0  # after which a server with nothing to do goes, and its memory with it
TOO_MUCH = 77  # status of a process that took too much memory
NICE = 5  # visitors' pictures come first


_PAGES = "/proc/self/statm"


@dataclass(frozen=True)
class Limits:
    """What reading one file may take. ``memory`` is counted above what the process has when it begins."""

    memory: int  # bytes
    output: int  # bytes of a file that it writes
    cpu_s: int
    wall_s: float


# -- one file


def answer(request: dict) -> dict:
    """Does what is asked. Every failure is a sentence in the answer."""
    from . import conversion

    heard = _Heard()
    logging.getLogger("weights").addHandler(heard)
    try:
        task = {"convert": conversion.convert, "directions": conversion.directions}[request["task"]]
        found = {"done": task(**request["arguments"])}
    except ReadingStopped as error:
        found = {"stopped": str(error)}
    except NoRoom as error:
        found = {"full": str(error)}
    except UserError as error:
        found = {"refused": str(error)}
    except MemoryError:
        found = {"stopped": TOO_LARGE}
    except OSError as error:
        if error.errno == errno.ENOSPC:
            found = {"full": "The disk is full; make room on it and try again."}
        elif error.errno == errno.EFBIG:  # the limit of what it writes
            found = {"stopped": TOO_LARGE}
        else:
            raise
    finally:
        logging.getLogger("weights").removeHandler(heard)
    return {**found, "log": heard.records}


class _Heard(logging.Handler):
    """Keeps what is logged, for the process that asked."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[list] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.records) < 20:
            self.records.append([record.name, record.levelno, self.format(record)[-4000:]])


def work(request: dict, output: int) -> None:
    """Answers a request on a file descriptor, within the limits that it states."""
    before, started = _memory(), time.process_time()
    limit(Limits(**request["limits"]))
    gc.disable()  # the process ends soon, and looking through what a file made of it takes longer than reading it
    found = answer(request)
    used = {"seconds": time.process_time() - started, "bytes": _memory(peak=True) - before}
    _send(output, {**found, "used": used})


def _send(output: int, message: dict) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(output, data) :]


def _memory(peak: bool = False) -> int:
    """Bytes of this process in memory, now or at most so far; 0 where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            rows = dict(row.split(":", 1) for row in file if ":" in row)
        return int(rows["VmHWM" if peak else "VmRSS"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return 0


def limit(limits: Limits) -> None:
    """Binds this process to limits, as far as the system has them: Linux all, macOS time, Windows none.

    Where memory cannot be limited, a thread watches it and ends the process.
    """
    try:
        import resource
    except ImportError:  # Windows: the process that asked ends this one when its time is over
        return

    def bound(kind: str, value: int, hard: int | None = None) -> None:
        with contextlib.suppress(AttributeError, ValueError, OSError):  # the system does not have it
            resource.setrlimit(getattr(resource, kind), (value, value if hard is None else hard))

    bound("RLIMIT_CORE", 0)
    bound("RLIMIT_CPU", limits.cpu_s, limits.cpu_s + 2)  # the first with a signal that says why
    bound("RLIMIT_FSIZE", limits.output)
    with contextlib.suppress(OSError):
        os.nice(NICE)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")  # should memory end nevertheless, this process goes, and not the page's
    try:
        with open(_PAGES, encoding="ascii") as file:
            pages = [int(n) for n in file.read().split()]
    except (OSError, ValueError):
        pages = []
    if len(pages) > 5:
        page = resource.getpagesize()
        bound("RLIMIT_DATA", pages[5] * page + limits.memory)
        bound("RLIMIT_AS", pages[0] * page + 2 * limits.memory)  # mapped files are in it, too
        bound("RLIMIT_NPROC", 0)  # nor does it start anything
        return
    unit = 1 if sys.platform == "darwin" else 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit + limits.memory

    def watch() -> None:
        while resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit < most:
            time.sleep(0.05)
        os._exit(TOO_MUCH)

    threading.Thread(target=watch, daemon=True).start()


# -- one process for each file, forked


class _Child:
    def __init__(self, output: int, wall_s: float):
        self.output, self.deadline, self.late = output, time.monotonic() + wall_s, False


def serve(control: socket.socket) -> None:
    """Forks a child for each request until the other end of ``control`` closes, or nothing was asked for a while."""
    _load_everything()
    gc.collect()
    gc.freeze()  # so that children do not copy pages for the sake of counting references
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_args: None)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(woken, select.POLLIN)
    children: dict[int, _Child] = {}
    asked = time.monotonic()
    while True:
        now = time.monotonic()
        until = min((child.deadline for child in children.values() if not child.late), default=asked + IDLE_S)
        for fd, _event in poll.poll(max(0, until - now) * 1000 + 1):
            if fd == woken:
                os.read(woken, 4096)
            elif fd == control.fileno():
                message, outputs, _flags, _address = socket.recv_fds(control, 2**17, 1)
                if not message:
                    for pid in children:
                        os.kill(pid, signal.SIGKILL)
                    return
                asked = time.monotonic()
                request = json.loads(message)
                pid = os.fork()
                if pid == 0:
                    _become_child(request, outputs[0], control, (woken, wake), children)
                children[pid] = _Child(outputs[0], request["limits"]["wall_s"])
                poll.register(outputs[0], 0)
            else:  # nobody waits for this answer any more
                poll.unregister(fd)
                os.kill(next(pid for pid, child in children.items() if child.output == fd), signal.SIGKILL)
        for pid, child in children.items():
            if not child.late and time.monotonic() >= child.deadline:
                child.late = True
                os.kill(pid, signal.SIGKILL)
        _reap(children, poll)
        if not children and time.monotonic() >= asked + IDLE_S:
            return


def _reap(children: dict[int, _Child], poll) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        child = children.pop(pid)
        try:
            poll.unregister(child.output)
        except KeyError:
            pass
        try:
            _send(child.output, {"ended": os.waitstatus_to_exitcode(status), "late": child.late})
        except OSError:  # nobody listens
            pass
        os.close(child.output)


def _become_child(request: dict, output: int, control: socket.socket, pipes: tuple, others: dict) -> None:
    """The rest of a child's life."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        for fd in (*pipes, *(child.output for child in others.values())):
            os.close(fd)
        work(request, output)
        status = 0
    except BaseException as error:
        print(f"weights.reader: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _load_everything() -> None:
    """What any child may need, so that none has to load it."""
    import models

    from . import conversion  # noqa: F401

    models.all_stored()


# -- one process for one file


def once(source: BinaryIO, output: int) -> None:
    from . import conversion  # noqa: F401, what is loaded counts as there before the file

    work(json.loads(source.read()), output)


if __name__ == "__main__":
    if "--serve" in sys.argv[1:]:
        serve(socket.socket(fileno=0))
    else:
        once(sys.stdin.buffer, sys.stdout.fileno())
