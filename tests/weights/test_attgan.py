"""AttGAN's files against what the original program computes, with settings from beside them and from the tensors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import refused

import weights
from weights import formats
from weights.formats import attgan


def attgan_generator(dim=4, layers=3, n_attrs=13, shortcuts=1, injections=1) -> dict:
    """Tensors of an AttGAN generator, built as the paper's figure says."""
    state, width = {}, 3
    for i in range(layers):
        state[f"enc_layers.{i}.layers.0.weight"] = torch.zeros(dim << i, width, 4, 4)
        width = dim << i
    width += n_attrs
    for i in range(layers):
        out = dim << (layers - i - 1) if i < layers - 1 else 3
        state[f"dec_layers.{i}.layers.0.weight"] = torch.zeros(width, out, 4, 4)
        width = out + (out // 2 if i < shortcuts else 0) + (n_attrs if i < injections else 0)
    return state


@pytest.mark.parametrize(("size", "injections"), [(128, 0), (256, 1), (384, 1)])
def test_attgan_configuration_of_the_published_sizes(size, injections, fixtures):
    keys = json.loads(fixtures("state_keys.json").read_text())[f"attgan_{size}_shortcut1_inject{injections}"]
    found = attgan.configuration(keys["G"], keys["D"])
    want = {"n_attrs": 13, "enc_dim": 64, "dec_dim": 64, "enc_layers": 5, "dec_layers": 5, "shortcut_layers": 1}
    want |= {"inject_layers": injections, "img_size": size, "dis_dim": 64, "dis_layers": 5, "dis_fc_dim": 1024}
    assert found == want | {"attrs": None}


def attgan_file(path: Path, prefix="", nested=True, **options) -> dict:
    """A generator as the training program writes it; the state dict under its plain names."""
    from models.attgan import Generator

    state = Generator(**{"enc_dim": 4, "dec_dim": 4, "enc_layers": 3, "dec_layers": 3, **options}).state_dict()
    named = {prefix + k: v for k, v in state.items()}
    torch.save({"G": named} if nested else named, path)
    return state


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("nested", [True, False])
def test_attgan_generator_only_with_its_setting(prefix, nested, tmp_path):
    folder = tmp_path / "run" / "checkpoint"
    folder.mkdir(parents=True)
    state = attgan_file(folder / "weights.149.pth", prefix, nested, shortcut_layers=2, inject_layers=0)
    found = formats.read(folder / "weights.149.pth")
    assert found.technique == "attgan" and found.config["img_size"] is None
    assert found.config["attrs"] == list(attgan.ATTRS), "thirteen are the published ones"
    assert found.state.keys() == state.keys() and all(torch.equal(state[k], v) for k, v in found.state.items())
    attrs = [f"Attribute {i}" for i in range(13)]
    (folder.parent / "setting.txt").write_text(json.dumps({"attrs": attrs, "img_size": 256, "lr": 1e-4}))
    config = formats.read(folder / "weights.149.pth").config
    assert config["attrs"] == attrs and config["img_size"] == 256
    assert config["shortcut_layers"] == 2 and config["inject_layers"] == 0
    assert config["dec_dim"] == config["enc_dim"] == 4


@pytest.mark.parametrize(("enc", "dec"), [("batchnorm", "batchnorm"), ("instancenorm", "none"), ("none", "batchnorm")])
def test_attgan_norms_and_cap_are_read_from_the_tensors(enc, dec, tmp_path):
    options = {"enc_norm": enc, "dec_norm": dec, "enc_layers": 5, "dec_layers": 5, "max_dim": 16, "n_attrs": 5}
    state = attgan_file(tmp_path / "a.pth", **options)
    found = formats.read(tmp_path / "a.pth")
    assert found.config == {**found.config, **options} and found.config["attrs"] is None
    net = weights.read(tmp_path / "a.pth")
    assert net.state_dict().keys() == state.keys() and net.info.technique == "attgan"


def test_attgan_whole_training_file(fixtures):
    path = fixtures("attgan_64.pth")
    found = np.load(fixtures("attgan_64.npz"))
    net = weights.read(path)
    assert net.info.img_resolution == net.img_size == 64 and net.attrs == list(attgan.ATTRS)
    with torch.no_grad():
        image = net(torch.from_numpy(found["x"]), torch.from_numpy(found["att"])).numpy()
    assert np.abs(image - found["img"]).max() < 1e-4
    critic = weights.read(path, part="discriminator")
    with torch.no_grad():
        real, named = critic(torch.from_numpy(found["x"]))
    assert np.abs(real.numpy() - found["d_adv_real"]).max() < 1e-4
    assert np.abs(named.numpy() - found["d_cls_real"]).max() < 1e-4


def test_attgan_file_without_the_part_that_is_wanted(tmp_path):
    attgan_file(tmp_path / "a.pth")
    assert "no discriminator" in refused(tmp_path / "a.pth", part="discriminator")


def test_attgan_with_a_broken_setting(tmp_path):
    attgan_file(tmp_path / "a.pth")
    for broken in ("{", "[1]", "[" * 20_000, '{"img_size": "huge", "attrs": 3}', '{"img_size": 1e99}'):
        (tmp_path / "setting.txt").write_text(broken)
        config = formats.read(tmp_path / "a.pth").config
        assert config["img_size"] is None and config["attrs"] == list(attgan.ATTRS)


def test_attgan_that_does_not_fit_together():
    state = attgan_generator()
    state["dec_layers.1.layers.0.weight"] = torch.zeros(77, 8, 4, 4)
    with pytest.raises(weights.RefusedFile, match="AttGAN"):
        attgan.configuration(state)
