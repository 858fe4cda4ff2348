"""notebooks/: every code cell runs, in order, and shows what its last line says; nothing of a run is kept in them.

The cells are plain Python without magics, so they are run as they are. A Jupyter kernel would bring some thirty
packages into the tests and show nothing more.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def run(path: Path) -> list[tuple[str, object]]:
    """Of each code cell its source and what Jupyter would show: the value of its last line if it has one."""
    shown, names = [], {"__name__": "__main__"}
    for cell in cells(path):
        if cell["cell_type"] != "code":
            continue
        source, value = "".join(cell["source"]), None
        tree = ast.parse(source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{path.name} {cell['id']}", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"{path.name} {cell['id']}", "eval"), names)  # noqa: S307
        shown.append((source, value))
    return shown


def test_every_technique_has_one():
    techniques = {path.stem.replace("-", "_") for path in (ROOT / "docs" / "techniques").glob("*.md")}
    assert set(NAMES) == techniques


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_the_cells_run_and_show_pictures(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = run(path)
    pictures = [value for _source, value in shown if isinstance(value, Image.Image)]
    assert len(pictures) >= 4
    for picture in pictures:
        assert any(low != high for low, high in picture.convert("RGB").getextrema()), "a picture of one colour"
    silent = [source for source, value in shown if value is None and "print(" not in source]
    assert not silent  # a cell that shows nothing teaches nothing


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_nothing_of_a_run_is_kept(path):
    """Format 4.5 as Jupyter writes it, without outputs and counts, so that a change of a notebook can be read."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(ids) == len(set(ids))
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("code", "markdown") and not cell["metadata"]
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
    assert path.read_text(encoding="utf-8") == json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_they_are_short_and_explain(path):
    kinds = [cell["cell_type"] for cell in cells(path)]
    assert kinds[0] == "markdown" and kinds.count("code") <= 12
    assert kinds.count("markdown") >= kinds.count("code") - 2
