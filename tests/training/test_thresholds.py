"""A classifier's fair thresholds: as often right where an attribute is as where it is not."""

import numpy as np
import pytest
import torch

from training import thresholds
from training.data import Images


def readings(having: float, lacking: float, share: float, n: int = 20_000, seed: int = 0):
    """Logits of photographs, a share of which has the attribute, around two means, and who has it."""
    rng = np.random.RandomState(seed)
    there = rng.rand(n) < share
    return (
        torch.tensor(np.where(there, having, lacking) + rng.randn(n), dtype=torch.float32)[:, None],
        torch.tensor(there)[:, None].to(torch.uint8),
    )


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_both_errors_are_as_frequent_however_rare_it_is(share):
    read, labels = readings(-1.0, -5.0, share)
    (edge,) = thresholds.fair(read, labels).tolist()
    assert edge == pytest.approx(-3.0, abs=0.15)
    there = labels[:, 0] == 1
    missed, mistaken = (read[there] <= edge).float().mean(), (read[~there] > edge).float().mean()
    assert missed == pytest.approx(float(mistaken), abs=0.01) and missed < 0.04


def test_what_nobody_has_keeps_the_usual_threshold():
    read = torch.tensor([[1.0, 2.0], [3.0, -1.0], [4.0, -2.0]])
    assert thresholds.fair(read, torch.tensor([[0, 1], [0, 1], [0, 1]])).tolist() == [0.0, 0.0]


def test_photographs_are_read_as_edits_would_be():
    """Of four that have it one is missed, of one without it none; turned over, that one and those four are seen so."""
    read, labels = torch.tensor([[1.0], [2.0], [3.0], [-1.0], [-2.0]]), torch.tensor([[1], [1], [1], [1], [0]])
    assert thresholds.of_photographs(read, labels, torch.zeros(1)).tolist() == [pytest.approx(100 * (0.2 * 0.75 + 0.8))]
    # A threshold that nothing reaches sees nobody who has it.
    assert thresholds.of_photographs(read, labels, torch.full((1,), 9.0)).tolist() == [pytest.approx(80)]


def test_it_reads_in_the_order_asked_for():
    class Judge(torch.nn.Module):
        attrs = ("Young", "Bald", "Male")

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(3))

        def forward(self, x):
            return x.mean(dim=(2, 3)) * self.scale

    pixels = torch.randint(0, 256, (70, 3, 4, 4), dtype=torch.uint8)
    found = thresholds.read(Judge(), Images(pixels), ("Male", "Young"))
    wanted = (pixels.float() / 127.5 - 1).mean(dim=(2, 3))
    assert torch.allclose(found, wanted[:, [2, 0]])
