"""One face, five papers: by the networks that ship, with few steps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

import weights
from pipelines import five_papers, stylegan2
from pipelines.five_papers import PaperResult
from weights.errors import UserError

ORDER = ["photograph", "stylegan2", "draggan", "attgan", "igan", "out_of_domain"]


@pytest.fixture(scope="module")
def photo():
    """A face that the network makes, on a wider ground."""
    face = stylegan2.sample(weights.load("stylegan2/faces"), seeds=[8])[0].resize((320, 320), Image.Resampling.BICUBIC)
    ground = Image.new("RGB", (480, 400), (90, 110, 130))
    ground.paste(face, (80, 40))
    return ground


@pytest.fixture(scope="module")
def made(photo):
    with pytest.MonkeyPatch.context() as few:
        few.setattr(five_papers, "STEPS", {"draggan": 8, "project": 4, "brush": 6})
        return {one.technique: one for one in five_papers.five_papers(photo)}


def levels(one: PaperResult) -> np.ndarray:
    return np.asarray(one.image, dtype=np.float64)


def test_each_paper_makes_its_picture_of_the_face(made):
    assert list(made) == ORDER == list(five_papers.NAMES)
    before = levels(made["photograph"])
    for technique, one in made.items():
        assert one.image is not None, f"{technique}: {one.words}"
        assert one.image.size == (256, 256) and one.image.mode == "RGB" and one.words
        if technique != "photograph":
            apart = np.abs(levels(one) - before).mean()
            assert 0.5 < apart < 60, f"{technique}: the same face, and not the same picture"


def test_edits_of_the_photograph_leave_its_border_alone(made):
    before = levels(made["photograph"])
    smile = np.abs(levels(made["out_of_domain"]) - before).mean(axis=2)
    assert smile[:40].max() <= 2, "a smile is not in the hair"
    assert smile[130:].max() > 15
    glasses = np.abs(levels(made["attgan"]) - before).mean(axis=2)
    assert glasses[90:140, 60:196].mean() > 1.5 * glasses[180:].mean(), "glasses are before the eyes"


def test_it_can_be_left_after_any_step(photo):
    steps = five_papers.in_steps(photo)
    assert next(steps).technique == "photograph"
    assert list(itertools.islice(steps, 3)) == [None] * 3, "the search for the latent goes on"
    steps.close()


def test_what_fails_fails_for_its_own_paper_only(photo, monkeypatch):
    def refuses(subject, known):
        raise UserError("The brush is broken.")
        yield

    def light(subject, known):
        yield
        return subject.crop(), "nothing"

    def no_latent(*args, **kwargs):
        raise UserError("There is no latent.")

    monkeypatch.setattr(five_papers, "MAKERS", {**dict.fromkeys(five_papers.MAKERS, light), "igan": refuses})
    found = {one.technique: one for one in five_papers.five_papers(photo)}
    assert list(found) == ORDER and found["igan"].image is None and found["igan"].words == "The brush is broken."
    assert all(one.image is not None for name, one in found.items() if name != "igan")
    monkeypatch.undo()
    monkeypatch.setattr(five_papers.out_of_domain, "invert", no_latent)
    monkeypatch.setattr(five_papers, "STEPS", {"draggan": 1, "project": 1, "brush": 1})
    found = {one.technique: one for one in five_papers.five_papers(photo)}
    assert [name for name, one in found.items() if one.words == "There is no latent."] == [
        "stylegan2",
        "draggan",
        "out_of_domain",
    ]
    assert found["attgan"].image is not None and found["igan"].image is not None


def test_no_face_is_said_at_once():
    with pytest.raises(UserError, match="No face was found"):
        five_papers.five_papers(Image.new("RGB", (200, 200), (90, 120, 60)))


def test_there_are_only_so_many_faces(photo):
    with pytest.raises(UserError, match="The number of the face"):
        five_papers.five_papers(photo, face=5)
