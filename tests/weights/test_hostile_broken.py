"""Files that are broken, not hostile: each is refused with one sentence; and plain values, which arrive."""

from __future__ import annotations

import os
import pickle
import random
import time

import pytest
import safetensors.torch
import torch
from crafted import Persistent, generator, name, one_sentence, persistence_modules, pickled, rosinality_state
from refusals import converted_here, refused, refused_here

import weights
from weights.formats import attgan, machine

pytestmark = pytest.mark.usefixtures("nothing_happens")

# -- broken, not hostile


def test_values_that_are_no_numbers(tmp_path):
    for bad in (float("nan"), float("inf")):
        state = generator().state_dict()
        state["mapping.fc1.weight"][3, 3] = bad
        safetensors.torch.save_file(state, tmp_path / "a")
        assert "mapping.fc1.weight" in refused(tmp_path / "a")


def test_missing_wrong_and_unknown_tensors(tmp_path):
    state = generator().state_dict()
    for key, value, complaint in [
        ("mapping.fc1.bias", None, "mapping.fc1.bias"),
        ("synthesis.b8.conv1.bias", torch.ones(9), "[9]"),
        ("synthesis.b8.extra", torch.ones(9), "synthesis.b8.extra"),
        ("mapping.fc0.weight", None, "mapping"),
        ("synthesis.b8.conv1.weight", torch.ones(2), "synthesis.b8"),
        ("mapping.fc1.weight", torch.ones(16, 16, dtype=torch.int64), "whole numbers"),
    ]:
        changed = {**state, key: value}
        changed = {k: v for k, v in changed.items() if v is not None}
        safetensors.torch.save_file(changed, tmp_path / "a")
        assert complaint in refused(tmp_path / "a")


def test_pictures_that_are_not_square(tmp_path):
    state = generator().state_dict()
    state["synthesis.b4.const"] = torch.ones(16, 8, 4)
    safetensors.torch.save_file(state, tmp_path / "a")
    assert "not square" in refused(tmp_path / "a")


def test_other_kinds_of_file(tmp_path, fixtures):
    for content, word in [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>Not found</html>" * 9, "text file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\n", "text file"),
        (b"\x93NUMPY\x01\x00" + bytes(100), "NumPy"),
        (b"\x1f\x8b" + bytes(100), "compressed"),
        (bytes(257) + b"ustar" + bytes(300), "tar file"),
        (b"\x08\x07\x12\x07pytorch" + bytes(100), "ONNX"),
        (bytes(range(128, 256)) * 4, "not a checkpoint"),
        (b"\x80", "not a checkpoint"),
        (b"PK\x03\x04", "cut or damaged"),
    ]:
        (tmp_path / "model.pkl").write_bytes(content)
        assert word in refused(tmp_path / "model.pkl")
    assert "text file" in refused(fixtures("state_keys.json"))
    assert "NumPy" in refused(fixtures("rosinality_recipe_32.npz"))


def test_no_file_at_all(tmp_path):
    for nothing in (None, "", tmp_path / "gone.pkl", "a\0b", "x" * 5000):
        refused(nothing)
    assert "not a file" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe")
    refused("/dev/zero")


def test_too_large_a_file_is_told_by_its_size_alone(tmp_path):
    with open(tmp_path / "huge.pt", "wb") as file:
        file.truncate(3 * 2**30)  # takes no room
    start = time.process_time()
    assert "3,072 MB" in refused(tmp_path / "huge.pt")
    assert "1 MB" in refused(tmp_path / "huge.pt", limit=2**20)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("layout", ["nvidia", "torch", "legacy", "safetensors"])
def test_cut_and_spoilt_files(layout, tmp_path, monkeypatch):
    """Every cut, and many changed bytes: either the file is refused, or it is whole enough to be a network."""
    net = generator(z_dim=4, w_dim=4, channels={4: 4, 8: 4})
    path = tmp_path / "whole"
    if layout == "nvidia":
        persistence_modules(monkeypatch)
        path.write_bytes(pickle.dumps({"G_ema": Persistent(net)}, protocol=4))
    elif layout == "safetensors":
        weights.store.save(path, net, "stylegan2", "generator")
    else:
        content = {"g_ema": rosinality_state(net), "latent_avg": net.mapping.w_avg}
        torch.save(content, path, _use_new_zipfile_serialization=layout == "torch")
    content = path.read_bytes()
    assert weights.read(path).z_dim == 4
    draw = random.Random(7)
    spoilt = tmp_path / "spoilt"
    for cut in sorted(draw.sample(range(len(content)), 25)) + [len(content) - 1]:
        spoilt.write_bytes(content[:cut])
        refused_here(spoilt)
    for _ in range(60):
        changed = bytearray(content)
        for _byte in range(draw.choice((1, 1, 4))):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        spoilt.write_bytes(changed)
        try:
            converted_here(spoilt)
        except weights.RefusedFile as error:
            one_sentence(error)


def test_the_machine_never_imports(monkeypatch):
    """Names stay names: nothing is looked up in sys.modules, let alone imported."""
    monkeypatch.setattr("builtins.__import__", lambda *a, **k: pytest.fail(f"imported {a[0]}"))
    calls = {("antigravity", "fly"): lambda: 5}
    assert machine.Machine(pickled(name("antigravity", "fly") + b")R"), calls).run() == 5


def test_plain_values_arrive():
    content = {"a": [1, -2, 2**40, 0.5, None, True, "ä"], ("b", 1): (b"x" * 300, frozenset([3]), {"c": {}}), "d": ()}
    for protocol in (2, 3, 4, 5):
        calls = {("_codecs", "encode"): lambda t, e: t.encode(e), ("builtins", "frozenset"): None}
        calls[("__builtin__", "frozenset")] = calls[("builtins", "frozenset")] = lambda items: frozenset(items)
        found = machine.Machine(pickle.dumps(content, protocol), calls).run()
        found["b", 1] = (bytes(found["b", 1][0]), *found["b", 1][1:])
        assert found == content


def test_attgan_setting_is_bounded(tmp_path):
    (tmp_path / "setting.txt").write_text('{"a": "' + "x" * 100_000 + '"}')
    assert attgan.setting_beside(tmp_path / "weights.pth") is None
