"""A run of AttGAN becomes a checkpoint that says what another classifier sees of its edits."""

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from training import attgan, attributes, card, editing, judges, thresholds
from training.data import load_images
from training.supervised import load_trained
from weights import store

NAMES = ["Bald", "Young", "Pale_Skin"]
SMALL = ["--attrs", *NAMES, "--size", "16", "--precision", "fp32", "--device", "cpu"]


@pytest.fixture
def faces(tmp_path):
    """Pictures whose channels are bright where an attribute is there; a quarter of them to test with."""
    folder, rng = tmp_path / "faces", np.random.RandomState(0)
    folder.mkdir()
    rows = [",".join(["file", "split", *NAMES])]
    for i in range(64):
        has = rng.rand(3) < 0.5
        x = np.ones((16, 16, 3)) * (40 + 170 * has) + rng.randn(16, 16, 3) * 8
        Image.fromarray(x.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
        rows.append(",".join([f"{i}.png", "test" if i % 4 == 0 else "train", *(str(int(h)) for h in has)]))
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def test_from_a_run_to_a_card(faces, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(judges, "installed", lambda name: True)
    monkeypatch.setattr(judges, "people", lambda x: np.zeros((len(x), 128)))
    monkeypatch.setattr(judges, "same_people", lambda a, b: np.arange(len(a)) % 4 > 0)
    classifier = ["--widths", "4", "8", "--blocks", "1", "1", "--batch", "32", "--images", "512"]
    for name, seed in (("helper", "0"), ("judge", "7")):
        out = ["--data", str(faces), "--out", str(tmp_path / name), "--seed", seed]
        assert attributes.main([*out, *SMALL, *classifier]) == 0
    small = ["--enc-dim", "4", "--layers", "2", "--fc-dim", "8", "--images", "64", "--batch", "16"]
    run = ["--data", str(faces), "--out", str(tmp_path / "run"), "--classifier", str(tmp_path / "helper")]
    assert attgan.main([*run, *SMALL, *small]) == 0
    argv = ["--run", str(tmp_path / "run"), "--name", "attgan/faces", "--data", str(faces)]
    with pytest.raises(SystemExit, match="--judge"):
        card.main([*argv, "--out", str(tmp_path / "shipped")])
    assert card.main([*argv, "--judge", str(tmp_path / "judge"), "--out", str(tmp_path / "shipped")]) == 0
    path = tmp_path / "shipped" / "attgan" / "faces.safetensors"
    net, said = store.load(path), store.header(path)["card"]
    assert net.attrs == NAMES and net.img_size == 16 and said["images"] == 64 and said["test_images"] == 16
    # What the card says of the stored network is true of it.
    test = load_images(faces, 16, "test", attributes=NAMES)
    x, a = test.pixels.float() / 127.5 - 1, test.attributes.float()
    judge = load_trained(attributes.Classifier, tmp_path / "judge")[0]
    train = load_images(faces, 16, "train", attributes=NAMES)
    edge = thresholds.fair(thresholds.read(judge, train, NAMES), train.attributes)
    told = editing.edited(net, judge, x, a, thresholds=edge)
    assert all(said[kind] == of for kind, of in told.items())
    read = thresholds.read(judge, test, NAMES)
    assert list(said["photographs"].values())[:3] == thresholds.of_photographs(read, a, edge).tolist()
    assert said["photographs_half"]["mean"] == pytest.approx(thresholds.of_photographs(read, a, 0 * edge).mean())
    assert said["same"]["mean"] == 75 and said["people_images"] == 16
    assert said["both"]["mean"] <= said["success"]["mean"]
    assert said["restored"] == editing.restored(net, x, a)
    words = path.with_suffix(".md").read_text()
    kinds = ("success", "photographs", "shift", "same", "both", "half", "photographs_half")
    numbers = " | ".join(f"{said[kind]['mean']:.1f}" for kind in kinds)
    assert f"| **mean** | {numbers} |" in words and f"{said['restored']['psnr']:.2f} dB" in words
    assert "--seed 7" in words and "--recipe ours --classifier runs/helper" in words
    assert str(tmp_path) not in words, "no path of this machine"
    with Image.open(path.with_suffix(".png")) as picture:
        assert picture.size == (16 * (2 + len(NAMES)), 16 * 8)


def test_the_shipped_generator():
    card_of = weights.card("attgan/faces")
    # Flips alone are no measure: the network of 64 px had more of them (82 %) and took the person away in every fourth.
    assert card_of["both"]["mean"] >= 69 and card_of["same"]["mean"] >= 95 and card_of["test_images"] >= 900
    assert card_of["restored"]["psnr"] >= 30 and card_of["restored"]["ssim"] >= 0.95
    net = weights.load("attgan/faces")
    with torch.no_grad():
        assert net(torch.zeros(2, 3, 128, 128), torch.zeros(2, len(net.attrs))).shape == (2, 3, 128, 128)
