"""The examples of README and docs, run as they stand: Python, ``ganbook`` commands, and a page that programs call."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

import weights
from pipelines import stylegan2

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGE = "http://127.0.0.1:7860"


def blocks(language: str) -> list[tuple[str, str]]:
    found = []
    for path in DOCUMENTS:
        pattern = rf"^```{language}\n(.*?)^```"
        texts = re.findall(pattern, path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        found += [(f"{path.stem} {number}", text) for number, text in enumerate(texts, 1)]
    return found


EXAMPLES = blocks("python")
COMMANDS = [
    line for _name, text in blocks("sh") for line in text.splitlines() if re.match(r"ganbook (?!run\b)[a-z]", line)
]


@pytest.fixture(scope="module")
def address(serving, tmp_path_factory):
    """Of a page with the networks that ship, its tools offered."""
    from demo import mcp_tools

    patch = pytest.MonkeyPatch()
    patch.setattr("gradio.mcp.GradioMCPServer", mcp_tools.Tools)
    with serving(ROOT / "weights" / "embedded", tmp_path_factory.mktemp("page"), mcp_server=True) as page:
        yield page.local_url.rstrip("/")
    patch.undo()


@pytest.fixture
def folder(tmp_path, monkeypatch, fixtures) -> Path:
    """Where an example runs: with party.jpg, a face that nobody has, on a plain ground, and a network of one's own."""
    shutil.copy(fixtures("stylegan2_ada_64.pkl"), tmp_path / "network-snapshot.pkl")
    net = weights.load("stylegan2/faces")
    face = stylegan2.picture(net, stylegan2.latent(net, 3)).resize((200, 200), Image.Resampling.BICUBIC)
    photo = Image.new("RGB", (360, 280), (120, 140, 160))
    photo.paste(face, (80, 40))
    photo.save(tmp_path / "party.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "code"), EXAMPLES, ids=[name for name, _code in EXAMPLES])
def test_examples_run(name, code, folder, request):
    if PAGE in code:
        code = code.replace(PAGE, request.getfixturevalue("address"))
    before = set(folder.iterdir())
    exec(compile(code, name, "exec"), {"__name__": "__main__"})
    for path in set(folder.iterdir()) - before:
        if path.suffix in (".png", ".gif"):
            with Image.open(path) as picture:
                picture.load()
    if name == "python 5":
        assert len(list(folder.glob("picture-*.png"))) >= 2  # of each seed one


def test_there_are_examples_of_everything():
    assert len(EXAMPLES) >= 11 and sum(PAGE in code for _name, code in EXAMPLES) >= 3
    assert {shlex.split(line)[1] for line in COMMANDS} == set(_commands())


def _commands() -> dict:
    from ganbook.commands import COMMANDS as known

    return known


@pytest.mark.parametrize("line", COMMANDS, ids=[shlex.split(line)[1] for line in COMMANDS])
def test_commands_run(line, folder, capsys):
    from ganbook.__main__ import main

    words = shlex.split(line, comments=True)[1:]
    main(words)
    assert capsys.readouterr().out
    for flag, value in zip(words, words[1:], strict=False):
        if flag in ("--out", "--animation"):
            assert (folder / value).exists()
