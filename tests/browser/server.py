"""The page as a visitor's machine would start it: ``python app.py`` in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "artefacts"
START_S = 120


class Server:
    """A running page. ``address`` ends without a slash; ``ready_s`` is the time from the start to the first answer.

    Everything that it writes goes into ``folder``, except its log, which stays in ``artefacts`` for whoever has to
    find out why a test failed.
    """

    def __init__(self, folder: Path, name: str = "server", script: str = "app.py"):
        ARTEFACTS.mkdir(exist_ok=True)
        worker = os.environ.get("PYTEST_XDIST_WORKER", "")  # each has servers of its own
        self.log = ARTEFACTS / f"browser-{'-'.join(filter(None, (name, worker)))}.log"
        self.log.unlink(missing_ok=True)
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.environment = {
            **{k: v for k, v in os.environ.items() if k not in ("HF_ENDPOINT", "HF_TOKEN", "SPACE_ID")},
            "GANBOOK_CACHE": str(folder / "ganbook"),
            "HF_HUB_CACHE": str(folder / "hub"),
            "GRADIO_TEMP_DIR": str(folder / "gradio"),
            "GANBOOK_DEVICE": os.environ.get("GANBOOK_DEVICE", "cpu"),
            "OMP_WAIT_POLICY": "passive",
            "PYTHONUNBUFFERED": "1",
        }
        self.command = [sys.executable, script, "--host", "127.0.0.1", "--port", str(port), "--offline"]
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers; again at the same address after ``stop``."""
        self.started = time.perf_counter()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        self.ready_s = time.perf_counter() - self.started

    def _wait(self) -> None:
        while True:
            try:
                for path in ("/", "/config"):
                    with urllib.request.urlopen(self.address + path, timeout=START_S) as answer:
                        assert answer.status == 200
                        answer.read()
                return
            except (urllib.error.URLError, ConnectionError):
                if self.process.poll() is not None:
                    raise AssertionError(f"the page ended by itself:\n{self.said()}") from None
                if time.perf_counter() - self.started > START_S:
                    raise AssertionError(f"no page after {START_S} s:\n{self.said()}") from None
                time.sleep(0.05)

    def said(self) -> str:
        """What it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def memory(self) -> int:
        """The most bytes of memory that it has had at a time; 0 where the system does not tell."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0
        return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)

    def computed_s(self) -> float:
        """The seconds that processors have worked for it; 0 where the system does not tell."""
        try:
            status = Path(f"/proc/{self.process.pid}/stat").read_text()
        except OSError:
            return 0.0
        user, system = status.rpartition(")")[2].split()[11:13]  # in ticks: man 5 proc, fields 14 and 15
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
