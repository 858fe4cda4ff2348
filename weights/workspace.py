"""The folder for what a running page writes, and the end of what pages have left that were killed.

Every server has a folder of its own, beside those of others, and holds its lock for as long as it runs. The system lets
go of a lock however a process ends, so a folder whose lock can be had belongs to nobody any more.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "server-"


def use(base: Path | None = None) -> Path:
    """Makes this process keep its temporary files in a folder of its own, Gradio's among them; clears old ones away.

    Args:
        base: where the folders of all servers are; ``$GRADIO_TEMP_DIR``, else one in the system's folder for such.
    """
    base = base or _base()
    clear(base)
    lock, folder = _claimed(base)
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "gradio")
    atexit.register(_leave, folder, lock)
    return folder


def clear(base: Path) -> list[Path]:
    """Removes the folders of servers that do not run any more, and gives their paths."""
    gone = []
    for folder in sorted(base.glob(f"{PREFIX}*")):
        if not folder.is_dir():
            continue
        lock = FileLock(f"{folder}.lock")
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):  # it runs, or belongs to somebody else
            continue
        _leave(folder, lock)
        gone.append(folder)
    return gone


def _base() -> Path:
    stated = os.environ.get("GRADIO_TEMP_DIR")
    if stated:
        base = Path(stated)
        base.mkdir(parents=True, exist_ok=True)
        return base
    who = os.getuid() if hasattr(os, "getuid") else "user"
    base = Path(tempfile.gettempdir()) / f"ganbook-{who}"
    base.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and base.stat().st_uid != os.getuid():  # somebody was there before us, with our name
        return Path(tempfile.mkdtemp(prefix="ganbook-"))
    return base


def _claimed(base: Path) -> tuple[FileLock, Path]:
    """A new folder; it is locked before it is there, so that no other server takes it for an old one."""
    name = f"{PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    lock, folder = FileLock(base / f"{name}.lock"), base / name
    lock.acquire(timeout=0)
    folder.mkdir()
    return lock, folder


def _leave(folder: Path, lock: FileLock) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        Path(lock.lock_file).unlink()
    lock.release()
