"""The toy that learns a ring, and planes through the latents of real networks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image

from models.dcgan import DCGAN
from pipelines import progress
from pipelines.igan import manifold as igan_manifold
from pipelines.igan import toy_gan as igan_ring
from pipelines.igan.latent_space import REACH, Space
from pipelines.latents import encode_latent
from weights.errors import UserError


def apart(a: Image.Image, b: Image.Image) -> int:
    return int(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max())


@pytest.fixture(scope="module")
def normal_dcgan():
    torch.manual_seed(1)
    net = DCGAN({"z_dim": 16, "widths": (32, 16, 16), "prior": "normal"})
    with torch.no_grad():
        for p in net.parameters():
            if p.ndim > 1:
                p.mul_(12.0)
    return net.eval().requires_grad_(False)


@pytest.fixture(params=["uniform", "normal", "stylegan2"])
def any_net(request, dcgan, normal_dcgan, net):
    return {"uniform": dcgan, "normal": normal_dcgan, "stylegan2": net}[request.param]


# -- the ring


def shares(points: np.ndarray, sectors: int = 12) -> np.ndarray:
    """Of each sector, how many points there are against an even spread."""
    angles = np.arctan2(points[:, 1], points[:, 0])
    return np.histogram(angles, sectors, (-math.pi, math.pi))[0] * sectors / len(points)


@pytest.mark.parametrize("seed", [0, 5])
def test_the_generator_comes_to_lie_on_the_ring(seed):
    found = list(igan_manifold.ring(seed=seed, show_every=0))
    first, last = found[0], found[-1]
    assert first.radius < 0.5, "it has to learn this"
    assert abs(last.radius - igan_ring.RADIUS) < 0.04 and 0.03 < last.spread < 0.15
    inside = np.hypot(*last.points.T) < 0.7  # what the sheet has in the hole; 3.75 deviations of the data
    assert inside.mean() < 0.05
    assert shares(last.points).min() > 0.3 and shares(last.points).max() < 2.5, "no part of the ring is left out"
    assert [s.step for s in found] == list(range(igan_ring.STEPS + 1)) and [s.done for s in found].count(True) == 1
    assert last.done and abs(last.loss - 2 * math.log(2)) < 0.1, "the discriminator cannot tell any more"


def test_the_data_are_what_is_said_of_them():
    points = igan_ring.data(20_000, torch.Generator().manual_seed(0)).numpy()
    distance = np.hypot(*points.T)
    assert abs(distance.mean() - 1) < 0.005 and abs(distance.std() - 0.08) < 0.005
    assert abs(shares(points) - 1).max() < 0.15


def test_the_same_seed_gives_the_same_steps_whatever_is_shown():
    def run(**options):
        return list(igan_manifold.ring(30, size=64, lines=6, **options))

    a, b, c = run(seed=3, show_every=10), run(seed=3, show_every=1), run(seed=4, show_every=0)
    for x, y in zip(a, b, strict=True):
        assert x.loss == y.loss and np.array_equal(x.points, y.points) and y.image is not None
        assert (x.image is not None) == (x.step % 10 == 0)
        assert x.image is None or apart(x.image, y.image) == 0
    assert not np.array_equal(a[-1].points, c[-1].points) and all(s.image is None for s in c)
    assert a[0].points.shape == (igan_ring.POINTS, 2)


def test_it_can_be_stopped_and_is_not_disturbed_from_outside():
    whole = [s.points for s in igan_manifold.ring(6, show_every=0)]
    with torch.inference_mode():
        torch.manual_seed(99)
        beside = igan_manifold.ring(6, seed=8, show_every=0)
        stopped = []
        for step in itertools.islice(igan_manifold.ring(6, show_every=0), 4):
            torch.rand(3)
            next(beside)
            stopped.append(step.points)
    assert all(np.array_equal(a, b) for a, b in zip(whole, stopped, strict=False))


def test_the_picture_shows_the_square_the_data_and_where_the_square_went():
    first, *_rest, last = [s for s in igan_manifold.ring(300, show_every=300, size=160, lines=12)]
    assert first.image.size == last.image.size == (320, 160) and first.image.mode == "RGB"
    a, b = np.asarray(first.image, dtype=int), np.asarray(last.image, dtype=int)
    assert np.array_equal(a[:, :160], b[:, :160]), "the latents stay where they are"
    assert (a[:, 160:] != b[:, 160:]).any(axis=2).mean() > 0.05
    # each corner of the square has its colour, and the paper is behind all of them
    unit, middle = 160 / 3, 80
    for x, y in itertools.product((-1, 1), repeat=2):
        place = np.rint([middle - 1.05 * y * unit, middle + 1.05 * x * unit]).astype(int)
        patch = b[place[0] - 3 : place[0] + 4, place[1] - 3 : place[1] + 4].reshape(-1, 3)
        want = igan_ring.CORNERS[(y + 1) // 2, (x + 1) // 2] - np.array(igan_ring.PAPER)
        tint = patch.mean(axis=0) - igan_ring.PAPER
        assert (tint @ want) / np.linalg.norm(tint) / np.linalg.norm(want) > 0.9
    # edges are smooth: there are many colours
    assert len(np.unique(b.reshape(-1, 3), axis=0)) > 2000
    # before it learns, the sheet is a heap in the middle; afterwards it reaches the ring
    drawn = (a[:, 160:] - igan_ring.PAPER).__abs__().sum(axis=2) > 90
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
        {"lines": math.nan},
    ],
)
def test_arguments_of_the_ring(options):
    with pytest.raises(UserError):
        igan_manifold.ring(**options)  # at once, not at the first step


# -- planes


def test_a_plane_through_the_latent_of_a_seed(any_net):
    space = Space(any_net)
    plane = igan_manifold.slice(any_net, seed=4, rows=5)
    assert len(plane.images) == 5 and all(len(row) == 5 for row in plane.images)
    assert plane.latents.shape == (5, 5, space.dim) and plane.picture.size == (5 * space.size,) * 2
    assert plane.places[2][2] == (0, 0) and plane.places[0][0] == (-1.5, -1.5) and plane.places[0][4] == (1.5, -1.5)
    middle = space.random(1, 4)
    assert torch.allclose(plane.latents[2, 2], middle[0], atol=2e-3)
    picture = igan_manifold.to_pil(space.pictures(middle))[0]
    assert apart(plane.images[2][2], picture) <= 2
    # every tile is the picture of its latent, and the text brings the latent back
    for i, j in ((0, 0), (1, 3), (4, 2)):
        again = space.latent(plane.text(i, j))
        assert torch.equal(again.cpu()[0], plane.latents[i, j])
        assert apart(igan_manifold.to_pil(space.pictures(again))[0], plane.images[i][j]) <= 1
        tile = plane.picture.crop((j * space.size, i * space.size, (j + 1) * space.size, (i + 1) * space.size))
        assert apart(tile, plane.images[i][j]) == 0
    assert apart(plane.images[0][0], plane.images[4][4]) > 40
    # the directions stand at right angles, and are as long as latents of the prior are
    a, b = plane.axes
    assert abs(float((a * b).sum() / a.norm() / b.norm())) < 1e-4
    usual = space.free(space.random(500, 9)).norm(dim=1).median().cpu()
    for axis in (a, b):
        assert 0.6 < float(axis.norm() / usual) < 1.7


def test_the_window_moves_over_one_plane(any_net):
    whole = igan_manifold.slice(any_net, seed=2, reach=1, rows=5, size=16)
    right = igan_manifold.slice(any_net, seed=2, x=0.5, y=1, reach=1, rows=5, size=16)
    assert torch.allclose(whole.latents[2:, 1:], right.latents[:3, :4], atol=1e-5)
    close = igan_manifold.slice(any_net, seed=2, reach=0.5, rows=3, size=16)
    assert torch.allclose(close.latents, whole.latents[1:4, 1:4], atol=1e-5)
    one = igan_manifold.slice(any_net, seed=2, x=0.5, rows=1, size=16)
    assert torch.allclose(one.latents[0, 0], whole.latents[2, 3], atol=1e-5) and one.picture.size == (16, 16)
    other = igan_manifold.slice(any_net, seed=3, reach=1, rows=5, size=16)
    assert not torch.allclose(other.latents, whole.latents, atol=0.1)


def test_however_far_out_the_latents_are_those_of_the_prior(dcgan, normal_dcgan, net):
    far = {"seed": 1, "x": 10, "y": -10, "reach": 10, "rows": 3, "size": 16}
    assert float(igan_manifold.slice(dcgan, **far).latents.abs().max()) <= 1
    lengths = igan_manifold.slice(normal_dcgan, **far).latents.norm(dim=-1)
    assert float(lengths.max()) <= REACH * 4 + 1e-4
    space = Space(net)
    latents = igan_manifold.slice(net, **far).latents
    own, common = space.free(latents).norm(dim=-1), space.free(space.random(200, 7)).norm(dim=-1)
    assert float(own.max()) < 1.5 * float(common.max())


def test_a_plane_through_three_latents(any_net):
    space = Space(any_net)
    tensor, text = space.random(1, 6), encode_latent(space.random(1, 7))
    plane = igan_manifold.slice(any_net, corners=[5, tensor, text], reach=1, rows=3, size=24)
    for (i, j), want in (((0, 0), space.random(1, 5)), ((0, 2), tensor), ((2, 0), space.latent(text))):
        assert torch.allclose(plane.latents[i, j], want[0].cpu(), atol=2e-3)
    centre = (space.free(tensor) + space.free(space.latent(text))) / 2
    assert torch.allclose(plane.origin, centre.cpu(), atol=1e-4)
    assert plane.images[0][0].size == (24, 24)


def test_rows_of_w_for_themselves_span_a_plane_too(net):
    space = Space(net)
    free = space.random(1, 3)[:, None] + 0.1 * torch.randn(1, net.num_ws, space.dim)
    plane = igan_manifold.slice(net, corners=[free, 5, 6], reach=1, rows=3, size=16)
    assert plane.latents.shape == (3, 3, net.num_ws, space.dim)
    assert torch.allclose(plane.latents[0, 0], free[0], atol=1e-4)
    assert torch.allclose(plane.latents[2, 0], space.random(1, 6).expand(net.num_ws, -1), atol=1e-4)
    assert space.latent(plane.text(2, 1)).shape == (1, net.num_ws, space.dim)


def test_the_same_call_gives_the_same_pictures_and_says_how_far_it_is(any_net):
    heard = []
    with progress.watched(lambda done, total: heard.append((done, total))):
        first = igan_manifold.slice(any_net, seed=1, rows=3)
    assert heard[-1] == (9, 9) and heard == sorted(heard)
    again = igan_manifold.slice(any_net, seed=1, rows=3)
    assert first.picture.tobytes() == again.picture.tobytes() and first.text(1, 2) == again.text(1, 2)


def test_large_networks_get_smaller_tiles(dcgan, monkeypatch):
    monkeypatch.setattr(igan_manifold, "MAX_SIDE", 100)
    assert igan_manifold.slice(dcgan, rows=5).picture.size == (100, 100)
    assert igan_manifold.slice(dcgan, rows=2).picture.size == (64, 64)
    with pytest.raises(UserError):
        igan_manifold.slice(dcgan, rows=5, size=32)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": -1},
        {"seed": None},
        {"x": math.inf},
        {"y": "far"},
        {"x": 11},
        {"reach": 0},
        {"rows": 0},
        {"rows": 16},
        {"rows": 2.5},
        {"size": 4},
        {"size": 5000},
        {"corners": [1, 2]},
        {"corners": "abc"},
        {"corners": [1, 1, 2]},
        {"corners": [1, 2, 1]},
        {"corners": [1, 2, 2]},
        {"corners": [1, 2, torch.zeros(1, 99)]},
        {"corners": [1, 2, "3:AAAA"]},
        {"corners": [1, 2, None]},
        {"corners": [1, 2, torch.full((1, 16), math.nan)]},
    ],
)
def test_arguments_of_the_plane(options, dcgan):
    with pytest.raises(UserError) as error:
        igan_manifold.slice(dcgan, **options)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_tiles_that_are_not_there_and_networks_without_latents(dcgan, attgan):
    plane = igan_manifold.slice(dcgan, rows=2)
    for row, column in ((2, 0), (0, -1), ("a", 0), (0.5, 0)):
        with pytest.raises(UserError):
            plane.text(row, column)
    with pytest.raises(UserError, match="DCGAN"):
        igan_manifold.slice(attgan)
