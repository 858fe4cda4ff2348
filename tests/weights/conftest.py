"""Nothing that one test loaded is in memory for the next."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def nothing_in_memory(own_cache):
    from weights import loading

    before = dict(loading._kept)
    loading._kept.clear()
    yield
    loading._kept.clear()
    loading._kept.update(before)
