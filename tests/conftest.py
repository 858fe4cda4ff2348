"""Fixtures for the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Two busy processes on few cores slow each other down badly when threads spin; must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = (ROOT / "tests" / "fixtures", ROOT.parent / "shared" / "fixtures")


def fixture_path(name: str) -> Path | None:
    """A fixture file of the project, or of the shared folder beside it; None if neither has it."""
    return next((folder / name for folder in FIXTURES if (folder / name).is_file()), None)


def pytest_collection_modifyitems(items):
    """What ``--dist=loadgroup`` keeps together: the tests of a file; those of the page as two halves, always the same.

    Windows of the page are used again, so which tests came before must not depend on which worker was free.
    """
    for item in items:
        group = str(item.path.relative_to(ROOT))
        if item.path.parent.name == "browser":
            group = "page, first half" if item.path.name < "test_d" else "page, second half"
            # Of some hundred visits on a busy machine one may go wrong where no other did; twice is a fault. The window
            # of a failed test is closed, so the second try is another visitor's. What was tried again is printed.
            item.add_marker(pytest.mark.flaky(reruns=1))
        item.add_marker(pytest.mark.xdist_group(group))


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


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test sees, or leaves anything in, the caches of the person who runs it."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GANBOOK_CACHE", str(folder / "ganbook"))
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setenv("GANBOOK_DEVICE", os.environ.get("GANBOOK_DEVICE", "cpu"))
    for variable in ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    return folder
