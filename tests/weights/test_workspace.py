"""A server's temporary files: in a folder of its own, and gone after it, however it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from weights import workspace

ROOT = Path(__file__).resolve().parents[2]
SERVER = """
import sys, tempfile, time
from pathlib import Path
from weights import workspace
folder = workspace.use(Path(sys.argv[1]))
(Path(tempfile.mkdtemp(prefix="ganbook-")) / "frame.png").write_bytes(b"png")
print(folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def started(tmp_path):
    """``started()``: another server that runs, and its folder."""
    running = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_what_a_killed_server_left_goes_and_what_runs_stays(started, tmp_path):
    killed, old = started()
    _, live = started()
    assert list(old.rglob("frame.png")) and list(live.rglob("frame.png"))
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    (tmp_path / "somebody's.txt").write_text("not ours")
    assert workspace.clear(tmp_path) == [old]
    assert not old.exists() and not Path(f"{old}.lock").exists()
    assert list(live.rglob("frame.png")) and (tmp_path / "somebody's.txt").exists()


def test_a_server_that_ends_leaves_nothing(started):
    process, folder = started()
    process.communicate()
    assert process.returncode == 0 and not folder.exists() and not Path(f"{folder}.lock").exists()


def test_gradio_keeps_its_files_there(tmp_path):
    code = (
        "import sys; from pathlib import Path; from weights import workspace; at = workspace.use();"
        "import tempfile, gradio.utils, gradio.mcp, os;"
        "print(at.parent, gradio.utils.get_upload_folder(), gradio.mcp.DEFAULT_TEMP_DIR, tempfile.gettempdir(),"
        "os.environ['TMPDIR'])"
    )
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path / "mine")}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    base, *folders = done.stdout.split()
    assert base == str(tmp_path / "mine"), done.stderr
    assert len(folders) == 4 and all(folder.startswith(f"{base}/server-") for folder in folders)
    assert not list((tmp_path / "mine").iterdir())
