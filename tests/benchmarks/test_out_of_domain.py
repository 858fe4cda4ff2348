"""The benchmarks of out-of-domain edits measure what they say, and say what they could not measure."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

import weights
from benchmarks import __main__ as command
from benchmarks import od_speed, out_of_domain, projection
from models.encoders import Encoder
from models.stylegan2 import Generator
from pipelines import out_of_domain as ood
from weights import loading, paths, store


@pytest.fixture
def room(tmp_path, monkeypatch):
    """Tiny faces that ship with an encoder, and three photographs."""
    monkeypatch.setattr(paths, "EMBEDDED", tmp_path / "embedded")
    monkeypatch.setattr(loading, "_kept", type(loading._kept)())
    monkeypatch.setattr(out_of_domain, "DATA", tmp_path)
    torch.manual_seed(0)
    net = Generator(z_dim=16, w_dim=16, img_resolution=32, mapping_layers=2, channel_base=256, channel_max=16)
    store.save(paths.embedded("stylegan2/faces"), net, "stylegan2", "generator")
    with zipfile.ZipFile(tmp_path / out_of_domain.FILE, "w") as archive:
        for i in range(3):
            Image.new("RGB", (32, 32), (90 * i, 20, 30)).save(tmp_path / "one.png")
            archive.write(tmp_path / "one.png", f"images/{i}.png")
        archive.writestr("labels.csv", "file,split\n" + "\n".join(f"{i}.png,test" for i in range(3)))


def encoder():
    net = Encoder("stylegan2/faces", 32, 8, 16, (8, 8, 8, 8), 16)
    card = {"generator_sha256": weights.sha256("stylegan2/faces")}
    store.save(paths.embedded("encoder/faces"), net, "encoder", "encoder", card)


def brightness(image) -> dict[str, float]:
    return {"Direction 1": float(np.asarray(image.convert("L")).mean()) / 255}


def test_they_are_in_the_list():
    assert "out-of-domain" in command.NAMES and "out-of-domain" in command.COUNTED and "od-speed" in command.USUAL
    assert set(od_speed.WANTED) == {
        "from the upload to the first result",
        "a slider of strength",
        "a slider of the mask",
    }


def test_what_is_lost_and_gained():
    photo, edit = (Image.new("RGB", (8, 8), (v, v, v)) for v in (51, 102))
    left = np.zeros((8, 8), bool)
    left[:, :4] = True
    half = edit.copy()
    half.paste(photo.crop((0, 0, 4, 8)), (0, 0))
    whole = out_of_domain.outcome(edit, photo, left, ~left, brightness, "Direction 1", True)
    ours = out_of_domain.outcome(half, photo, left, ~left, brightness, "Direction 1", True)
    assert whole.outside == 51 and ours.outside == 0 and ours.drawn == whole.drawn == 51
    assert whole.moved == pytest.approx(0.25) and ours.moved == pytest.approx(0.125, abs=0.01) and not whole.succeeded
    down = out_of_domain.outcome(photo, edit, left, None, brightness, "Direction 1", False)
    assert down.moved == pytest.approx(0.5) and down.succeeded and down.drawn is None


def test_every_way_has_its_outcomes(room):
    encoder()
    nets = ood.load("faces")
    found = out_of_domain.measured(nets, brightness, 2, ("Direction 1",))
    assert {key: {way: len(rows) for way, rows in ways.items()} for key, ways in found.items()} == {
        "without": {way: 2 for way in out_of_domain.WAYS},
        "with": {way: 2 for way in (*out_of_domain.WAYS, out_of_domain.LAID)},
    }
    assert all(row.outside in (0, None) for key in found for way in out_of_domain.WAYS[2:] for row in found[key][way])
    gone = [sum(row.moved for key in found for row in found[key][way]) for way in out_of_domain.WAYS[2:]]
    assert gone[0] != gone[1], "a strength of its own"
    assert all(row.drawn is None for row in found["without"]["plain"])
    assert all(row.drawn is not None for row in found["with"]["plain"])
    laid = found["with"][out_of_domain.LAID]
    assert all(row.drawn == 0 for row in laid) and any(row.outside for row in laid)


def test_what_is_missed_is_said(capsys):
    good = out_of_domain.Outcome(10.0, 20.0, 0.9, True)
    bad = out_of_domain.Outcome(0.0, 5.0, 0.1, False)
    found = {key: {"plain": [good], "hybrid": [good], "ours": [bad]} for key in ("without", "with")}
    assert out_of_domain.show_edits(found)
    said = capsys.readouterr().out
    assert said.count("MISSED") == 8 and "4.0x less is lost" in said and "0% of the successes" in said
    found = {
        key: {"plain": [good], "hybrid": [good], "ours": [out_of_domain.Outcome(0.0, 2.0, 0.9, True)]} for key in found
    }
    found["with"][out_of_domain.LAID] = [good]
    assert not out_of_domain.show_edits(found) and "MISSED" not in capsys.readouterr().out


def test_what_is_not_there_is_said(room, capsys):
    assert out_of_domain.main(count=1) == 0
    assert "No encoder belongs" in (said := capsys.readouterr().out) and "Not measured" in said
    (out_of_domain.DATA / out_of_domain.FILE).unlink()
    assert out_of_domain.main(count=1) == 0 and "Not measured" in capsys.readouterr().out
    assert projection.DATA.name == "data"
