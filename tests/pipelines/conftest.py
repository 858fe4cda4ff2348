"""Tiny seeded networks: pipelines are about what happens around a network, so any network will do."""

import pytest
import torch

from models.stylegan2 import Generator
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
def conditional():
    return tiny(c_dim=3, resolution=16)
