"""The list of checkpoints, and that showing it costs nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from crafted import generator, one_sentence

import weights
from training import run
from weights import paths, store

ROOT = Path(__file__).resolve().parents[2]
ALL = weights.entries()


@pytest.mark.parametrize("entry", ALL, ids=lambda e: e.name)
def test_entries_are_complete(entry):
    assert re.fullmatch(r"[a-z0-9]+/[a-z0-9-]+", entry.name) and entry.title and entry.licence
    assert entry.name == f"{entry.technique}/{entry.short_name}"
    assert entry.crop in (None, "ffhq", "celeba")
    assert entry.layout in ("ganbook", "nvidia", "rosinality", "e4e", "psp", "dcgan", "onnx", "torchvision")
    assert entry.note or entry.loadable
    assert entry.verified.endswith(".") and len(entry.verified) < 160
    if not entry.shipped:  # the Hub was out of reach when the list was made
        assert "never fetched" in entry.verified
    if entry.note:
        assert entry.note.endswith(".")
    if entry.shipped:
        assert entry.path.parent.parent == paths.EMBEDDED and entry.link is None
    else:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.repo) and "." in entry.file and entry.resolution
        assert entry.revision == "main" or re.fullmatch(r"[0-9a-f]{40}", entry.revision)
        assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
        assert entry.link == f"https://huggingface.co/{entry.repo}/blob/{entry.revision}/{entry.file}"
        assert entry.path is entry.card is entry.sample is None


def test_names_are_unique_and_the_shipped_ones_come_first():
    assert len({e.name for e in ALL}) == len(ALL)
    assert len({(e.repo, e.file) for e in ALL if e.repo}) == len([e for e in ALL if e.repo])
    shipped = [e.name for e in ALL if e.shipped]
    assert shipped == [e.name for e in ALL[: len(shipped)]]
    assert shipped[:4] == [f"stylegan2/{n}" for n in ("faces", "cats", "flowers", "cartoons")]


def test_published_facts():
    ffhq = weights.entry("stylegan2/ffhq-1024")
    assert (ffhq.size, ffhq.sha256[:8], ffhq.crop) == (381_624_121, "a205a346", "ffhq")
    assert weights.entry("stylegan2/ffhq-512").revision.startswith("20dedd02")
    assert weights.entry("faces/yunet").size == 232_589
    assert weights.entry("stylegan2/church-256").size == 120_878_283


def test_what_the_catalogue_does_not_offer():
    hub = [entry for entry in ALL if not entry.shipped]
    assert not [e.name for e in hub if e.repo.startswith("aaronb/")], "the account has another name now"
    assert not [e.name for e in hub if e.file.endswith("config-f.pkl")], "TensorFlow pickles, which cannot be read"
    smaller = [e for e in hub if e.repo == "ZeqiangLai/StyleGAN2"]
    assert len(smaller) == 15 and all(e.file.endswith(".pt") and e.layout == "rosinality" for e in smaller)
    assert {"landscapes-256", "afhq-cats-512-stylegan2", "anime-1024"} <= set(weights.names("stylegan2"))


def test_names_by_technique():
    short = weights.names("stylegan2")
    assert [f"stylegan2/{n}" for n in short] == [n for n in weights.names() if n.startswith("stylegan2/")]
    assert "ffhq-1024" in short and "human-1024" not in short  # listed, but its pictures are not square
    assert weights.names("no such technique") == []


def test_shipped_checkpoints_appear_with_their_files(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "EMBEDDED", tmp_path)
    assert "stylegan2/cats" not in weights.names() and weights.status("stylegan2/cats") == "missing"
    with pytest.raises(weights.UserError) as error:
        weights.load("stylegan2/cats")
    assert "make train-cats" in one_sentence(error.value)
    store.save(tmp_path / "stylegan2/cats.safetensors", generator(), "stylegan2", "generator")
    assert weights.names()[0] == "stylegan2/cats" and weights.status("stylegan2/cats") == "shipped"
    (tmp_path / "stylegan2/cats.png").write_bytes(b"png")
    found = weights.describe("stylegan2/cats")
    assert found.sample.name == "cats.png" and found.card is None and found.bytes_to_download == 0
    assert found.resolution == 8 and found.status == "shipped" and found.licence
    assert weights.fetch("stylegan2/cats") == tmp_path / "stylegan2/cats.safetensors"


@pytest.mark.parametrize("entry", [e for e in ALL if e.shipped], ids=lambda e: e.name)
def test_what_is_missing_says_how_it_is_made(entry, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "EMBEDDED", tmp_path)
    with pytest.raises(weights.UserError) as error:
        weights.load(entry.name)
    target = re.search(r"`make (train-[a-z0-9-]+)`", one_sentence(error.value))[1]
    assert target.removeprefix("train-") in run.recipes()


def test_unknown_names():
    for name, word in (("stylegan2/fases", "did you mean stylegan2/faces"), ("../../etc", ""), (None, ""), ("", "")):
        for call in (weights.entry, weights.load, weights.status, weights.describe, weights.fetch, weights.size):
            with pytest.raises(weights.UserError) as error:
                call(name)
            assert word in str(error.value)
    assert "<" not in str(pytest.raises(weights.UserError, weights.entry, "<b>").value)


def test_what_cannot_be_loaded_says_why():
    for entry in ALL:
        if not entry.loadable:
            with pytest.raises(weights.UserError) as error:
                weights.load(entry.name)
            assert entry.title.split(" (")[0] in one_sentence(error.value)


def test_descriptions_without_network_and_torch(tmp_path):
    """The page lists everything at once: no heavy import, and no request (the endpoint does not exist)."""
    store.save(tmp_path / "stylegan2/faces.safetensors", generator(), "stylegan2", "generator")
    code = """
import pathlib, sys, weights
weights.paths.EMBEDDED = pathlib.Path(sys.argv[1])
assert weights.describe("stylegan2/faces").resolution == 8
weights.names(); weights.names("stylegan2")
for entry in weights.entries():
    weights.describe(entry.name), weights.status(entry.name)
try:
    weights.entry("nothing")
except weights.UserError:
    pass
heavy = {"torch", "numpy", "huggingface_hub", "safetensors", "gradio", "httpx", "httpx2", "models"} & set(sys.modules)
assert not heavy, heavy
"""
    env = {"PATH": "", "HF_ENDPOINT": "http://127.0.0.1:9"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, timeout=60, env=env)


def test_sizes():
    assert weights.size("stylegan2/ffhq-1024") == 381_624_121  # from the catalogue, nobody is asked
    assert weights.size("stylegan2/faces") == 0
    described = weights.describe("stylegan2/ffhq-1024")
    assert described.bytes_to_download == 381_624_121 and described.link.startswith("https://huggingface.co/")
    assert weights.describe("stylegan2/lions-512").bytes_to_download is None


def test_mirror_in_links(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    assert weights.entry("faces/yunet").link.startswith("https://mirror.example/opencv/")


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("GANBOOK_CACHE", "~/x")
    assert paths.cache() == Path.home() / "x"
    monkeypatch.delenv("GANBOOK_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert paths.cache() == tmp_path / "ganbook"
    monkeypatch.delenv("HF_HUB_CACHE")
    assert paths.hub_cache() == tmp_path / "huggingface" / "hub"
