"""What a feature map shows of a place."""

import numpy as np
import pytest
import torch

from pipelines import draggan, features, recipes, stylegan2
from weights.errors import UserError


def test_the_point_is_most_like_itself(net):
    made = features.look(net, 40.0, 18.0, seed=3, feature_resolution=16)
    assert made.resolution == 16 and made.channels == net.synthesis.widths[16]
    assert made.image.size == (64, 64) and made.colours.size == made.likeness.size == (384, 384)
    light = np.asarray(made.likeness.resize((16, 16), 0).convert("L"), int)
    y, x = np.unravel_index(light.argmax(), light.shape)
    assert abs(x - 40 / 4) <= 1 and abs(y - 18 / 4) <= 1
    assert np.asarray(made.colours).std(axis=(0, 1)).min() > 20, "all three colours are used"


def test_a_latent_is_the_same_picture(net):
    latent = draggan.encode_latent(stylegan2.latent(net, 3, 0.7), net)
    a, b = features.look(net, 5, 6, seed=3), features.look(net, 5, 6, latent=latent)
    for name in ("image", "colours", "likeness"):
        assert np.array_equal(np.asarray(getattr(a, name)), np.asarray(getattr(b, name)))


def test_directions_do_not_depend_on_the_machine():
    torch.manual_seed(0)
    maps = torch.randn(7, 6, 6)
    once, again = features._colours(maps), features._colours(maps.double().float().contiguous())
    assert torch.allclose(once, again, atol=1e-4) and once.min() >= 0 and once.max() <= 1
    assert torch.isfinite(features._colours(torch.zeros(7, 6, 6))).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": -1},
        {"y": 64},
        {"x": float("nan")},
        {"x": "left"},
        {"feature_resolution": 7},
        {"feature_resolution": 128},
        {"latent": "no latent"},
        {"seed": -1},
        {"truncation_psi": float("inf")},
    ],
)
def test_values_out_of_bounds(net, wrong):
    with pytest.raises(UserError):
        features.look(net, **{"x": 3, "y": 4, **wrong})


def test_the_recipe(net):
    recipe = recipes.make("features.look", net, x=3.0, y=4.0, seed=2)
    assert np.array_equal(np.asarray(recipe.run(net).colours), np.asarray(features.look(net, 3, 4, seed=2).colours))
