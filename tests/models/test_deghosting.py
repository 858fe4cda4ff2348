"""Deghosting: a new network leaves pictures alone, its generator is lent to it, and the published sizes are right."""

import copy

import pytest
import torch
import torch.nn.functional as F

from models.deghosting import Deghosting
from models.stylegan2 import Generator
from weights import store

SIZES = {"z_dim": 8, "w_dim": 8, "img_resolution": 32, "mapping_layers": 1, "channels": {4: 8, 8: 8, 16: 6, 32: 4}}
SMALL = {"img_resolution": 32, "in_size": 16, "w_dim": 8, "rrdb_channels": 4, "rrdb_growth": 2, "num_rrdbs": 1}


def generator(seed: int = 0, **changes) -> Generator:
    torch.manual_seed(seed)
    net = Generator(**{**SIZES, **changes})
    with torch.no_grad():
        net.mapping.w_avg.normal_()
        for name, value in net.named_parameters():
            if name.endswith(("bias", "noise_strength")):
                value.add_(0.3 * torch.randn_like(value))
    return net.eval().requires_grad_(False)


def make(seed: int = 0, **options) -> Deghosting:
    torch.manual_seed(seed)
    return Deghosting(**{"widths": SIZES["channels"], **SMALL, **options}).eval()


def pictures(n: int = 2, size: int = 32) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def shaken(net: Deghosting) -> Deghosting:
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    return net


def test_a_new_residual_network_changes_nothing():
    net, x = make(residual=True).attach(generator()), pictures()
    with torch.inference_mode():
        assert torch.equal(net(x), x)
        assert (shaken(net)(x) - x).abs().max() > 0.01


def test_the_generator_takes_part_and_is_not_kept():
    net = shaken(make(residual=True))
    with pytest.raises(RuntimeError, match="attach"):
        net(pictures())
    first, second = generator(0), generator(1)
    before = net.state_dict().keys()
    with torch.no_grad():
        one = net.attach(first)(pictures())
        other = net.attach(second)(pictures())
    assert (one - other).abs().max() > 1e-3
    assert net.state_dict().keys() == before and not any("synthesis" in name for name in before)
    assert net.stylegan2() is second


def test_gradients_reach_the_encoder_through_the_frozen_generator():
    net, frozen = shaken(make(residual=True)), generator()
    net.attach(frozen)(pictures()).square().mean().backward()
    latent = net.encoder[-1][-1].weight.grad
    assert latent is not None and latent.abs().max() > 0
    assert all(p.grad is not None for p in net.parameters()) and all(p.grad is None for p in frozen.parameters())


def test_half_precision_is_near():
    net, x = shaken(make(residual=True)).attach(generator()), pictures()
    with torch.no_grad():
        exact = net(x)
        with torch.autocast("cpu", torch.bfloat16):
            near = net(x)
    assert near.dtype == torch.float32 and 0 < (near - exact).abs().mean() < 0.05


def test_only_the_generator_it_was_made_for():
    for changes in ({"w_dim": 4}, {"channels": {4: 8, 8: 8, 16: 6, 32: 8}}, {"img_resolution": 16}):
        with pytest.raises(ValueError, match="other sizes"):
            make().attach(generator(**changes))
    for wrong in ({"in_size": 32}, {"in_size": 4}, {"in_size": 12}):
        with pytest.raises(ValueError, match="in_size"):
            make(**wrong)


def by_hand(net: Deghosting, x: torch.Tensor) -> torch.Tensor:
    """The published network, line by line as the paper's figure has it, for maps fused up to 16 of 32 px."""
    G, maps = net.stylegan2().synthesis, [net.encoder[0](x)]
    for block in list(net.encoder)[1:]:
        maps.append(block(maps[-1]))
    w = maps[-1].view(len(x), -1, net.w_dim)
    lrelu = torch.nn.LeakyReLU(0.2)

    def layer(module, h, row):
        return module(h, w[:, row], module.noise(1, "const"))

    h = layer(G.b4.conv1, G.b4.const.expand(len(x), -1, -1, -1), 0)
    h = net.fusion_out[0](torch.cat([h, maps[2]], 1))
    h = layer(G.b8.conv1, layer(G.b8.conv0, h, 1), 2)
    h = net.fusion_out[1](torch.cat([h, maps[1]], 1))
    h = layer(G.b16.conv1, layer(G.b16.conv0, h, 3), 4)
    h = net.fusion_out[2](torch.cat([h, maps[0]], 1))
    h = layer(G.b32.conv1, layer(G.b32.conv0, h, 5), 6)
    up = F.pixel_shuffle(net.decoder[0].upsample_conv(maps[0]), 2)
    first, _slope, second = net.decoder[1]
    return second(lrelu(first(torch.cat([up, h], 1))))


def test_it_is_what_the_paper_draws():
    net, x = shaken(make()).attach(generator()), pictures(2, 16)
    with torch.no_grad():
        assert torch.allclose(net(x), by_hand(net, x), atol=1e-4)
        large = F.interpolate(x, scale_factor=2)  # another size is reduced first
        assert torch.allclose(net(large), net(x), atol=1e-4) and net(large).shape == (2, 3, 32, 32)


def test_the_published_size():
    with torch.device("meta"):
        net = Deghosting()
    assert net.num_ws == 18 and net.encoder[6][3].weight.shape == (18 * 512, 16 * 512)
    one = ((64 + 96 + 128 + 160) * 32 + 192 * 64) * 9 + 4 * 32 + 64  # of the 69 dense blocks
    assert sum(p.numel() for p in net.encoder[0].body.parameters()) == 69 * one
    assert sum(p.numel() for p in net.parameters()) == 143_750_019
    names = set(net.state_dict())
    for name in (
        "encoder.0.body.22.rdb3.conv5.weight",
        "encoder.5.2.bias",
        "fusion_out.5.weight",
        "decoder.2.upsample_conv.weight",
        "decoder.3.2.weight",
    ):
        assert name in names
    assert len(names) == 742 and not any(name.startswith("generator") for name in names)


def test_it_is_kept_as_a_file_without_its_generator(tmp_path):
    net, x = shaken(make(residual=True, generator="stylegan2/faces")).attach(generator()), pictures()
    store.save(tmp_path / "net.safetensors", net, "deghosting", "network")
    again = store.load(tmp_path / "net.safetensors")
    assert not any(name.startswith("generator.") for name in again.state_dict())
    with torch.no_grad():
        assert torch.equal(again.attach(generator())(x), net(x))


def test_one_of_its_own_is_kept_with_it(tmp_path):
    lent = generator()
    net = shaken(make(own=SIZES))
    net.generator.load_state_dict(lent.state_dict())
    store.save(tmp_path / "net.safetensors", net, "deghosting", "network")
    again = store.load(tmp_path / "net.safetensors")
    assert not any(p.requires_grad for p in make(own=SIZES).generator.parameters())
    apart = make()
    apart.load_state_dict({k: v for k, v in net.state_dict().items() if not k.startswith("generator.")})
    with torch.no_grad():
        assert torch.allclose(again(pictures()), apart.attach(lent)(pictures()), atol=1e-6)


def test_a_copy_keeps_what_was_lent():
    net = make(residual=True).attach(generator())
    with torch.no_grad():
        assert torch.equal(copy.deepcopy(net)(pictures()), net(pictures()))


def test_a_guided_network_sees_the_mask():
    """It begins with changing nothing, wants the mask, and looks at it; others have no use for one."""
    x, mask = pictures(), torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(3))
    net = make(residual=True, guided=True).attach(generator())
    with torch.inference_mode():
        assert torch.equal(net(x, mask), x)
        shaken(net)
        assert (net(x, mask) - net(x, 1 - mask)).abs().max() > 1e-3
        with pytest.raises(ValueError, match="wants the mask"):
            net(x)
        other = shaken(make(residual=True)).attach(generator())
        assert torch.equal(other(x, mask), other(x))
    assert net.encoder[0].conv_first.weight.shape[1] == 4
    with pytest.raises(ValueError, match="residual"):
        make(guided=True)
