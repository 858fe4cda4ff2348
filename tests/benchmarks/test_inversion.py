"""The benchmark of inversions measures what it says, and says what it could not measure."""

import pytest
import torch

import weights
from benchmarks import __main__ as command
from benchmarks import inversion


@pytest.fixture
def room(tmp_path, monkeypatch, tiny_faces):
    """Tiny faces that ship, and three photographs."""
    monkeypatch.setattr(inversion, "DATA", tmp_path)
    monkeypatch.setattr(inversion, "WAYS", {"at once": {"method": "encoder"}, "steps": {"method": "w+", "steps": 2}})
    tiny_faces(tmp_path / inversion.FILE)


def test_every_way_has_a_row(room, tiny_encoder, capsys):
    assert "inversion" in command.NAMES and "inversion" in command.COUNTED
    tiny_encoder()
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
