"""A run becomes a checkpoint: what the card says was measured, and what ships loads."""

import importlib

import pytest
import torch
from PIL import Image

import weights
from training import card, commands, judges, loop, metrics, sheets, stylegan2
from weights import store


def pictures(folder, n=24, size=16):
    folder.mkdir()
    rows = ["file,split"]
    generator = torch.Generator().manual_seed(0)
    for i in range(n):
        x = torch.randint(0, 255, (4, 4, 3), generator=generator).byte().numpy()
        Image.fromarray(x).resize((size, size), Image.Resampling.BILINEAR).save(folder / f"{i}.png")
        rows.append(f"{i}.png,{'test' if i % 4 == 0 else 'train'}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def train(tmp_path, out, resolution, *more):
    argv = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / out), "--resolution", str(resolution)]
    argv += [
        "--images",
        "16",
        "--batch",
        "8",
        "--tick",
        "8",
        "--channel-base",
        "64",
        "--channel-max",
        "8",
        "--z-dim",
        "8",
    ]
    argv += ["--w-dim", "8", "--mapping-layers", "1", "--precision", "fp32", "--device", "cpu", *more]
    assert stylegan2.main(argv) == 0


def test_from_two_runs_to_a_card(tmp_path, monkeypatch, capsys):
    pictures(tmp_path / "data", size=32)
    train(tmp_path, "small", 16)
    train(tmp_path, "large", 32, "--grow-from", str(tmp_path / "small" / "state.pt"))
    argv = ["--run", str(tmp_path / "large"), "--name", "stylegan2/faces", "--data", str(tmp_path / "data")]
    assert card.main([*argv, "--out", str(tmp_path / "shipped")]) == 0

    path = tmp_path / "shipped" / "stylegan2" / "faces.safetensors"
    net = store.load(path)
    state = torch.load(tmp_path / "large" / "state.pt", weights_only=True)
    assert net.img_resolution == 32
    for key, value in net.state_dict().items():
        assert torch.allclose(value, state["G_ema"][key], rtol=1e-3, atol=1e-6), key  # float16 keeps 11 bits
    measured = store.header(path)["card"]
    assert measured["images"] == 32 and [s["resolution"] for s in measured["stages"]] == [16, 32]
    assert measured["test_images"] == 6 and measured["swd"]["mean"] > measured["swd_of_photographs"]["mean"] > 0

    text = path.with_suffix(".md").read_text()
    assert "| images shown | 32 |" in text and f"{measured['swd']['mean']:.1f}" in text
    assert str(tmp_path) not in text  # no path of the machine that trained it
    with Image.open(path.with_suffix(".png")) as sheet:
        assert sheet.size == (320, 192)


class MeanColour:
    """A judge of pictures by three numbers."""

    package = "none"

    def judge(self, pixels):
        return judges.Judged(pixels.float().mean((2, 3)).numpy())


def test_a_card_says_what_the_judges_say_of_the_stored_network(tmp_path, monkeypatch):
    pictures(tmp_path / "data", n=32)
    train(tmp_path, "run", 16)
    monkeypatch.setattr(judges, "JUDGES", {"mean colour": MeanColour})
    monkeypatch.setattr(judges, "installed", lambda name: True)
    monkeypatch.setattr(judges, "load", lambda name: MeanColour())
    monkeypatch.setattr(judges, "FEWEST", 8)
    argv = ["--run", str(tmp_path / "run"), "--name", "stylegan2/faces", "--data", str(tmp_path / "data")]
    assert card.main([*argv, "--out", str(tmp_path)]) == 0
    path = tmp_path / "stylegan2" / "faces.safetensors"
    rows = store.header(path)["card"]["judged"]
    assert [(r["pictures"], r["images"]) for r in rows] == [("photographs", 12), ("psi 1", 12), ("psi 0.7", 12)]

    # By hand: of the file, the same pictures against the same photographs.
    torch.manual_seed(1234)
    fake = judges.to_pixels(sheets.sample(store.load(path), 12, seed=1234, noise_mode="random"))
    real, other = judges.photographs(str(tmp_path / "data"), 16, 12)
    vectors = [MeanColour().judge(x).vectors for x in (real, other, fake)]
    assert rows[0]["frechet"] == pytest.approx(metrics.frechet_distance(vectors[0], vectors[1]))
    assert rows[1]["frechet"] == pytest.approx(metrics.frechet_distance(vectors[0], vectors[2]), rel=1e-4)
    assert rows[1]["frechet"] > rows[0]["frechet"]  # after 16 images a network draws nothing yet
    assert f"| psi 1 | 12 | {rows[1]['frechet']:.3f} |" in path.with_suffix(".md").read_text()


def test_cards_of_what_ships_are_there():
    for name in weights.names():
        entry = weights.entry(name)
        if entry.shipped:
            assert entry.card is not None and entry.sample is not None, name
            assert weights.card(name)["images"] > 0


@pytest.mark.parametrize(
    ("trainer", "given"),
    [
        ("deghosting", {"guided": False}),
        ("stylegan2", {"xflip": False, "lr": 0.001, "strided": 24}),
        ("dcgan", {"xflip": True, "width": 32}),
    ],
)
def test_the_command_of_a_run_is_one_that_its_trainer_takes(trainer, given):
    parser = importlib.import_module(f"training.{trainer}").parser()
    usual = {action.dest: action.default for action in parser._actions if action.dest != "help"}
    line = commands.command_line(parser, "--data x.zip --out runs/NAME", {**usual, **given})
    said = vars(parser.parse_args(line.removeprefix(parser.prog).split()))
    wanted = {k: v for k, v in {**usual, **given}.items() if k not in ("data", "out") and k not in loop.RUNTIME_OPTIONS}
    assert {k: said[k] for k in wanted} == wanted
