import pytest
import torch

from models.stylegan2 import Discriminator, Generator, truncate


def generator(**config):
    torch.manual_seed(3)
    base = {"z_dim": 16, "w_dim": 16, "img_resolution": 32, "mapping_layers": 2, "channel_base": 256, "channel_max": 16}
    net = Generator(**{**base, **config})
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith(("bias", "noise_strength")) and "affine" not in name:
                p.normal_(std=0.3)
    return net.eval().requires_grad_(False)


def discriminator(**config):
    torch.manual_seed(4)
    return Discriminator(**{"img_resolution": 32, "channel_base": 256, "channel_max": 16, **config}).eval()


def w_of(net, n=2):
    c = torch.eye(net.c_dim)[:n] if net.c_dim else None
    return net.mapping(torch.randn(n, net.z_dim, generator=torch.Generator().manual_seed(0)), c)


CONFIGS = [
    {},
    {"architecture": "resnet"},
    {"architecture": "orig"},
    {"architecture": "growing"},
    {"modulation": "adain"},
    {"conv_clamp": 0.5},
    {"c_dim": 3},
    {"use_noise": False},
    {"channels": {4: 12, 8: 10, 16: 7, 32: 5}},
    {"resample_filter": [1, 2, 1]},
    {"activation": "relu"},
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_fast_forms_equal_the_reference(config):
    net = generator(**config)
    w = w_of(net)
    for mode in ("const", "none"):
        reference = net.synthesis(w, mode, impl="reference")
        assert reference.shape == (2, 3, 32, 32) and reference.std() > 0
        for impl in ("fast", "composed"):
            assert (net.synthesis(w, mode, impl=impl) - reference).abs().max() < 1e-4
        with torch.enable_grad():
            assert (net.synthesis(w, mode) - reference).abs().max() < 1e-4


@pytest.mark.parametrize("architecture", ["resnet", "skip", "orig"])
@pytest.mark.parametrize("config", [{}, {"c_dim": 3}, {"conv_clamp": 0.5}, {"mbstd_group_size": None}], ids=str)
def test_discriminators(architecture, config):
    net = discriminator(architecture=architecture, **config)
    x = torch.randn(4, 3, 32, 32)
    c = torch.eye(3)[[0, 1, 2, 0]] if config.get("c_dim") else None
    reference = net(x, c, impl="reference")
    assert reference.shape == (4, 1)
    for impl in ("fast", "composed"):
        assert (net(x, c, impl=impl) - reference).abs().max() < 1e-4
    assert not torch.allclose(net(x[:1], None if c is None else c[:1]), reference[:1])  # the batch is looked at as one


def test_half_precision_configuration_runs_in_float32_on_the_cpu():
    x = torch.randn(4, 3, 32, 32)
    for architecture in ("resnet", "skip", "orig"):
        plain = discriminator(architecture=architecture)
        half = discriminator(architecture=architecture, num_fp16_res=2)
        assert torch.equal(plain(x), half(x))
    assert torch.equal(
        generator()(torch.ones(1, 16), noise_mode="none"),
        generator(num_fp16_res=2)(torch.ones(1, 16), noise_mode="none"),
    )


def test_bfloat16_is_close():
    net = generator()
    w = w_of(net)
    exact = net.synthesis(w, "const")
    for impl in ("fast", "composed"):
        assert (net.synthesis(w, "const", torch.bfloat16, impl) - exact).abs().mean() < 0.05 * exact.std()


def test_features_stop_at_their_block():
    net = generator()
    ran = []
    for res in net.synthesis.block_resolutions:
        block = net.synthesis.block(res)
        block.conv1.register_forward_hook(lambda *_, res=res: ran.append(f"conv{res}"))
        block.torgb.register_forward_hook(lambda *_, res=res: ran.append(f"torgb{res}"))
    w = w_of(net)
    x = net.synthesis.features(w, 16)
    assert ran == ["conv4", "conv8", "conv16"] and x.shape == (2, 16, 16, 16)
    _, maps = net.synthesis(w, "const", return_features=[16, 32])
    assert torch.allclose(maps[16], x, atol=1e-6) and maps[32].shape == (2, 8, 32, 32)
    with pytest.raises(ValueError, match="no block"):
        net.synthesis.features(w, 64)


def test_rows_are_read_by_their_block():
    net = generator()
    assert [list(net.synthesis.rows(r)) for r in (4, 8, 16, 32)] == [[0], [1, 2], [3, 4], [5, 6]]
    w = w_of(net, 1)
    other = w.clone()
    other[:, 5:] += 1
    assert torch.equal(net.synthesis.features(w, 16), net.synthesis.features(other, 16))
    assert not torch.allclose(net.synthesis.features(w, 32), net.synthesis.features(other, 32))


def test_contributions_add_up():
    from models.operations import upsample2d

    net = generator()
    w, total = w_of(net), None
    for x in net.synthesis.contributions(w).values():
        total = x if total is None else upsample2d(total, (1, 3, 3, 1)) + x
    assert torch.allclose(total, net.synthesis(w, "const"), atol=1e-5)


def test_random_noise_comes_from_the_generator():
    net = generator()
    w = w_of(net)
    a, b, c = (net.synthesis(w, "random", generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert not torch.equal(net.synthesis(w, "random"), net.synthesis(w, "random"))


def test_truncation_row_by_row():
    net = generator()
    net.mapping.w_avg.normal_()
    w = w_of(net)
    half = truncate(w, net.mapping.w_avg, 0.5)
    assert torch.allclose(half, (w + net.mapping.w_avg) / 2, atol=1e-6)
    psi = torch.linspace(0, 1, net.num_ws).tolist()
    rows = truncate(w, net.mapping.w_avg, psi)
    assert torch.allclose(rows[:, 0], net.mapping.w_avg.expand(2, -1)) and torch.allclose(rows[:, -1], w[:, -1])
    cut = truncate(w, net.mapping.w_avg, 0.5, cutoff=3)
    assert torch.allclose(cut[:, :3], half[:, :3]) and torch.allclose(cut[:, 3:], w[:, 3:], atol=1e-6)
    with pytest.raises(ValueError, match="psi"):
        truncate(w, net.mapping.w_avg, [1.0, 2.0])


def test_average_w_follows_training_only():
    net = generator()
    before = net.mapping.w_avg.clone()
    w_of(net)
    assert torch.equal(net.mapping.w_avg, before)
    net.train()
    w = w_of(net, 8)
    assert torch.allclose(net.mapping.w_avg, w[:, 0].mean(0).lerp(before, 0.995), atol=1e-6)


def test_growing_fades_between_two_sizes():
    net = generator(architecture="growing")
    w = w_of(net)
    net.synthesis.growth = (16, 1.0)
    small = net.synthesis(w, "none")
    net.synthesis.growth = (32, 0.0)
    start = net.synthesis(w, "none")
    net.synthesis.growth = (32, 1.0)
    end = net.synthesis(w, "none")
    net.synthesis.growth = (32, 0.25)
    middle = net.synthesis(w, "none")
    assert small.shape == (2, 3, 16, 16)
    assert torch.allclose(start, small.repeat_interleave(2, 2).repeat_interleave(2, 3), atol=1e-6)
    assert torch.allclose(middle, start.lerp(end, 0.25), atol=1e-5)
    d = discriminator(architecture="growing")
    for growth, size in (((8, 1.0), 8), ((16, 0.5), 16), ((32, 1.0), 32), ((4, 1.0), 4)):
        d.growth = growth
        assert torch.isfinite(d(torch.randn(4, 3, size, size))).all()


def test_configuration_rebuilds_the_network():
    import json

    net = generator(channels={4: 12, 8: 10, 16: 7, 32: 5}, conv_clamp=3.0)
    again = Generator(**json.loads(json.dumps(net.config)))
    again.load_state_dict(net.state_dict())
    w = w_of(net)
    assert torch.equal(again.eval().synthesis(w, "const"), net.synthesis(w, "const"))


@pytest.mark.parametrize(
    "config",
    [{"img_resolution": 24}, {"img_resolution": 2}, {"architecture": "tower"}, {"modulation": "fm"}],
)
def test_impossible_configurations(config):
    with pytest.raises(ValueError):
        generator(**config)


def test_wrong_shapes_say_what_is_wanted():
    net = generator(c_dim=3)
    with pytest.raises(ValueError, match=r"z must be \[N, 16\]"):
        net.mapping(torch.zeros(2, 8), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="c must be"):
        net.mapping(torch.zeros(2, 16), None)
    with pytest.raises(ValueError, match="w\\+ must be"):
        net.synthesis(torch.zeros(2, 3, 16))
    with pytest.raises(ValueError, match="noise_mode"):
        net.synthesis(w_of(net), "loud")
    with pytest.raises(ValueError, match="groups"):
        discriminator()(torch.zeros(6, 3, 32, 32))


def test_parameters_of_the_flower_experiment():
    """Seed article: mapping 8 to 4 layers, z and w 512 to 256, at 128 px, about 23 M to 20 M parameters."""

    def millions(**config):
        net = Generator(img_resolution=128, channel_base=16384, **config)
        return round(sum(p.numel() for p in net.parameters()) / 1e6, 1)

    assert millions(mapping_layers=8, z_dim=512, w_dim=512) == 24.5
    assert millions(mapping_layers=4, z_dim=256, w_dim=256) == 20.9
