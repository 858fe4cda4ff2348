"""Files of pSp and e4e in their layout, made of small seeded networks."""

from __future__ import annotations

import torch
from crafted import rosinality_state

from models.encoders import GradualStyleEncoder
from models.stylegan2 import Generator

KINDS = {"e4e": "Encoder4Editing", "psp": "GradualStyleEncoder"}


def networks(variant="e4e", **options):
    torch.manual_seed(2)
    net = Generator(z_dim=16, w_dim=16, img_resolution=32, mapping_layers=2, channel_base=128, channel_max=16)
    with torch.no_grad():
        net.mapping.w_avg.normal_()
    small = {"img_resolution": 64, "units": (1, 2, 2, 1), "widths": (16, 32, 48, 64), "num_ws": 8, "w_dim": 16}
    encoder = GradualStyleEncoder(variant, **{**small, **options}).eval()
    for name, value in encoder.state_dict().items():
        if "running" in name:
            value.uniform_(0.5, 1.5)
    encoder.latent_avg.copy_(net.mapping.w_avg.expand(8, -1))
    return net.eval(), encoder


def tree(variant="e4e", change=None, **options):
    """What the authors' program saves."""
    net, encoder = networks(variant, **options)
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items() if name != "latent_avg"}
    state |= {f"decoder.{name}": value for name, value in rosinality_state(net).items()}
    opts = {"encoder_type": KINDS[variant], "start_from_latent_avg": True, "device": "cuda:0", "stylegan_size": 32}
    made = {"state_dict": state, "latent_avg": encoder.latent_avg.clone(), "opts": opts}
    if change is not None:
        change(made)
    return made


def written(path, made):
    torch.save(made, path)
    return path
