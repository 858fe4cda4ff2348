"""On ZeroGPU: the ``spaces`` package itself asks a scheduler, whose part this test plays, for as long as we say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from demo import zero_gpu
from demo.networks import Reference
from demo.running import PipelineCall

ROOT = Path(__file__).resolve().parents[2]

# One call of each technique's, and a long search; the scheduler gives no GPU, which is what a visitor then reads.
CALLS = """
import gradio as gr
from demo import running
from demo.networks import Reference
from demo.tabs.draggan import jobs as draggan
from demo.tabs.igan import jobs as igan

faces, shoes = Reference("stylegan2/faces"), Reference("igan/shoes")
calls = [
    lambda: running.run(running.PipelineCall(faces, "stylegan2.sample", {"seeds": [1]})),
    lambda: igan.between(shoes, 1, 2, 4),
    lambda: draggan.pulled(faces, None, None, {"steps": 400}),
    lambda: draggan.inverted(faces, None, {"steps": 5000}),
]
for call in calls:
    try:
        list(call())
    except gr.Error as error:
        print(error.message)
"""


class Scheduler(BaseHTTPRequestHandler):
    """Notes what is asked for, and has no GPU."""

    asked: list[tuple[str, str]] = []

    def do_POST(self) -> None:
        address = urlsplit(self.path)
        self.asked.append((address.path, parse_qs(address.query).get("durationSeconds", [""])[0]))
        self.send_response(503 if address.path == "/schedule" else 200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({}).encode())

    def log_message(self, *words) -> None:
        pass


@pytest.fixture
def scheduler():
    Scheduler.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scheduler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_each_technique_asks_for_its_own_time(scheduler):
    environment = {**os.environ, "SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": scheduler}
    done = subprocess.run(
        [sys.executable, "-c", CALLS], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert [seconds for path, seconds in Scheduler.asked if path == "/schedule"] == ["20", "20", "60", "120"]
    assert done.stdout.splitlines() == ["No GPU was available"] * 4


def test_seconds_of_a_call():
    faces = Reference("stylegan2/faces")

    def of(function: str, arguments: dict) -> int:
        return zero_gpu.seconds(len, PipelineCall(faces, function, arguments))

    assert of("stylegan2.sample", {"seeds": [1]}) == zero_gpu.SECONDS["stylegan2"]
    assert of("draggan.replay", {"drags": [{"steps": 100}, {"steps": 200}, {}]}) == 50
    assert of("igan.project", {"steps": 10**6}) == zero_gpu.MOST
    from pipelines import registry

    assert set(zero_gpu.SECONDS) <= {name.split(".")[0] for name in registry.everything()}
