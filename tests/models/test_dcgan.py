"""DCGAN's networks: sizes of the published ones, shapes, configurations, priors."""

from __future__ import annotations

import pytest
import torch

from models.dcgan import DCGAN, Discriminator, Generator, Predictor
from weights import store

WIDTHS = (512, 256, 128, 64)


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def settled(net: torch.nn.Module) -> torch.nn.Module:
    """Norms with statistics of their own, so that leaving them out shows."""
    torch.manual_seed(1)
    for name, value in net.named_buffers():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 2)
    return net.eval()


def test_sizes_of_the_published_networks():
    assert parameters(Generator()) == 3_576_704  # z 100, 512 to 64 maps, 4x4 kernels
    assert parameters(Discriminator()) == 2_765_568
    igan = Generator(widths=(1024, 512, 256, 128), kernel=5, prior="uniform", norm_units=True)
    convolutions = 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
    assert parameters(igan) == 100 * 16384 + 2 * (16384 + 512 + 256 + 128) + convolutions == 18_885_760


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("norm_units", [False, True])
@pytest.mark.parametrize(("widths", "size"), [((6,), 8), ((8, 6, 4), 32), ((4,) * 5, 128)])
def test_each_width_doubles_the_picture(kernel, norm_units, widths, size):
    net = settled(Generator(7, widths, kernel=kernel, norm_units=norm_units))
    z = torch.randn(3, 7)
    with torch.no_grad():
        images = net(z)
        assert images.shape == (3, 3, size, size) and images.abs().max() <= 1 and net.img_resolution == size
        assert torch.allclose(images[1:2], net(z[1:2]), atol=1e-6), "alone as in company"
    judge = settled(Discriminator(widths[::-1], kernel=kernel))
    assert judge(images).shape == (3, 1) and judge.img_resolution == size
    assert [m.shape[1:] for m in judge.features(images)] == [
        (n, size >> i, size >> i) for i, n in enumerate(widths[::-1], 1)
    ]


def test_pictures_of_one_colour():
    net = DCGAN({"widths": (8, 4), "img_channels": 1}, {"widths": (4, 8), "img_channels": 1})
    images = net.eval()(torch.randn(2, 100))
    assert images.shape == (2, 1, 16, 16) and net.discriminator(images).shape == (2, 1)


@pytest.mark.parametrize(("kernel", "rows", "columns"), [(4, (1, 4), (3, 6)), (5, (0, 4), (2, 6))])
def test_where_one_pixel_comes_to_lie(kernel, rows, columns):
    """Pixel i spreads over 2i - 1 to 2i + 2 with 4x4 kernels, over 2i - 2 to 2i + 2 with 5x5 ones."""
    x = torch.zeros(1, 3, 4, 4)
    x[0, 0, 1, 2] = 1
    y = Generator(2, (3, 3), kernel=kernel).ups[0](x)[0].abs().sum(0)
    assert y.shape == (8, 8)
    for axis, (first, last) in ((1, rows), (0, columns)):
        assert y.sum(axis).nonzero()[:, 0].tolist() == list(range(first, last + 1))


def test_a_norm_for_each_unit_is_not_one_for_each_map():
    units, maps = Generator(3, (4, 2), norm_units=True), Generator(3, (4, 2))
    assert units.stem_norm.weight.shape == (64,) and maps.stem_norm.weight.shape == (4,)
    # with the same numbers in all units of a map they are the same network
    state = maps.state_dict()
    wide = {k: v.repeat_interleave(16) if k.startswith("stem_norm") and v.ndim else v for k, v in state.items()}
    units.load_state_dict(wide)
    z = torch.randn(2, 3)
    assert torch.allclose(settled_like(units, maps)(z), maps.eval()(z), atol=1e-6)


def settled_like(units: Generator, maps: Generator) -> Generator:
    torch.manual_seed(2)
    maps.stem_norm.running_mean.normal_()
    maps.stem_norm.running_var.uniform_(0.5, 2)
    units.stem_norm.running_mean.copy_(maps.stem_norm.running_mean.repeat_interleave(16))
    units.stem_norm.running_var.copy_(maps.stem_norm.running_var.repeat_interleave(16))
    return units.eval()


@pytest.mark.parametrize("bounded", [True, False])
def test_the_predictor_says_latents(bounded):
    torch.manual_seed(0)
    predictor = settled(Predictor((8, 16), outputs=9, bounded=bounded))
    with torch.no_grad():
        predictor.head.weight.mul_(200)
        z = predictor(torch.randn(20, 3, 16, 16))
    assert z.shape == (20, 9) and (float(z.abs().max()) <= 1) == bounded


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_configuration_makes_the_network_again(norm, tmp_path):
    judge = {"widths": (4, 8), "norm": norm, "slope": 0.1}
    say = {"widths": (6, 6), "outputs": 5, "bounded": False, "kernel": 5}
    net = settled(DCGAN({"z_dim": 5, "widths": (8, 4), "kernel": 5, "norm_units": True, "eps": 1e-8}, judge, say))
    again = DCGAN(**net.config)
    again.load_state_dict(net.state_dict())
    z, x = torch.randn(3, 5), torch.randn(3, 3, 16, 16)
    for path in (None, tmp_path / "a.safetensors"):
        if path:
            store.save(path, net, "igan", "generator")
            again = store.load(path)
        again.eval()
        assert again.config == net.config and torch.equal(again(z), net(z))
        # Frozen or not, a convolution may be computed by another kernel of the machine's.
        assert torch.allclose(again.discriminator(x), net.discriminator(x), atol=1e-7, rtol=1e-5)
        assert torch.equal(again.predictor(x), net.predictor(x))
    alone = DCGAN({"widths": (8, 4)})
    assert alone.discriminator is None and alone.predictor is None
    assert alone.config["discriminator"] is None and DCGAN(**alone.config).config == alone.config


@pytest.mark.parametrize(("prior", "deviation"), [("normal", 1.0), ("uniform", 3**-0.5)])
def test_latents_of_the_prior(prior, deviation):
    net = DCGAN({"widths": (4,), "prior": prior})
    z = net.sample_z(2000, torch.Generator().manual_seed(3))
    assert z.shape == (2000, 100) and abs(float(z.mean())) < 0.01 and abs(float(z.std()) - deviation) < 0.01
    assert (float(z.abs().max()) <= 1) == (prior == "uniform")
    assert torch.equal(z, net.sample_z(2000, torch.Generator().manual_seed(3)))


@pytest.mark.parametrize(
    "parts",
    [
        {"generator": {"widths": ()}},
        {"generator": {"widths": (1,) * 9}},
        {"generator": {"kernel": 3}},
        {"generator": {"prior": "cauchy"}},
        {"generator": {"img_channels": 4}},
        {"generator": {}, "discriminator": {"widths": (4, 8)}},
        {"generator": {}, "discriminator": {"img_channels": 1}},
        {"generator": {}, "discriminator": {"norm": "layer"}},
        {"generator": {}, "predictor": {"outputs": 99}},
    ],
)
def test_impossible_settings_are_refused(parts):
    with pytest.raises(ValueError):
        DCGAN(**parts)
