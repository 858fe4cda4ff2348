"""A run of the classifier becomes a checkpoint that says how often it is right."""

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from training import attributes, card
from training.data import load_images
from weights import store

NAMES = ["Bald", "Young", "Smiling"]


@pytest.fixture
def faces(tmp_path):
    """Pictures whose channels are bright where an attribute is there; a quarter of them to test with."""
    folder, rng = tmp_path / "faces", np.random.RandomState(0)
    folder.mkdir()
    rows = [",".join(["file", "split", *NAMES])]
    for i in range(96):
        has = rng.rand(3) < (0.5, 0.5, 0.9)
        x = np.ones((16, 16, 3)) * (40 + 170 * has) + rng.randn(16, 16, 3) * 8
        Image.fromarray(x.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        rows.append(",".join([f"{i}.png", "test" if i % 4 == 0 else "train", *(str(int(h)) for h in has)]))
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def test_from_a_run_to_a_card(faces, tmp_path, capsys):
    run = ["--data", str(faces), "--out", str(tmp_path / "run"), "--attrs", *NAMES, "--size", "16", "--images", "1024"]
    small = ["--widths", "8", "16", "--blocks", "1", "1", "--batch", "32", "--precision", "fp32", "--device", "cpu"]
    assert attributes.main([*run, *small]) == 0
    argv = ["--run", str(tmp_path / "run"), "--name", "attributes/faces", "--data", str(faces)]
    assert card.main([*argv, "--out", str(tmp_path / "shipped")]) == 0
    path = tmp_path / "shipped" / "attributes" / "faces.safetensors"
    net, header = store.load(path), store.header(path)
    assert header["technique"] == "attributes" and net.attrs == NAMES and header["card"]["images"] == 1024
    # What the card says of the stored network is true of it.
    test = load_images(faces, 16, "test", attributes=NAMES)
    right = attributes.accuracy(net, test)
    assert header["card"]["accuracy"] == right and right["mean"] > 60
    share = test.attributes[:, 2].float().mean().item()
    assert header["card"]["majority"]["Smiling"] == pytest.approx(max(share, 1 - share) * 100, abs=0.01)
    words = path.with_suffix(".md").read_text()
    assert f"{right['mean']:.2f}" in words and "--widths 8 16" in words and "24 photographs" in words
    assert str(tmp_path) not in words, "no path of this machine"


def test_the_shipped_classifier(tmp_path):
    net = weights.load("attributes/faces")
    card_of = weights.card("attributes/faces")
    assert card_of["accuracy"]["mean"] >= 90 and card_of["test_images"] >= 900
    with torch.no_grad():
        assert net(torch.zeros(2, 3, 128, 128)).shape == (2, len(net.attrs))
