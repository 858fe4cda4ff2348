"""Directions: one unit is one deviation of w wherever they come from, and what is taken out of them is gone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import weights
from pipelines import directions, stylegan2
from weights.errors import UserError

from .conftest import tiny


@pytest.fixture(scope="module")
def net():
    return tiny(resolution=32)


@pytest.fixture
def kept(tmp_path):
    def keep(array, name="own.npy"):
        np.save(tmp_path / name, array)
        return tmp_path / name

    return keep


def unit(seed: int, size: int = 32) -> torch.Tensor:
    v = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return v / v.norm()


def deviation(net, v) -> float:
    z = torch.randn(8000, net.z_dim, generator=torch.Generator().manual_seed(77))
    return float((net.mapping(z)[:, 0] @ v).std())


@pytest.mark.parametrize("length", [1.0, 250.0])
@pytest.mark.parametrize("shape", ["[w_dim]", "[1, w_dim]", "w+", "[1, w+]"])
def test_a_unit_is_a_deviation_of_w(net, kept, shape, length):
    """Whatever the length of the array, and however it is laid out."""
    v = unit(1)
    rows = v.expand(net.num_ws, -1)
    array = {"[w_dim]": v, "[1, w_dim]": v[None], "w+": rows, "[1, w+]": rows[None]}[shape]
    [found] = directions.read(kept(length * array.numpy()), net).values()
    assert found.name == "own" and found.rows == tuple(range(net.num_ws))
    step = directions.apply(torch.zeros(2, net.num_ws, 32), found, 1.0)
    assert step.shape == (2, net.num_ws, 32)
    assert torch.allclose(step[0, 3], deviation(net, v) * v, rtol=0.06, atol=1e-4)


def test_rows_of_zeros_are_left_alone(net, kept):
    array = np.zeros((net.num_ws, 32), np.float32)
    array[2:4] = unit(2)
    [found] = directions.read(kept(array), net).values()
    assert found.rows == (2, 3)
    moved = directions.apply(torch.zeros(1, net.num_ws, 32), found, -2.0)
    assert torch.nonzero(moved[0].norm(dim=1)).flatten().tolist() == [2, 3]
    assert float(moved[0, 2].norm()) == pytest.approx(2 * deviation(net, unit(2)), rel=0.06)
    assert directions.apply(torch.zeros(1, net.num_ws, 32), found, 1.0, rows=[0])[0].abs().sum() == 0


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones(512), "has 32 numbers here"),
        (np.ones((18, 32)), "18 rows"),
        (np.ones((2, 8, 32)), "shape 2x8x32"),
        (np.zeros(32), "zeros"),
        (np.full(32, np.inf), "NaN or infinite values"),
    ],
)
def test_directions_of_another_space_are_refused(net, kept, array, words):
    with pytest.raises(UserError, match=words) as caught:
        directions.read(kept(array), net)
    assert "\n" not in str(caught.value)


def test_text_and_back(net, kept):
    array = np.random.RandomState(3).randn(net.num_ws, 32)
    [found] = directions.read(kept(array), net).values()
    back = directions.decode(directions.encode(found), net)
    assert torch.equal(back.step(), found.step()) and back.rows == found.rows
    import base64

    endless = base64.b64encode(np.full((net.num_ws, 32), np.nan, "<f4").tobytes()).decode()
    for text, words in (("no step", "not a direction"), (3, "not a direction"), (endless, "contains NaN")):
        with pytest.raises(UserError, match=words):
            directions.decode(text, net)
    for own in (3, {str(i): directions.encode(found) for i in range(13)}):
        with pytest.raises(UserError, match="at most 12"):
            directions.decode_all(own, net)


def test_orthogonal(net):
    """Nothing is left of the others, and what is perpendicular to them stays."""
    a, b, c = (directions.Direction(n, unit(i).expand(net.num_ws, -1).clone(), (1, 2)) for i, n in enumerate("abc"))
    left = directions.orthogonal(a, [b, c, b])
    assert left.rows == (1, 2) and left.vectors[0].abs().sum() == 0
    for row in left.rows:
        assert abs(float(left.vectors[row] @ unit(1))) < 1e-6 and abs(float(left.vectors[row] @ unit(2))) < 1e-6
        assert float(left.vectors[row] @ a.vectors[row]) > 0
        assert float(left.vectors[row].norm()) == pytest.approx(1, abs=1e-5), "as long as before"
    assert directions.orthogonal(a, []) is a
    assert torch.allclose(directions.orthogonal(left, [b]).vectors, left.vectors, atol=1e-6)
    sum_of_both = directions.Direction("sum", b.vectors + 2 * c.vectors, (1, 2))
    with pytest.raises(UserError, match="nothing is left"):
        directions.orthogonal(sum_of_both, [b, c])


def test_what_ships_moves_its_attribute():
    """The independent classifier sees each of the eight that are promised grow with its direction, on new seeds."""
    net, judge = weights.load("stylegan2/faces"), weights.load("attributes/faces")
    found = directions.named(net)
    wanted = {"Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Young", "Male", "Bangs", "No_Beard", "Pale_Skin"}
    assert wanted <= set(found)
    w = torch.cat([stylegan2.latent(net, seed, 1.0) for seed in range(70_000, 70_024)])
    for name in sorted(wanted):
        low, high = (directions.apply(w, found[name], alpha) for alpha in (-3, 3))
        index = judge.attrs.index(name)
        with torch.inference_mode():
            shares = [torch.sigmoid(judge(net.synthesis(x, noise_mode="const")))[:, index].mean() for x in (low, high)]
        assert float(shares[1] - shares[0]) > 0.06, name


def test_nothing_ships_for_another_generator(net):
    assert directions.named(net) == {}
    with pytest.raises(UserError, match="own network"):
        directions.apply(torch.zeros(1, 3, 7), directions.Direction("a", torch.zeros(8, 32), (1,)), 1.0)
