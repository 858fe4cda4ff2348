"""The gradient without autograd against the one with it, for every kind of layer and any window."""

import pytest
import torch

from models.pullback import Pictured, Pullback, Recorded, pullback, supported
from models.stylegan2 import Generator

KINDS = {
    "usual": {},
    "clamped": {"conv_clamp": 0.7},
    "relu": {"activation": "relu"},
    "linear": {"activation": "linear"},
    "orig": {"architecture": "orig"},
    "three taps": {"resample_filter": [1, 2, 1]},
    "five taps": {"resample_filter": [1, 4, 6, 4, 1]},
    "no noise": {"use_noise": False},
}
OTHERS = {"resnet": {"architecture": "resnet"}, "adain": {"modulation": "adain"}}
BOXES = [None, (0, 16, 0, 16), (3, 9, 5, 12), (0, 4, 11, 16), (8, 9, 0, 16)]


def generator(**config):
    torch.manual_seed(1)
    net = Generator(
        z_dim=16, w_dim=16, img_resolution=32, mapping_layers=1, channel_base=256, channel_max=16, **config
    ).eval()
    net.requires_grad_(False)
    for name, parameter in net.named_parameters():
        if name.endswith("noise_strength"):
            parameter.fill_(0.2)
        if name.endswith("bias") and "affine" not in name:
            parameter.normal_(0, 0.3)
    return net, net.mapping(torch.randn(1, 16)) + torch.randn(1, net.num_ws, 16) * 0.3


@pytest.mark.parametrize("rows", [3, 8])
@pytest.mark.parametrize("kind", [*KINDS, *OTHERS])
def test_features_and_gradients_of_any_window(kind, rows):
    net, ws = generator(**{**KINDS, **OTHERS}[kind])
    found = pullback(net.synthesis, ws, rows, 16)
    assert isinstance(found, Recorded if kind in OTHERS else Pullback)
    moved = ws.clone()
    moved[:, :rows] += 0.1 * torch.randn(1, rows, 16)
    for box in BOXES:
        top, bottom, left, right = box or (0, 16, 0, 16)
        free = moved.clone().requires_grad_(True)
        whole = net.synthesis.features(free, 16)
        features = whole[:, :, top:bottom, left:right]
        weights = torch.randn_like(features)
        wanted = torch.autograd.grad(features, free, weights)[0][:, :rows]
        ours = found.forward(moved)
        gradient = found.backward(weights, box)
        assert ours.shape == whole.shape and gradient.shape == (1, rows, 16)
        assert (ours - whole).abs().max() < 2e-5 * whole.abs().max()
        assert (gradient - wanted).abs().max() < 1e-4 * wanted.abs().max()


@pytest.mark.parametrize("kind", ["usual", "orig", "resnet"])
def test_the_picture_goes_on_from_the_features(kind):
    net, ws = generator(**{**KINDS, **OTHERS}[kind])
    found = pullback(net.synthesis, ws, 4, 16)
    moved = ws.clone()
    moved[:, :4] += 0.1
    found.backward(torch.randn_like(found.forward(moved)[:, :, 3:9, 5:12]), (3, 9, 5, 12))  # takes nothing away
    wanted = net.synthesis(moved, noise_mode="const")
    assert (found.image(moved) - wanted).abs().max() < 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("kind", ["usual", "orig", "resnet"])
@pytest.mark.parametrize("resolution", [8, 16, 32])
def test_the_picture_and_its_gradient(kind, resolution):
    """Of skip networks as it stands one block later, of others the finished one; and it goes on from there."""
    net, ws = generator(**{**KINDS, **OTHERS}[kind])
    found = Pictured(net.synthesis, ws, 6, resolution)
    moved = ws.clone()
    moved[:, :6] += 0.1
    free = moved.clone().requires_grad_(True)
    last = min(32, 2 * resolution) if kind == "usual" else None
    picture, maps = net.synthesis(free, noise_mode="const", return_features=[resolution], last=last)
    assert picture.shape[-1] == (last or 32)
    weights = [torch.randn_like(maps[resolution]), torch.randn_like(picture)]
    wanted = torch.autograd.grad([maps[resolution], picture], free, weights)[0][:, :6]
    assert torch.allclose(found.forward(moved), maps[resolution], atol=1e-6)
    assert torch.allclose(found.picture, picture, atol=1e-6)
    assert torch.allclose(
        found.backward(weights[0], of_picture=weights[1]), wanted, atol=1e-4 * float(wanted.abs().max())
    )
    whole = net.synthesis(moved, noise_mode="const")
    assert (found.image(moved) - whole).abs().max() < 1e-5 * whole.abs().max()


def test_half_a_picture_needs_a_skip_network():
    net, ws = generator(architecture="resnet")
    with pytest.raises(ValueError, match="before its last block"):
        net.synthesis(ws, noise_mode="const", last=16)


def test_rows_above_are_taken_once_and_for_all():
    net, ws = generator()
    found = Pullback(net.synthesis, ws, 3, 16)
    before = found.forward(ws)
    other = ws.clone()
    other[:, 3:] += 1.0
    assert torch.equal(found.forward(other), before)


def test_the_network_is_not_changed():
    net, ws = generator()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = Pullback(net.synthesis, ws, 6, 16)
    found.backward(found.forward(ws))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_no_noise_and_stored_noise_differ():
    net, ws = generator()
    quiet = Pullback(net.synthesis, ws, 3, 16, "none").forward(ws)
    assert (quiet - net.synthesis.features(ws, 16, "none")).abs().max() < 1e-4
    assert (quiet - Pullback(net.synthesis, ws, 3, 16, "const").forward(ws)).abs().max() > 0.01


def test_what_it_does_not_take():
    net, ws = generator(architecture="resnet")
    assert not supported(net.synthesis)
    with pytest.raises(ValueError):
        Pullback(net.synthesis, ws, 3, 16)
