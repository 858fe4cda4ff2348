"""The AttGAN tab's flips, slides and many photographs at once, and stopping them."""

# ruff: noqa: F401, F811 (fixtures are imported under the names by which tests ask for them)

from __future__ import annotations

import io
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gradio_client import handle_file
from PIL import Image, ImageSequence

from demo.session import Visitor
from pipelines.recipes import Recipe
from weights.attributes import ATTRS
from weights.errors import UserError

from .attgan_helpers import CODE, FULL, NEWS, album, counted, handlers, looked, people, photo, pixels, run, shelf, value
from .conftest import last, refused

# -- flips, slides, many ----------------------------------------------------------------------------------------------


def test_flips(visitor, photo, album, tmp_path, monkeypatch, counted):
    face = visitor("attgan_face", photo=photo)
    before = counted["encode"]
    gallery, status, code, sheet_of_all, recipe, news = visitor("attgan_flips", intensity=1.5)
    assert counted["encode"] == before and len(gallery) == 14 and not news and "14 pictures" in status
    made = run(code, album("one.png"), tmp_path, monkeypatch)
    again = Recipe.from_json(Path(value(recipe)).read_text()).run()
    for tile, name in zip(gallery, made, strict=True):
        path = value(tile["image"]) if isinstance(tile, dict) else tile[0]
        path = path["path"] if isinstance(path, dict) else path
        assert np.array_equal(pixels(path), np.asarray(made[name])), name
        assert np.array_equal(np.asarray(again[name]), np.asarray(made[name])), name
    captions = [tile["caption"] if isinstance(tile, dict) else tile[1] for tile in gallery]
    has = {name: f"'{name}': True" in face[CODE] for name in ATTRS}
    assert captions[0] == "reconstruction" and any(has.values()) and not all(has.values())
    for name, caption in zip(ATTRS, captions[1:], strict=True):
        assert (caption == name.replace("_", " ").lower()) is not has[name] and "no no" not in caption, caption
    assert pixels(sheet_of_all).shape[1] >= 14 * 100


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_slides(kind, visitor, photo, album, tmp_path, monkeypatch):
    from pipelines import animation

    if kind not in animation.formats():
        pytest.skip(f"no {kind} here")
    visitor("attgan_face", photo=photo)
    visitor("attgan_edit", changes={"Male": 1, "Young": 2})
    answer = visitor("attgan_slide", attribute="Young", low=-2, high=2, frames=5, format=kind, fps=10)
    strip, picture, video, status, code, file, recipe, news = answer
    path = Path(value(file))
    assert path.suffix == f".{kind}" and path.stat().st_size > 500 and "8 frames there and back" in status and not news
    assert bool(value(picture)) == (kind != "mp4") and bool(video) == (kind == "mp4")
    if kind == "gif":
        with Image.open(path) as film:
            assert film.size == (384, 384)
            frames = list(ImageSequence.Iterator(film))
            assert sum(frame.info["duration"] for frame in frames) == 8 * 100, "there and back"
    made = run(code, album("one.png"), tmp_path, monkeypatch)
    kept = Recipe.from_json(Path(value(recipe)).read_text())
    assert kept.output == {"format": kind, "fps": 10} and kept.arguments["attributes"] == {"Male": 1}
    for one, other in zip(made, kept.run(), strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))
    tile = Image.fromarray(np.asarray(made[0])).resize((144, 144), Image.Resampling.BICUBIC)
    shown = pixels(strip)
    assert any(
        np.array_equal(shown[y : y + 144, x : x + 144], np.asarray(tile)) for y in range(30) for x in range(30)
    ), "the strip begins with the first frame"


def zipped(path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(value(path)) as packed:
        assert packed.testzip() is None
        return {n: np.asarray(Image.open(io.BytesIO(packed.read(n))).convert("RGB")) for n in packed.namelist()}


def test_many_photographs(visitor, album, tmp_path, monkeypatch):
    """The whole photographs come back, by name; what went wrong is said for each."""
    words = tmp_path / "words.png"
    words.write_text("These are only words.")
    files = [album("one.png"), album("nobody.png"), words, album("other.png")]
    changes = {"Eyeglasses": 1, "Young": -1}
    answer = visitor("attgan_batch", photos=[handle_file(f) for f in files], changes=changes)
    gallery, status, code, archive, news = answer
    assert len(gallery) == 2 and "2 of 4" in status
    assert "nobody.png: No face" in news and "words.png: That file is not a picture" in news
    packed = zipped(archive)
    assert list(packed) == ["01-one.png", "04-other.png"]
    for name, pictured in packed.items():
        visitor("attgan_face", photo=handle_file(album(name[3:])))
        visitor("attgan_edit", changes=changes)
        assert np.array_equal(pixels(visitor("attgan_files")[FULL]), pictured), "as one by one"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "your-photographs").mkdir()
    for name in ("one.png", "other.png"):
        shutil.copyfile(album(name), tmp_path / "your-photographs" / name)
    names: dict = {}
    exec(code, names)
    for name, pictured in zip(("one.png", "other.png"), packed.values(), strict=True):
        assert np.array_equal(np.asarray(names["result"][name]), pictured)


def test_many_take_what_is_ticked(visitor, photo, album):
    refused(visitor, "attgan_batch", "Nothing is to be changed", photos=[photo])
    visitor("attgan_face", photo=photo)
    visitor("attgan_edit", changes={"Bangs": 2})
    packed = zipped(visitor("attgan_batch", photos=[photo])[3])
    assert np.array_equal(packed["01-one.png"], pixels(visitor("attgan_files")[FULL]))


def test_too_many_and_none(visitor, photo):
    refused(visitor, "attgan_batch", "no photographs yet", photos=[], changes={"Male": 1})
    refused(visitor, "attgan_batch", "no photographs yet", photos=None, changes={"Male": 1})
    refused(visitor, "attgan_batch", "there are 51", photos=[photo] * 51, changes={"Male": 1})


def test_where_nobody_has_a_face_there_is_no_zip(visitor, album):
    nobody = handle_file(album("nobody.png"))
    gallery, status, _code, archive, news = visitor("attgan_batch", photos=[nobody], changes={"Male": 1})
    assert not gallery and "0 of 1" in status and not value(archive) and "No face" in news


@pytest.mark.parametrize("what", ["attgan_slide", "attgan_batch"])
def test_stopping(what, visitor, photo, counted, monkeypatch):
    """What runs ends when a script cancels it, as the Stop button does; the session goes on."""
    from pipelines import attgan

    visitor("attgan_face", photo=photo)
    # The tiny network draws all the frames before a cancelling request is even sent: it is slowed down.
    decode = attgan.fast.decode
    monkeypatch.setattr(attgan.fast, "decode", lambda *args: time.sleep(0.02) or decode(*args))
    wish = {"attribute": "Male", "frames": 200} if what == "attgan_slide" else {"photos": [photo] * 50}
    job = visitor.client.submit(api_name=f"/{what}", **wish | ({} if "frames" in wish else {"changes": {"Male": 1}}))
    deadline = time.monotonic() + 120
    while not job.outputs():
        assert time.monotonic() < deadline and not job.done(), "it never began"
        time.sleep(0.02)
    job.cancel()
    time.sleep(1)
    before = counted["decode"]
    time.sleep(1)
    assert counted["decode"] == before, "it went on"
    assert visitor("attgan_edit", changes={"Bangs": 1})[NEWS] == ""


@pytest.mark.parametrize("number", ["slide", "batch"])
def test_stop_closes_the_work(number, page, album, monkeypatch):
    """Closing the event's iterator, as Gradio does on Stop, ends the work in it at once."""
    from pipelines import attgan
    from pipelines import faces as finder

    ended, mine, ann = [], handlers(page), Visitor()
    last(mine.look(ann, "attgan/faces", str(album("one.png"))))

    def endless(*args, **rest):
        try:
            while True:
                yield Image.new("RGB", (64, 64))
        finally:
            ended.append(True)

    function = next(fn.fn for fn in page.fns.values() if fn.api_name == f"attgan_{number}")
    if number == "slide":
        monkeypatch.setattr(attgan, "slide", endless)
        steps = function(ann, "Male", -1, 1, 200, "gif", 20)
        next(steps)
        steps.close()
        assert ended == [True]
    else:
        done = []
        monkeypatch.setattr(finder, "align", lambda *a, **k: done.append(1) or (_ for _ in ()).throw(UserError("No.")))
        steps = function(ann, "attgan/faces", [str(album("one.png"))] * 9, {"Male": 1})
        next(steps)
        steps.close()
        assert len(done) == 1
