"""``ganbook COMMAND`` without a page: files with the pipelines' pixels, and one sentence for what the user can mend."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops

import weights
from ganbook.__main__ import main
from pipelines import attgan, draggan, faces, recipes, stylegan2

FACES = "stylegan2/faces"


def same(path, picture: Image.Image) -> bool:
    with Image.open(path) as made:
        return made.size == picture.size and ImageChops.difference(made, picture).getbbox() is None


def recipe(path) -> recipes.Recipe:
    return recipes.Recipe.from_json(path.read_bytes())


def test_sample(tmp_path, capsys):
    main(["sample", FACES, "--seeds", "3,5", "--psi", "0.5", "--noise", "none", "--out", str(tmp_path / "new")])
    net = weights.load(FACES)
    expected = stylegan2.sample(net, seeds=[3, 5], truncation_psi=0.5, noise_mode="none")
    assert all(same(tmp_path / "new" / f"seed-{s}.png", p) for s, p in zip((3, 5), expected, strict=True))
    assert recipe(tmp_path / "new" / "recipe.json").arguments["truncation_psi"] == 0.5
    assert "seed-5.png" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_interpolate(tmp_path, kind):
    out = tmp_path / f"walk.{kind}"
    main(["interpolate", "stylegan2/cats", "--seeds", "1-2", "--frames", "6", "--fps", "10", "--out", str(out)])
    with Image.open(out) as film:
        assert film.n_frames == 6
    assert recipe(tmp_path / "walk.json").output == {"format": kind, "fps": 10}


def test_drag(tmp_path, capsys):
    out, film = tmp_path / "dragged.png", tmp_path / "drag.gif"
    words = ["drag", FACES, "--move", "64,80", "68,80", "--steps", "5", "--out", str(out), "--animation", str(film)]
    main(words)
    net = weights.load(FACES)
    *_, last = draggan.drag(net, stylegan2.latent(net, 1), [(64, 80)], [(68, 80)], steps=5)
    assert same(out, last.image)
    assert f"step {last.step}:" in capsys.readouterr().out
    *_, again = recipe(tmp_path / "dragged.json").run(net)
    assert same(out, again.image)
    with Image.open(film) as frames:
        assert frames.n_frames == last.step + 1


def test_edit(tmp_path, face):
    face.save(tmp_path / "photo.png")
    main(["edit", str(tmp_path / "photo.png"), "Eyeglasses", "Young=-0.8", "--out", str(tmp_path / "edited.png")])
    net = weights.load("attgan/faces")
    aligned = faces.align(face, crop=net.info.crop, size=net.img_size)
    wanted = {"Eyeglasses": 1.0, "Young": -0.8}
    known, whole = (attgan.encode(net, aligned.image, local=local) for local in (True, False))
    edited, still = attgan.edit(net, known, wanted), attgan.edit(net, known, {})
    assert same(tmp_path / "edited.png", attgan.paste(face, aligned, known, still, edited, wanted))
    words = ["edit", str(tmp_path / "photo.png"), "Eyeglasses", "Young=-0.8", "--whole"]
    main([*words, "--out", str(tmp_path / "whole.png")])
    assert same(tmp_path / "whole.png", faces.paste(face, aligned, still, attgan.edit(net, whole, wanted)))
    main(["edit", str(tmp_path / "photo.png"), "Eyeglasses", "Young=-0.8", "--crop", "--out", str(tmp_path / "c.png")])
    assert same(tmp_path / "c.png", edited)


def test_checkpoints(capsys):
    main(["checkpoints", "--technique", "stylegan2"])
    said = capsys.readouterr().out
    assert FACES in said and "shipped" in said and "attgan/" not in said
    main(["checkpoints"])
    assert "attgan/faces" in capsys.readouterr().out


WRONG = {
    "no such checkpoint": (["sample", "stylegan2/facs", "--out", "x"], "did you mean stylegan2/faces"),
    "no seeds": (["sample", FACES, "--seeds", "a", "--out", "x"], "is not a seed"),
    "no such format": (["interpolate", FACES, "--out", "walk.avi"], "none of the endings of animations"),
    "outside": (["drag", FACES, "--move", "640,8", "1,1", "--out", "x.png"], "picture"),
    "no picture's ending": (["drag", FACES, "--move", "64,8", "64,9", "--steps", "1", "--out", "x"], "no ending of a"),
    "no file": (["edit", "nothing.png", "Young", "--out", "x.png"], "nothing.png: No such file"),
    "no photograph": (["edit", "text.png", "Young", "--out", "x.png"], "not a picture"),
    "no such attribute": (["edit", "photo.png", "Wings", "--out", "x.png"], "Wings"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_sentence(case, face, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    face.save("photo.png")
    (tmp_path / "text.png").write_text("no picture")
    words, sentence = WRONG[case]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert sentence in str(ended.value) and "\n" not in str(ended.value)
    assert {p.name for p in tmp_path.iterdir()} == {"photo.png", "text.png"}  # nothing half-made is left


@pytest.mark.parametrize("words", [["drag", FACES, "--move", "1", "2"], ["edit", "p.png", "Young=much"], ["nothing"]])
def test_flags_that_make_no_sense(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2 and "usage: ganbook" in capsys.readouterr().err


def test_run_takes_the_flags_of_the_page(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["run", "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and "usage: ganbook run" in said and "--root-path" in said
