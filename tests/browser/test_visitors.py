"""Several at once."""

from __future__ import annotations

import numpy as np

from .visit import NARROW, WIDE


def test_two_visitors_at_once(window):
    """Both finish, each with their own seeds, though both were under way together."""
    one, two = window(WIDE, new=True), window(NARROW, new=True)  # windows used before may stand at another psi
    for visit, seeds in ((one, "1-6"), (two, "31-33")):
        visit.write("sample-seeds", seeds)
        visit.write("interpolation-frames", 40)
    with (
        one.event("interpolation-run"),
        one.event("sample-run"),
        two.event("interpolation-run"),
        two.event("sample-run"),
    ):
        for button in ("interpolation-run", "sample-run"):
            one.at(button).click()
            two.at(button).click()
    for visit, seeds in ((one, range(1, 7)), (two, range(31, 34))):
        visit.ran("interpolation")
        visit.shows("sample-gallery", len(seeds))
        labels = visit.at("sample-gallery").locator("img").evaluate_all("all => all.map(i => i.alt)")
        assert labels == [f"seed {seed}" for seed in seeds]
    ours, theirs = one.pictures("sample-gallery"), two.pictures("sample-gallery")
    assert not any(np.array_equal(a, b) for a in ours for b in theirs)
    one.write("sample-seeds", "31-33")
    one.press("sample-run")
    assert all(np.array_equal(a, b) for a, b in zip(one.pictures("sample-gallery"), theirs, strict=True))
