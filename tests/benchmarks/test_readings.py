"""The classifier that ships, at thresholds at which it is fair."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.readings import Reader


class Bright:
    """The logit of its one attribute is high above what any photograph here has; it is used to something rarer."""

    attrs, img_size = ("Bald",), 8

    def __call__(self, x):
        return x.mean(dim=(1, 2, 3))[:, None] * 4 - 6

    def parameters(self):
        return iter([torch.zeros(1)])


def test_what_is_rare_is_seen(tmp_path):
    rows, rng = [["file", "split", "Bald"]], np.random.RandomState(0)
    for i in range(60):
        bald = i % 10 == 0
        level = (170 if bald else 60) + rng.randint(-20, 21)
        Image.new("RGB", (8, 8), (level,) * 3).save(tmp_path / f"{i}.png")
        rows.append([f"{i}.png", "test" if i >= 40 else "train", int(bald)])
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    reader = Reader(Bright(), tmp_path)
    assert reader.edges["Bald"] < 0.5 and reader.photographs == {"Bald": pytest.approx(100)}
    for level, bald in ((170, True), (60, False)):
        assert reader.has(Image.new("RGB", (8, 8), (level,) * 3)) == {"Bald": bald}
