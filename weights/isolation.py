"""Asks the reader process for what is in a foreign file, and ends it when it takes too much or nobody waits any more.

On Linux one server process (see ``reader``) forks a child for each file; it starts with the first file, and goes when
it has had nothing to do for some minutes. Elsewhere each file has a process of its own, which loads torch anew.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import container, paths, reader, store
from .errors import TOO_LARGE, NoRoom, ReadingStopped, RefusedFile, UserError
from .reader import Limits

if TYPE_CHECKING:
    import torch

Alive = Callable[[], None]  # called while a file is read; what it raises ends the reading

READERS = 2  # files that are read at once, all visitors together
WAIT_S = 300.0  # for one of them
BEAT_S = 0.2  # seconds between two calls of ``alive``
STALE_S = 6 * 3600.0  # after which nobody reads a file any more
LOADING_S = 60.0  # that loading torch may take on a slow disk
GRACE_S = 10.0  # on top of what the server waits for a child, should it be the server that hangs
KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
KEPT += ("TEMP", "TMP", "TMPDIR", "LANG", "LC_ALL")
TOO_LONG = "Reading this file takes longer than a checkpoint of its size needs, so it was stopped."
DIED = "The process that read this file was ended before it was done, so the file is not used; try again, or another."
BUSY = "Other checkpoint files are being read at the moment; try again in a minute."
MB = 2**20
log = logging.getLogger(__name__)
_slots = threading.BoundedSemaphore(READERS)


def limits(size: int) -> Limits:
    """What reading a file of ``size`` bytes may take, far above what checkpoints need.

    A file in half precision doubles in memory, and its network is laid out once more beside it.
    """
    cpu_s = 15 + size // (16 * MB)
    return Limits(memory=4 * size + 256 * MB, output=4 * size + 64 * MB, cpu_s=cpu_s, wall_s=15.0 + 3 * cpu_s)


@contextlib.contextmanager
def converted(path: Path, part: str, limit: int, card: dict, alive: Alive | None = None) -> Iterator[dict[str, Path]]:
    """The parts of a checkpoint file as files of our own (see ``conversion.convert``), which go unless they are moved.

    They lie on the disk of the cache, or, where that is full or not to be written, where temporary files lie.

    Raises:
        RefusedFile: what is wrong with the file; ReadingStopped where a limit was met.
        NoRoom: there is no room for them anywhere.
        UserError: too many files are being read.
    """
    with _written("convert", path, {"part": part, "limit": limit, "card": card}, alive) as (folder, found):
        yield {name: folder / f"{name}.safetensors" for name in found["parts"]}


def directions(path: Path) -> dict[str, torch.Tensor]:
    """The arrays of a file of directions, by name (see ``conversion.directions``). Raises as ``converted``."""
    with _written("directions", path, {}, None) as (folder, found):
        # Copies, since the file that they are mapped from goes.
        stored = {name: value.clone() for name, value in container.read(folder / "directions.safetensors").items()}
    return {name: stored[str(i)] for i, name in enumerate(found["names"])}


@contextlib.contextmanager
def _written(task: str, path: Path, arguments: dict, alive: Alive | None) -> Iterator[tuple[Path, dict]]:
    """The folder in which a task has put its files, and what it said; the folder goes afterwards."""
    with contextlib.ExitStack() as stack:
        for base in (paths.cache() / "reading", Path(tempfile.gettempdir())):
            folder = (base / f"ganbook-{uuid.uuid4().hex}").absolute()
            try:
                folder.mkdir(mode=0o700, parents=True)
            except OSError:
                continue
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                found = ask(task, path, {**arguments, "folder": str(folder)}, alive)
            except NoRoom:
                continue
            yield folder, found
            return
        raise NoRoom(store.no_room(paths.cache()))


def ask(task: str, path: Path, arguments: dict, alive: Alive | None = None) -> dict:
    """One task of ``conversion`` for one file. Raises as ``converted``."""
    found = exchange(task, path, arguments, alive)
    for name, level, message in found.get("log", ()):
        logging.getLogger(name).log(level, "%s", message)
    if "done" in found:
        return found["done"]
    if "refused" in found:
        raise RefusedFile(found["refused"])
    if "full" in found:
        raise NoRoom(found["full"])
    raise ReadingStopped(found.get("stopped", DIED))


def exchange(task: str, path: Path, arguments: dict, alive: Alive | None = None) -> dict:
    """The answer as the reader gave it (see ``reader``); ``stopped`` also where it gave none."""
    path = Path(path).absolute()
    try:
        size = path.stat().st_size
    except OSError:
        raise RefusedFile("This file is not there any more; choose it again.") from None
    bounds = limits(size)
    request = {"task": task, "arguments": {"path": str(path), **arguments}, "limits": dataclasses.asdict(bounds)}
    alive = alive or (lambda: None)
    with _slot(alive):
        if FORKS:
            return _ask_server(request, alive, bounds.wall_s)
        return _ask_new_process(request, alive, bounds.wall_s)


def _sweep() -> None:
    """Removes what is left of readings whose page was ended from outside."""
    for folder in (paths.cache() / "reading").glob("ganbook-*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _slot(alive: Alive) -> Iterator[None]:
    until = time.monotonic() + WAIT_S
    while not _slots.acquire(timeout=BEAT_S):
        alive()
        if time.monotonic() > until:
            raise UserError(BUSY)
    try:
        yield
    finally:
        _slots.release()


def _start(*options: str, **streams) -> subprocess.Popen:
    """Starts a reader. It gets none of our secrets, and no accelerator."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    one_thread = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}
    return subprocess.Popen(
        [sys.executable, "-m", "weights.reader", *options],
        cwd=Path(__file__).resolve().parent.parent,
        env={**kept, **one_thread, "CUDA_VISIBLE_DEVICES": "", "MKL_THREADING_LAYER": "SEQUENTIAL"},
        start_new_session=os.name == "posix",  # Ctrl-C is for the page, which then ends it
        **streams,
    )


# -- Linux: a server that forks

FORKS = sys.platform == "linux"


class _Server:
    """Our end of the server process."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = _start("--serve", stdin=theirs, stdout=subprocess.DEVNULL)

    def usable(self) -> bool:
        return self.owner == os.getpid() and self.process.poll() is None

    def send(self, request: dict) -> int:
        """The file descriptor from which the answer can be read. Raises OSError."""
        source, output = os.pipe()
        try:
            socket.send_fds(self.control, [json.dumps(request).encode()], [output])
        except OSError:
            os.close(source)
            raise
        finally:
            os.close(output)
        return source

    def close(self) -> None:
        """Ends it, with all that it is reading."""
        self.control.close()
        if self.owner == os.getpid():
            try:
                self.process.wait(timeout=GRACE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


_server: _Server | None = None
_starting = threading.Lock()


def _running() -> _Server:
    global _server
    with _starting:
        if _server is None or not _server.usable():
            if _server is not None:
                _server.control.close()
            _sweep()
            _server = _Server()
        return _server


@atexit.register
def _close() -> None:
    if _server is not None:
        _server.close()


def _ask_server(request: dict, alive: Alive, wall_s: float) -> dict:
    for _try in range(2):  # the server may be going just now, because it had nothing to do
        server = _running()
        try:
            source = server.send(request)
        except OSError:
            server.close()
            continue
        try:
            lines = list(_lines(source, alive, wall_s))
        finally:
            os.close(source)  # a child that is still at it is ended by the server
        if lines:
            return lines[0] if "ended" not in lines[0] else {"stopped": _reason(**lines[0])}
        server.close()
    log.error("the process that reads checkpoint files cannot be started")
    raise UserError("The process that reads checkpoint files could not be started; see the log of ganbook.")


def _lines(source: int, alive: Alive, wall_s: float) -> Iterator[dict]:
    """The first line that is an answer or the news that there will be none; nothing where the server is gone."""
    data = b""
    until = time.monotonic() + wall_s + LOADING_S + GRACE_S
    while b"\n" not in data:
        if select.select([source], [], [], BEAT_S)[0]:
            block = os.read(source, 65536)
            if not block:
                return
            data += block
        elif time.monotonic() > until:
            yield {"ended": 0, "late": True}
            return
        alive()
    yield json.loads(data.split(b"\n")[0])


def _reason(ended: int, late: bool) -> str:
    if late or (hasattr(signal, "SIGXCPU") and ended == -signal.SIGXCPU):
        return TOO_LONG
    return TOO_LARGE if ended == reader.TOO_MUCH else DIED


# -- elsewhere: a process for each file


def _ask_new_process(request: dict, alive: Alive, wall_s: float) -> dict:
    process = _start(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    until = time.monotonic() + wall_s + LOADING_S
    given: bytes | None = json.dumps(request).encode()
    try:
        while True:
            try:
                output, _errors = process.communicate(given, timeout=BEAT_S)
                break
            except subprocess.TimeoutExpired:
                given = None
            alive()
            if time.monotonic() > until:
                return {"stopped": TOO_LONG}
    finally:
        process.kill()  # nothing happens where it is gone
        with process:  # waits for it, and closes what leads to it
            pass
    if not output.strip():
        return {"stopped": _reason(process.returncode, False)}
    return json.loads(output.splitlines()[0])
