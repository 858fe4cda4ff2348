"""What the benchmarks of dragging count and measure; not how fast this machine is today."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch.utils.flop_counter import FlopCounterMode

import weights
from benchmarks import __main__ as command
from benchmarks import drag_accuracy, draggan, kept
from models.pullback import Pullback
from models.stylegan2 import Generator


def test_the_floor_at_1024_pixels():
    net = Generator(img_resolution=1024, mapping_layers=1)
    assert round(draggan.floor_flops(net, 128) / 1e9) == 122


def test_the_floor_is_what_a_step_computes():
    net = Generator(img_resolution=32, channel_base=512, channel_max=32, mapping_layers=1).eval().requires_grad_(False)
    ws = net.mapping(torch.randn(1, 512))
    found = Pullback(net.synthesis, ws, 6, 32)
    with FlopCounterMode(display=False) as counter:
        gradient = torch.ones_like(found.forward(ws))
        found.backward(gradient)
    counts = counter.get_flop_counts()["Global"]
    convolutions = sum(value for operation, value in counts.items() if "conv" in str(operation))
    widths = net.synthesis.widths
    # FIR filters: four by four taps for each sample that the convolution before them leaves, forwards and backwards.
    # The counter takes a depthwise convolution for one of all channels on the way back, so only a bound is asked for.
    filters = 2 * 16 * sum(widths[r] * r**2 for r in (8, 16, 32))
    lowest = 2.0 * 9 * widths[4] ** 2 * 16  # nothing is asked for below the first layer
    assert convolutions >= draggan.floor_flops(net, 32) - lowest + filters


def test_a_step_that_never_arrives_can_be_repeated():
    net = weights.load("stylegan2/faces")
    for mode in ("fast", "reference"):
        step = draggan.stepping(net, mode, True)
        for _ in range(3):
            step()


def test_memory_is_that_of_a_process_of_its_own():
    found = draggan.peak(256, "fast", "cpu")
    assert 200 * 2**20 < found < 1536 * 2**20


def test_drags_are_drawn_by_the_seed_alone_and_stay_inside():
    for size in (64, 128):
        lengths = []
        for seed in range(100):
            points = 1 + 4 * (seed % 2)
            handles, targets = drag_accuracy.pairs(seed, points, size)
            assert (handles, targets) == drag_accuracy.pairs(seed, points, size)
            assert len(handles) == len(targets) == points
            assert all(0.15 * size - 1 <= v <= 0.85 * size for p in [*handles, *targets] for v in p)
            lengths += [math.dist(a, b) / size for a, b in zip(handles, targets, strict=True)]
        assert 0.079 < min(lengths) < 0.12 and 0.2 < max(lengths) < 0.251


def picture(seed=0):
    noise = np.random.RandomState(seed).randint(0, 256, (16, 16, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((80, 80), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(1))


def test_the_flow_finds_what_has_moved():
    whole = picture()
    first, last = whole.crop((8, 8, 72, 72)), whole.crop((3, 10, 67, 74))  # everything 5 to the right, 2 up
    for point, found in zip([(20, 30), (40, 15)], drag_accuracy.flow(first, last, [(20, 30), (40, 15)]), strict=True):
        assert math.dist(found, (point[0] + 5, point[1] - 2)) < 0.5
    assert math.dist(drag_accuracy.flow(first, first, [(20, 30)])[0], (20, 30)) < 0.1


def test_a_mask_leaves_the_way_free():
    mask = np.asarray(drag_accuracy.mask_around([(20, 30)], [(40.0, 30.0)], 64))
    assert mask[30, 20] == mask[30, 30] == mask[30, 40] == 255 and mask[30, 60] == mask[50, 30] == 0


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    net = weights.load("stylegan2/faces")
    path = tmp_path / "folder" / "kept.jsonl"
    monkeypatch.setattr(drag_accuracy, "STEPS", 2)
    first = drag_accuracy.measured(net, "fast", 1, 2, False, path)
    assert {"far", "own", "flow", "done", "steps", "seconds", "outside"} == set(first[0])
    assert len(path.read_text().splitlines()) == 2
    path.write_text(path.read_text() + '{"key": "cut o')  # stopped while writing
    calls = []
    monkeypatch.setattr(drag_accuracy, "one", lambda *a: calls.append(a) or first[0])
    assert drag_accuracy.measured(net, "fast", 1, 2, False, path) == first and not calls
    drag_accuracy.measured(net, "fast", 1, 3, True, path)
    assert [c[2] for c in calls] == [10_000, 10_001, 10_002] and calls[0][4] is True


def test_a_summary_counts_handles_and_drags():
    results = [
        {"far": [4.0, 8.0], "own": [1.0, 1.0], "flow": [2.0, 4.0], "done": "arrived", "steps": 10, "seconds": 1.0},
        {"far": [6.0, 6.0], "own": [5.0, 1.0], "flow": [6.0, 6.0], "done": "stuck", "steps": 30, "seconds": 2.0},
    ]
    found = drag_accuracy.summary([{**r, "outside": 3.0} for r in results])
    assert found["own mean"] == 2 and found["own median"] == 1 and found["flow mean"] == 4.5
    assert found["never"] == 0.5 and found["steps"] == 20 and found["seconds"] == 1.5 and found["outside"] == 3


@pytest.mark.parametrize(("left", "missed"), [(1.0, False), (9.0, True)])
def test_being_worse_than_the_reference_is_reported(left, missed, tmp_path, monkeypatch, capsys):
    def one(net, mode, seed, points, masked=False):
        far = [10.0] * points
        own = [left if mode == "fast" else 5.0] * points
        done = "arrived" if own[0] < 2 else "stuck"
        outside = 1.0 if masked else 10.0
        return {"far": far, "own": own, "flow": own, "done": done, "steps": 5, "seconds": 0.1, "outside": outside}

    monkeypatch.setattr(drag_accuracy, "one", one)
    assert drag_accuracy.main(count=2, path=tmp_path / "kept.jsonl") == int(missed)
    text = capsys.readouterr().out
    assert ("MISSED" in text) == missed and re.search(r"stylegan2/cats, \d+ px, 5 points, reference", text)


def test_the_count_is_an_option_of_the_command(monkeypatch):
    asked = []
    monkeypatch.setattr(drag_accuracy, "main", lambda device, quick, count: asked.append((device, quick, count)) or 0)
    assert command.main(["drag-accuracy", "--count", "3"]) == 0 and asked == [("cpu", False, 3)]
    with pytest.raises(SystemExit):
        command.main(["drag-accuracy", "--count", "0"])


def test_entries_are_lines_of_json(tmp_path):
    path = tmp_path / "kept.jsonl"
    path.write_text(json.dumps({"key": "a", "result": {"x": 1}}) + "\n\nnonsense\n[]\n")
    assert kept.read(path) == {"a": {"x": 1}} and kept.read(tmp_path / "nowhere") == {}


def test_a_network_of_the_published_size_has_its_block():
    from benchmarks import synthesis
    from pipelines import draggan as pipeline

    usual = pipeline.defaults(synthesis.network(256, "cpu"))
    assert dataclasses.asdict(usual)["feature_resolution"] == 128
