"""How like a photograph a picture of its face is."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

import weights
from pipelines import stylegan2
from pipelines.out_of_domain import likeness


def test_a_likeness_is_said_in_words():
    photo = Image.fromarray(np.random.RandomState(0).randint(0, 256, (64, 64, 3), dtype=np.uint8))
    same = likeness.of(photo, photo)
    assert same.words == "good" and same.levels == 0 and not same.stranger
    assert same.person is None or same.person < 1e-5
    assert likeness.of(photo, Image.new("RGB", (64, 64))).words == "poor"


def test_faces_of_two_people_are_strangers():
    """Pictures of the faces that ship: the same one a little blurred, and others."""
    net = weights.load("stylegan2/faces")
    one, *others = stylegan2.sample(net, seeds=range(1, 13), truncation_psi=0.9)
    blurred = likeness.of(one, one.filter(ImageFilter.GaussianBlur(1)))
    apart = [likeness.of(one, other).person for other in others]
    assert not blurred.stranger and blurred.person < min(apart)
    assert np.mean([likeness.of(one, other).stranger for other in others]) > 0.7
