"""What the benchmark of edit transfer measures; not how well edits are carried over."""

import numpy as np
import pytest
import torch

from benchmarks import edit_transfer
from models.dcgan import DCGAN


def photo() -> np.ndarray:
    y, x = np.mgrid[:128, :128]
    return np.stack([2 * x, 2 * y, 255 - x - y], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_edits_are_seeded_smooth_and_end_at_the_border(seed):
    made, again = edit_transfer.edit(seed), edit_transfer.edit(seed)
    assert np.array_equal(made.flow, again.flow) and np.array_equal(made.colour, again.colour)
    assert not np.array_equal(made.flow, edit_transfer.edit(seed + 1).flow)
    longest = np.linalg.norm(made.flow, axis=2).max() / 128
    assert edit_transfer.FARTHEST[0] <= longest <= edit_transfer.FARTHEST[1] + 1e-6
    assert max(np.abs(np.diff(made.flow, axis=axis)).max() for axis in (0, 1)) < 0.5, "nothing folds"
    assert np.abs(made.flow[[0, -1]]).max() < 0.1
    white = np.ones((128, 128, 3), np.float32)
    assert np.abs(made(white) - 1).max() < 1e-4


def test_errors_are_in_minus_one_to_one():
    black, white = np.zeros((4, 4, 3)), np.ones((4, 4, 3))
    assert edit_transfer.errors(black, white) == (4.0, 2.0) and edit_transfer.errors(white, white) == (0.0, 0.0)


def test_what_is_measured(monkeypatch):
    torch.manual_seed(0)
    net = DCGAN({"z_dim": 8, "widths": (8, 8, 8, 8), "prior": "uniform"}).eval().requires_grad_(False)
    monkeypatch.setattr(edit_transfer, "STEPS", 2)
    found = edit_transfer.measured(net, photo(), 0, frames=3)
    assert set(found) == set(edit_transfer.PATHS)
    truth = edit_transfer.edit(0)(photo() / np.float32(255))
    untouched = edit_transfer.errors(photo() / 255, truth)
    assert all(path["photograph"] == pytest.approx(untouched, rel=1e-3) for path in found.values())
    lines = edit_transfer.rows("some", [found, found])
    ratio = found["painted"]["generated"][0] / found["painted"]["transferred"][0]
    assert lines[1][0] == "some, painted" and lines[1][4].startswith(f"{ratio:.2f}x")


def test_without_photographs_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(edit_transfer, "DATA", tmp_path)
    monkeypatch.setattr(edit_transfer, "SETS", {"cats": ("stylegan2/cats",)})
    assert edit_transfer.main() == 0 and "not measured" in capsys.readouterr().out
