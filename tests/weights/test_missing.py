"""Files in which something is missing, or of another kind: the ordinary sentence, and nothing is logged as a bug."""

from __future__ import annotations

import json
import logging

import crafted
import dcgan_files
import encoder_files
import pytest
import safetensors.torch
import test_deghosting
import torch
from refusals import converted_here

import weights
from demo import networks
from models import attgan
from weights import loading, store

ODD = (torch.ones(()), torch.ones(3), torch.ones(0), torch.ones(2, 3, 4, 5, 6), torch.ones(2, 2, dtype=torch.int64))


def layouts() -> dict:
    """Name -> a state dict, and what a file holds of it."""
    net = crafted.generator()
    whole, average = encoder_files.tree(), net.mapping.w_avg
    small = attgan.Generator(enc_dim=4, dec_dim=4, enc_layers=3, dec_layers=3)
    return {
        "official": (net.state_dict(), lambda state: state),
        "rosinality": (crafted.rosinality_state(net), lambda state: {"g_ema": state, "latent_avg": average}),
        "training": (crafted.rosinality_state(net), lambda state: {"g_ema": state}),
        "psp": (whole["state_dict"], lambda state: {**whole, "state_dict": state}),
        "dcgan": (dcgan_files.named(dcgan_files.sequential()), lambda state: {"netG": state}),
        "deghosting": (test_deghosting.published()[1], lambda state: state),
        "attgan": (small.state_dict(), lambda state: {"G": state}),
    }


LAYOUTS = layouts()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tensors(layout, tmp_path, caplog):
    state, wrapped = LAYOUTS[layout]
    names, path, said = list(state), tmp_path / "a", 0
    step = max(1, len(names) // 25)
    changed = [{n: v for n, v in state.items() if n != lost} for lost in names[::step]]
    changed += [{**state, name: ODD[i % len(ODD)]} for i, name in enumerate(names[::step])]
    for content in changed:
        torch.save(wrapped(content), path)
        try:
            converted_here(path)
        except weights.RefusedFile as error:
            crafted.one_sentence(error)
            said += 1
    assert said > len(changed) // 2
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("lost", ["style.1.weight", "style.2.weight", "input.input", "conv1.conv.weight"])
def test_a_training_file_without_a_layer(lost, tmp_path, caplog):
    state = {n: v for n, v in LAYOUTS["training"][0].items() if n != lost}
    torch.save({"g_ema": state}, tmp_path / "a")
    with pytest.raises(weights.RefusedFile):
        converted_here(tmp_path / "a")
    assert not caplog.records


def test_settings(tmp_path, caplog):
    """Of our own layout, in the page's process too, which reads conversions."""
    net, path = crafted.generator(), tmp_path / "a"
    kinds = (None, True, 0, -1, 2.5, float("nan"), "x", [], [1], {}, {"4": "x"}, {"x": 4}, 10**30)
    changed = [{n: v for n, v in net.config.items() if n != lost} for lost in net.config]
    changed += [{**net.config, name: kinds[i % len(kinds)]} for i, name in enumerate([*net.config, "other"] * 3)]
    entry = {"format": 1, "technique": "stylegan2", "kind": "generator"}
    for config in changed:
        metadata = {"ganbook": json.dumps({**entry, "config": config})}
        safetensors.torch.save_file(net.state_dict(), path, metadata=metadata)
        for read in (converted_here, store.load):
            try:
                read(path)
            except weights.RefusedFile as error:
                crafted.one_sentence(error)
    for config in (None, [], 5):
        safetensors.torch.save_file(
            net.state_dict(), path, metadata={"ganbook": json.dumps({**entry, "config": config})}
        )
        with pytest.raises(weights.RefusedFile):
            converted_here(path)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


def test_a_conversion_that_somebody_brings_back(tmp_path):
    """Its card says that an encoder lay beside it, and here is none."""
    store.save(tmp_path / "a", crafted.generator(), "stylegan2", "generator", card={"encoder": "e4e", "crop": "ffhq"})
    net = weights.read(tmp_path / "a")
    assert net.info.crop == "ffhq" and "encoder" not in net.info.card
    loading._kept.clear()
    assert weights.read(tmp_path / "a").info == net.info


@pytest.mark.parametrize("name", [None, 5, 1.5, float("nan"), True, b"x", [], ["stylegan2/faces"], {}, object(), ""])
def test_names_that_are_no_text(name):
    for call in (
        weights.entry,
        weights.describe,
        weights.status,
        weights.size,
        weights.card,
        weights.sha256,
        weights.directions,
        weights.load,
        weights.fetch,
        weights.reopen,
        weights.forget,
        lambda name: networks.resolve(None, name, "stylegan2"),
    ):
        with pytest.raises(weights.UserError) as error:
            call(name)
        assert 20 < len(str(error.value)) < 200 and "\n" not in str(error.value)
