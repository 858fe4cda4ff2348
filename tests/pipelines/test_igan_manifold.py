"""Planes through the latents of real networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from models.dcgan import DCGAN
from pipelines import progress
from pipelines.igan import manifold as igan_manifold
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
