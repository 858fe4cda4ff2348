"""What an event of a cell says, whatever its function yields: pictures on the way, the result, what comes after it."""

from __future__ import annotations

import inspect

import gradio as gr
import pytest

from demo import gpu
from demo.lifecycle import Lifecycle, going, ran, unasked
from weights.errors import UserError


class Cell(Lifecycle):
    def __init__(self):
        super().__init__()
        self.news, self.status = gr.HTML(), gr.HTML()
        self.film, self.still, self.file = gr.Image(), gr.Image(), gr.File()
        self.empty = {self.file: None}
        self.makes([self.film, self.still], [])

    @property
    def outputs(self) -> list:
        return [self.news, self.status, self.film, self.still, self.file]

    def answers(self, *updates) -> list[dict]:
        return list(self._followed(lambda: (update for update in updates), self.outputs, 0, False)())


@pytest.fixture
def cell():
    with gr.Blocks():
        yield Cell()


def test_each_picture_on_the_way_comes_without_the_files_of_the_last_result(cell):
    """Each, because of answers that come at once a browser shows the last alone."""
    first, second, words = cell.answers({cell.film: "a"}, {cell.film: "b"}, {cell.news: going("on its way")})
    for answer in (first, second, words):
        assert answer[cell.status] == "" and answer[cell.file] is None
    assert first[cell.still] is None, "what else shows the last result goes once"
    assert cell.still not in second and cell.film not in words, "a picture that has come meanwhile stays"


def test_what_comes_after_the_result_takes_nothing_away(cell):
    before, result, after = cell.answers(
        {cell.film: "a"}, {cell.film: "b", cell.status: ran("3 frames")}, {cell.file: "film.gif"}
    )
    assert before[cell.status] == "" and 'class="nb-ran" data-run="' in result[cell.status]
    assert result[cell.news] == "" and cell.file not in result
    assert after == {cell.file: "film.gif"}


def test_what_nobody_asked_for_complains_to_nobody(cell):
    def lacks_a_face(seed=1):
        yield {cell.film: "a"}
        raise UserError("There is no face yet.")

    quiet = unasked(lacks_a_face, cell.news)
    assert list(quiet()) == [{cell.film: "a"}, {cell.news: ""}], "how far it was stands there no more"
    assert list(inspect.signature(quiet).parameters) == ["seed"], "Gradio reads it"


@pytest.mark.parametrize("where", ["ZeroGPU", "a host that forbids it"])
def test_there_nothing_is_made_unasked(where, cell, monkeypatch):
    """A visitor's minutes are counted on ZeroGPU, and some hosts have many visitors."""
    if where == "ZeroGPU":
        monkeypatch.setattr(gpu, "ON_ZERO_GPU", True)
    else:
        monkeypatch.setenv("GANBOOK_UNASKED", "0")
    assert cell.shows_itself(lambda: iter(()), [], [cell.film]) is None and not cell.events
