"""README, CONTRIBUTING and docs: their links, the paths that they name, and the Python that they show."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
FOLDERS = "ganbook|notebooks|demo|pipelines|weights|models|training|benchmarks|tests|docs"
WRITTEN = {"docs/checkpoints.md"}  # by make hub-check
OURS = ("weights", "pipelines")


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#+ +(.+)$", prose(path.read_text(encoding="utf-8")), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        again = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other) is not None for other in found)
        found.append(f"{slug}-{again}" if again else slug)
    return set(found)


def broken_links(path: Path) -> list[str]:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        there = path.parent / name if name else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    assert not broken_links(ROOT / name)


def test_a_broken_link_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A title\n## Speed\n## Speed\n[a](#speed-1) [b](#nothing) [c](none.md) [d](page.md#a-title)\n")
    assert broken_links(page) == ["#nothing", "none.md"]


@pytest.mark.parametrize("name", NAMES)
def test_paths_that_are_named_are_there(name):
    spans = re.findall(r"`([^`\n]+)`", prose((ROOT / name).read_text(encoding="utf-8")))
    paths = {span for span in spans if re.fullmatch(rf"({FOLDERS})/([\w.-]+/)*([\w-]+\.\w+)?", span)}
    assert not [path for path in paths - WRITTEN if "NAME" not in path and not (ROOT / path).exists()]


def examples() -> list[tuple[str, str]]:
    found = []
    for name in NAMES:
        text = (ROOT / name).read_text(encoding="utf-8")
        blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        found += [(f"{name} {number}", block) for number, block in enumerate(blocks, 1)]
    return found


def wrong_calls(code: str) -> list[str]:
    """What an example imports from here and calls, where there is no such thing or it takes no such arguments."""
    known, wrong = {}, []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            known |= {a.name: importlib.import_module(a.name) for a in node.names if a.name in OURS}
        elif isinstance(node, ast.ImportFrom) and node.module in OURS:
            known |= {a.name: importlib.import_module(f"{node.module}.{a.name}") for a in node.names}
    for node in ast.walk(ast.parse(code)):
        function = node.func if isinstance(node, ast.Call) else None
        if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
            continue
        if function.value.id not in known:
            continue
        try:
            called = getattr(known[function.value.id], function.attr)
            inspect.signature(called).bind(*node.args, **{word.arg: word.value for word in node.keywords})
        except (AttributeError, TypeError) as error:
            wrong.append(f"{ast.unparse(node)}: {error}")
    return wrong


@pytest.mark.parametrize(("name", "code"), examples(), ids=[name for name, _code in examples()])
def test_examples_call_what_there_is(name, code):
    assert not wrong_calls(code)


def test_a_call_that_does_not_fit_is_noticed():
    head = "import weights\nfrom pipelines import stylegan2\n"
    assert not wrong_calls(head + "stylegan2.sample(weights.load('x'), seeds=[1])")
    assert len(wrong_calls(head + "stylegan2.sample(1, seed=[1])\nweights.nothing()")) == 2
