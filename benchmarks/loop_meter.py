"""``python benchmarks/loop_meter.py FILE SCRIPT ...``: runs a script, and keeps in FILE what its server's loop costs.

The file holds two doubles, never older than 20 ms: seconds of the processor that the thread of uvicorn's event loop has
used, and those of the whole process. Of the processor, because the clock also counts what others do with it.
"""

from __future__ import annotations

import runpy
import struct
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

LAYOUT = struct.Struct("2d")
EVERY_S = 0.02


@dataclass(frozen=True)
class Reading:
    """Seconds of the processor since the start: in the event loop, and in all threads."""

    loop: float
    process: float

    def __sub__(self, earlier: Reading) -> Reading:
        return Reading(self.loop - earlier.loop, self.process - earlier.process)


def read(path: Path) -> Reading:
    return Reading(*LAYOUT.unpack(path.read_bytes()))


def install(path: Path) -> None:
    """Notes which thread uvicorn's loop runs in, and writes what it has used."""
    import uvicorn

    path.write_bytes(bytes(LAYOUT.size))
    run = uvicorn.Server.run

    def metered(self, *args, **kwargs):
        clock = time.pthread_getcpuclockid(threading.get_ident())
        threading.Thread(target=_write, args=(path, clock), name="loop meter", daemon=True).start()
        return run(self, *args, **kwargs)

    uvicorn.Server.run = metered


def _write(path: Path, clock: int) -> None:
    with path.open("r+b", buffering=0) as file:
        while True:
            file.seek(0)
            file.write(LAYOUT.pack(time.clock_gettime(clock), time.process_time()))
            time.sleep(EVERY_S)


if __name__ == "__main__":
    install(Path(sys.argv[1]))
    sys.argv = sys.argv[2:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
