"""Nothing that one test loaded is in memory for the next; and what has to hold while a hostile file is refused."""

from __future__ import annotations

import resource
import sys
import time

import pytest
from refusals import MARKERS, refused

SECONDS = 20.0  # what a refusal may take on a slow machine under load; most take milliseconds
MEGABYTES = 500


@pytest.fixture(autouse=True)
def nothing_in_memory(own_cache):
    from weights import loading

    before = dict(loading._kept)
    loading._kept.clear()
    yield
    loading._kept.clear()
    loading._kept.update(before)


@pytest.fixture
def nothing_happens():
    """Markers absent afterwards, memory and time bounded."""
    for marker in MARKERS:
        marker.unlink(missing_ok=True)
    start, unit = time.monotonic(), 2**10 if sys.platform != "darwin" else 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 2**20
    assert not [m for m in MARKERS if m.exists()]
    assert time.monotonic() - start < SECONDS and grown < MEGABYTES


@pytest.fixture
def refused_bytes(tmp_path):
    def check(content: bytes) -> str:
        path = tmp_path / "file.pkl"
        path.write_bytes(content)
        return refused(path)

    return check
