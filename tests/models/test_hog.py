"""Differentiable histograms of oriented gradients: against OpenCV's, and against finite differences."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch

from models.hog import cells_of, hog


def grating(angle: float, size: int = 64, period: float = 9.0, contrast: float = 1.0) -> np.ndarray:
    """Stripes whose gradient lies along ``angle`` (radians from the x axis towards y), levels 0 to 1."""
    y, x = np.mgrid[:size, :size]
    return 0.5 + 0.5 * contrast * np.sin((x * math.cos(angle) + y * math.sin(angle)) * 2 * math.pi / period)


def ours(levels: np.ndarray) -> np.ndarray:
    """``[8, cells, cells]``"""
    return hog(torch.from_numpy(levels).float()[None, None] * 2 - 1)[0].numpy()


def opencv(levels: np.ndarray, bins: int = 8) -> np.ndarray:
    """``[bins]``: OpenCV's histogram over the whole picture, one block of one cell, unsigned gradients."""
    side = levels.shape[0]
    size = (side, side)
    # No bin is clipped (theirs usually at 0.2), which would turn directions.
    described = cv2.HOGDescriptor(size, size, (side, side), size, bins, 1, -1.0, 0, 1.0, False)
    return described.compute((levels * 255).round().astype(np.uint8)).ravel()


@pytest.mark.parametrize("degrees", range(0, 180, 15))
def test_orientations_are_ordered_as_in_opencv(degrees):
    """OpenCV's bins are centred half a bin further: the circular mean directions agree."""

    def direction(histogram: np.ndarray, offset: float) -> float:
        angles = (np.arange(8) + offset) * (math.pi / 8)
        return float(np.angle((histogram * np.exp(2j * angles)).sum())) / 2

    levels = grating(math.radians(degrees))
    mine = direction(ours(levels)[:, 1:-1, 1:-1].sum(axis=(1, 2)), 0.0)
    theirs = direction(opencv(levels), 0.5)
    apart = (mine - theirs + math.pi / 2) % math.pi - math.pi / 2
    assert abs(apart) < math.radians(6)
    wanted = (mine - math.radians(degrees) + math.pi / 2) % math.pi - math.pi / 2
    assert abs(wanted) < math.radians(3)


def test_stronger_edges_count_more_as_in_opencv():
    """Pictures by their whole energy are in the same order; OpenCV normalises its blocks, so raw gradients are used."""
    rng = np.random.RandomState(0)
    pictures = [cv2.GaussianBlur(rng.rand(64, 64), (0, 0), s) * c for s in (1, 2, 4) for c in (0.3, 1.0)]

    def gradient_energy(levels):
        g = [cv2.Sobel(levels, cv2.CV_64F, *d, ksize=3) / 4 for d in ((1, 0), (0, 1))]
        return np.hypot(*g).sum()

    theirs = np.argsort([gradient_energy(p) for p in pictures])
    assert np.array_equal(theirs, np.argsort([ours(p).sum() for p in pictures]))


def test_an_edge_is_counted_where_it_is():
    levels = np.zeros((64, 64))
    levels[:, 44:] = 1.0
    found = ours(levels)
    assert found[0].sum() > 0.9 * found.sum(), "a step to the right has its gradient along x"
    across = found[0].sum(axis=0)
    assert across.argmax() == 5 and across[5] > 0.7 * across.sum(), "pixel 44 lies in the cell of pixels 40 to 47"


def test_the_border_of_a_picture_is_no_edge():
    assert ours(np.full((64, 64), 0.9)).max() < 1e-2


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    x = (torch.rand(1, 3, 16, 16, dtype=torch.float64) * 2 - 1).requires_grad_(True)
    weights = torch.randn(1, 8, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: (hog(x) * weights).sum(), (x,), eps=1e-7, atol=1e-5)


def test_flat_pictures_have_a_gradient_too():
    x = torch.zeros(1, 3, 16, 16, requires_grad=True)
    hog(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_cells_that_anything_is_marked_in():
    mask = torch.zeros(1, 1, 64, 64)
    mask[0, 0, 17, 30:34] = 1
    found = cells_of(mask)[0, 0]
    assert found.shape == (8, 8) and found.sum() == 2 and found[2, 3] == found[2, 4] == 1
