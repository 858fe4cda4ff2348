"""Visitors who come, upload a large photograph, edit it in two tabs and leave: whether the page's memory stays level.

Each is a session of its own, as a browser has one: it keeps a heartbeat open while it is there, and closes it. The
page's time to live is shortened, so that those who left are gone while the others come.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import httpx
from PIL import Image

from . import measure

ROOT = Path(__file__).resolve().parent.parent
KEEP_S = 4.0  # the page's time to live for those who left
SIDE = 4096
WARM_UP = 10
WITHIN = 1.10  # of the memory after warm-up
PATIENCE_S = 300.0
MB = 2**20


class Server:
    """The page as a process of its own, its caches below ``folder``."""

    def __init__(self, folder: str, device: str = "cpu"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        own = {
            "GANBOOK_CACHE": f"{folder}/ganbook",
            "HF_HUB_CACHE": f"{folder}/hub",
            "GRADIO_TEMP_DIR": f"{folder}/gradio",
            "GANBOOK_KEEP_SECONDS": str(KEEP_S),
            "PYTHONUNBUFFERED": "1",
        }
        options = ["--host", "127.0.0.1", "--port", str(port), "--offline", "--device", device]
        self.log = Path(folder, "log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py", *options],
                cwd=ROOT,
                env={**os.environ, **own},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        began = time.perf_counter()
        while True:
            try:
                self.config = httpx.get(f"{self.address}/config", timeout=PATIENCE_S).json()
                break
            except httpx.TransportError:
                if self.process.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                    raise RuntimeError(f"no page came up:\n{self.log.read_text(errors='replace')}") from None
                time.sleep(0.1)
        self.endpoints = {event["api_name"]: event for event in self.config["dependencies"] if event["api_name"]}

    def resident(self) -> int:
        """Bytes of memory that the page's process has now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Visitor:
    """``with Visitor(server) as visitor:``; inside, ``visitor.upload`` and ``visitor.call``. At the end it leaves."""

    def __init__(self, server: Server):
        self.server, self.session = server, uuid.uuid4().hex[:12]
        self.client = httpx.Client(base_url=f"{server.address}/gradio_api", timeout=PATIENCE_S)

    def __enter__(self) -> Visitor:
        self._heart = httpx.Client(timeout=PATIENCE_S)
        self._beat = self._heart.stream("GET", f"{self.server.address}/gradio_api/heartbeat/{self.session}")
        self._beat.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._beat.__exit__(*error)
        self._heart.close()
        self.client.close()

    def upload(self, name: str, data: bytes) -> dict:
        [path] = self.client.post("/upload", files={"files": (name, data)}).raise_for_status().json()
        return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def call(self, endpoint: str, *data) -> dict:
        """Joins the queue, reads to the end, gives the last message's output. Raises RuntimeError if it failed."""
        event = self.server.endpoints[endpoint]
        body = {"fn_index": event["id"], "session_hash": self.session, "data": [None, *data]}
        joined = self.client.post("/queue/join", json=body).raise_for_status().json()["event_id"]
        with self.client.stream("GET", "/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message.get("event_id") == joined and message["msg"] == "process_completed":
                    if not message["success"]:
                        raise RuntimeError(f"{endpoint} failed: {message['output']}")
                    return message["output"]
        raise RuntimeError(f"{endpoint} gave no answer")


def picture(number: int, side: int = SIDE) -> bytes:
    """A PNG of few bytes and many pixels, another for each visitor."""
    data = io.BytesIO()
    Image.new("RGB", (side, side), (number % 256, number // 256 % 256, 120)).save(data, "PNG", compress_level=6)
    return data.getvalue()


def visit(server: Server, number: int, side: int = SIDE) -> None:
    """One visitor, from the first byte to leaving: the photograph in two tabs, an edit."""
    with Visitor(server) as visitor:
        photo = visitor.upload(f"photo-{number}.png", picture(number, side))
        visitor.call("attgan_face", "attgan/faces", photo, "centre", None)
        visitor.call("attgan_edit", {"Eyeglasses": 1.0})
        visitor.call("od_photo", "stylegan2/faces", photo, "encoder", "10", "centre")


def settled(server: Server) -> int:
    """Resident memory once those who left are gone and what they freed was given back."""
    time.sleep(KEEP_S + 3.0)
    lowest = server.resident()
    for _ in range(15):
        time.sleep(2.0)
        lowest = min(lowest, server.resident())
    return lowest


def many(server: Server, count: int, first: int = 0, at_once: int = 2, side: int = SIDE, told=None) -> list[str]:
    """``count`` visitors, ``at_once`` of them at a time. Gives what failed."""
    numbers, failed, lock = iter(range(first, first + count)), [], threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                visit(server, number, side)
            except Exception as error:
                failed.append(f"visitor {number}: {error}")
            if told is not None:
                told(number)

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failed


def main(device: str = "cpu", quick: bool = False, count: int | None = None) -> int:
    count = count or (40 if quick else 500)
    print(f"\n## {count} visitors who come and go, each with a photograph of {SIDE} px in two tabs\n")
    rows, highest = [], 0
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder, device)
        try:
            started = server.resident()
            failed = many(server, WARM_UP)
            warm = settled(server)
            rows += [["started", "", f"{started / MB:.0f}", ""], [f"{WARM_UP} gone", "", f"{warm / MB:.0f}", "1.00x"]]
            began = time.perf_counter()

            def told(number: int) -> None:
                nonlocal highest
                highest = max(highest, server.resident())
                if number % 50 == 49:
                    print(
                        f"visitor {number + 1}: {server.resident() / MB:.0f} MB resident", file=sys.stderr, flush=True
                    )

            failed += many(server, count, WARM_UP, told=told)
            seconds = time.perf_counter() - began
            end = settled(server)
        finally:
            server.stop()
    rows.append(["the most meanwhile", f"{seconds / count:.2f}", f"{highest / MB:.0f}", f"{highest / warm:.2f}x"])
    rows.append([f"{count} gone", "", f"{end / MB:.0f}", f"{end / warm:.2f}x"])
    print(measure.table(["", "s a visitor", "MB resident", "of the warm page"], rows))
    print(f"\n{len(failed)} of {count + WARM_UP} visits failed. Wanted at the end: at most {WITHIN:.2f}x.")
    for line in failed[:10]:
        print(line)
    return int(bool(failed) or end > WITHIN * warm)
