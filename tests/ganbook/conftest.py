"""A photograph for the commands that want one."""

from __future__ import annotations

import pytest
from PIL import Image

import weights
from pipelines import stylegan2


@pytest.fixture(scope="session")
def face() -> Image.Image:
    """A face that nobody has, on a plain ground: 300 x 240."""
    net = weights.load("stylegan2/faces")
    picture = stylegan2.picture(net, stylegan2.latent(net, 4)).resize((150, 150), Image.Resampling.BICUBIC)
    ground = Image.new("RGB", (300, 240), (120, 140, 160))
    ground.paste(picture, (45, 40))
    return ground
