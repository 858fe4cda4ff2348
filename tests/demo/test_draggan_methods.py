"""The ways to a photograph's latent that the DragGAN tab offers for a network, and the one by an encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from demo.session import Visitor
from demo.tabs.draggan import methods, photo
from models.encoders import Encoder
from weights import paths, store
from weights.errors import UserError

from .conftest import forget_all

ALL, WITHOUT = ["w+", "w", "encoder", "hybrid"], ["w+", "w"]


@pytest.fixture(scope="module")
def encoded(shelf):
    """The tiny faces have an encoder, the tiny cats have none."""
    patch = pytest.MonkeyPatch()
    patch.setattr(paths, "EMBEDDED", shelf)
    forget_all()
    torch.manual_seed(3)
    encoder = Encoder("stylegan2/faces", 32, 8, 16, (8, 8, 8, 8), 16)
    card = {"generator_sha256": weights.sha256("stylegan2/faces")}
    store.save(paths.embedded("encoder/faces"), encoder, "encoder", "encoder", card)
    yield
    paths.embedded("encoder/faces").unlink()
    forget_all()
    patch.undo()


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "photograph.png"
    Image.effect_mandelbrot((60, 40), (-2, -1, 1, 1), 50).convert("RGB").save(path)
    return path


def values(network, visitor=None):
    return [value for _label, value in methods.methods(visitor, network, "stylegan2")]


def test_what_a_network_offers(encoded):
    assert values("stylegan2/faces") == ALL and values("stylegan2/ffhq-1024-e4e") == ALL
    assert values("stylegan2/cats") == values("stylegan2/ffhq-1024") == WITHOUT
    assert values(None) == values("stylegan2/none") == values("own:123456789012") == WITHOUT


def test_another_network_may_lack_what_was_chosen(encoded):
    method, steps = methods.offered(None, "stylegan2/cats", "encoder", "stylegan2")
    assert method["value"] == "w+" and len(method["choices"]) == 2 and steps["visible"]
    method, steps = methods.offered(None, "stylegan2/faces", "encoder", "stylegan2")
    assert method["value"] == "encoder" and len(method["choices"]) == 4 and not steps["visible"]


def found(photograph, network, method):
    """What the cell shows at the end."""
    names = ("shown", "made", "latent", "latent_npz", "code", "status", "network", "news")
    finding = photo.Finding({n: n for n in names}, Visitor(), "stylegan2")
    where = (False, 1, 0.5, 0.5)
    return list(finding.run(network, None, str(photograph), where, method, 10, False, 10))[-1]


@pytest.mark.parametrize("method", ["encoder", "hybrid"])
def test_the_code_shown_finds_the_same(encoded, photograph, method, tmp_path, monkeypatch):
    made = found(photograph, "stylegan2/faces", method)
    assert ("one pass" in made["status"]) == (method == "encoder") and "distance" in made["status"]
    assert ("steps=10" in made["code"]) == (method == "hybrid")
    monkeypatch.chdir(tmp_path)
    photograph.rename(tmp_path / "your-photograph.jpg")
    names: dict = {}
    exec(made["code"], names)
    assert np.array_equal(np.asarray(photo.enlarged(names["result"])), np.asarray(made["made"]))


def test_networks_without_an_encoder_say_what_to_do(encoded, photograph):
    with pytest.raises(UserError, match="choose w or w\\+"):
        found(photograph, "stylegan2/cats", "encoder")
