"""What the classifier that ships sees, at the thresholds at which it is fair to every attribute.

It is as often right there where an attribute is as where it is not (``training.thresholds``); at a probability of one
half it misses two of three photographs of what is rare, and no edit could be seen changing that more often.
"""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

COUNT = 6000  # photographs of the train split that set the thresholds: their reading takes half a minute


class Reader:
    """The classifier and its thresholds, from photographs of the train split.

    Attributes:
        photographs: how often, in percent, photographs of the test split are read as edits would be that nothing tells
            from photographs; by attribute.
    """

    def __init__(self, classifier, path: Path):
        from training import thresholds

        self.classifier, names = classifier, list(classifier.attrs)
        edges, shares, _half = thresholds.of_judge(classifier, path, names, COUNT)
        self.edges = dict(zip(names, torch.sigmoid(edges).tolist(), strict=True))
        self.photographs = dict(zip(names, shares.tolist(), strict=True))

    def has(self, image: Image.Image) -> dict[str, bool]:
        """Of an aligned face, by attribute."""
        from pipelines import attgan

        return {name: share > self.edges[name] for name, share in attgan.attributes(image, self.classifier).items()}
