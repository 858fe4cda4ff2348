"""DragGAN by its paper's own test: what is counted, and how landmarks are read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import weights
from benchmarks import drag_landmarks, landmarks


def test_landmarks_are_dragged_and_judged_by_what_is_seen(tmp_path, monkeypatch):
    pytest.importorskip("dlib", reason="the judge is installed by requirements-bench.txt alone")
    net, path = weights.load("stylegan2/faces"), tmp_path / "kept.jsonl"
    seed, w, start, goal = next(drag_landmarks.pairs(net, 1))
    assert start.shape == goal.shape == (68, 2) and not np.array_equal(start, goal)
    still = drag_landmarks.one(net, "fast", 5, w, start, start)  # each where it is: nothing moves
    assert still["far"] == 0 and still["done"] == "arrived" and still["left"] < 0.01 and still["apart"] < 0.01
    monkeypatch.setattr(drag_landmarks, "STEPS", 3)
    first = drag_landmarks.measured(net, "fast", 68, 1, path)
    far = np.linalg.norm(start - goal, axis=1).mean()
    assert first[0]["far"] == pytest.approx(far) and first[0]["steps"] == 3 and 0 < first[0]["left"] < 1.2 * far
    monkeypatch.setattr(drag_landmarks, "one", lambda *a: pytest.fail("measured twice"))
    assert drag_landmarks.measured(net, "fast", 68, 1, path) == first


def test_a_lost_face_counts_as_not_having_moved(monkeypatch):
    pytest.importorskip("dlib", reason="the judge is installed by requirements-bench.txt alone")
    net = weights.load("stylegan2/faces")
    _seed, w, start, goal = next(drag_landmarks.pairs(net, 1))
    monkeypatch.setattr(landmarks, "steady", lambda x: (np.stack([start, goal]), np.array([True, False])))
    monkeypatch.setattr(drag_landmarks, "STEPS", 1)
    found = drag_landmarks.one(net, "fast", 1, w, start, goal)
    assert found["left"] == found["far"] > 0 and not found["detected"]
    both = drag_landmarks.summary([found, {**found, "left": 0.0, "apart": 0.7}])
    assert both["share"] == pytest.approx(0.5) and both["same"] == 0.5
    warp = drag_landmarks.summary([{name: value for name, value in found.items() if name != "tracker"}])
    assert np.isnan(warp["tracker"]) and not np.isnan(both["tracker"]), "a warp has no tracker"


def test_a_mirrored_face_has_its_landmarks_on_the_other_side():
    """Each has one partner, the middle of the face itself."""
    opposite = np.array(landmarks.OPPOSITE)
    assert sorted(opposite) == list(range(68)) and np.array_equal(opposite[opposite], np.arange(68))
    assert set(np.flatnonzero(opposite == np.arange(68))) == {8, 27, 28, 29, 30, 33, 51, 57, 62, 66}


def test_ten_readings_wobble_less_than_one(monkeypatch):
    """Of a judge that is off by chance; a face that it finds in a few readings alone counts as lost."""
    from training import judges

    place, chance = np.random.default_rng(1).uniform(30, 90, (68, 2)), np.random.default_rng(2)
    calls, found = [], 10

    def read(images):
        mirrored, shift = len(calls) % 2, landmarks.SHIFTS[len(calls) // 2 % 5]
        calls.append(images)
        points = place + shift
        points = points[landmarks.OPPOSITE] * (-1, 1) + (127, 0) if mirrored else points
        return points[None] + chance.normal(0, 1, (1, 68, 2)), np.array([len(calls) <= found])

    monkeypatch.setattr(judges, "landmarks", read)
    points, detected = landmarks.steady(torch.zeros(1, 3, 128, 128))
    assert len(calls) == 10 and detected.all() and np.abs(points[0] - place).mean() < 0.4
    calls.clear()
    found = 4
    assert not landmarks.steady(torch.zeros(1, 3, 128, 128))[1].any()


def test_a_warp_moves_points_exactly_and_leaves_the_frame():
    image = torch.zeros(1, 3, 64, 64)
    image[:, :, 20:24, 30:34] = 1
    image[:, :, 0] = -1
    there = landmarks.warped(image, np.array([[31.5, 21.5]]), np.array([[37.5, 29.5]]))
    bright = (there[0, 0] > 0.5).nonzero().float().mean(dim=0)
    assert torch.allclose(bright, torch.tensor([29.5, 37.5]), atol=0.7)
    assert there[0, 0, 0].mean() < -0.9 and there.shape == image.shape
    assert torch.allclose(landmarks.warped(image, np.array([[10.0, 10.0]]), np.array([[10.0, 10.0]])), image, atol=1e-2)
