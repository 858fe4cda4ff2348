"""What happens before anybody asks for a picture."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganbook import run as app

ROOT = Path(__file__).resolve().parents[2]


def run(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_is_built_without_torch():
    heavy = run(
        "import sys, demo; demo.build(); demo.launch_options();"
        "print([m for m in ('torch', 'torchvision', 'cv2', 'scipy', 'av.container') if m in sys.modules])"
    )
    assert heavy.strip() == "[]"


def test_users_from_words_and_from_a_file(tmp_path):
    assert app.users(None) is None
    assert app.users("ann:secret:with:colons") == [("ann", "secret:with:colons")]
    (tmp_path / "users").write_text("# who may\nann:one\n\nbob:two\n")
    assert app.users(str(tmp_path / "users")) == [("ann", "one"), ("bob", "two")]


@pytest.mark.parametrize("auth", ["ann", "ann:", ":secret", ""])
def test_users_that_make_no_sense_end_the_program(auth):
    with pytest.raises(SystemExit, match="user:password"):
        app.users(auth)


def test_flags():
    given = app.arguments(
        "--share --auth a:b --host 0.0.0.0 --port 80 --device cpu --root-path /g --offline --mcp".split()
    )
    assert (given.host, given.port, given.device, given.root_path) == ("0.0.0.0", 80, "cpu", "/g")
    assert given.share and given.offline and given.mcp
    assert not app.arguments([]).share


def test_says_what_is_at_hand(monkeypatch, shelf):
    from weights import paths

    monkeypatch.setattr(paths, "EMBEDDED", shelf)
    said = app.at_hand()
    assert (
        said.startswith("checkpoints at hand: stylegan2/faces, stylegan2/cats")
        and "more on the Hugging Face Hub" in said
    )


def test_nothing_is_loaded_from_elsewhere():
    """Neither the style sheet nor the head nor the theme names another machine."""
    from demo import theme

    options = theme.launch_options()
    text = options["head"] + "".join(url for url in options["theme"]._stylesheets if url)
    assert "http:" not in text and "https:" not in text and "//fonts" not in text
    for font in theme.FONTS.glob("*.woff2"):
        assert font.name in text
    assert (theme.FONTS / "OFL.txt").is_file()
