"""Editing attributes: what the decoder is told, conflicts, and that every way to a picture gives the same one."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from models import regions
from models.attgan import Generator
from models.attributes import Classifier
from models.segmentation import Parts
from pipelines import attgan, faces, progress
from weights.attributes import ATTRS
from weights.errors import UserError

FIVE = ((176.0, 180.0), (224.0, 180.0), (200.0, 208.0), (180.0, 230.0), (220.0, 230.0))
HAS = {name: name in ("Brown_Hair", "No_Beard", "Young", "Bangs") for name in ATTRS}


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    small = {"img_size": 32, "enc_dim": 8, "dec_dim": 8, "enc_layers": 3, "dec_layers": 3}
    return Generator(attrs=ATTRS, **small).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def photo():
    x, y = np.meshgrid(np.linspace(0, 255, 48), np.linspace(0, 255, 48))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8))


def pixels(image) -> np.ndarray:
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("difference", [False, True])
def test_a_network_is_told_what_it_was_trained_with(photo, difference):
    """How the face is to be, or what is to change of it, as the file says."""
    torch.manual_seed(0)
    small = {"img_size": 32, "enc_dim": 8, "dec_dim": 8, "enc_layers": 3, "dec_layers": 3}
    net = Generator(attrs=ATTRS, head="change", difference=difference, **small).eval().requires_grad_(False)
    face = attgan.encode(net, photo, HAS)
    made = attgan.edit(net, face, {"Young": -1.0})
    values = torch.tensor([[0.5 if HAS[name] else -0.5 for name in ATTRS]])
    wanted = values.clone()
    wanted[0, list(ATTRS).index("Young")] = -1.0
    x = attgan._tensor(photo, 32, "cpu")
    plain = net(x, wanted - values if difference else wanted)
    assert np.abs(pixels(made) - pixels(attgan.to_pil(plain)[0])).max() <= 1


# -- what the decoder is told


def test_nothing_wanted_is_what_the_face_has(net):
    made = attgan.change(net, HAS, {})
    assert made.values == {name: 0.5 if HAS[name] else -0.5 for name in ATTRS} and not made.cleared


def test_intensities_are_told_as_they_are(net):
    made = attgan.change(net, HAS, {"Eyeglasses": 1.0, "Young": -1.5, "Male": 0})
    assert (made.values["Eyeglasses"], made.values["Young"], made.values["Male"]) == (1.0, -1.5, 0.0)
    assert list(made.values) == list(ATTRS), "in the order of the network"


@pytest.mark.parametrize(
    ("wanted", "cleared"),
    [
        ({"Blond_Hair": 1}, {"Brown_Hair": "Blond_Hair"}),
        ({"Bald": 1}, {"Bangs": "Bald"}),
        ({"Mustache": 0.5}, {"No_Beard": "Mustache"}),
        ({"Mustache": -1}, {}),  # what is switched off contradicts nothing
        ({"Blond_Hair": 1, "Brown_Hair": 0.5}, {}),  # a visitor who asks for both gets both
        ({"Bald": 2, "Black_Hair": 1}, {"Bangs": "Bald", "Brown_Hair": "Black_Hair"}),
    ],
)
def test_what_contradicts_is_switched_off(wanted, cleared, net):
    made = attgan.change(net, HAS, wanted)
    assert made.cleared == cleared
    assert all(made.values[name] == -0.5 for name in cleared)


def test_clashes_are_named():
    assert attgan.clashes({"Blond_Hair": 1, "Brown_Hair": 1, "Male": 1}) == [("Blond_Hair", "Brown_Hair")]
    assert attgan.clashes({"Bald": 1, "Bangs": -1}) == []


@pytest.mark.parametrize(
    "wanted",
    [{"Wings": 1}, {"Male": 1e6}, {"Male": float("nan")}, {"Male": "much"}, {"Male": None}, [1], "Male", {3: 1}],
)
def test_what_cannot_be_wanted(wanted, net, photo):
    with pytest.raises(UserError):
        attgan.edit(net, photo, wanted, has=HAS)


# -- pictures


def test_the_plain_network_makes_the_same_picture(net, photo):
    made = attgan.edit(net, photo, {"Eyeglasses": 1.0, "Blond_Hair": 0.7}, has=HAS)
    values = attgan.change(net, HAS, {"Eyeglasses": 1.0, "Blond_Hair": 0.7}).values
    x = torch.from_numpy(np.asarray(photo.resize((32, 32), Image.Resampling.LANCZOS), dtype=np.float32) / 127.5 - 1)
    plain = net(x.permute(2, 0, 1)[None], torch.tensor([list(values.values())]))[0].permute(1, 2, 0)
    assert np.abs(pixels(made) - ((plain.numpy() * 127.5 + 127.5).round().clip(0, 255))).max() <= 1


def test_flips_begin_with_the_reconstruction_and_are_edits(net, photo):
    face = attgan.encode(net, photo, HAS)
    made = attgan.flips(net, face, 0.8)
    assert list(made) == ["Reconstruction", *ATTRS]
    for name in ("Reconstruction", "Male", "Young", "Bald"):
        wanted = {} if name == "Reconstruction" else {name: -0.8 if HAS[name] else 0.8}
        assert np.abs(pixels(made[name]) - pixels(attgan.edit(net, photo, wanted, has=HAS))).max() <= 1


def test_a_slide_goes_from_end_to_end(net, photo):
    made = list(attgan.slide(net, photo, "Male", -1, 1, 5, {"Bangs": 1.0, "Male": 2.0}, has=HAS))
    assert len(made) == 5
    for image, value in ((made[0], -1.0), (made[2], 0.0), (made[4], 1.0)):
        assert np.array_equal(pixels(image), pixels(attgan.edit(net, photo, {"Bangs": 1.0, "Male": value}, has=HAS)))


def test_what_is_not_said_the_classifier_says(net, photo, monkeypatch):
    torch.manual_seed(1)
    judge = Classifier([*ATTRS, "Smiling"], img_size=16, widths=[4, 8], blocks=[1, 1]).eval().requires_grad_(False)
    monkeypatch.setattr(attgan.weights, "load", lambda name: {"attributes/faces": judge}[name])
    face = attgan.encode(net, photo, {"Male": True, "Young": False})
    told = attgan.attributes(face.image)
    assert list(told) == [*ATTRS, "Smiling"] and all(0 <= p <= 1 for p in told.values())
    assert face.has == {n: {"Male": True, "Young": False}.get(n, told[n] > 0.5) for n in ATTRS}


def test_a_network_without_names(photo):
    torch.manual_seed(0)
    net = Generator(n_attrs=2, img_size=None, enc_dim=4, dec_dim=4, enc_layers=2, dec_layers=2).eval()
    made = attgan.flips(net.requires_grad_(False), photo, has={"Attribute 1": True, "Attribute 2": False})
    assert list(made) == ["Reconstruction", "Attribute 1", "Attribute 2"] and made["Attribute 1"].size == (128, 128)


def test_how_far_it_is_is_told(net, photo):
    heard = []
    with progress.watched(lambda *far: heard.append(far)):
        attgan.flips(net, photo, has=HAS)
    assert heard == [(14, 14)]


# -- in and out


def test_a_picture_as_text(photo):
    text = attgan.encode_image(photo)
    assert np.array_equal(pixels(attgan.decode_image(text)), pixels(photo))


def test_a_face_as_text_makes_the_same_edit(net, photo):
    face = attgan.encode(net, photo, HAS)
    text = attgan.encode_image(face.image)
    one, other = (attgan.edit(net, given, {"Male": 1}, has=HAS) for given in (photo, text))
    assert np.array_equal(pixels(one), pixels(other))


@pytest.mark.parametrize("text", ["", "no", "aGVsbG8=", "é" * 5])
def test_text_that_is_no_picture(text):
    with pytest.raises(UserError):
        attgan.decode_image(text)


def test_a_picture_too_large_for_text():
    with pytest.raises(UserError, match="size"):
        attgan.decode_image(attgan.encode_image(Image.new("RGB", (2000, 20))))


@pytest.mark.parametrize("image", [None, 3, Image.new("RGB", (4, 400)), np.zeros((64, 64, 3))])
def test_what_is_no_face(image, net):
    with pytest.raises(UserError):
        attgan.edit(net, image, {}, has=HAS)


@pytest.mark.parametrize(
    "options", [{"frames": 1}, {"frames": 10**9}, {"low": -9}, {"high": float("inf")}, {"attribute": "Wings"}]
)
def test_slides_that_are_none(options, net, photo):
    with pytest.raises(UserError):
        attgan.slide(net, photo, **{"attribute": "Male", "has": HAS, **options})


def test_the_wrong_word_for_what_it_has(net, photo):
    with pytest.raises(UserError, match="Wings"):
        attgan.encode(net, photo, {"Wings": True})


# -- edits that stay where their attribute lies


def local(net, face, person=1.0, hair=0.0):
    """The face with parts that are the same everywhere, or as given."""
    side = face.image.width
    parts = [np.broadcast_to(np.float32(part), (side, side)).copy() for part in (person, hair)]
    return dataclasses.replace(attgan.restricted(net, face, True), parts=Parts(*parts))


def test_a_local_edit_changes_its_region_only(net, photo):
    face = attgan.encode(net, photo, HAS)
    here = local(net, face)
    still, whole = (pixels(attgan.edit(net, face, wanted)) for wanted in ({}, {"Eyeglasses": 1.0}))
    made = pixels(attgan.edit(net, here, {"Eyeglasses": 1.0}))
    region = regions.region("Eyeglasses", 32, parts=here.parts)
    assert np.abs(made - still)[region == 0].max() == 0 and np.abs(whole - still)[region == 0].max() > 5
    assert np.abs(made - whole)[region > 0.999].max() <= 1 and (region > 0.999).any()
    assert np.abs(pixels(attgan.edit(net, here, {})) - still).max() <= 1
    flips, all_of_it = attgan.flips(net, here), attgan.flips(net, face)
    assert np.abs(pixels(flips["Eyeglasses"]) - made).max() <= 1
    assert np.abs(pixels(flips[attgan.RECONSTRUCTION]) - pixels(all_of_it[attgan.RECONSTRUCTION])).max() <= 1
    slid = list(attgan.slide(net, here, "Eyeglasses", 0, 1, 2))
    assert np.abs(pixels(slid[-1]) - made).max() <= 1


def test_what_is_cleared_may_change_too(net, photo):
    here = local(net, attgan.encode(net, photo, HAS), hair=0.0)
    assert "Bangs" in attgan.change(net, HAS, {"Bald": 1.0}).cleared
    where = attgan._where(here, attgan.change(net, HAS, {"Bald": 1.0}))
    bangs, bald = (regions.region(name, 32, parts=here.parts) for name in ("Bangs", "Bald"))
    assert np.array_equal(where, np.maximum(bangs, bald)) and (bangs > bald).any()


def test_an_attribute_of_no_known_place_may_change_everything(photo):
    torch.manual_seed(0)
    net = Generator(2, 32, enc_dim=4, dec_dim=4, enc_layers=2, dec_layers=2, attrs=["Wings", "Eyeglasses"]).eval()
    here = local(net, attgan.encode(net.requires_grad_(False), photo, {"Wings": False, "Eyeglasses": False}))
    assert attgan._where(here, attgan.change(net, here.has, {"Wings": 1.0})).min() == 1
    assert attgan._where(here, attgan.change(net, here.has, {"Eyeglasses": 1.0})).min() == 0


def test_where_things_lie_is_found_by_a_network(net, photo):
    face = attgan.encode(net, photo, HAS, local=True)
    assert face.local and face.parts.person.shape == (32, 32) and not attgan.encode(net, photo, HAS).local
    assert attgan.restricted(net, face, True) is face
    assert attgan.restricted(net, face, False).parts is attgan.restricted(net, face, False).still is None
    text = attgan.encode_image(face.image)
    one = attgan.edit(net, text, {"Bangs": 1}, HAS, local=True)
    assert np.array_equal(pixels(one), pixels(attgan.edit(net, face, {"Bangs": 1})))
    with pytest.raises(UserError, match="true or false"):
        attgan.encode(net, photo, HAS, local="yes")


def test_a_local_edit_makes_one_picture(net, photo, monkeypatch):
    """The picture that edits are laid over is made with the face, not at every move of a slider."""
    face, made = local(net, attgan.encode(net, photo, HAS)), []
    inner, decode = attgan.fast(net), type(attgan.fast(net)).decode
    monkeypatch.setattr(inner, "decode", lambda encoded, a: made.append(len(a)) or decode(inner, encoded, a))
    edited = pixels(attgan.edit(net, face, {"Eyeglasses": 1.0}))
    still = pixels(attgan.edit(net, face, {}))
    assert made == [1] and not np.array_equal(edited, still)
    wall = attgan.flips(net, face)
    assert sum(made) == 1 + len(face.has) and np.array_equal(pixels(wall["Reconstruction"]), still)
    assert np.array_equal(pixels(wall["Eyeglasses"]), edited) and list(wall) == ["Reconstruction", *face.has]


def test_hair_changes_beyond_the_crop(net, photo):
    """A photograph of one colour in which everything is hair: the change goes on where the crop ends, and fades."""
    grey = Image.new("RGB", (400, 400), (120, 120, 120))
    aligned = faces.align(grey, faces.Face((0, 0, 1, 1), FIVE, 1.0, "yunet"), size=64)
    face = attgan.encode(net, aligned.image, HAS)
    still, dark = Image.new("RGB", (64, 64), (120, 120, 120)), Image.new("RGB", (64, 64), (40, 40, 40))
    everywhere = Parts(np.ones((90, 90), np.float32), np.ones((90, 90), np.float32))
    wanted = {"Black_Hair": 1.0}
    usual = pixels(attgan.paste(grey, aligned, face, still, dark, wanted))
    far = pixels(attgan.paste(grey, aligned, local(net, face), still, dark, wanted, everywhere))
    low, high = np.array(aligned.corners).min(axis=0), np.array(aligned.corners).max(axis=0)
    left, row = round(low[0]), round((low[1] + high[1]) / 2)
    assert usual[row, left - 2, 0] == 120 and far[row, left - 2, 0] < 60 and far[row, left + 2, 0] < 50
    more = 0.2 * (high[0] - low[0])
    assert far[row, round(left - more - 2), 0] == 120, "a fifth of the side beyond it ends"
    assert (np.diff(far[row, round(left - more) : left, 0]) <= 1).all(), "and fades towards there"
    bare = Parts(everywhere.person * 0, everywhere.hair * 0)
    none = pixels(attgan.paste(grey, aligned, local(net, face), still, dark, wanted, bare))
    assert none[row, left - 2, 0] == 120, "the background beside the crop stays"
