"""The page as visitors meet it: ``python app.py`` in a process of its own, with its memory and processor time."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 300.0  # for the page to come up
MB = 2**20


class Server:
    """``with Server(folder) as server:`` a running page that writes below ``folder``, gone at the end.

    Args:
        keep: seconds for which the page keeps the work of those who left; its own default when None.
        flags: more of ``app.py``'s.

    Raises:
        RuntimeError: no page came up; the text is its log.
    """

    def __init__(self, folder: str, device: str = "cpu", keep: float | None = None, flags: Sequence[str] = ()):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address, self.log = f"http://127.0.0.1:{port}", Path(folder, "log")
        own = {"GANBOOK_CACHE": "ganbook", "HF_HUB_CACHE": "hub", "GRADIO_TEMP_DIR": "gradio"}
        environment = {**os.environ, **{k: str(Path(folder, v)) for k, v in own.items()}, "PYTHONUNBUFFERED": "1"}
        if keep is not None:
            environment["GANBOOK_KEEP_SECONDS"] = str(keep)
        command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port), "--offline"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *flags, "--device", device], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> Server:
        until = time.perf_counter() + PATIENCE_S
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                with urllib.request.urlopen(f"{self.address}/config", timeout=PATIENCE_S) as answer:
                    answer.read()
                    return self
            if self.process.poll() is not None or time.perf_counter() > until:
                self.__exit__()
                raise RuntimeError(f"no page came up:\n{self.log.read_text(errors='replace')}")
            time.sleep(0.05)

    def __exit__(self, *error) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def memory(self) -> int:
        """Bytes resident, those of the processes that it has started included; 0 where the system does not tell."""
        return sum(_resident(pid) for pid in _family(self.process.pid))

    def seconds(self) -> float:
        """Seconds of processor time so far."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def complaints(self) -> int:
        """Tracebacks in the page's log."""
        return self.log.read_text(errors="replace").count("Traceback (most recent call last)")


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)
