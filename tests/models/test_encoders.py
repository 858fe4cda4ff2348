"""The published encoder against its arithmetic written out step by step, and the small one."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from models.encoders import Encoder, GradualStyleEncoder, UnitIRSE

SMALL = {"img_resolution": 64, "units": (2, 1, 2, 1), "widths": (16, 16, 32, 48), "num_ws": 8, "w_dim": 24}


def stirred(net):
    """Random weights and statistics everywhere, so that nothing is left out unseen."""
    rng = torch.Generator().manual_seed(3)
    for name, value in net.state_dict().items():
        if name.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=rng) + 0.5)
        elif value.is_floating_point() and value.ndim < 2:
            value.copy_(torch.randn(value.shape, generator=rng) * 0.3 + (0.8 if name.endswith("weight") else 0))
        elif value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=rng) / value[0].numel() ** 0.5)
    return net.eval().requires_grad_(False)


def norm(p, at, x):
    scale = p[f"{at}.weight"] / (p[f"{at}.running_var"] + 1e-5).sqrt()
    return x * scale[:, None, None] + (p[f"{at}.bias"] - p[f"{at}.running_mean"] * scale)[:, None, None]


def prelu(p, at, x):
    return torch.where(x >= 0, x, x * p[f"{at}.weight"][:, None, None])


def unit(p, at, x, stride):
    """One IR-SE unit from the published names of its parameters."""
    y = F.conv2d(norm(p, f"{at}.res_layer.0", x), p[f"{at}.res_layer.1.weight"], padding=1)
    y = prelu(p, f"{at}.res_layer.2", y)
    y = norm(p, f"{at}.res_layer.4", F.conv2d(y, p[f"{at}.res_layer.3.weight"], stride=stride, padding=1))
    s = F.adaptive_avg_pool2d(y, 1)
    s = F.conv2d(F.conv2d(s, p[f"{at}.res_layer.5.fc1.weight"]).clamp_min(0), p[f"{at}.res_layer.5.fc2.weight"])
    y = y * (1 / (1 + torch.exp(-s)))
    if f"{at}.shortcut_layer.0.weight" in p:
        x = norm(p, f"{at}.shortcut_layer.1", F.conv2d(x, p[f"{at}.shortcut_layer.0.weight"], stride=stride))
    else:
        x = F.max_pool2d(x, 1, stride)
    return x + y


def reference(net, x):
    """The whole encoder, without its modules."""
    p, c = net.state_dict(), net.config
    x = prelu(p, "input_layer.2", norm(p, "input_layer.1", F.conv2d(x, p["input_layer.0.weight"], padding=1)))
    i, maps = 0, []
    for count in c["units"]:
        for k in range(count):
            x = unit(p, f"body.{i}", x, 1 if k else 2)
            i += 1
        maps.append(x)
    up = {"mode": "bilinear", "align_corners": True}
    c3 = maps[3]
    p2 = F.interpolate(c3, size=maps[2].shape[2:], **up)
    p2 = p2 + F.conv2d(maps[2], p["latlayer1.weight"], p["latlayer1.bias"])
    p1 = F.interpolate(p2, size=maps[1].shape[2:], **up)
    p1 = p1 + F.conv2d(maps[1], p["latlayer2.weight"], p["latlayer2.bias"])
    rows = []
    for row in range(c["num_ws"]):
        y, k = (c3, p2, p1)[(row >= 3) + (row >= 7)], 0
        while y.shape[2] > 1:
            y = F.conv2d(y, p[f"styles.{row}.convs.{k}.weight"], p[f"styles.{row}.convs.{k}.bias"], 2, 1)
            y, k = torch.maximum(y, 0.01 * y), k + 2
        y = y[:, :, 0, 0] @ (p[f"styles.{row}.linear.weight"] / c["w_dim"] ** 0.5).T + p[f"styles.{row}.linear.bias"]
        rows.append(y + rows[0] if c["variant"] == "e4e" and row else y)
    return torch.stack(rows, 1) + p["latent_avg"]


@pytest.mark.parametrize(("n_in", "n_out", "stride"), [(16, 16, 1), (16, 16, 2), (16, 32, 2)])
def test_a_unit_is_what_is_published(n_in, n_out, stride):
    net = stirred(UnitIRSE(n_in, n_out, stride))
    x = torch.randn(2, n_in, 8, 8)
    p = {f"u.{name}": value for name, value in net.state_dict().items()}
    assert torch.allclose(net(x), unit(p, "u", x, stride), atol=1e-5)


@pytest.mark.parametrize("variant", ["psp", "e4e"])
def test_the_encoder_is_what_is_published(variant):
    net = stirred(GradualStyleEncoder(variant, **SMALL))
    x = torch.randn(2, 3, 64, 64).clamp(-1, 1)
    found = net(x)
    assert found.shape == (2, 8, 24)
    assert torch.allclose(found, reference(net, x), atol=1e-4)


def test_the_published_sizes_and_names():
    from weights.store import _unfilled

    with _unfilled(room=2**30):
        net = GradualStyleEncoder()
    state = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    assert net.taps[1:] == [6, 20, 23], "where the authors' program takes its three maps"
    wanted = {
        "input_layer.0.weight": (64, 3, 3, 3),
        "input_layer.2.weight": (64,),
        "body.0.res_layer.5.fc1.weight": (4, 64, 1, 1),
        "body.3.shortcut_layer.0.weight": (128, 64, 1, 1),
        "body.7.res_layer.3.weight": (256, 256, 3, 3),
        "body.23.res_layer.4.running_var": (512,),
        "styles.0.convs.6.weight": (512, 512, 3, 3),
        "styles.3.convs.8.bias": (512,),
        "styles.17.convs.10.weight": (512, 512, 3, 3),
        "styles.17.linear.weight": (512, 512),
        "latlayer1.weight": (512, 256, 1, 1),
        "latlayer2.weight": (512, 128, 1, 1),
        "latent_avg": (18, 512),
    }
    assert {name: state.get(name) for name in wanted} == wanted
    assert "body.0.shortcut_layer.0.weight" not in state and "styles.2.convs.8.weight" not in state


def test_pictures_of_other_sizes_are_brought_to_its_own():
    net = stirred(GradualStyleEncoder("psp", **SMALL))
    x = torch.randn(1, 3, 8, 8).repeat_interleave(32, 2).repeat_interleave(32, 3).clamp(-1, 1)
    assert torch.allclose(net(x), net(F.interpolate(x, 64, mode="bilinear", antialias=True)), atol=1e-5)
    assert stirred(small())(x).shape == (1, 10, 16)


@pytest.mark.parametrize(
    "bad",
    [
        {"variant": "restyle"},
        {"img_resolution": 100},
        {"img_resolution": 16},
        {"units": (1, 1, 1)},
        {"units": (1, 1, 0, 1)},
        {"widths": (16, 16, 16, 20)},
        {"coarse": 8},
        {"middle": 0},
    ],
)
def test_sizes_that_make_no_network(bad):
    with pytest.raises(ValueError):
        GradualStyleEncoder(**{**SMALL, **bad})


# -- the small one -------------------------------------------------------------------------------------------------


def small(**options):
    torch.manual_seed(0)
    sizes = {"img_resolution": 64, "num_ws": 10, "w_dim": 16, "widths": (8, 8, 16, 16), "head": 32}
    return Encoder(**{**sizes, **options})


def test_the_shipped_size_fits_its_room():
    assert sum(value.numel() for value in Encoder().state_dict().values()) < 3e6


def test_it_begins_near_the_average_with_all_rows_alike():
    net = small().eval()
    net.w_avg.copy_(torch.arange(16.0))
    net.w_std.fill_(0.1)
    w = net(torch.randn(4, 3, 64, 64))
    assert w.shape == (4, 10, 16) and torch.equal(w, w[:, :1].expand_as(w))
    assert (w - net.w_avg).abs().max() < 0.1, "a deviation at the most"


def test_offsets_are_in_deviations_of_w():
    net = stirred(small())
    x = torch.randn(2, 3, 64, 64)
    w0, deltas = net.offsets(x)
    assert w0.shape == (2, 1, 16) and deltas.shape == (2, 10, 16)
    assert torch.allclose(net(x), net.w_avg + net.w_std * (w0 + deltas), atol=1e-5)
    assert net.latent(w0).shape == (2, 10, 16)


def test_no_latent_is_out_of_all_bounds():
    net = small()
    near, far = torch.full((1, 1, 16), 1.5), torch.full((1, 1, 16), 400.0)
    assert torch.equal(net.latent(near)[0, 0], torch.full((16,), 1.5))
    assert torch.allclose(net.latent(far)[0, 0], torch.full((16,), 3.0)), "its direction stays"


def test_every_weight_has_part_in_the_latent():
    net = small().train()
    for layer in net.deltas:
        torch.nn.init.normal_(layer.weight)
    net(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("bad", [{"img_resolution": 48}, {"widths": (8, 8)}, {"num_ws": 7}])
def test_sizes_that_make_no_small_network(bad):
    with pytest.raises(ValueError):
        small(**bad)
