"""The toy that learns a ring, or whatever is painted, and what is drawn of it."""

from __future__ import annotations

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from pipelines import igan
from pipelines.igan import toy_drawing, toy_gan, toy_shapes
from weights.errors import UserError


def apart(a: Image.Image, b: Image.Image) -> int:
    return int(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max())


def shares(points: np.ndarray, sectors: int = 12) -> np.ndarray:
    """Of each sector, how many points there are against an even spread."""
    angles = np.arctan2(points[:, 1], points[:, 0])
    return np.histogram(angles, sectors, (-math.pi, math.pi))[0] * sectors / len(points)


@pytest.mark.parametrize("seed", [0, 5])
def test_the_generator_comes_to_lie_on_the_ring(seed):
    found = list(igan.ring(seed=seed, show_every=0))
    first, last = found[0], found[-1]
    assert first.radius < 0.5, "it has to learn this"
    assert abs(last.radius - toy_gan.RADIUS) < 0.04 and 0.03 < last.spread < 0.15
    inside = np.hypot(*last.points.T) < 0.7  # what the sheet has in the hole; 3.75 deviations of the data
    assert inside.mean() < 0.05
    assert shares(last.points).min() > 0.3 and shares(last.points).max() < 2.5, "no part of the ring is left out"
    assert [s.step for s in found] == list(range(toy_gan.STEPS + 1)) and [s.done for s in found].count(True) == 1
    assert last.done and abs(last.loss - 2 * math.log(2)) < 0.1, "the discriminator cannot tell any more"


def test_the_data_are_what_is_said_of_them():
    points = toy_shapes.Ring().sample(20_000, torch.Generator().manual_seed(0)).numpy()
    distance = np.hypot(*points.T)
    assert abs(distance.mean() - 1) < 0.005 and abs(distance.std() - 0.08) < 0.005
    assert abs(shares(points) - 1).max() < 0.15


def test_the_same_seed_gives_the_same_steps_whatever_is_shown():
    def run(**options):
        return list(igan.ring(30, size=64, lines=6, **options))

    a, b, c = run(seed=3, show_every=10), run(seed=3, show_every=1), run(seed=4, show_every=0)
    for x, y in zip(a, b, strict=True):
        assert x.loss == y.loss and np.array_equal(x.points, y.points) and y.image is not None
        assert (x.image is not None) == (x.step % 10 == 0)
        assert x.image is None or apart(x.image, y.image) == 0
    assert not np.array_equal(a[-1].points, c[-1].points) and all(s.image is None for s in c)
    assert a[0].points.shape == (toy_gan.POINTS, 2)


def test_it_can_be_stopped_and_is_not_disturbed_from_outside():
    whole = [s.points for s in igan.ring(6, show_every=0)]
    with torch.inference_mode():
        torch.manual_seed(99)
        beside = igan.ring(6, seed=8, show_every=0)
        stopped = []
        for step in itertools.islice(igan.ring(6, show_every=0), 4):
            torch.rand(3)
            next(beside)
            stopped.append(step.points)
    assert all(np.array_equal(a, b) for a, b in zip(whole, stopped, strict=False))


def test_the_picture_shows_the_square_the_data_and_where_the_square_went():
    first, *_rest, last = [s for s in igan.ring(300, show_every=300, size=160, lines=12)]
    assert first.image.size == last.image.size == (320, 160) and first.image.mode == "RGB"
    a, b = np.asarray(first.image, dtype=int), np.asarray(last.image, dtype=int)
    assert np.array_equal(a[:, :160], b[:, :160]), "the latents stay where they are"
    assert (a[:, 160:] != b[:, 160:]).any(axis=2).mean() > 0.05
    # each corner of the square has its colour, and the paper is behind all of them
    unit, middle = 160 / 3, 80
    for x, y in itertools.product((-1, 1), repeat=2):
        place = np.rint([middle - 1.05 * y * unit, middle + 1.05 * x * unit]).astype(int)
        patch = b[place[0] - 3 : place[0] + 4, place[1] - 3 : place[1] + 4].reshape(-1, 3)
        want = toy_drawing.CORNERS[(y + 1) // 2, (x + 1) // 2] - np.array(toy_drawing.PAPER)
        tint = patch.mean(axis=0) - toy_drawing.PAPER
        assert (tint @ want) / np.linalg.norm(tint) / np.linalg.norm(want) > 0.9
    # edges are smooth: there are many colours
    assert len(np.unique(b.reshape(-1, 3), axis=0)) > 2000
    # before it learns, the sheet is a heap in the middle; afterwards it reaches the ring
    drawn = (a[:, 160:] - toy_drawing.PAPER).__abs__().sum(axis=2) > 90
    rows, columns = np.nonzero(drawn)
    assert np.hypot(rows - middle, columns - middle).max() < 1.6 * unit


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0},
        {"steps": 10**9},
        {"steps": 1.5},
        {"seed": -1},
        {"seed": "a"},
        {"show_every": -1},
        {"size": 10**5},
        {"lines": 1},
        {"shape": "square"},
        {"shape": np.zeros((8, 8))},
        {"shape": 5},
        {"until": 0},
        {"steps": 5, "until": 6},
        {"lines": math.nan},
    ],
)
def test_arguments_of_the_ring(options):
    with pytest.raises(UserError):
        igan.ring(**options)  # at once, not at the first step


# -- other data


def test_the_data_lie_where_they_are_said_to():
    random = torch.Generator().manual_seed(0)
    moons = toy_shapes.Moons().sample(5000, random).numpy()
    assert np.abs(moons).max() < toy_shapes.REACH
    clouds = toy_shapes.Clouds().sample(6000, random)
    middles = torch.tensor([[math.cos(a), math.sin(a)] for a in (math.pi / 2 + i * 2 * math.pi / 3 for i in range(3))])
    nearest, which = torch.cdist(clouds, middles).min(dim=1)
    assert abs(float(nearest.mean()) - toy_shapes.CLOUD * math.sqrt(math.pi / 2)) < 0.005
    assert np.abs(np.bincount(which) / 2000 - 1).max() < 0.1


def test_what_is_painted_is_where_the_data_lie():
    mask = np.zeros((60, 30))
    mask[:20, 20:] = 1.0  # above, on the right
    mask[40:, :10] = 0.5  # below, on the left: half as dense
    points = toy_shapes.Painted(mask).sample(9000, torch.Generator().manual_seed(1)).numpy()
    above = points[:, 1] > 0
    assert (points[above] > 0.47).all() and (points[~above] < -0.47).all() and np.abs(points).max() <= 1.5
    assert abs(above.mean() - 2 / 3) < 0.02
    assert np.abs(points[above].mean(axis=0) - 1).max() < 0.02, "evenly over it"


@pytest.mark.parametrize("shape", ["moons", "clouds", "painted"])
def test_it_learns_other_data(shape):
    if shape == "painted":
        shape = Image.new("L", (128, 128))
        ImageDraw.Draw(shape).line([(20, 20), (64, 100), (108, 20)], fill=255, width=12)
    first, *_rest, last = igan.ring(600, shape=shape, show_every=0)
    assert first.missed > 0.6, "it has to learn this"
    assert last.off < 0.08 and last.missed < 0.15


def test_of_the_measures():
    def step(points, data):
        return igan.RingStep(0, None, 0.0, True, np.array(points), 0.0, 0.0, np.array(data))

    both = step([[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.1, 0.0]])
    assert both.off == pytest.approx((0 + math.hypot(3, 3)) / 2, abs=1e-6) and both.missed == 0.5


# -- step by step


def test_step_by_step_is_the_same_as_at_once():
    whole = list(igan.ring(6, seed=4, show_every=1, size=64))
    toy, found = igan.ToyGAN(6, seed=4), []
    for until in (1, 2, 5, None):
        found += toy.train(until, 1, size=64)
        toy = pickle.loads(pickle.dumps(copy.deepcopy(toy)))
    assert [s.step for s in found] == [0, 1, 2, 3, 4, 5, 6] and [s.step for s in found if s.done] == [1, 2, 5, 6]
    for a, b in zip(whole, found, strict=True):
        assert a.loss == b.loss and apart(a.picture, b.picture) == 0
    with pytest.raises(UserError, match="All 6 steps are made"):
        toy.train()
    [*_, ended] = igan.ring(6, seed=4, show_every=1, size=64, until=2)
    assert ended.done and apart(ended.picture, whole[2].picture) == 0


def test_in_half_steps_the_discriminator_learns_first():
    whole = list(igan.ring(3, seed=1, show_every=1, size=96))
    halves = list(igan.ToyGAN(3, seed=1).train(None, 1, halves=True, size=96))
    assert [(s.step, s.learnt) for s in halves] == [
        (0, "both"),
        *((step, who) for i in range(3) for step, who in ((i, "discriminator"), (i + 1, "both"))),
    ]
    assert [s.done for s in halves] == [False] * 6 + [True]
    for before, half, after in zip(halves[::2], halves[1::2], halves[2::2], strict=False):
        assert apart(before.image, half.image) == 0 and apart(half.image, after.image) > 0, (
            "the sheet stays, then moves"
        )
        said = [np.asarray(s.surface)[:, :96].astype(int) for s in (before, half)]
        assert np.abs(said[0] - said[1]).max() > 3, "the discriminator says something else"
    for a, b in zip(whole, halves[::2], strict=True):
        assert np.array_equal(a.points, b.points) and apart(a.image, b.image) == 0


def test_arrows_go_where_the_discriminator_is_more_easily_fooled():
    toy = igan.ToyGAN(200, seed=0, shape="clouds")
    *_, step = toy.train(60, 0)
    pushes = toy.pushes(step.points)
    before, after = (toy.says(torch.tensor(p)) for p in (step.points, step.points + 0.01 * pushes))
    assert pushes.shape == (toy_gan.POINTS, 2) and (after >= before - 1e-6).mean() > 0.95
    assert after.mean() > before.mean()


def test_the_surface_shows_what_the_discriminator_says():
    toy = igan.ToyGAN(200, seed=0, shape="clouds")
    *_, step = toy.train(40, 40, size=192)
    assert step.surface.size == (384, 192)
    drawing = toy_drawing.Drawing(192, 8, step.data, torch.zeros(1, 2))
    says = toy.says(drawing.plane).reshape(toy_drawing.PLANE, -1)
    corners = [(0, 0), (0, -1), (-1, 0), (-1, -1)]
    surest = max(corners, key=lambda c: abs(says[c] - 0.5))
    pixel = np.asarray(step.surface)[3 if surest[0] == 0 else 175, 3 if surest[1] == 0 else 188].astype(int)
    green = pixel[1] - pixel[0]
    assert (green > 0) == (says[surest] > 0.5), "green where it expects data, orange where not"
    assert len(toy.losses) == 40 and all(0 < a < 5 and 0 < b < 5 for a, b in toy.losses)
