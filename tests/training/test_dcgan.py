"""The trainers of a DCGAN and of its predictor: they step, resume exactly, learn, and ship what they measured."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from models.dcgan import DCGAN, Discriminator
from training import card, dcgan, discriminators, predictor
from training.data import Images
from weights import store

from .resuming import differ, stopped_and_straight

SMALL = ["--resolution", "16", "--width", "8", "--d-width", "8", "--z-dim", "8", "--batch", "8", "--precision", "fp32"]


def blobs(n: int = 64, size: int = 16) -> Images:
    """A bright square of any colour on the left or on the right."""
    rng = torch.Generator().manual_seed(0)
    x = torch.full((n, 3, size, size), 30.0)
    colours = 100 + 155 * torch.rand(n, 3, 1, 1, generator=rng)
    for i in range(n):
        left = 2 if torch.rand([], generator=rng) < 0.5 else 8
        x[i, :, 4:12, left : left + 6] = colours[i]
    return Images(x.to(torch.uint8))


def options(*more: str, trainer=dcgan):
    return trainer.parser().parse_args(["--data", "x", "--out", "x", "--device", "cpu", *SMALL, *more])


@pytest.mark.parametrize("more", [[], ["--ada-target", "0", "--prior", "normal", "--kernel", "5"]])
def test_a_resumed_run_takes_the_same_steps(more, tmp_path):
    # The ninth step regularises again.
    straight, second = stopped_and_straight(lambda: dcgan.DCGANRun(options(*more), blobs()), tmp_path, 4, 5)
    assert not any(differ(getattr(straight, name), getattr(second, name)) for name in ("G", "D", "G_ema"))
    assert straight.shown == second.shown == 72 and straight.ada.p == second.ada.p
    assert not second.changes and all(np.isfinite(v) for v in straight.stats.values())


def test_options_that_were_changed_are_remembered():
    first = dcgan.DCGANRun(options(), blobs())
    first.step()
    second = dcgan.DCGANRun(options("--r1-gamma", "3", "--ada-target", "0", "--tick", "5"), blobs())
    second.restore(first.state())
    assert second.changes == [{"until": 8, "r1_gamma": 1.0, "ada_target": 0.6}] and second.ada.p == 0


def test_it_learns_the_colours_of_its_pictures():
    torch.manual_seed(0)
    run = dcgan.DCGANRun(options("--batch", "16", "--lr", "2e-3", "--ada-target", "0"), blobs())
    x = blobs().pixels.float() / 127.5 - 1

    def far() -> float:
        made = dcgan.sample(run.settled(), 64)
        return float((made.mean(dim=0) - x.mean(dim=0)).abs().mean() + (made.std(dim=0) - x.std(dim=0)).abs().mean())

    before = far()
    for _ in range(150):
        run.step()
    assert far() < 0.6 * before


def test_settled_norms_have_the_statistics_of_their_weights():
    run = dcgan.DCGANRun(options(), blobs())
    for _ in range(3):
        run.step()
    net = run.settled()
    assert not net.training and all(m.momentum == 0.1 for m in net.norms)
    z = net.sample_z(2000, torch.Generator().manual_seed(5))
    x = net.stem(z).reshape(2000, -1, 4, 4)
    mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)
    assert torch.allclose(net.stem_norm.running_mean, mean, atol=0.1 * float(var.sqrt().max()))
    assert torch.allclose(net.stem_norm.running_var, var, rtol=0.15)


def test_a_discriminator_without_norms_sees_contrast():
    """With biases ``D(s x)`` is not ``s D(x)``: a grey picture need not be undecided."""
    run = dcgan.DCGANRun(options("--batch", "16", "--lr", "2e-3"), blobs())
    for _ in range(30):
        run.step()
    grey = torch.zeros(1, 3, 16, 16)
    assert run.D.config["bias"] and float(run.D(grey)) < -0.1
    assert not Discriminator((8, 8), norm="none")(grey).any()


@pytest.mark.parametrize("size", [12, 4, 100])
def test_sizes_that_no_doubling_reaches(size):
    with pytest.raises(ValueError, match="8, 16, 32"):
        discriminators.halving_widths(8, size)


# -- predictor and card ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A zip of blobs with a table of splits."""
    path = tmp_path_factory.mktemp("data") / "blobs.zip"
    pixels = blobs(48).pixels.permute(0, 2, 3, 1).numpy()
    rows = ["file,split"]
    with zipfile.ZipFile(path, "w") as archive:
        for i, levels in enumerate(pixels):
            buffer = io.BytesIO()
            Image.fromarray(levels).save(buffer, "PNG")
            archive.writestr(f"images/{i}.png", buffer.getvalue())
            rows.append(f"{i}.png,{'test' if i % 4 == 0 else 'train'}")
        archive.writestr("labels.csv", "\n".join(rows))
    return path


@pytest.fixture(scope="module")
def runs(pictures, tmp_path_factory):
    """Folders of two short runs, as the commands make them."""
    folder = tmp_path_factory.mktemp("runs")
    common = ["--data", str(pictures), "--tick", "160", "--batch", "16", "--precision", "fp32", "--device", "cpu"]
    small = ["--resolution", "16", "--width", "8", "--d-width", "8", "--z-dim", "8", "--metric-images", "0"]
    dcgan.train(dcgan.parser().parse_args([*common, *small, "--out", str(folder / "gan"), "--images", "320"]), print)
    more = ["--run", str(folder / "gan"), "--out", str(folder / "p"), "--width", "8", "--images", "960"]
    run = predictor.train(predictor.parser().parse_args([*common, *more, "--lr", "3e-3"]), print)
    return folder, run


def test_the_predictor_learns(runs):
    folder, run = runs
    lines = [json.loads(line) for line in (folder / "p" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["images"] == 960 and lines[-1]["loss"] < lines[0]["loss"]
    z = run.G.sample_z(64, torch.Generator().manual_seed(9))
    untrained = predictor.Predictor(**run.net.config).eval()
    with torch.no_grad():
        errors = [float((net(run.G(z)) - z).square().mean()) for net in (run.average, untrained)]
    assert errors[0] < 0.9 * errors[1]
    assert len(list((folder / "p" / "sheets").glob("*.png"))) == 6


def test_a_resumed_predictor_takes_the_same_steps(runs, pictures):
    folder, _run = runs
    G, D, _state = dcgan.load_run(folder / "gan")
    args = predictor.parser().parse_args(
        [
            "--run",
            str(folder / "gan"),
            "--data",
            "x",
            "--out",
            "x",
            "--width",
            "8",
            "--batch",
            "8",
            "--precision",
            "fp32",
        ]
    )
    made = [predictor.PredictorRun(args, blobs(), G, D) for _ in range(3)]
    for _ in range(5):
        made[0].step()
    for _ in range(2):
        made[1].step()
    made[2].restore(made[1].state())
    for _ in range(3):
        made[2].step()
    assert not differ(made[0].net, made[2].net) and not differ(made[0].average, made[2].average)


def test_the_card_ships_all_three_networks(runs, pictures, tmp_path, monkeypatch):
    folder, _run = runs
    blobs = {"what": "Blobs.", "data": "made", "terms": "none", "limits": "Few."}
    monkeypatch.setattr(card, "notes", lambda: {"common": {"machine": "here"}, "igan/blobs": blobs})
    out = tmp_path / "embedded"
    where = ["--data", str(pictures), "--out", str(out), "--name", "igan/blobs"]
    card.main(["--run", str(folder / "gan"), "--predictor", str(folder / "p"), *where])
    net = store.load(out / "igan" / "blobs.safetensors")
    assert isinstance(net, DCGAN) and net.discriminator is not None and net.predictor is not None
    found = weights.store.header(out / "igan" / "blobs.safetensors")["card"]
    G, _D, state = dcgan.load_run(folder / "gan")
    z = G.sample_z(4, torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (net(z) - G(z)).abs().max() < 0.02, "stored as float16"
    assert found["images"] == state["shown"] == 320 and found["test_images"] == 12
    assert found["command"].startswith("python -m training dcgan --data blobs.zip") and "--width 8" in found["command"]
    assert "--run runs/gan" in found["predictor"]["command"]
    text = (out / "igan" / "blobs.md").read_text()
    assert f"{found['predicted_l2']:.4f}" in text and "DCGAN, 16 px, z 8 (uniform prior)" in text
    with Image.open(out / "igan" / "blobs.png") as sheet:
        assert sheet.size == (160, 96)
    with pytest.raises(SystemExit, match="--predictor"):
        card.main(["--run", str(folder / "gan"), *where])


def test_a_run_goes_on_from_networks_that_ship(runs, tmp_path):
    """Whoever has a clone, and not the folder of the run, can train on."""
    folder, _run = runs
    G, D, _state = dcgan.load_run(folder / "gan")
    P = predictor.load_predictor(folder / "p")[0]
    net = DCGAN(G.config, D.config, P.config)
    net.generator.load_state_dict(G.state_dict())
    net.discriminator.load_state_dict(D.state_dict())
    path = tmp_path / "blobs.safetensors"
    store.save(path, net, "igan", "generator", card={"images": 320, "seconds": 7, "changes": ["--lr 1 until image 8"]})
    args = options("--start-from", str(path))
    run = dcgan.DCGANRun(args, blobs())
    assert (run.shown, run.seconds, run.step_number) == (320, 7, 40)
    assert not (differ(run.G_ema, G) or differ(run.G, G) or differ(run.D, D))
    run.step()
    assert run.shown == 328 and differ(run.G, G)
    # What it started from stays known to the card, after a stop too.
    again = dcgan.DCGANRun(args, blobs())
    again.restore(run.state())
    words = ["--lr 1 until image 8", "another optimiser, and weights before their average, until image 320"]
    assert again.shown == 328 and again.earlier == run.earlier == words
