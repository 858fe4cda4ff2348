"""What a developer's shell carries does not change what is tested, and nothing is told to the Hub unasked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CARRIED = {
    "HF_ENDPOINT": "http://127.0.0.1:9",
    "HF_TOKEN": "hf_of_somebody",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "0",
    "HUGGINGFACE_HUB_CACHE": "/nowhere",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "GRADIO_SERVER_PORT": "1",
    "GRADIO_ROOT_PATH": "/elsewhere",
    "GANBOOK_CACHE": "/nowhere",
    "GANBOOK_TIME_LIMIT": "0.001",
    "SPACE_ID": "somebody/space",
    "AI_AGENT": "some-agent",
    "OMP_WAIT_POLICY": "active",
    "OMP_PROC_BIND": "true",
    "SSL_CERT_FILE": "/nowhere.pem",
}


def test_the_suite_runs_in_any_shell():
    """Downloads and a page's event, with everything set that could turn them elsewhere."""
    tests = [
        "tests/weights/test_hub.py::test_small_file_that_is_not_in_lfs",
        "tests/test_environment.py::test_nothing_foreign_is_left",
    ]
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, **CARRIED}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def test_nothing_foreign_is_left():
    expected = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_WAIT_POLICY": "passive"}
    for name, value in CARRIED.items():
        assert os.environ.get(name) in (None, expected.get(name)) or os.environ[name] != value, name


def test_the_hub_is_told_nothing_unless_somebody_wants_it():
    code = "import weights; from huggingface_hub import constants; print(constants.HF_HUB_DISABLE_TELEMETRY)"
    for stated, expected in ((None, "True"), ("0", "False")):
        environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_DISABLE_TELEMETRY"}
        environment |= {"HF_HUB_DISABLE_TELEMETRY": stated} if stated else {}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == expected, done.stderr
