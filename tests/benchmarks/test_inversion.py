"""The benchmark of inversions measures what it says, and says what it could not measure."""

import zipfile

import pytest
import torch
from PIL import Image

import weights
from benchmarks import __main__ as command
from benchmarks import inversion
from models.encoders import Encoder
from models.stylegan2 import Generator
from weights import loading, paths, store


@pytest.fixture
def room(tmp_path, monkeypatch):
    """Tiny faces that ship, and three photographs."""
    monkeypatch.setattr(paths, "EMBEDDED", tmp_path / "embedded")
    monkeypatch.setattr(loading, "_kept", type(loading._kept)())
    monkeypatch.setattr(inversion, "DATA", tmp_path)
    monkeypatch.setattr(inversion, "WAYS", {"at once": {"method": "encoder"}, "steps": {"method": "w+", "steps": 2}})
    torch.manual_seed(0)
    net = Generator(z_dim=16, w_dim=16, img_resolution=32, mapping_layers=2, channel_base=256, channel_max=16)
    store.save(paths.embedded("stylegan2/faces"), net, "stylegan2", "generator")
    with zipfile.ZipFile(tmp_path / inversion.FILE, "w") as archive:
        for i in range(3):
            Image.new("RGB", (32, 32), (90 * i, 20, 30)).save(tmp_path / "one.png")
            archive.write(tmp_path / "one.png", f"images/{i}.png")
        archive.writestr("labels.csv", "file,split\n" + "\n".join(f"{i}.png,test" for i in range(3)))


def encoder():
    net = Encoder("stylegan2/faces", 32, 8, 16, (8, 8, 8, 8), 16)
    card = {"generator_sha256": weights.sha256("stylegan2/faces")}
    store.save(paths.embedded("encoder/faces"), net, "encoder", "encoder", card)


def test_every_way_has_a_row(room, capsys):
    assert "inversion" in command.NAMES and "inversion" in command.COUNTED
    encoder()
    assert inversion.main(count=2) == 0
    said = capsys.readouterr().out
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in said.splitlines() if line.startswith("| ")}
    assert "2 photographs" in said and {"at once", "steps"} < set(rows)
    assert all(float(value) >= 0 for name in ("at once", "steps") for value in rows[name])
    net, (image,) = weights.load("stylegan2/faces"), inversion.photographs(inversion.DATA / inversion.FILE, 32, 1)
    errors, _seconds, apart = inversion.measured(net, [image], {"method": "encoder"})
    target = (torch.tensor(image.getpixel((0, 0)))[:, None, None] / 127.5 - 1).expand(1, 3, 32, 32)
    made = net.synthesis(weights.load("encoder/faces")(target), noise_mode="const")
    assert errors[0] == pytest.approx(float((made - target).square().mean()), rel=1e-3) and apart[0] < 0.1


def test_what_is_not_there_is_said(room, capsys):
    assert inversion.main(count=1) == 0
    said = capsys.readouterr().out
    assert "none belongs" in said and "| steps" in said and "| at once" not in said
    (inversion.DATA / inversion.FILE).unlink()
    assert inversion.main(count=1) == 0 and "Not measured" in capsys.readouterr().out
