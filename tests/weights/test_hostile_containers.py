"""Zips and safetensors that lie about what they hold, and settings of our own layout that do not fit."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from crafted import generator, rosinality_state, safetensors_bytes
from refusals import refused

pytestmark = pytest.mark.usefixtures("nothing_happens")

# -- zips


def bomb(path: Path, compression=zipfile.ZIP_DEFLATED, megabytes=300) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"g_ema": {}}, protocol=2))
        with archive.open("archive/data/0", "w", force_zip64=True) as entry:
            for _ in range(megabytes):
                entry.write(bytes(2**20))


def test_zip_bomb(tmp_path):
    bomb(tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 2**20
    assert "compressed" in refused(tmp_path / "a.pt")


def test_zip_that_lies_about_its_sizes(tmp_path):
    """Stored, not compressed, but every entry claims the same bytes, and more than there are."""
    torch.save({"g_ema": {"a": torch.ones(1000)}}, tmp_path / "a.pt")
    content = (tmp_path / "a.pt").read_bytes()
    at = content.rindex(b"PK\x01\x02")
    for offset in (20, 24):
        lie = content[: at + offset] + struct.pack("<I", 2**31) + content[at + offset + 4 :]
        (tmp_path / "b.pt").write_bytes(lie)
        refused(tmp_path / "b.pt")


def test_zip_with_an_endless_directory(tmp_path):
    torch.save({"g_ema": {"a": torch.ones(1)}}, tmp_path / "a.pt")
    content = (tmp_path / "a.pt").read_bytes()
    at = content.rindex(b"PK\x05\x06")
    (tmp_path / "b.pt").write_bytes(content[: at + 12] + struct.pack("<I", 2**31) + content[at + 16 :])
    refused(tmp_path / "b.pt")


def test_zip_with_two_pickles_of_one_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive, pytest.warns(UserWarning):
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}, protocol=2))
    refused(tmp_path / "a.pt")


def test_zip_of_other_things(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "without a torch checkpoint" in refused(tmp_path / "a.pt")


def test_torch_file_that_lacks_its_data(tmp_path):
    torch.save({"g_ema": rosinality_state(generator())}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w") as new:
        for entry in old.infolist():
            if not entry.filename.endswith("data/3"):
                new.writestr(entry.filename, old.read(entry))
    assert "data block 3" in refused(tmp_path / "b.pt")


def test_old_torch_file_that_claims_too_much(tmp_path):
    torch.save({"g_ema": {"a": torch.ones(1000)}}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    content = (tmp_path / "a.pt").read_bytes()
    claim = content.replace(b"M\xe8\x03", b"J\xff\xff\xff\x7f")
    assert claim != content
    (tmp_path / "a.pt").write_bytes(claim)
    refused(tmp_path / "a.pt")


# -- safetensors

ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("entry", "data"),
    [
        ({**ENTRY, "shape": [2**40]}, bytes(8)),
        ({**ENTRY, "shape": [3]}, bytes(8)),
        ({**ENTRY, "shape": [-2]}, bytes(8)),
        ({**ENTRY, "shape": [True, 2]}, bytes(8)),
        ({**ENTRY, "data_offsets": [8, 0]}, bytes(8)),
        ({**ENTRY, "data_offsets": [0, 2**40]}, bytes(8)),
        ({**ENTRY, "data_offsets": "ab"}, bytes(8)),
        ({**ENTRY, "dtype": "F8_E4M3"}, bytes(8)),
        ({**ENTRY, "dtype": ["F32"]}, bytes(8)),
        (ENTRY, bytes(7)),
        (ENTRY, bytes(9)),
        ("text", bytes(8)),
        (None, bytes(8)),
    ],
)
def test_safetensors_entries(entry, data, refused_bytes):
    refused_bytes(safetensors_bytes(json.dumps({"a": entry}).encode(), data))


@pytest.mark.parametrize(
    "content",
    [
        safetensors_bytes(b'{"a": 1}', length=2**39),
        safetensors_bytes(b'{"a": 1}', length=9),
        safetensors_bytes(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        safetensors_bytes(b'{"a": ' + b"9" * 10_000 + b"}"),
        safetensors_bytes(b'{"a": \xff}  '),
        safetensors_bytes(b'{"__metadata__": {"ganbook": 3}}'),
        safetensors_bytes(b'{"__metadata__": {"ganbook": "{"}}'),
        safetensors_bytes(b'{"__metadata__": {"ganbook": "[]"}}'),
        safetensors_bytes(b'{"__metadata__": []}'),
        safetensors_bytes(b"{}" + b" " * (33 * 2**20)),
        safetensors_bytes(b"{}        "),
    ],
)
def test_safetensors_headers(content, refused_bytes):
    refused_bytes(content)


def test_tensors_that_overlap(refused_bytes):
    header = json.dumps({"a": ENTRY, "b": ENTRY}).encode()
    refused_bytes(safetensors_bytes(header, bytes(8)))


@pytest.mark.parametrize(
    "change",
    [
        {"img_resolution": 2**30},
        {"img_resolution": 1024},
        {"img_resolution": 7},
        {"img_resolution": "64"},
        {"mapping_layers": 10**9},
        {"mapping_layers": 64},
        {"mapping_layers": -1},
        {"channels": {"4": 2**19, "8": 2**19}},
        {"channels": {"4": 16}},
        {"z_dim": 2**20},
        {"z_dim": 1e308},
        {"c_dim": 10**6},
        {"resample_filter": [1] * 60},
        {"resample_filter": [[1], [2]]},
        {"resample_filter": []},
        {"architecture": "<b>"},
        {"activation": "evil"},
        {"modulation": 5},
        {"unknown": 1},
    ],
)
def test_our_own_layout_with_settings_that_do_not_fit(change, tmp_path):
    net = generator()
    entry = {"format": 1, "technique": "stylegan2", "kind": "generator", "config": {**net.config, **change}}
    safetensors.torch.save_file(net.state_dict(), tmp_path / "a", metadata={"ganbook": json.dumps(entry)})
    refused(tmp_path / "a")


@pytest.mark.parametrize(
    "change",
    [
        {"img_resolution": 4096},
        {"num_layers": 63},
        {"num_layers": 2.5},
        {"num_critical": 0},
        {"first_cutoff": 1e-300},
        {"first_stopband": -1},
        {"last_stopband_rel": 0},
        {"margin_size": 10**6},
        {"filter_size": 10**5},
        {"filter_size": 0},
        {"lrelu_upsampling": 0},
        {"lrelu_upsampling": 2**20},
        {"channels": [8] * 3},
        {"channels": [2**20] * 7},
        {"channels": "88888888"},
        {"conv_kernel": -1},
        {"radial": True},
        {"conv_clamp": "x"},
        {"output_scale": [1]},
    ],
)
def test_settings_of_stylegan3_that_do_not_fit(change, tmp_path):
    from models.stylegan3 import Generator

    torch.manual_seed(0)
    net = Generator(8, 0, 8, 16, channel_base=64, channel_max=8, num_layers=6)
    entry = {"format": 1, "technique": "stylegan3", "kind": "generator", "config": {**net.config, **change}}
    safetensors.torch.save_file(net.state_dict(), tmp_path / "a", metadata={"ganbook": json.dumps(entry)})
    refused(tmp_path / "a")


@pytest.mark.parametrize("change", [{"technique": "<b>x"}, {"kind": "encoder"}, {"format": 99}, {"config": None}])
def test_our_own_layout_of_unknown_kinds(change, tmp_path):
    net = generator()
    entry = {"format": 1, "technique": "stylegan2", "kind": "generator", "config": net.config, **change}
    safetensors.torch.save_file(net.state_dict(), tmp_path / "a", metadata={"ganbook": json.dumps(entry)})
    assert "<" not in refused(tmp_path / "a")
