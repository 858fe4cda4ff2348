"""The benchmark of AttGAN's edits measures what it says, and says what it could not measure."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import weights
from benchmarks import __main__ as command
from benchmarks import attribute_edits
from benchmarks.attribute_edits import Outcome
from pipelines import attgan, faces
from pipelines.faces import geometry
from training import judges


class Judge:
    """Everybody's face is found where an average one lies; a person is known by the picture's mean."""

    def landmarks(self, pixels):
        points = np.zeros((len(pixels), 68, 2), np.float32)
        eyes_nose_mouth = geometry.celeba_landmarks(pixels.shape[2])
        points[:, 36:42], points[:, 42:48] = eyes_nose_mouth[0], eyes_nose_mouth[1]
        points[:, 30], points[:, 48], points[:, 54] = eyes_nose_mouth[2:]
        return points, np.ones(len(pixels), bool)

    def judge(self, pixels):
        return judges.Judged(pixels.float().flatten(1).mean(dim=1, keepdim=True).numpy() / 10)


class Light:
    """In place of the reader: who is bright is everything."""

    def has(self, image):
        return dict.fromkeys(weights.load("attgan/faces").attrs, bool(np.asarray(image).mean() > 127.5))


PHOTOGRAPHS = {"Bald": 90.0, "Eyeglasses": 80.0}


@pytest.fixture
def photos():
    return np.random.RandomState(0).randint(0, 256, (2, 128, 128, 3)).astype(np.uint8)


def test_it_is_in_the_list():
    assert "attribute-edits" in command.NAMES and "attribute-edits" in command.COUNTED


def test_where_and_how_much_an_edit_changes(monkeypatch, photos):
    """Of the shipped network, edits that are made by hand: the upper left corner lighter by 80 levels."""
    net = weights.load("attgan/faces", "cpu")

    def flips(net, face, *_):
        edit = np.asarray(face.image).copy()
        corner = edit[: len(edit) // 4, : len(edit) // 4].astype(int) + 80
        edit[: len(edit) // 4, : len(edit) // 4] = corner.clip(0, 255)
        return {"Reconstruction": face.image} | dict.fromkeys(face.has, Image.fromarray(edit))

    monkeypatch.setattr(attgan, "flips", flips)
    monkeypatch.setattr(faces, "detect", lambda image: [])
    rows = attribute_edits.outcomes(net, photos, 0, Judge(), Light())
    assert [r.attribute for r in rows] == list(net.attrs)
    for row in rows:
        placed = row.attribute in attribute_edits.PLACED
        assert row.pasted is None and (row.outside is not None) == placed
        assert 2 < row.change < 5 and row.apart == pytest.approx(row.change / 10, rel=0.3)
        assert not placed or row.outside > row.change  # the corner is no part of any of them


@pytest.mark.parametrize(("strength", "low", "high"), [(1.0, 0.8, 1.2), (0.5, 0.4, 0.6)])
def test_the_share_of_a_change_that_comes_back(monkeypatch, strength, low, high):
    rng = np.random.RandomState(1)
    coarse = Image.fromarray(rng.randint(60, 180, (12, 12, 3)).astype(np.uint8))
    picture = coarse.resize((300, 300), Image.Resampling.BICUBIC)
    landmarks = geometry.celeba_landmarks(128) * 1.5 + 50
    aligned = faces.align(picture, faces.Face((50, 50, 192, 192), landmarks, 1.0, "hand"), size=128)
    edit = np.asarray(aligned.image).copy()
    edit[50:80, 50:80] += 40
    edit = Image.fromarray(edit)
    real = faces.paste
    monkeypatch.setattr(faces, "paste", lambda *given, beyond: real(*given, strength, beyond))
    face = attgan.Face(aligned.image, {"Bangs": False}, None)  # whose edits may show everywhere
    wanted = {"Bangs": 1.0}
    assert low < attribute_edits.pasted(face, aligned, picture, aligned.image, edit, wanted) < high
    assert attribute_edits.pasted(face, aligned, picture, aligned.image, aligned.image, wanted) is None


def rows(**more):
    usual = {"on": True, "apart": 0.3, "changed": True, "change": 5.0, "outside": None, "pasted": 0.95}
    return [Outcome("Bald", **(usual | more)), Outcome("Eyeglasses", **(usual | {"outside": 1.0} | more))]


def test_both_counts_changes_of_the_same_person_alone():
    changed, same = {"changed": True, "apart": 0.7}, {"changed": False, "apart": 0.3}
    of = attribute_edits.summary([*rows(**changed), *rows(**same), *rows()])
    assert of["changed"] == of["same"] == pytest.approx(2 / 3) and of["both"] == pytest.approx(1 / 3)


def test_an_edit_that_does_nothing_changes_nothing(monkeypatch, photos):
    """Whichever way the reader reads the photograph: where it contradicts the page, it says nothing of the edit."""
    net = weights.load("attgan/faces", "cpu")
    monkeypatch.setattr(attgan, "flips", lambda net, face, *_: dict.fromkeys(["Reconstruction", *face.has], face.image))
    monkeypatch.setattr(faces, "detect", lambda image: [])
    rows = attribute_edits.outcomes(net, photos, 0, Judge(), Light())
    bright = bool(photos[0].mean() > 127.5)
    assert [r.changed for r in rows] == [None if r.on == bright else False for r in rows]
    of = attribute_edits.summary(rows)
    assert of["changed"] == of["both"] == 0 and {r.changed for r in rows} == {None, False}


def test_what_is_wanted_is_not_called_missed(capsys):
    assert attribute_edits.show(rows(), rows(changed=False), PHOTOGRAPHS) == []
    said = capsys.readouterr().out
    assert "Eyeglasses" in said and " 85% |" in said, "what photographs reach"


@pytest.mark.parametrize(
    ("worse", "words"),
    [
        ({"apart": 0.7}, "Bald, same person: 0.00, at least 0.6"),
        ({"changed": False}, "changed, mean: 0.00"),
        ({"outside": 9.0}, "Eyeglasses, outside of its region: 9.00, at most 3"),
        ({"pasted": 0.5}, "pasted: 0.50"),
    ],
)
def test_what_is_missed_is_said(worse, words):
    assert any(words in line for line in attribute_edits.show(rows(**worse), rows(), PHOTOGRAPHS))


def test_it_says_what_is_not_here(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(attribute_edits, "DATA", tmp_path)
    assert attribute_edits.main(quick=True) == 0
    assert "Not measured: its photographs" in capsys.readouterr().out
