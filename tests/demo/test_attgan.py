"""The AttGAN tab as scripts meet it: faces and their files, what is no photograph, values that are wrong."""

# ruff: noqa: F401, F811 (fixtures are imported under the names by which tests ask for them)

from __future__ import annotations

import json
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from demo.pictures import CENTRE
from demo.session import Visitor
from pipelines.recipes import Recipe
from weights.attributes import ATTRS
from weights.errors import UserError

from .attgan_helpers import (
    CODE,
    CROP,
    FACE,
    FULL,
    MADE,
    NEWS,
    ODDS,
    RECIPE,
    STATUS,
    WHOLE,
    album,
    counted,
    handlers,
    looked,
    people,
    photo,
    pixels,
    press,
    regular,
    run,
    sheet,
    shelf,
    ticked,
    value,
)
from .conftest import client_of, last, refused

# -- one face, as a script --------------------------------------------------------------------------------------------


def test_a_face_is_found_named_and_made_again(visitor, photo, album):
    answer = visitor("attgan_face", photo=photo)
    assert pixels(answer[CROP]).shape == pixels(answer[MADE]).shape == (384, 384, 3)
    assert not np.array_equal(pixels(answer[CROP]), pixels(answer[MADE]))
    names = ticked(answer[ODDS])
    assert {name.replace("_", " ").lower() for name in ATTRS} <= set(names)
    levels = [float(v) for v in re.findall(r'value="([\d.]+)"', answer[ODDS])]
    assert levels == sorted(levels, reverse=True) and all(0 <= v <= 1 for v in levels) and max(levels) > 0.5
    assert "As it is" in answer[STATUS] and "64 px" in answer[STATUS] and answer[NEWS] == ""
    before, after = answer[WHOLE]
    assert np.array_equal(pixels(before), pixels(after)), "nothing is changed yet"


def test_an_edit_decodes_only(visitor, photo, counted):
    face = visitor("attgan_face", photo=photo)
    assert counted["encode"] == 1
    counted |= {"encode": 0, "decode": 0}
    edited = visitor("attgan_edit", changes={"Eyeglasses": 1, "Young": -1})
    assert counted == {"encode": 0, "decode": 1}
    assert np.array_equal(pixels(edited[CROP]), pixels(face[CROP]))
    assert not np.array_equal(pixels(edited[MADE]), pixels(face[MADE]))
    stronger = visitor("attgan_edit", changes={"Eyeglasses": 2, "Young": -2})
    assert not np.array_equal(pixels(stronger[MADE]), pixels(edited[MADE]))
    again = visitor("attgan_edit", changes={})
    assert np.array_equal(pixels(again[MADE]), pixels(face[MADE])) and again[ODDS] == face[ODDS]
    assert counted == {"encode": 0, "decode": 2}


def test_the_code_makes_the_photograph(visitor, photo, album, tmp_path, monkeypatch):
    visitor("attgan_face", photo=photo)
    answer = visitor("attgan_edit", changes={"Bald": 1, "Male": -0.5})
    full = pixels(visitor("attgan_files")[FULL])
    assert np.array_equal(full, np.asarray(run(answer[CODE], album("one.png"), tmp_path, monkeypatch)))


def test_the_files(visitor, photo, album):
    face = visitor("attgan_face", photo=photo)
    made = [value(v) for v in visitor("attgan_files")]
    original = pixels(album("one.png"))
    assert np.array_equal(pixels(made[FULL]), original), "what is not changed comes back exactly"
    assert pixels(made[FACE]).shape == (64, 64, 3)
    answer = visitor("attgan_edit", changes={"Pale_Skin": 2})
    files = visitor("attgan_files")
    assert [Path(value(v)).suffix for v in files] == [".png", ".png", ".json"]
    changed = pixels(files[FULL])
    assert changed.shape == original.shape and not np.array_equal(changed, original)
    recipe = Recipe.from_json(Path(value(files[RECIPE])).read_text())
    assert recipe.arguments["attributes"] == {"Pale_Skin": 2}
    assert np.array_equal(np.asarray(recipe.run()), pixels(files[FACE]))
    small = np.asarray(Image.open(value(files[FACE])).resize((384, 384), Image.Resampling.BICUBIC))
    assert np.array_equal(small, pixels(answer[MADE])), "the face is the one that is shown"
    for first, second in zip(files, visitor("attgan_files"), strict=True):
        assert Path(value(first)).read_bytes() == Path(value(second)).read_bytes(), "as often as one asks"
    assert np.array_equal(pixels(visitor("attgan_edit", changes={})[MADE]), pixels(face[MADE]))
    assert np.array_equal(pixels(visitor("attgan_files")[FULL]), original)


@pytest.mark.parametrize(("local", "beyond"), [(True, 0.2), (False, 0.0)])
def test_outside_of_the_head_nothing_changes(visitor, photo, album, local, beyond):
    from pipelines import faces

    visitor("attgan_face", photo=photo, local=local)
    visitor("attgan_edit", changes={"Pale_Skin": 2, "Young": -2})
    original, changed = pixels(album("one.png")), pixels(visitor("attgan_files")[FULL])
    corners = np.array(faces.align(Image.open(album("one.png")), size=64).corners)
    middle = corners.mean(axis=0)
    corners = middle + (1 + 2 * beyond) * (corners - middle)
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    differ = np.argwhere((original != changed).any(axis=2))[:, ::-1]
    assert len(differ) and (differ >= low).all() and (differ <= high).all()


def test_what_a_face_has_can_be_said(visitor, photo):
    first = visitor("attgan_face", photo=photo)
    male = "'Male': True" in first[CODE]
    other = visitor("attgan_face", photo=photo, has={"Male": not male})
    assert f"'Male': {not male}" in other[CODE] and np.array_equal(pixels(first[CROP]), pixels(other[CROP]))
    assert not np.array_equal(pixels(first[MADE]), pixels(other[MADE]))


def test_what_contradicts_is_said(visitor, photo):
    visitor("attgan_face", photo=photo, has=dict.fromkeys(ATTRS, False) | {"Black_Hair": True, "Bangs": True})
    bald = visitor("attgan_edit", changes={"Bald": 1})
    assert "ald replaces bangs" in bald[NEWS] and "hair" not in bald[NEWS]
    blond = visitor("attgan_edit", changes={"Blond_Hair": 0.5})
    assert "lond hair replaces black hair" in blond[NEWS] and "bangs" not in blond[NEWS]
    explicit = visitor("attgan_edit", changes={"Blond_Hair": 0.5, "Black_Hair": -0.5})
    assert explicit[NEWS] == "" and np.array_equal(pixels(explicit[MADE]), pixels(blond[MADE]))
    assert visitor("attgan_edit", changes={"Blond_Hair": -1})[NEWS] == ""


def test_intensities_as_words_count_as_numbers(visitor, photo):
    visitor("attgan_face", photo=photo)
    one = visitor("attgan_edit", changes={"Male": 1})
    assert np.array_equal(pixels(visitor("attgan_edit", changes={"Male": "1"})[MADE]), pixels(one[MADE]))
    assert json.loads(Path(value(visitor("attgan_files")[RECIPE])).read_text())["arguments"]["attributes"] == {
        "Male": 1
    }


# -- a face among others, and none ------------------------------------------------------------------------------------


def test_ten_faces(page, visitor, album, tmp_path, monkeypatch):
    """All of them are offered, and any can be taken."""
    mine, ann = handlers(page), Visitor()
    shown = last(mine.look(ann, "attgan/faces", str(album("ten.png"))))[mine.part["faces"]]
    assert len(shown["tiles"]["items"]) == 10 and shown["tiles"]["chosen"] == "0"
    first = ann.kept["attgan"].found
    taken = last(mine.another(ann, "attgan/faces", press(6)))
    assert taken[mine.part["faces"]]["tiles"]["chosen"] == "6" and ann.kept["attgan"].found.which == 6
    assert ann.kept["attgan"].found.aligned.corners != first.aligned.corners
    answer = visitor("attgan_face", photo=handle_file(album("ten.png")), face="6")
    assert np.array_equal(pixels(answer[CROP]), np.asarray(taken[mine.part["crop"]]))
    edited = visitor("attgan_edit", changes={"Bangs": 2})
    full = pixels(visitor("attgan_files")[FULL])
    assert np.array_equal(full, np.asarray(run(edited[CODE], album("ten.png"), tmp_path, monkeypatch)))
    refused(visitor, "attgan_face", "numbered 0 to 9", photo=handle_file(album("ten.png")), face="10")


@pytest.mark.parametrize("number", ["99", "-1", "first", "1e3", "9" * 5000])
def test_faces_that_are_not_there(number, regular, photo, album):
    """The face that was being edited is still there."""
    regular("attgan_face", photo=handle_file(album("other.png")))
    before = regular("attgan_edit", changes={"Bangs": 1})
    refused(regular, "attgan_face", "numbered 0 to 0", photo=photo, face=number)
    after = regular("attgan_edit", changes={"Bangs": 1})
    assert np.array_equal(pixels(before[MADE]), pixels(after[MADE])) and before[CODE] == after[CODE]


def test_no_face(page, visitor, album, tmp_path, monkeypatch):
    nobody = handle_file(album("nobody.png"))
    answer = visitor("attgan_face", photo=nobody)
    assert "No face was found" in answer[NEWS] and answer[MADE] is None and not answer[STATUS]
    refused(visitor, "attgan_edit", "no face yet", changes={"Bangs": 1})
    made = visitor("attgan_face", photo=nobody, face="centre")
    assert "centre_crop" in made[CODE] and not made[NEWS]
    edited = visitor("attgan_edit", changes={"Bangs": 1})
    full = pixels(visitor("attgan_files")[FULL])
    assert np.array_equal(full, np.asarray(run(edited[CODE], album("nobody.png"), tmp_path, monkeypatch)))
    # The same by hand: the button comes, and goes when it was pressed.
    mine, ann = handlers(page), Visitor()
    missed = last(mine.look(ann, "attgan/faces", str(album("nobody.png"))))
    assert missed[mine.part["middle"]]["visible"] and missed[mine.part["ticks"]]["choices"] == []
    taken = last(mine.middle(ann, "attgan/faces"))
    assert not taken[mine.part["middle"]]["visible"] and not taken[mine.part["faces"]]["tiles"]["items"]
    assert np.array_equal(np.asarray(taken[mine.part["crop"]]), pixels(made[CROP]))
    with pytest.raises(UserError, match="no photograph yet"):
        last(mine.middle(Visitor(), "attgan/faces"))


def test_the_middle_of_a_photograph_with_faces(page, visitor, album):
    answer = visitor("attgan_face", photo=handle_file(album("two.png")), face=CENTRE)
    assert "centre_crop" in answer[CODE]
    mine, ann = handlers(page), Visitor()
    made = last(mine.look(ann, "attgan/faces", str(album("two.png")), CENTRE))
    assert len(made[mine.part["faces"]]["tiles"]["items"]) == 2 and made[mine.part["faces"]]["tiles"]["chosen"] is None


# -- what is no photograph --------------------------------------------------------------------------------------------


def bomb(path: Path) -> None:
    """A picture of 30,000 x 30,000 pixels by its header; a few hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


NO_PHOTOGRAPHS = {
    "words": lambda path: path.write_text("These are only words.\n" * 20),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200)),
    "bomb": bomb,
    "speck": lambda path: Image.new("RGB", (6, 6)).save(path),
}


@pytest.mark.parametrize("what", NO_PHOTOGRAPHS)
def test_files_that_are_no_photographs(what, regular, photo, tmp_path):
    """One sentence, and the face that was being edited is still there."""
    regular("attgan_face", photo=photo)
    before = regular("attgan_edit", changes={"Bangs": 1})
    path = tmp_path / "wrong.png"
    NO_PHOTOGRAPHS[what](path)
    said = refused(regular, "attgan_face", ".", photo=handle_file(path))
    assert said.rstrip().endswith((".", "!")), said
    assert "logged" not in said, "the file is to blame, and the sentence says so"
    after = regular("attgan_edit", changes={"Bangs": 1})
    assert np.array_equal(pixels(before[MADE]), pixels(after[MADE]))


def test_no_file_at_all(visitor):
    refused(visitor, "attgan_face", "choose a", photo=None)


def test_of_an_animation_the_first_frame(visitor, people, tmp_path, photo):
    still, film = tmp_path / "still.png", tmp_path / "film.gif"
    frames = [sheet(people, [seed]).convert("P", palette=Image.Palette.ADAPTIVE) for seed in (4, 7, 9)]
    frames[0].save(film, save_all=True, append_images=frames[1:])
    with Image.open(film) as opened:
        assert opened.n_frames == 3
        opened.convert("RGB").save(still)
    moving, standing = (visitor("attgan_face", photo=handle_file(path)) for path in (film, still))
    assert np.array_equal(pixels(moving[CROP]), pixels(standing[CROP]))


def test_a_photograph_that_lies_on_its_side(visitor, album, tmp_path, photo):
    """Its camera has noted how it was held; what comes back stands upright."""
    upright = Image.open(album("one.png"))
    path, exif = tmp_path / "turned.png", Image.Exif()
    exif[0x0112] = 6  # the top of the picture is at the right of the file's
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    visitor("attgan_face", photo=handle_file(path))
    assert np.array_equal(pixels(visitor("attgan_files")[FULL]), np.asarray(upright))


def test_transparent_and_grey_pictures(visitor, album, tmp_path):
    for mode in ("RGBA", "L", "P", "I;16"):
        path = tmp_path / f"{mode[0]}.png"
        image = Image.open(album("one.png"))
        if mode == "I;16":
            Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path)
        else:
            image.convert(mode).save(path)
        answer = visitor("attgan_face", photo=handle_file(path))
        assert answer[NEWS] == "" and pixels(answer[CROP]).shape == (384, 384, 3), mode


# -- values that are wrong --------------------------------------------------------------------------------------------

WRONG = {
    "too strong": ({"Male": 1e6}, "intensity of male must be from -2 to 2"),
    "not a number": ({"Male": "nan"}, "must be from -2 to 2"),
    "without end": ({"Male": "inf"}, "must be from -2 to 2"),
    "words": ({"Male": "much"}, "must be a number"),
    "a list": ({"Male": [1]}, "must be a number"),
    "nothing": ({"Male": None}, "must be a number"),
    "an unknown name": ({"Zebra": 1}, "no attribute “Zebra”; it knows Bald"),
    "a long name": ({"Z" * 10_000: 1}, "no attribute"),
    "a list of names": (["Male"], "by name"),
    "a number alone": (7, "by name"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_changes(what, regular, photo):
    changes, words = WRONG[what]
    regular("attgan_face", photo=photo)
    before = regular("attgan_edit", changes={"Young": -1})
    refused(regular, "attgan_edit", words, changes=changes)
    refused(regular, "attgan_batch", words, photos=[photo], changes=changes)
    assert regular("attgan_edit", changes={"Young": -1})[STATUS].partition(">")[2] == before[STATUS].partition(">")[2]
    kept = json.loads(Path(value(regular("attgan_files")[RECIPE])).read_text())
    assert kept["arguments"]["attributes"] == {"Young": -1}


@pytest.mark.parametrize(("has", "words"), [({"Zebra": True}, "no attribute"), (["Male"], "by name"), (7, "by name")])
def test_wrong_words_about_a_face(has, words, regular, photo, album):
    regular("attgan_face", photo=photo)
    before = regular("attgan_edit", changes={"Young": -1})
    refused(regular, "attgan_face", words, photo=handle_file(album("other.png")), has=has)
    assert np.array_equal(pixels(regular("attgan_edit", changes={"Young": -1})[MADE]), pixels(before[MADE]))


@pytest.mark.parametrize("network", ["attgan/dogs", "stylegan2/faces", "own:000000000000", "../../etc/passwd", ""])
def test_wrong_networks(network, regular, photo):
    refused(regular, "attgan_face", r"[.!?]\W*$", photo=photo, network=network)
    refused(regular, "attgan_batch", r"[.!?]\W*$", photos=[photo], network=network, changes={"Male": 1})


@pytest.mark.parametrize(
    ("endpoint", "arguments"),
    [
        ("attgan_edit", {"changes": {"Male": 1}}),
        ("attgan_flips", {}),
        ("attgan_slide", {"attribute": "Male", "frames": 2}),
        ("attgan_files", {}),
    ],
)
def test_before_any_face(endpoint, arguments, visitor):
    refused(visitor, endpoint, "no face yet; choose a photograph", **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"frames": 10**9}, "maximum"),
        ({"frames": 1}, "minimum"),
        ({"fps": 1e9}, "maximum"),
        ({"low": -1e6}, "minimum"),
        ({"high": "much"}, "does not fit|number"),
        ({"format": "exe"}, "choices"),
        ({"attribute": "Zebra"}, "no attribute “Zebra”"),
        ({"attribute": None}, "no attribute|name|Choose|choose"),
    ],
)
def test_wrong_slides(arguments, words, regular, photo):
    regular("attgan_face", photo=photo)
    refused(regular, "attgan_slide", words, **{"attribute": "Male", "frames": 3, **arguments})
    assert value(regular("attgan_slide", attribute="Male", frames=2)[0])


def test_wrong_flips(visitor, photo):
    visitor("attgan_face", photo=photo)
    refused(visitor, "attgan_flips", "maximum", intensity=1e6)
    refused(visitor, "attgan_flips", "minimum", intensity=-1)
    assert len(visitor("attgan_flips", intensity=0)[0]) == 14


# -- visitors ---------------------------------------------------------------------------------------------------------


def test_two_visitors_do_not_meet(page, album):
    ann, bob, eve = (client_of(page.local_url) for _ in range(3))
    faces = {
        who: who.predict(api_name="/attgan_face", photo=handle_file(album(name)))
        for who, name in ((ann, "one.png"), (bob, "other.png"))
    }
    ann.predict(api_name="/attgan_edit", changes={"Male": 2})
    with pytest.raises(AppError, match="no face yet"):
        eve.predict(api_name="/attgan_files")
    again = bob.predict(api_name="/attgan_edit", changes={})
    assert np.array_equal(pixels(again[MADE]), pixels(faces[bob][MADE]))
    assert np.array_equal(pixels(bob.predict(api_name="/attgan_files")[FULL]), pixels(album("other.png")))
    hers = json.loads(Path(value(ann.predict(api_name="/attgan_files")[RECIPE])).read_text())
    assert hers["arguments"]["attributes"] == {"Male": 2}
    for client in (ann, bob, eve):
        client.close()
