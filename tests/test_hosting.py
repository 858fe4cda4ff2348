"""deploy/: the container file, the systemd unit, and what the front matter of README.md has a Space fetch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import weights

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"


def instructions() -> list[tuple[str, str]]:
    """The container file's, in order: name and arguments."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(re.split(r"\s+", line.strip(), maxsplit=1)) for line in lines]


def test_hadolint_finds_nothing():
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(linter), str(DEPLOY / "Containerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_find_something(tmp_path):
    (tmp_path / "Containerfile").write_text("FROM python\nRUN cd /src && pip install .\n")
    linter = Path(sys.executable).with_name("hadolint")
    assert subprocess.run([str(linter), str(tmp_path / "Containerfile")], capture_output=True).returncode != 0


def test_the_container_holds_the_packages_and_runs_as_nobody():
    found = instructions()
    copied = [words.split()[:-1] for name, words in found if name == "COPY" and "--from" not in words]
    sources = {source for group in copied for source in group}
    assert all((ROOT / source).exists() for source in sources)
    wheel = re.search(r"^include = \[(.*)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r'"(\w+)\*"', wheel.group(1))) <= sources
    last = [name for name, _ in found[max(i for i, (name, _) in enumerate(found) if name == "FROM") :]]
    assert last.index("USER") > last.index("COPY") and "HEALTHCHECK" in last
    user = next(words for name, words in reversed(found) if name == "USER")
    assert int(user.split(":")[0]) > 0
    assert not any("chown" in words for _name, words in found)  # what runs cannot change what it runs


def test_flags_of_the_container_and_the_unit_exist():
    from ganbook import run

    entry = next(words for name, words in instructions() if name == "ENTRYPOINT")
    container = re.findall(r'"([^"]+)"', entry)
    unit = re.search(r"^ExecStart=(.*)$", (DEPLOY / "ganbook.service").read_text(encoding="utf-8"), re.MULTILINE)
    for words in (container, unit.group(1).split()):
        assert words[0].endswith("/bin/ganbook") and words[1] == "run"
        assert run.arguments(words[2:]).port == 7860


def test_systemd_takes_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed here, so nothing can check the unit")
    text = (DEPLOY / "ganbook.service").read_text(encoding="utf-8")
    unit = tmp_path / "ganbook.service"
    unit.write_text(text.replace("/opt/ganbook/bin/ganbook", sys.executable))  # it has to exist
    command = [shutil.which("systemd-analyze"), "verify", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"})
    said = [line for line in done.stderr.splitlines() if "ganbook.service" in line]
    assert done.returncode == 0 and not said, done.stderr
    unit.write_text(unit.read_text().replace("PrivateTmp=yes", "PrivateTmp=perhaps"))
    assert "ganbook.service" in subprocess.run(command, capture_output=True, text=True).stderr


def test_a_space_fetches_files_of_the_catalogue():
    head = (ROOT / "README.md").read_text(encoding="utf-8").split("\n---\n", 1)[0]
    listed = re.search(r"^preload_from_hub:\n((?:  - .*\n)+)", head + "\n", re.MULTILINE).group(1)
    known = {(entry.repo, entry.file): entry for entry in weights.entries()}
    for line in listed.splitlines():
        repo, files, *commit = line.removeprefix("  - ").split()
        for file in files.split(","):
            entry = known[repo, file]
            assert (commit or ["main"]) == [entry.revision] and entry.loadable
    models = re.search(r"^models:\n((?:  - .*\n)+)", head + "\n", re.MULTILINE).group(1)
    assert {line.split()[1] for line in listed.splitlines()} <= {line.split()[1] for line in models.splitlines()}
