"""The landmark network: shapes, where it begins, and that it is what its file says."""

import pytest
import torch

import weights
from models.landmarks import CELEBA_128, LandmarkNet, template
from weights import store


def small() -> LandmarkNet:
    torch.manual_seed(0)
    return LandmarkNet(16, (8, 16), 4, 8)


def test_shapes_and_where_it_begins():
    points, face = small().eval()(torch.randn(3, 3, 16, 16))
    assert points.shape == (3, 5, 2) and face.shape == (3,)
    assert torch.allclose(points, torch.tensor(template()).expand(3, -1, -1))


def test_the_template_is_upright_and_symmetric():
    (left, right, nose, *mouth), middle = CELEBA_128, CELEBA_128[2][0]
    assert left[0] < right[0] and left[1] == right[1] < nose[1] < mouth[0][1] == mouth[1][1]
    assert left[0] + right[0] == pytest.approx(2 * middle) == pytest.approx(mouth[0][0] + mouth[1][0])
    assert template()[0] == pytest.approx(((47.2 + 0.5) / 64 - 1, (56 + 0.5) / 64 - 1))


def test_a_size_that_cannot_be_halved():
    with pytest.raises(ValueError, match="halved"):
        LandmarkNet(40, (8, 16, 16, 16))


def test_saved_and_loaded(tmp_path):
    net = small().eval()
    with torch.no_grad():
        net.points.weight.normal_()
    store.save(tmp_path / "net.safetensors", net, "landmarks", "network")
    again = store.load(tmp_path / "net.safetensors")
    x = torch.randn(2, 3, 16, 16)
    for a, b in zip(net(x), again(x), strict=True):
        assert torch.equal(a, b)
    assert again.config == net.config and not again.training


def test_the_one_that_ships():
    net = weights.load("landmarks/faces")
    assert weights.entry("landmarks/faces").path.stat().st_size < 1.5e6
    with torch.no_grad():
        _, face = net(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    assert (face < 0).all(), "noise is no face"
