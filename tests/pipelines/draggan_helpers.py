"""What tests of dragging share: a drag that is long enough, kinds of drags, and when two steps are the same."""

from __future__ import annotations

import numpy as np
import torch

from pipelines import draggan

AWAY = {"handles": [(20, 30)], "targets": [(50, 30)]}  # farther than the steps of these tests reach
KINDS = {
    "no mask": {},
    "mask": {"mask": np.pad(np.ones((30, 30)), 17)},
    "one w": {"space": "w"},
    "latent term": {"latent_weight": 1.0},
    "whole picture": {"feature_resolution": 64},
    "reference": {"mode": "reference", "r1": 24, "r2": 40},
}


def run(net, w, steps=4, **how):
    return list(draggan.drag(net, w, **{**AWAY, **how}, steps=steps))


def same(a, b):
    """Two steps agree to the last bit in everything that matters."""
    assert (a.step, a.handles, a.targets, a.distances, a.stuck) == (b.step, b.handles, b.targets, b.distances, b.stuck)
    assert torch.equal(a.w, b.w)
    assert all(torch.equal(m, n) for m, n in zip(a.state.moments, b.state.moments, strict=True))
    if a.image is not None and b.image is not None:
        assert np.array_equal(a.image, b.image)
