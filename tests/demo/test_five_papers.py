"""The cell of the first page that does all five things with one photograph; the networks do next to nothing here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import weights
from demo.session import Visitor
from pipelines import five_papers, stylegan2
from weights import paths

from .conftest import handler_of
from .igan_helpers import pixels, run

SHEET, CODE, STATUS, NEWS, BOARD = range(5)


@pytest.fixture(scope="module")
def shelf():
    """The networks that ship: a face has to be found."""
    return paths.EMBEDDED


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    path = tmp_path_factory.mktemp("photographs") / "your-photograph.png"
    face = stylegan2.sample(weights.load("stylegan2/faces"), seeds=[8])[0]
    face.resize((384, 384), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(autouse=True)
def light(monkeypatch):
    """Makers that give the face in another brightness, with a step on the way."""

    def maker(levels: int):
        def make(subject, known):
            yield
            return subject.crop().point(lambda v: min(255, v + levels)), f"{levels} levels brighter"

        return make

    def inverted(subject):
        yield

    made = {name: maker(10 * (i + 1)) for i, name in enumerate(five_papers.MAKERS)}
    monkeypatch.setattr(five_papers, "MAKERS", made)
    monkeypatch.setattr(five_papers, "_inverted", inverted)
    return made


def test_all_five_and_their_code(visitor, photograph, monkeypatch):
    answer = visitor("five_papers", photo=handle_file(str(photograph)))
    sheet = pixels(answer[SHEET])
    assert sheet.shape[1] > 6 * 256 and "5 of 5 papers" in answer[STATUS] and answer[NEWS] == ""
    result = run(answer[CODE], photograph.parent, monkeypatch)
    assert list(result) == list(five_papers.NAMES)
    gap = (sheet.shape[1] - 6 * 256) // 5
    for i, image in enumerate(result.values()):
        assert np.array_equal(sheet[:256, i * (256 + gap) :][:, :256], np.asarray(image))
    assert Path("result-photograph.png").exists(), "the code saves what it makes"


def test_they_come_one_after_the_other(page, photograph):
    run_it = handler_of(page, "st-five-run")
    cell = run_it.cell
    board = next(b for b in page.blocks.values() if getattr(b, "elem_id", None) == "st-five-papers")
    seen = [u for u in run_it(Visitor(), str(photograph)) if board in u]
    assert [len(u[board]["tiles"]["items"]) for u in seen] == [1, 2, 3, 4, 5, 6, 6]
    assert "StyleGAN2 is at work" in seen[0][cell.news] and "Out of domain is at work" in seen[4][cell.news]


def test_what_one_paper_cannot_do_is_said_beside_the_others(visitor, photograph, light):
    def refuses(subject, known):
        raise weights.UserError("The brush is broken.")
        yield

    light["igan"] = refuses
    answer = visitor("five_papers", photo=handle_file(str(photograph)))
    assert "4 of 5 papers" in answer[STATUS] and "iGAN: The brush is broken." in answer[NEWS]


def test_no_photograph_and_no_face(visitor, tmp_path):
    with pytest.raises(AppError, match="no photograph yet"):
        visitor("five_papers", photo=None)
    Image.new("RGB", (200, 200), (90, 120, 60)).save(tmp_path / "wall.png")
    with pytest.raises(AppError, match="No face was found"):
        visitor("five_papers", photo=handle_file(str(tmp_path / "wall.png")))
