"""StyleGAN3 in the functions of ``pipelines.stylegan2``: those that apply work, and the others say why not."""

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from pipelines import draggan, igan, inversion, out_of_domain, stylegan2
from weights.errors import UserError


@pytest.fixture(scope="module")
def net(fixtures):
    found = weights.read(fixtures("stylegan3_t_32.pkl"))
    assert found.info.technique == "stylegan3"
    return found


def pixels(images):
    return np.stack([np.asarray(im) for im in images]).astype(int)


def test_a_seed_is_the_z_of_the_official_programs(net):
    z = torch.from_numpy(np.random.RandomState(7).randn(1, 64)).float()
    with torch.no_grad():
        want = (net(z, truncation_psi=0.7)[0].permute(1, 2, 0) * 127.5 + 127.5).round().clamp(0, 255)
    assert np.array_equal(pixels(stylegan2.sample(net, [7]))[0], want.numpy().astype(int))


def test_the_noise_mode_makes_no_difference(net):
    const = pixels(stylegan2.sample(net, [1, 2, 3]))
    for mode in ("none", "random"):
        assert np.array_equal(pixels(stylegan2.sample(net, [1, 2, 3], noise_mode=mode)), const)


def test_groups_go_by_the_frequencies_that_layers_hold(net):
    """At 32 px the cutoff grows from 2 to 16 cycles in twelve layers; 16 px, or 8 cycles, are those of layer 8."""
    groups = stylegan2.layer_groups(net)
    assert groups == {"coarse": range(0, 9), "middle": range(9, 16), "fine": range(16, 16)}
    with pytest.raises(UserError, match="no fine layers"):
        stylegan2.parse_layers(net, "fine")


def test_every_cell_but_one_applies(net):
    assert len(stylegan2.truncation(net, 1, psis=[0, 0.5, 1], psi_levels={"coarse": 1})) == 3
    rows = stylegan2.mix(net, [1], [2, 3], layers="middle")
    assert not np.array_equal(pixels(rows[0])[0], pixels(rows[0])[1])
    frames = pixels(stylegan2.interpolate(net, [1, 2], frames=4, loop=False))
    assert np.array_equal(frames[[0, -1]], pixels(stylegan2.sample(net, [1, 2])))
    found = stylegan2.directions(net, count=3)
    assert torch.allclose(found.vectors @ found.vectors.T, torch.eye(3), atol=1e-5)
    strip = pixels(stylegan2.move_strip(net, 1, "1", amounts=[0, 4]))
    assert np.array_equal(strip[0], pixels(stylegan2.sample(net, [1]))[0]) and (strip[0] != strip[1]).any()
    with pytest.raises(UserError, match="no noise inputs"):
        stylegan2.noise(net, 1)


def test_what_needs_stylegan2_says_so(net):
    photo = Image.new("RGB", (64, 64), "gray")
    calls = [
        lambda: next(draggan.drag(net, stylegan2.latent(net, 1), [(8, 8)], [(12, 12)])),
        lambda: next(inversion.invert(net, photo)),
        lambda: next(igan.project(net, photo)),
        lambda: out_of_domain.edit(net, photo, direction="1"),
    ]
    for call in calls:
        with pytest.raises(UserError, match="StyleGAN2"):
            call()
