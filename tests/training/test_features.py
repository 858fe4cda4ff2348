"""Feature networks say how to get them, and keep their promises on weights made here."""

import pytest
import torch

from training import features


@pytest.fixture(autouse=True)
def _fresh():
    features.load.cache_clear()
    yield
    features.load.cache_clear()


def lite0():
    """A state with EfficientNet-Lite0's names and shapes and random values."""
    generator = torch.Generator().manual_seed(0)
    state, c = {}, 32

    def conv(name, out, inputs, kernel):
        state[f"{name}.weight"] = torch.randn(out, inputs, kernel, kernel, generator=generator) / (inputs**0.5 * kernel)

    def norm(name, width):
        for part in ("weight", "running_var"):
            state[f"{name}.{part}"] = torch.rand(width, generator=generator) + 0.5
        for part in ("bias", "running_mean"):
            state[f"{name}.{part}"] = torch.randn(width, generator=generator) / 4

    conv("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    i = 0
    for n, out, kernel, expand in ((1, 16, 3, 1), (2, 24, 3, 6), (2, 40, 5, 6), (3, 80, 3, 6), (3, 112, 5, 6)) + (
        (4, 192, 5, 6),
        (1, 320, 3, 6),
    ):
        for _ in range(n):
            name, wide = f"_blocks.{i}", c * expand
            if expand > 1:
                conv(f"{name}._expand_conv", wide, c, 1)
                norm(f"{name}._bn0", wide)
            conv(f"{name}._depthwise_conv", wide, 1, kernel)
            norm(f"{name}._bn1", wide)
            conv(f"{name}._project_conv", out, wide, 1)
            norm(f"{name}._bn2", out)
            c, i = out, i + 1
    conv("_conv_head", 1280, 320, 1)
    norm("_bn1", 1280)
    state["_fc.weight"], state["_fc.bias"] = torch.zeros(1000, 1280), torch.zeros(1000)
    return state


def test_four_maps_of_a_frozen_network():
    net = features.EfficientNetLite0(lite0()).eval()
    net.train()
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    x = torch.rand(2, 3, 64, 64, requires_grad=True)
    maps = net(x)  # enlarged to 128
    assert [tuple(m.shape) for m in maps] == [(2, c, s, s) for c, s in zip(net.channels, (32, 16, 8, 4), strict=True)]
    sum(m.mean() for m in maps).backward()
    assert x.grad.abs().sum() > 0
    vectors = net.embed(x)
    assert vectors.shape == (2, 1280) and torch.allclose(vectors.norm(dim=1), torch.ones(2)) and vectors.requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        half = net(x.detach())
    assert half[0].dtype == torch.bfloat16
    assert all((h.float() - m).norm() < 0.1 * m.norm() for h, m in zip(half, maps, strict=True))


def test_batch_norm_is_folded_in():
    state = lite0()
    weight, bias = features.fold(state, "_conv_stem", "_bn0")
    x = torch.randn(1, 3, 8, 8)
    norm = [state[f"_bn0.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    wanted = torch.nn.functional.batch_norm(torch.conv2d(x, state["_conv_stem.weight"]), *norm, eps=features.EPS)
    assert torch.allclose(torch.conv2d(x, weight, bias), wanted, atol=1e-5)


def test_what_is_missing_or_unknown_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv(features.FOLDER, str(tmp_path))
    with pytest.raises(features.FeatureError, match="make train-features"):
        features.load("faceres")
    with pytest.raises(features.FeatureError, match="efficientnet-lite0, faceres, mobilefacenet"):
        features.load("vgg")


def test_a_face_is_cut_out_where_the_network_looks():
    class Seen(features.FaceNetwork):
        box, side = (0.25, 0.5, 0.75, 1.0), 16

    # Each pixel says its column and row; the crop must say those of the box.
    at = torch.arange(32.0)
    x = torch.stack([at.expand(32, 32), at[:, None].expand(32, 32), torch.zeros(32, 32)])[None]
    seen = Seen(None).crop(x)
    assert seen.shape == (1, 3, 16, 16)
    assert torch.allclose(seen[0, 0, 0], torch.arange(8.0, 24.0), atol=1e-3)
    assert torch.allclose(seen[0, 1, :, 0], torch.arange(16.0, 32.0), atol=1e-3)
    large = torch.nn.functional.interpolate(x, size=(128, 128), mode="bilinear", align_corners=False)
    assert (Seen(None).crop(large) - seen).abs().max() < 0.3
