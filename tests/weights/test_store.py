"""Our own files."""

from __future__ import annotations

import errno
import os

import pytest
import safetensors.torch
import torch
from crafted import discriminator, generator, one_sentence

import weights
from weights import container, store


def test_round_trip(tmp_path):
    for net, kind in ((generator(c_dim=3, conv_clamp=256.0), "generator"), (discriminator(c_dim=3), "discriminator")):
        path = tmp_path / "deep" / f"{kind}.safetensors"
        store.save(path, net, "stylegan2", kind, card={"data": "faces", "steps": 7})
        found = store.load(path)
        assert type(found) is type(net) and not found.training
        assert found.state_dict().keys() == net.state_dict().keys()
        for key, value in net.state_dict().items():
            assert torch.equal(value, found.state_dict()[key])
        assert not any(p.requires_grad for p in found.parameters())
        header = store.header(path)
        assert header["card"] == {"data": "faces", "steps": 7} and header["kind"] == kind and header["format"] == 1
        again = type(net)(**header["config"])
        again.load_state_dict(net.state_dict())
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {"generator.safetensors", "discriminator.safetensors"}


def test_a_generator_that_adds_no_noise_is_known_without_torch(tmp_path):
    net = generator()
    strengths = [p for name, p in net.named_parameters() if name.endswith("noise_strength")]
    for strength in strengths:
        strength.data.zero_()
    for value, silent in ((0.0, True), (0.01, False)):
        with torch.no_grad():
            strengths[-1].fill_(value)
        store.save(tmp_path / "net.safetensors", net, "stylegan2", "generator", dtype=torch.float16)
        assert store.adds_no_noise(tmp_path / "net.safetensors") is silent
    store.save(tmp_path / "other.safetensors", discriminator(), "stylegan2", "discriminator")
    assert not store.adds_no_noise(tmp_path / "other.safetensors")  # there is nothing to add


def test_half_precision_on_the_disk_only(tmp_path):
    net = generator()
    store.save(tmp_path / "full", net, "stylegan2", "generator")
    store.save(tmp_path / "half", net, "stylegan2", "generator", dtype=torch.float16)
    assert (tmp_path / "half").stat().st_size < 0.7 * (tmp_path / "full").stat().st_size
    found = store.load(tmp_path / "half")
    assert {p.dtype for p in found.parameters()} == {torch.float32}
    z = torch.randn(2, 16)
    assert (found(z, noise_mode="const") - net(z, noise_mode="const")).abs().max() < 0.02


def test_loaded_network_is_whole_without_its_start_values(tmp_path):
    """The random start values are left out on the way; nothing of them may be seen, and the random state stays."""
    net = generator()
    store.save(tmp_path / "a", net, "stylegan2", "generator")
    before = torch.get_rng_state()
    found = store.load(tmp_path / "a")
    assert torch.equal(before, torch.get_rng_state())
    for (name, a), (_name, b) in zip(net.named_buffers(), found.named_buffers(), strict=True):
        assert torch.equal(a, b), name


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    store.save(path, generator(1), "stylegan2", "generator")
    content = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    for module, function in ((container, "write"), (os, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(module, function, full)
            with pytest.raises(weights.NoRoom) as error:
                store.save(path, generator(2), "stylegan2", "generator")
            one_sentence(error.value)
        assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]


def test_other_failures_are_not_hidden(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError):
        store.save(tmp_path / "file" / "a", generator(), "stylegan2", "generator")
    with pytest.raises(TypeError):  # a card that JSON cannot carry
        store.save(tmp_path / "a", generator(), "stylegan2", "generator", card={"x": object()})
    assert not (tmp_path / "a").exists()


def test_files_of_other_people_are_refused(tmp_path):
    safetensors.torch.save_file({"a": torch.ones(1)}, tmp_path / "a")
    for call in (store.load, store.header):
        with pytest.raises(weights.RefusedFile) as error:
            call(tmp_path / "a")
        one_sentence(error.value)
    with pytest.raises(weights.RefusedFile):
        store.header(tmp_path / "nowhere")


def test_one_network_per_technique(tmp_path):
    store.save(tmp_path / "a", generator(), "unknown", "generator")
    with pytest.raises(weights.RefusedFile, match="unknown"):
        store.load(tmp_path / "a")


@pytest.mark.parametrize("metadata", [{}, {"ganbook": '{"a": "\u00e4"}'}])
def test_the_same_file_as_the_library_writes(tmp_path, metadata):
    state = {
        "b": torch.randn(3, 5).T,  # not contiguous
        "a": torch.arange(3),
        "empty": torch.ones(0, 4),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "half": torch.randn(5).bfloat16(),
        "flag": torch.tensor([True, False]),
    }
    container.write(tmp_path / "ours", state, metadata)
    whole = {name: value.contiguous() for name, value in state.items()}
    safetensors.torch.save_file(whole, tmp_path / "theirs", metadata=metadata or None)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    with pytest.raises(ValueError):
        container.write(tmp_path / "ours", {"a": torch.ones(2, dtype=torch.complex64)}, {})
