"""How much memory this machine lends, how much a value holds, and how freed memory goes back to the system."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import types
from pathlib import Path
from typing import Any

from PIL import Image

MB = 2**20
# A container's limit counts where it is below what the machine has: cgroup v2, then v1.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
M_ARENA_MAX = -8  # of glibc's mallopt
ARENAS = 4


def total() -> int:
    """Bytes of memory that this process may use at most."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # no such question on this system
        found = 8 * 1024 * MB
    for path in LIMITS:
        try:
            found = min(found, int(Path(path).read_text()))
        except (OSError, ValueError):  # no container, or "max"
            pass
    return found


def held(value: Any, seen: set[int] | None = None) -> int:
    """About how many bytes a value keeps alive: pictures, arrays, tensors, bytes and text in it, however deep.

    What is shared by all (classes, functions, modules) counts nothing; what is found twice counts once. ``seen``: ids
    of what was counted before.
    """
    seen = set() if seen is None else seen
    found, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if one is None or isinstance(one, (bool, int, float, type, types.FunctionType, types.ModuleType)):
            continue
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, (str, bytes, bytearray)):
            found += sys.getsizeof(one)
        elif isinstance(one, Image.Image):
            found += one.width * one.height * (4 if len(one.getbands()) > 1 else 1)  # Pillow keeps RGB in four bytes
        elif isinstance(getattr(one, "nbytes", None), int):  # arrays and tensors
            found += one.nbytes
        elif isinstance(one, dict):
            found += sys.getsizeof(one)
            waiting += one.keys()
            waiting += one.values()
        elif isinstance(one, (list, tuple, set, frozenset)):
            found += sys.getsizeof(one)
            waiting += one
        else:
            waiting += getattr(one, "__dict__", {}).values()
    return found


def _libc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None)
        return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None
    except OSError:
        return None


def settle() -> None:
    """Before threads are started: few heaps for all of them.

    glibc gives each of the page's forty threads a heap of its own (up to eight for each core), and each of them keeps
    the most that its thread ever needed: one large photograph in each is gigabytes that nobody uses.
    """
    if (libc := _libc()) is not None:
        libc.mallopt(M_ARENA_MAX, ARENAS)


def started() -> None:
    """When all is imported: what lives as long as the program is not searched any more for what nobody needs."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Frees what nobody needs, and gives it back to the system.

    Objects that hold each other, such as an error and the frames that it passed, with a photograph among them, wait for
    Python's collector, which a page that is at rest never calls. glibc gives back what lies at the end of a heap only.
    """
    gc.collect()
    if (libc := _libc()) is not None:
        libc.malloc_trim(0)
