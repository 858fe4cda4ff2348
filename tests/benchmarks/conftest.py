"""What benchmarks on photographs of faces share: tiny networks that ship, and a few photographs."""

import zipfile

import pytest
import torch
from PIL import Image

import weights
from models.encoders import Encoder
from models.stylegan2 import Generator
from weights import loading, paths, store


@pytest.fixture
def tiny_faces(tmp_path, monkeypatch):
    """``make(FILE)`` lets tiny faces ship and writes three photographs of 32 px, all of the test split, to FILE."""
    monkeypatch.setattr(paths, "EMBEDDED", tmp_path / "embedded")
    monkeypatch.setattr(loading, "_kept", type(loading._kept)())

    def make(file):
        torch.manual_seed(0)
        net = Generator(z_dim=16, w_dim=16, img_resolution=32, mapping_layers=2, channel_base=256, channel_max=16)
        store.save(paths.embedded("stylegan2/faces"), net, "stylegan2", "generator")
        with zipfile.ZipFile(file, "w") as archive:
            for i in range(3):
                Image.new("RGB", (32, 32), (90 * i, 20, 30)).save(tmp_path / "one.png")
                archive.write(tmp_path / "one.png", f"images/{i}.png")
            archive.writestr("labels.csv", "file,split\n" + "\n".join(f"{i}.png,test" for i in range(3)))

    return make


@pytest.fixture
def tiny_encoder():
    """``make()`` lets an encoder of the tiny faces ship."""

    def make():
        net = Encoder("stylegan2/faces", 32, 8, 16, (8, 8, 8, 8), 16)
        card = {"generator_sha256": weights.sha256("stylegan2/faces")}
        store.save(paths.embedded("encoder/faces"), net, "encoder", "encoder", card)

    return make
