"""StyleGAN3: its filters, and the equivariance that they are for.

The numbers of the original program are in ``tests/weights/test_formats.py``; there are some for configuration T only.
Configuration R is held to what defines it: a turn of the Fourier features is a turn of the picture.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F

from models import alias_free
from models.operations import upfirdn2d_reference
from models.stylegan3 import Generator

SIZE = 64


# -- filters


@pytest.mark.parametrize(("taps", "cutoff", "half_width", "rate"), [(12, 4.0, 4.0, 32), (24, 4.0, 11.2, 64)])
def test_a_filter_is_the_windowed_sinc_of_scipy(taps, cutoff, half_width, rate):
    want = scipy.signal.firwin(taps, cutoff, width=2 * half_width, fs=rate)
    found = alias_free.lowpass_filter(taps, cutoff, 2 * half_width, rate)
    np.testing.assert_allclose(found.numpy(), want, atol=1e-6)


def test_a_radial_filter_passes_as_much_in_every_direction():
    taps, cutoff, width, rate = 12, 8.0, 16.0, 64
    straight = alias_free.lowpass_filter(taps, cutoff, width, rate)
    for f, is_radial in (
        (straight.outer(straight), False),
        (alias_free.lowpass_filter(taps, cutoff, width, rate, True), True),
    ):
        assert torch.allclose(f, f.rot90()) and abs(float(f.sum()) - 1) < 1e-6
        at = (torch.arange(taps) - (taps - 1) / 2) / rate

        def passes(angle, f=f, at=at):
            wave = torch.cos(2 * math.pi * cutoff * (at[None] * math.cos(angle) + at[:, None] * math.sin(angle)))
            return float((f * wave).sum())

        found = [passes(angle) for angle in np.linspace(0, math.pi / 4, 7)]
        assert (max(found) - min(found) < 0.01) == is_radial


@pytest.mark.parametrize("impossible", [(300, 1.0, 1.0, 8), (12, 0.0, 1.0, 8), (12, 5.0, 1.0, 8), (12, 1.0, 0.0, 8)])
def test_impossible_filters_are_refused(impossible):
    with pytest.raises(ValueError, match="no filter"):
        alias_free.lowpass_filter(*impossible)


@pytest.mark.parametrize("padding", [(9, 8), (-6, -9), (3, 0)])
@pytest.mark.parametrize(("up", "taps"), [(2, 12), (4, 24)])
def test_upsampling_is_zeros_between_padding_and_a_filter(up, taps, padding):
    x, f = torch.randn(2, 3, 24, 24), torch.rand(taps)
    f = f + f.flip(0)
    want = torch.zeros(2, 3, 24 * up, 24 * up)
    want[:, :, ::up, ::up] = x
    want = upfirdn2d_reference(F.pad(want, [*padding, *padding]), f.outer(f), gain=up**2)
    for one in (f, f.outer(f)):
        torch.testing.assert_close(alias_free.upsample(x, one, up, padding), want, rtol=1e-4, atol=1e-3)


def test_downsampling_is_a_filter_and_every_other_sample():
    x, f = torch.randn(2, 3, 31, 31), torch.rand(12)
    f = f + f.flip(0)
    want = upfirdn2d_reference(x, f.outer(f), down=2)
    for one in (f, f.outer(f)):
        torch.testing.assert_close(alias_free.downsample(x, one, 2), want, rtol=1e-4, atol=1e-3)


# -- the generator


def network(**settings) -> Generator:
    """Random weights, with magnitudes as training would have found them."""
    torch.manual_seed(0)
    net = Generator(64, 0, 64, SIZE, channel_base=1024, channel_max=32, magnitude_ema_beta=0.0, **settings)
    net.train()
    with torch.no_grad():
        net.synthesis(net.mapping(torch.randn(4, 64)))
    return net.eval().requires_grad_(False)


R = {"conv_kernel": 1, "radial": True}


@pytest.fixture(scope="module", params=["T", "R"])
def net(request):
    return network(**(R if request.param == "R" else {}))


def w_of(net, n=1):
    return net.mapping(torch.randn(n, 64, generator=torch.Generator().manual_seed(1)))


def moved(net, transform):
    """The picture where the Fourier features are moved and turned by ``transform``."""
    before = net.synthesis.input.transform.clone()
    try:
        net.synthesis.input.transform.copy_(transform)
        return net.synthesis(w_of(net))
    finally:
        net.synthesis.input.transform.copy_(before)


def turn(degrees):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])


def psnr(a, b):
    """Decibels, for the range of ``b``."""
    return 10 * math.log10(float((b.max() - b.min()).square() / (a - b).square().mean()))


def turned(image, degrees):
    """The picture itself turned, and the disc within which nothing came from outside."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    grid = F.affine_grid(torch.tensor([[[c, s, 0], [-s, c, 0]]]), image.shape, align_corners=False)
    line = torch.linspace(-1, 1, SIZE)
    disc = line[:, None].square() + line.square() < 0.5
    return F.grid_sample(image, grid, mode="bicubic", align_corners=False)[..., disc], disc


@pytest.mark.parametrize("pixels", [1, 5, 16])
def test_a_shift_of_the_features_is_a_shift_of_the_picture(net, pixels):
    transform = torch.eye(3)
    transform[0, 2] = pixels / SIZE
    still, shifted = net.synthesis(w_of(net)), moved(net, transform)
    assert psnr(shifted[..., :-pixels], still[..., pixels:]) > 55
    assert psnr(shifted[..., pixels:], still[..., :-pixels]) < 40  # and not the other way


def test_a_turn_of_the_features_is_a_turn_of_the_picture_in_configuration_r():
    net = network(**R)
    still = net.synthesis(w_of(net))
    for quarters in (1, 2, 3):
        assert psnr(moved(net, turn(90 * quarters)), still.rot90(-quarters, (2, 3))) > 100
    for degrees in (15, 30, 45):
        want, disc = turned(still, degrees)
        assert psnr(moved(net, turn(degrees))[..., disc], want) > 55


def test_it_takes_both_1x1_convolutions_and_radial_filters():
    def error(**settings):
        net = network(**settings)
        want, disc = turned(net.synthesis(w_of(net)), 45)
        return psnr(moved(net, turn(45))[..., disc], want)

    assert error() < 30 and error(radial=True) < 30
    assert error(conv_kernel=1) < error(**R) - 1


def test_inference_computes_what_training_does(net):
    w = w_of(net, 2)
    with torch.enable_grad():
        slow = net.synthesis(w)
    with torch.no_grad():
        torch.testing.assert_close(net.synthesis(w), slow, rtol=1e-4, atol=1e-5)


def test_gradients_reach_w_and_every_parameter(net):
    net = network(conv_kernel=net.config["conv_kernel"], radial=net.config["radial"]).requires_grad_(True)
    w = w_of(net).detach().requires_grad_(True)
    net.synthesis(w).square().sum().backward()
    assert w.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.synthesis.parameters())


def test_sizes_rates_and_widths_of_the_published_networks():
    """As the paper's configuration T at 1024 px names its layers."""
    with torch.device("meta"):
        net = Generator(img_resolution=1024)
    assert net.synthesis.layer_names == [
        *("L0_36_512", "L1_36_512", "L2_52_512", "L3_52_512", "L4_84_512", "L5_148_512", "L6_148_512"),
        *("L7_276_323", "L8_276_203", "L9_532_128", "L10_1044_81", "L11_1044_51", "L12_1044_32", "L13_1024_32"),
        "L14_1024_3",
    ]
    assert net.num_ws == 16


@pytest.mark.parametrize(
    "settings",
    [
        {"img_resolution": 48},
        {"num_critical": 14},
        {"first_cutoff": 64.0},
        {"margin_size": -4},
        {"channels": [8, 8]},
        {"filter_size": 4096},
        {"img_resolution": 4096, "channel_base": 2**20},
    ],
)
def test_settings_that_make_no_network_are_refused(settings):
    with torch.device("meta"), pytest.raises(ValueError):
        Generator(**{"z_dim": 8, "w_dim": 8, "img_resolution": 64, **settings})
