"""Nothing that one test loaded is in memory for the next; and what has to hold while a hostile file is refused."""

from __future__ import annotations

import resource
import sys
import time

import pytest
from refusals import MARKERS, refused

SECONDS = 20.0  # of computing that a refusal may cost, whatever else the machine does; most cost milliseconds
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
    start, unit = time.process_time(), 2**10 if sys.platform != "darwin" else 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 2**20
    assert not [m for m in MARKERS if m.exists()]
    assert time.process_time() - start < SECONDS
    assert grown < MEGABYTES


@pytest.fixture
def refused_bytes(tmp_path):
    def check(content: bytes) -> str:
        path = tmp_path / "file.pkl"
        path.write_bytes(content)
        return refused(path)

    return check
