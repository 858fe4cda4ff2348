"""``pip install .``: what the wheel holds, and that it works away from the checkout."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image, ImageChops

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("ganbook", "demo", "pipelines", "weights", "models", "training")
START_S = 120


@pytest.fixture(scope="module")
def sources() -> list[Path]:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed, so what belongs to the project cannot be told from what lies around")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git checkout, so what belongs to the project cannot be told from what lies around")
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def installed(sources, tmp_path_factory) -> Path:
    """The folder into which a copy of the checkout was installed; its requirements are those of this environment."""
    copy, target = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("site")
    for path in sources:
        if path.parts[0] in (*ROOMS, "pyproject.toml", "README.md", "LICENSE") or path.name.startswith("requirements"):
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, copy / path)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--target", str(target), str(copy)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def environment(installed: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(installed), "PYTHONUNBUFFERED": "1"}


def ganbook(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess:
    command = [str(installed / "bin" / "ganbook"), *words]
    return subprocess.run(command, cwd=folder, env=environment(installed), capture_output=True, text=True, timeout=300)


def test_everything_that_the_packages_need_is_installed(installed, sources):
    expected = {path for path in sources if path.parts[0] in ROOMS}
    missing = {str(path) for path in expected if not (installed / path).is_file()}
    assert len(expected) > 200 and not missing
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {*ROOMS, "bin"}  # no tests, no benchmarks, no app.py under everybody's name


def test_metadata(installed):
    (found,) = importlib.metadata.distributions(path=[str(installed)])
    data = found.metadata
    assert data["Name"] == "ganbook" and data["Requires-Python"] == ">=3.10"
    assert "MIT" in data["License-Expression"] and len(data.get_all("License-File")) > 15
    required = {re.split(r"[^\w-]", line)[0].lower() for line in found.requires or () if "extra" not in line}
    assert {"gradio", "torch", "safetensors", "av"} <= required
    (script,) = found.entry_points.select(group="console_scripts")
    assert script.name == "ganbook"


def test_extras_are_the_requirement_files():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, lines in project["optional-dependencies"].items():
        stated = (ROOT / f"requirements-{name}.txt").read_text(encoding="utf-8").splitlines()
        assert lines == [line for line in stated if line and not line.startswith(("-r", "#"))], name


def test_the_command_makes_pictures_with_the_shipped_weights(installed, tmp_path):
    done = ganbook(installed, tmp_path, "sample", "stylegan2/cats", "--seeds", "1-2", "--out", "cats", "--offline")
    assert done.returncode == 0, done.stderr
    import weights
    from pipelines import recipes

    recipe = recipes.Recipe.from_json((tmp_path / "cats" / "recipe.json").read_bytes())
    for seed, expected in zip((1, 2), recipe.run(weights.load("stylegan2/cats")), strict=True):
        with Image.open(tmp_path / "cats" / f"seed-{seed}.png") as made:
            assert ImageChops.difference(made, expected).getbbox() is None


def test_foreign_files_are_read_by_the_installed_reader(installed, fixtures, tmp_path):
    """Another process reads them, which has to find the installed modules."""
    code = (
        f"import weights; print(weights.__file__, weights.read({str(fixtures('rosinality_32.pt'))!r}).img_resolution)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(installed), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(installed / "weights" / "__init__.py"), "32"]


def test_the_command_serves_the_page(installed, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(installed / "bin" / "ganbook"), "run", "--port", str(port), "--offline"]
    environ = {**environment(installed), "GRADIO_TEMP_DIR": str(tmp_path / "temporary")}
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=log, stderr=log)
    try:
        page = _first_answer(f"http://127.0.0.1:{port}/config", running, tmp_path / "log")
        assert "stylegan2_sample" in page
    finally:
        running.terminate()
        running.wait(30)


def _first_answer(address: str, running: subprocess.Popen, log: Path) -> str:
    started = time.monotonic()
    while True:
        try:
            with urllib.request.urlopen(address, timeout=START_S) as answer:
                return answer.read().decode()
        except OSError:
            assert running.poll() is None and time.monotonic() - started < START_S, log.read_text()
            time.sleep(0.1)
