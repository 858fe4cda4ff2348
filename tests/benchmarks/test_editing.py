"""The benchmark of edits compares what gives the same pictures; not how fast this machine is today."""

import torch

from benchmarks import __main__ as command
from benchmarks import editing


def test_both_sides_make_the_same_pictures():
    for ours, plain in editing.tasks(editing.network(), "cpu").values():
        made, wanted = ours(), torch.cat(plain())
        assert made.shape == wanted.shape and (made - wanted).abs().max() < 1e-4


def test_it_is_a_command_and_says_what_is_missed(capsys, monkeypatch):
    assert "editing" in command.NAMES
    monkeypatch.setattr(editing.measure, "interleaved", lambda tasks, *_: {"ours": 1.0, "plain": 1.2})
    assert editing.main(quick=True) == 1
    said = capsys.readouterr().out
    assert "MISSED one edit: 1.20x" in said and "1.20x" in said.split("MISSED")[0]
