"""The trainer of the landmark network: its truth is the truth, it resumes exactly, and it learns."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from models.landmarks import CELEBA_128, template
from training import card, landmarks
from training.data import Images
from weights import store

SMALL = ["--size", "16", "--widths", "8", "16", "--batch", "8", "--device", "cpu", "--precision", "fp32"]
COLOURS = ("red", "lime", "yellow", "blue", "cyan")


def doll() -> Image.Image:
    """A face of five discs, each where its landmark is."""
    image = Image.new("RGB", (128, 128), (90, 90, 90))
    pen = ImageDraw.Draw(image)
    for (x, y), colour in zip(CELEBA_128, COLOURS, strict=True):
        pen.ellipse([x - 3, y - 3, x + 3, y + 3], fill=colour)
    return image.filter(ImageFilter.GaussianBlur(1))


def dolls(n: int = 8) -> torch.Tensor:
    return torch.from_numpy(np.asarray(doll()).copy()).permute(2, 0, 1).expand(n, -1, -1, -1).contiguous()


def options(*more: str):
    return landmarks.parser().parse_args(["--data", "x", "--out", "x", *SMALL, *more])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_points_lie_where_the_picture_shows_them():
    x = dolls().float() / 127.5 - 1
    m = landmarks.transforms(8, rng(), landmarks.Spread(0.2, 0.3, 0.7))
    pictures = landmarks.seen(x, m, rng(1), 64, plain=True)
    points = ((landmarks.carried(m, torch.tensor(template())) + 1) * 32 - 0.5).round().long()
    for picture, five in zip(pictures, points, strict=True):
        levels = [picture[:, y, x].tolist() for x, y in five.tolist()]
        for (r, g, b), colour in zip(levels, COLOURS, strict=True):
            bright = [v > 0.4 for v in (r, g, b)]
            wanted = {"red": [1, 0, 0], "lime": [0, 1, 0], "yellow": [1, 1, 0], "blue": [0, 0, 1], "cyan": [0, 1, 1]}
            assert bright == [bool(v) for v in wanted[colour]], (colour, r, g, b)


def test_a_mirrored_face_keeps_left_on_the_left():
    _, points, face = landmarks.batch_of(dolls(40).float() / 127.5 - 1, rng(), 16)
    across = points[:, 1] - points[:, 0]
    assert (across[face > 0, 0] > 0).all(), "turned by 45 degrees at most, the right eye is farther right"
    down = points[:, 3:].mean(dim=1) - points[:, :2].mean(dim=1)
    turned = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
    assert (turned > 0).all(), "a mirrored face would have its mouth above its eyes"


def test_fit_and_inverse():
    m, five = landmarks.transforms(16, rng(), landmarks.WIDE), torch.tensor(template())
    assert torch.allclose(landmarks.fitted(landmarks.carried(m, five), five), landmarks.inverse(m), atol=1e-5)
    assert torch.allclose(
        landmarks.carried(landmarks.inverse(m), landmarks.carried(m, five)), five.expand(16, -1, -1), atol=1e-5
    )
    wide = landmarks.transforms(2000, rng(), landmarks.WIDE)
    size, turn = wide[:, :, 0].norm(dim=1), torch.atan2(wide[:, 1, 0], wide[:, 0, 0]).abs()
    assert size.min() > math.exp(-0.46) and size.max() < math.exp(0.46) and 0.7 < turn.max() < math.pi / 4 + 0.01


def test_strangers_are_none_of_what_counts_as_a_face():
    m = landmarks.strangers(2000, rng())
    size, turn = m[:, :, 0].norm(dim=1), torch.atan2(m[:, 1, 0], m[:, 0, 0]).abs()
    shift = m[:, :, 2].abs().amax(dim=1)
    assert ((size > 2.5) | (size < 0.4) | (turn > 1.3) | (shift > 0.6)).all()


def test_a_resumed_run_takes_the_same_steps():
    images = Images(dolls())
    straight = landmarks.LandmarksRun(options(), images)
    for _ in range(4):
        straight.step()
    first = landmarks.LandmarksRun(options(), images)
    first.step()
    second = landmarks.LandmarksRun(options(), images)
    second.restore(first.state())
    for _ in range(3):
        second.step()
    for (name, a), b in zip(straight.average.state_dict().items(), second.average.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_it_learns(monkeypatch):
    """One batch over and over: the landmarks of its faces are found, and those that show none are told."""
    run = landmarks.LandmarksRun(options("--batch", "16", "--lr", "0.004"), Images(dolls()))
    x, points, face = landmarks.batch_of(run.images.batch(torch.arange(16) % 8), rng(), 16)

    def off() -> tuple[float, torch.Tensor]:
        found, logits = run.net.train()(x)
        return (found - points).abs().mean(dim=(1, 2))[face > 0].mean().item(), ((logits > 0) == (face > 0)).float()

    before, _ = off()
    monkeypatch.setattr(landmarks, "batch_of", lambda *_: (x, points, face))
    for _ in range(150):
        run.step()
    after, told = off()
    assert after < 0.4 * before and told.mean() == 1


def test_the_card_says_what_the_stored_network_does(tmp_path, capsys):
    folder = tmp_path / "faces"
    folder.mkdir()
    rows = ["file,split"]
    for i in range(16):
        doll().save(folder / f"{i}.png")
        rows.append(f"{i}.png,{'test' if i % 4 == 0 else 'train'}")
    (folder / "labels.csv").write_text("\n".join(rows))
    run = ["--data", str(folder), "--out", str(tmp_path / "run"), "--images", "64", "--tick", "32"]
    assert landmarks.main([*run, *SMALL]) == 0
    argv = ["--run", str(tmp_path / "run"), "--name", "landmarks/faces", "--data", str(folder)]
    assert card.main([*argv, "--out", str(tmp_path / "shipped")]) == 0
    path = tmp_path / "shipped" / "landmarks" / "faces.safetensors"
    net, said = store.load(path), store.header(path)["card"]
    assert said["images"] == 64 and said["test_images"] == 4 and "eyes_2" in capsys.readouterr().out
    once = said["eye_error"]["anywhere"][1]
    again = landmarks.eye_error(net, dolls(4), landmarks.WIDE, 1, seed=1234)
    assert again.mean().item() == pytest.approx(once["mean"], abs=0.01)
    words = path.with_suffix(".md").read_text()
    assert f"{once['mean']:.2f} / {once['median']:.2f}" in words and str(tmp_path) not in words
    assert "--widths 8 16" in words
