"""Tiny seeded networks: pipelines are about what happens around a network, so any network will do."""

import pytest
import torch

from models.stylegan2 import Generator
from pipelines import stylegan2
from weights import CheckpointInfo


def tiny(c_dim=0, resolution=64, **config):
    torch.manual_seed(5)
    net = Generator(
        z_dim=32,
        w_dim=32,
        c_dim=c_dim,
        img_resolution=resolution,
        mapping_layers=2,
        channel_base=512,
        channel_max=32,
        **config,
    )
    with torch.no_grad():
        net.mapping.w_avg.copy_(
            net.mapping(torch.randn(512, 32), torch.zeros(512, c_dim) if c_dim else None)[:, 0].mean(0)
        )
        for name, p in net.named_parameters():
            if name.endswith("noise_strength"):
                p.fill_(0.2)
    net = net.eval().requires_grad_(False)
    info = {"name": "stylegan2/tiny", "technique": "stylegan2", "kind": "generator", "sha256": "ab" * 32}
    net.info = CheckpointInfo(**{**{f: None for f in CheckpointInfo.__dataclass_fields__}, **info})
    return net


@pytest.fixture(scope="session")
def net():
    return tiny()


@pytest.fixture(scope="session")
def attgan():
    """A small AttGAN of the published layout's attributes."""
    from models.attgan import Generator as AttGAN
    from weights.attributes import ATTRS

    torch.manual_seed(0)
    small = {"img_size": 32, "enc_dim": 8, "dec_dim": 8, "enc_layers": 3, "dec_layers": 3}
    net = AttGAN(attrs=ATTRS, **small).eval().requires_grad_(False)
    info = {"name": "attgan/tiny", "technique": "attgan", "kind": "generator", "sha256": "cd" * 32}
    net.info = CheckpointInfo(**{**{f: None for f in CheckpointInfo.__dataclass_fields__}, **info})
    return net


@pytest.fixture(scope="session")
def conditional():
    return tiny(c_dim=3, resolution=16)


@pytest.fixture(scope="session")
def dcgan():
    """A small 32 px DCGAN with a discriminator and a predictor, whose pictures differ enough to be steered."""
    from models.dcgan import DCGAN

    torch.manual_seed(0)
    parts = {"widths": (8, 8, 16)}
    predictor = {**parts, "outputs": 16, "bounded": True}
    net = DCGAN({"z_dim": 16, "widths": (32, 16, 16), "prior": "uniform"}, {**parts, "norm": "none"}, predictor)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if p.ndim > 1:
                p.mul_(12.0 if name.startswith("generator") else 8.0)
    net = net.eval().requires_grad_(False)
    info = {"name": "igan/tiny", "technique": "igan", "kind": "generator", "sha256": "ef" * 32}
    net.info = CheckpointInfo(**{**{f: None for f in CheckpointInfo.__dataclass_fields__}, **info})
    return net


@pytest.fixture(scope="module")
def w(net):
    return stylegan2.latent(net, seed=1)


@pytest.fixture(scope="module")
def wide():
    """128 px, so that the feature map is large enough for windows of it to be computed alone."""
    return tiny(resolution=128)


@pytest.fixture(scope="module", params=["dcgan", "stylegan2"])
def any_net(request, dcgan, net):
    return {"dcgan": dcgan, "stylegan2": net}[request.param]
