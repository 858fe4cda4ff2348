"""Fixtures for the whole suite."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = (ROOT / "tests" / "fixtures", ROOT.parent / "shared" / "fixtures")


def fixture_path(name: str) -> Path | None:
    """A fixture file of the project, or of the shared folder beside it; None if neither has it."""
    return next((folder / name for folder in FIXTURES if (folder / name).is_file()), None)


def part_of(nodeid: str) -> str:
    """What one worker runs from beginning to end: a file of tests; of those of the page one of two halves.

    What a file sets up for all its tests is set up once then. Windows of the page are used again, so which tests came
    before must not depend on which worker was free.
    """
    file = nodeid.split("::")[0]
    folder, _, name = file.rpartition("/")
    if not folder.endswith("tests/browser"):
        return file
    return "page, first half" if name < "test_d" else "page, second half"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hands out parts in the order of their files.

    ``--dist=loadgroup`` is to do the same, but with pytest 9.2 xdist 3.8 takes each test for a group of its own.
    """
    from xdist.scheduler import LoadScopeScheduling

    class InParts(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return part_of(nodeid)

    return InParts(config, log)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "browser":
            # Of some hundred visits on a busy machine one may go wrong where no other did; twice is a fault. The window
            # of a failed test is closed, so the second try is another visitor's. What was tried again is printed.
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter):
    """Says why something was tried again: what passes the second time has a fault all the same."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"tried again: {report.nodeid}", sep="-")
        lines = report.longreprtext.splitlines()
        terminalreporter.write_line(
            "\n".join(line for line in lines if line[:1] in ("E", ">")) or "\n".join(lines[-1:])
        )


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where the parity tests compute: cpu (default), cuda")


@pytest.fixture(scope="session")
def device(request):
    """The device that ``--device`` names. It must be there: a test that is asked for does not leave itself out."""
    import torch

    found = torch.device(request.config.getoption("--device"))
    if found.type == "cuda" and not torch.cuda.is_available():
        pytest.fail("--device cuda was asked for, and there is no CUDA device here")
    return found


@pytest.fixture(scope="session")
def fixtures():
    """``fixtures("name.pkl")`` -> path. A test whose file is nowhere is left out, with the file named as the reason."""

    def find(name: str) -> Path:
        path = fixture_path(name)
        if path is None:
            pytest.skip(f"{name} is neither in tests/fixtures nor in ../shared/fixtures")
        return path

    return find


# What a shell may carry that changes what is tested: where the Hub is, proxies, how Gradio and ganbook behave.
FOREIGN = re.compile(
    r"(HF|HUGGING_?FACE|GRADIO|GANBOOK|SPACES?|XDG_CACHE|TRANSFORMERS)(_|$).*|(HTTPS?|ALL|NO|FTP)_PROXY"
    r"|(SSL_CERT|REQUESTS_CA|CURL_CA|UVICORN|KMP|MKL)_.*|OMP_(?!NUM_THREADS).*|(AI_)?AGENT|FORWARDED_ALLOW_IPS",
    re.IGNORECASE,
)
KEPT = {"GANBOOK_DEVICE"}  # where tests compute may be chosen


def _clear(environment) -> list[str]:
    """Takes what is foreign out of an environment, and gives the names."""
    gone = [name for name in environment if FOREIGN.fullmatch(name) and name not in KEPT]
    for name in gone:
        del environment[name]
    return gone


# Before anything is imported that reads them once and for all; OMP_NUM_THREADS stays, the Makefile sets it.
_clear(os.environ)
# Two busy processes on few cores slow each other down badly when threads spin.
os.environ["OMP_WAIT_POLICY"] = "passive"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test sees, or leaves anything in, the caches of the person who runs it."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GANBOOK_CACHE", str(folder / "ganbook"))
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setenv("GANBOOK_DEVICE", os.environ.get("GANBOOK_DEVICE", "cpu"))
    return folder
