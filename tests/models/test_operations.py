"""The fast forms of each operation against the textbook form, and against autograd."""

import pytest
import torch
import torch.nn.functional as F

from models import operations as ops

TAPS = (1, 3, 3, 1)
IMPLS = ("fast", "composed")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(11)


def close(a, b, tolerance=1e-4):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= tolerance * max(1.0, b.abs().max().item())


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("taps", [TAPS, (1, 2, 1), (1, 2, 3, 4), (1, 1)])
@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 5, 4, 12), (3, 1, 16, 16)])
def test_resampling(impl, taps, shape):
    x = torch.randn(shape)
    for f in (ops.upsample2d, ops.downsample2d):
        close(f(x, taps, impl), f(x, taps, "reference"))


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("taps", [TAPS, (1, 2, 3, 4)])
@pytest.mark.parametrize(("channels", "size"), [((3, 5), 8), ((16, 8), 4), ((2, 2), 32)])
def test_resampling_convolutions(impl, taps, channels, size, grad):
    x = torch.randn(2, channels[0], size, size)
    w = torch.randn(channels[1], channels[0], 3, 3)
    with torch.set_grad_enabled(grad):
        close(ops.conv2d_up(x.clone(), w, taps, impl), ops.conv2d_up(x, w, taps, "reference"))
        close(ops.conv2d_down(x.clone(), w, taps, impl), ops.conv2d_down(x, w, taps, "reference"))
        close(ops.conv2d_down(x, w[:, :, :1, :1], taps, impl), ops.conv2d_down(x, w[:, :, :1, :1], taps, "reference"))


def test_upsampling_keeps_a_constant_inside():
    x = ops.upsample2d(torch.ones(1, 1, 8, 8), TAPS, "reference")
    assert torch.allclose(x[:, :, 2:-2, 2:-2], torch.ones(1, 1, 12, 12))


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize(
    ("batch", "channels", "size"), [(1, (8, 6), 4), (3, (8, 6), 4), (2, (4, 4), 32), (1, (3, 2), 64), (4, (2, 3), 64)]
)
def test_modulated_convolution(impl, up, demodulate, batch, channels, size, grad):
    x = torch.randn(batch, channels[0], size, size)
    w = torch.randn(channels[1], channels[0], 3, 3)
    s = torch.randn(batch, channels[0]) + 1
    bias = torch.randn(channels[1])
    with torch.set_grad_enabled(grad):
        kw = {"up": up, "demodulate": demodulate, "gain": 1.3, "bias": bias}
        result = ops.modulated_conv2d(x.clone(), w, s, impl=impl, **kw)
        close(result, ops.modulated_conv2d(x, w, s, impl="reference", **kw))


@pytest.mark.parametrize("impl", IMPLS)
def test_inputs_are_left_alone(impl):
    x, w, s = torch.randn(2, 4, 16, 16), torch.randn(4, 4, 3, 3), torch.randn(2, 4)
    kept = [t.clone() for t in (x, w, s)]
    with torch.no_grad():
        ops.modulated_conv2d(x, w, s, up=2, impl=impl)
        ops.conv2d_down(x, w, TAPS, impl)
        ops.upsample2d(x, TAPS, impl)
    assert all(torch.equal(a, b) for a, b in zip((x, w, s), kept, strict=True))


def test_demodulated_maps_have_unit_deviation():
    x, w = torch.randn(1, 64, 64, 64), torch.randn(32, 64, 3, 3)
    y = ops.modulated_conv2d(x, w, torch.rand(1, 64) * 5 + 0.1)
    assert 0.9 < y[:, :, 2:-2, 2:-2].std().item() < 1.1


@pytest.mark.parametrize("impl", IMPLS)
def test_gradients_of_first_and_second_order(impl):
    x = torch.randn(2, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    w = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    s = torch.randn(2, 1, dtype=torch.float64, requires_grad=True)

    def up(x, w, s):
        return ops.modulated_conv2d(x, w, s, up=2, impl=impl)

    def down(x, w):
        return ops.conv2d_down(x, w, TAPS, impl)

    assert torch.autograd.gradcheck(up, (x, w, s)) and torch.autograd.gradgradcheck(up, (x, w, s))
    assert torch.autograd.gradcheck(down, (x, w)) and torch.autograd.gradgradcheck(down, (x, w))


@pytest.mark.parametrize("activation", ["lrelu", "relu", "linear"])
def test_bias_act(activation):
    x, b, n = torch.randn(2, 3, 4, 4), torch.randn(3), torch.randn(4, 4)
    act = {
        "lrelu": lambda t: F.leaky_relu(t, 0.2) * 2**0.5,
        "relu": lambda t: F.relu(t) * 2**0.5,
        "linear": lambda t: t,
    }
    expected = (act[activation](x + n + b[:, None, None]) * 0.7).clamp(-0.5, 0.5)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            close(ops.bias_act(x.clone(), b, activation, 0.7, 0.5, n), expected, 1e-6)
    with pytest.raises(ValueError, match="activation"):
        ops.bias_act(x, b, "selu")
