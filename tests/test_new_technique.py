"""Adding a technique as CONTRIBUTING.md says: three folders are put in, and it is there. No other file is touched."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
TOY = ROOT / "tests" / "toy_technique"
PLACES = {"pipeline": "pipelines/toy", "tab": "demo/tabs/toy", "training": "training/toy"}
PAGE = """
import json, sys
import demo
from demo import mcp_tools
page = demo.build()
options = demo.launch_options()
heavy = [name for name in ("torch", "pipelines.toy") if name in sys.modules]
labels = [block.label for block in page.blocks.values() if block.get_block_name() == "tabitem"]
print(json.dumps({"heavy": heavy, "labels": labels, "tools": mcp_tools.tools()}))
"""
CALL = """
import json
import numpy as np
from gradio_client import Client
from PIL import Image
import demo
from pipelines.recipes import Recipe
page = demo.build()
page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **demo.launch_options())
client = Client(page.local_url, verbose=False, httpx_kwargs={"timeout": 300})
picture, ran, code, _sheet, recipe, _news = client.predict(seeds="1-2", api_name="/toy_average")
names = {}
exec(code, names)
with open(recipe, encoding="utf-8") as file:
    again = Recipe.from_json(file.read()).run()
with Image.open(picture) as shown:
    pixels = [np.asarray(one.convert("RGB")) for one in (shown, names["result"], again)]
client.close()
page.close()
print(json.dumps({"ran": ran, "same": all(np.array_equal(pixels[0], one) for one in pixels), "size": shown.size}))
"""


def run(folder: Path, *command: str) -> str:
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project with the technique put in; the networks that ship are linked."""
    folder = tmp_path_factory.mktemp("project")
    leave = shutil.ignore_patterns("__pycache__", "embedded")
    for room in ("ganbook", "demo", "pipelines", "weights", "models", "training", "benchmarks"):
        shutil.copytree(ROOT / room, folder / room, ignore=leave)
    (folder / "weights" / "embedded").symlink_to(ROOT / "weights" / "embedded")
    for name in ("pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, folder)
    for source, place in PLACES.items():
        shutil.copytree(TOY / source, folder / place, ignore=leave)
    return folder


def test_its_tab_is_on_the_page_and_nothing_heavy_is_imported_for_it(project):
    found = json.loads(run(project, "-c", PAGE))
    assert found["labels"][-2:] == ["Averages", "Checkpoints"]
    assert "toy_average" in found["tools"]
    assert found["heavy"] == []


def test_its_cell_its_code_and_its_recipe_make_the_same_pixels(project):
    found = json.loads(run(project, "-c", CALL).splitlines()[-1])
    assert found["same"] and min(found["size"]) >= 32
    assert "seeds 1-2" in found["ran"]


def test_its_training_is_a_command_with_a_recipe_of_its_own(project, tmp_path):
    assert "the mean of photographs" in run(project, "-m", "training", "--help")
    assert "--resolution" in run(project, "-m", "training", "toy", "--help")
    (tmp_path / "blobs").mkdir()
    for number in range(2):
        Image.new("RGB", (8, 8), (100 * number, 0, 50)).save(tmp_path / "blobs" / f"{number}.png")
    run(project, "-m", "training", "run", "toy", "--data", str(tmp_path), "--runs", str(tmp_path))
    with Image.open(tmp_path / "mean.png") as mean:
        assert np.asarray(mean)[0, 0].tolist() == [50, 0, 50]
    targets = subprocess.run(
        [shutil.which("make"), "-pn", "clean"], cwd=project, capture_output=True, text=True, check=True
    ).stdout
    assert any(line.startswith("NETWORKS := ") and line.endswith(" toy") for line in targets.splitlines())


def test_who_imports_whom_stays_as_it_was(project):
    run(project, "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))")


def test_the_guide_names_the_folders():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Add a technique")[1]
    assert all(f"`{place.replace('toy', 'NAME')}/`" in guide for place in PLACES.values())
