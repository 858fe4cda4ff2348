"""Faces found, cut out and edited in photographs: faces of our own network, so that no photograph is needed."""

import io
import math
import threading

import numpy as np
import pytest
from PIL import Image

import weights
from pipelines import faces, stylegan2
from pipelines.faces import detection, geometry
from pipelines.photographs import photograph
from weights.errors import UserError

SIDE = 200  # pixels of the face in the larger picture
PLACE = (170, 90)


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    net = weights.load("stylegan2/faces", "cpu")
    return stylegan2.sample(net, seeds=[3], truncation_psi=0.4)[0].resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def scene(portrait: Image.Image, turn: float = 0, size=(560, 420)) -> tuple[Image.Image, np.ndarray]:
    """The portrait in a larger picture, turned about its middle, and where a celeba crop of 128 px would lie."""
    across = np.linspace(60, 170, size[0])[None, :, None] * np.ones((size[1], 1, 3))
    picture = Image.fromarray(across.astype(np.uint8))
    middle = (PLACE[0] + (SIDE - 1) / 2, PLACE[1] + (SIDE - 1) / 2)
    truth = geometry.similarity(128 / SIDE, math.radians(-turn), (63.5, 63.5), middle)
    there = geometry.resized(truth, 128, SIDE)
    a, b, c, d, e, f = there[:2].ravel()
    corners = (a, b, c + 0.5 - 0.5 * (a + b), d, e, f + 0.5 - 0.5 * (d + e))
    for part, where in ((portrait, "RGB"), (Image.new("L", portrait.size, 255), "L")):
        laid = part.convert(where).transform(size, Image.Transform.AFFINE, corners, Image.Resampling.BICUBIC)
        if where == "RGB":
            face = laid
    picture.paste(face, (0, 0), laid)
    return picture, truth


def off(aligned_transform: np.ndarray, truth: np.ndarray) -> float:
    """Pixels of the 128 px crop between where the eyes come to lie and where they belong."""
    eyes = geometry.celeba_landmarks(128)[:2]
    moved = geometry.apply(aligned_transform, geometry.apply(np.linalg.inv(truth), eyes))
    return float(np.linalg.norm(moved - eyes, axis=1).mean())


@pytest.mark.parametrize("turn", [0, 20, -25, 90])
def test_a_face_is_found_and_aligned(portrait, turn):
    picture, truth = scene(portrait, turn)
    found = faces.detect(picture, detector="cascade")
    assert len(found) == 1 and found[0].detector == "cascade" and 0.5 < found[0].score <= 1
    aligned = faces.align(picture, found[0])
    assert aligned.image.size == (128, 128) and aligned.crop == "celeba" and aligned.face is found[0]
    assert off(aligned.transform, truth) < 6
    left, top, right, bottom = found[0].box
    middle = geometry.apply(np.linalg.inv(truth), (64, 68))
    assert left < middle[0] < right and top < middle[1] < bottom


def test_an_aligned_picture_is_itself_a_picture_with_a_face(portrait):
    """A face that fills the picture, and a picture as small as our own networks make them."""
    for picture in (portrait, portrait.resize((64, 64), Image.Resampling.LANCZOS)):
        aligned = faces.align(picture, detector="cascade")
        truth = geometry.similarity(128 / picture.width, 0, (63.5, 63.5), ((picture.width - 1) / 2,) * 2)
        assert off(aligned.transform, truth) < 6


def test_of_two_faces_the_larger_is_first_and_each_can_be_chosen(portrait):
    picture = Image.new("RGB", (640, 400), (120, 120, 120))
    picture.paste(portrait.resize((120, 120)), (60, 130))
    picture.paste(portrait, (350, 100))
    found = faces.detect(picture, detector="cascade")
    assert len(found) == 2 and found[0].landmarks[2][0] > 350 > 180 > found[1].landmarks[2][0]
    assert len(faces.detect(picture, detector="cascade", limit=1)) == 1
    second = faces.align(picture, 1, detector="cascade")
    assert geometry.apply(second.inverse, (63.5, 63.5))[0] < 200
    with pytest.raises(UserError, match="2 faces"):
        faces.align(picture, 2, detector="cascade")


def test_no_face_is_said_and_the_middle_is_to_be_had():
    across = np.linspace(0, 255, 300)[None, :, None] * np.ones((200, 1, 3))
    picture = Image.fromarray(across.astype(np.uint8))
    assert faces.detect(picture) == []
    with pytest.raises(UserError, match="No face"):
        faces.align(picture)
    middle = faces.centre_crop(picture, 64)
    assert middle.face is None and middle.crop == "centre" and middle.image.size == (64, 64)
    assert np.allclose(geometry.corners(middle.transform, 64)[0], (49.5, -0.5))
    expected = picture.crop((50, 0, 250, 200)).resize((64, 64), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(middle.image, float) - np.asarray(expected)).mean() < 1


# -- crops


def given(size, turn: float = 0.3, side: float = 160, middle=None) -> faces.Face:
    """A face whose celeba crop has ``side`` pixels about the middle of a picture."""
    middle = middle or ((size[0] - 1) / 2, (size[1] - 1) / 2)
    back = geometry.similarity(side / 128, turn, middle, (63.5, 63.5))
    points = geometry.apply(back, geometry.celeba_landmarks(128))
    return faces.Face((0, 0, 1, 1), tuple(map(tuple, points)), 1.0, "cascade")


def wavy(size) -> Image.Image:
    y, x = np.mgrid[: size[1], : size[0]]
    waves = [np.sin(x / 9) * np.cos(y / 7), np.sin(x / 23), np.cos((x + y) / 31)]
    return Image.fromarray((127.5 + 100 * np.stack(waves, axis=-1)).astype(np.uint8))


def test_the_transform_says_where_each_pixel_of_the_crop_is_from():
    picture = wavy((400, 300))
    aligned = faces.align(picture, given(picture.size), size=128)
    assert np.allclose(aligned.transform @ aligned.inverse, np.eye(3))
    pixels, photo = np.asarray(aligned.image, float), np.asarray(picture, float)
    for u, v in ((20, 30), (64, 64), (100, 90)):
        x, y = np.rint(geometry.apply(aligned.inverse, (u, v))).astype(int)
        assert np.abs(pixels[v, u] - photo[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))).max() < 12


def test_shrinking_does_not_alias():
    fine = (np.indices((1600, 1600)).sum(axis=0) % 2 * 255).astype(np.uint8)  # a chequerboard of single pixels
    picture = Image.fromarray(fine).convert("RGB")
    aligned = faces.align(picture, given(picture.size, side=1000), size=64)
    assert np.asarray(aligned.image, float).std() < 3


def test_the_ffhq_crop_is_the_square_of_its_paper():
    face = given((400, 400), turn=0.4, side=150)
    aligned = faces.align(wavy((400, 400)), face, crop="ffhq", size=256)
    left, right, _, *mouth = geometry.apply(aligned.transform, face.landmarks)
    eyes, mouth = (left + right) / 2, np.mean(mouth, axis=0)
    assert np.allclose((left[1], mouth[0]), (right[1], eyes[0])), "upright"
    half = max(2 * (right[0] - left[0]), 1.8 * (mouth[1] - eyes[1]))
    assert half == pytest.approx(128) and np.allclose(eyes + 0.1 * (mouth - eyes), 127.5)


def test_beyond_the_photograph_it_is_mirrored_and_blurred():
    picture = wavy((200, 200))
    aligned = faces.align(picture, given(picture.size, turn=0, side=160, middle=(40, 100)), size=128)
    pixels = np.asarray(aligned.image, float)
    inside, outside = pixels[:, 60:, 0], pixels[:, :24, 0]
    assert outside.std() < inside.std() and pixels.min() > 0, "no black border"
    at = geometry.apply(aligned.transform, (0, 100))  # the first column of the photograph
    step = np.abs(np.diff(pixels[:, :, 0], axis=1))[:, round(at[0]) - 2 : round(at[0]) + 2]
    assert step.max() < 40, "no edge where it begins"


def test_a_crop_beside_the_photograph_is_no_end():
    """A detector may find something in the border that was added to the picture."""
    for middle in ((900, 100), (-900, 100), (100, 5000)):
        back = geometry.similarity(3, 0.5, middle, (63.5, 63.5))
        assert geometry.resample(wavy((200, 150)), np.linalg.inv(back), 64).shape == (64, 64, 3)
    picture = wavy((200, 150))
    beside = given((200, 150), middle=(230, 75))
    assert detection._inside([beside, given((200, 150)), None], picture) == [given((200, 150))]


# -- pasting


def change_of(aligned: faces.AlignedFace, change: np.ndarray) -> tuple[Image.Image, Image.Image]:
    before = np.full((aligned.size, aligned.size, 3), 120.0)
    return tuple(Image.fromarray(np.rint(a).astype(np.uint8)) for a in (before, before + change))


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, float)


@pytest.mark.parametrize("turn", [0.0, 0.6])
@pytest.mark.parametrize("side", [70, 160, 700])
def test_a_change_lands_where_it_belongs(turn, side):
    picture = Image.new("RGB", (800, 760), (100, 110, 120))
    aligned = faces.align(picture, given(picture.size, turn, side))
    v, u = np.mgrid[:128, :128]
    spot = 100 * np.exp(-((u - 80) ** 2 + (v - 50) ** 2) / (2 * 8**2))[..., None] * [1, 0.5, 0]
    moved = levels(faces.paste(picture, aligned, *change_of(aligned, spot))) - levels(picture)
    y, x = np.unravel_index(moved[..., 0].argmax(), moved.shape[:2])
    assert math.dist((x, y), geometry.apply(aligned.inverse, (80, 50))) < 1 + side / 128
    assert 88 < moved[..., 0].max() <= 101 and 40 < moved[..., 1].max() <= 51 and not moved[..., 2].any()
    total = moved[..., 0].sum() / spot[..., 0].sum()
    assert total == pytest.approx((side / 128) ** 2, rel=0.03), "no more and no less than it was"
    half = levels(faces.paste(picture, aligned, *change_of(aligned, spot), strength=0.5)) - levels(picture)
    assert half.max() == pytest.approx(moved.max() / 2, abs=1)


def test_without_a_change_every_bit_stays():
    picture = wavy((300, 260))
    aligned = faces.align(picture, given(picture.size))
    same = faces.paste(picture, aligned, aligned.image, aligned.image)
    assert np.array_equal(levels(same), levels(picture)) and same is not picture


def test_no_seam_and_nothing_outside():
    """The edit makes the whole crop brighter: the worst that can come to its border."""
    picture = wavy((300, 260))
    aligned = faces.align(picture, given(picture.size, turn=0.5))
    change = levels(faces.paste(picture, aligned, *change_of(aligned, np.full((128, 128, 3), 24.0)))) - levels(picture)
    v, u = np.mgrid[:260, :300]
    at = geometry.apply(aligned.transform, np.stack([u, v], axis=-1).reshape(-1, 2)).reshape(260, 300, 2)
    depth = np.minimum(at, 127 - at).min(axis=-1)
    assert not change[depth < -1].any(), "outside the crop every bit stays"
    assert np.abs(change[np.abs(depth) < 1.5]).max() <= 1, "it begins with nothing"
    assert (change[depth > 40] == 24).all(), "inside it is all there"
    assert max(np.abs(np.diff(change, axis=i)).max() for i in (0, 1)) <= 3, "and nowhere is a step"


def test_the_photograph_keeps_its_sharpness():
    rng = np.random.RandomState(0)
    picture = Image.fromarray(rng.randint(60, 190, (600, 600, 3)).astype(np.uint8))
    aligned = faces.align(picture, given(picture.size, side=400))
    spot = np.full((128, 128, 3), 20.0)
    result = levels(faces.paste(picture, aligned, *change_of(aligned, spot)))
    inside = (slice(260, 340),) * 2
    assert np.array_equal(result[inside], levels(picture)[inside] + 20)


def test_networks_of_another_size_than_the_crop():
    picture = wavy((300, 260))
    aligned = faces.align(picture, given(picture.size), size=128)
    small = [Image.new("RGB", (64, 64), (c, c, c)) for c in (100, 130)]
    change = levels(faces.paste(picture, aligned, *small)) - levels(picture)
    assert change.max() == 30 and change[130, 150].min() == 30
    with pytest.raises(UserError, match="differ in size"):
        faces.paste(picture, aligned, small[0], small[1].resize((32, 32)))


def test_fifty_megapixels():
    picture = Image.new("RGB", (8200, 6200), (90, 100, 110))
    aligned = faces.align(picture, given(picture.size, turn=0.2, side=3000), size=128)
    result = faces.paste(picture, aligned, *change_of(aligned, np.full((128, 128, 3), 10.0)))
    assert result.size == picture.size and result.getpixel((4100, 3100)) == (100, 110, 120)
    assert result.getpixel((100, 100)) == (90, 100, 110)
    assert faces.detect(picture, detector="cascade") == []


# -- what comes in


def test_every_kind_of_picture_comes_upright_and_rgb():
    photo = wavy((60, 40))
    for mode in ("1", "L", "P", "RGBA", "LA", "PA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16", "RGBX"):
        via = photo.convert("L") if mode in ("I", "F", "I;16", "LA", "PA") else photo
        image = via.convert(mode)
        assert photograph(image).mode == "RGB" and photograph(image).size == (60, 40), mode
    assert photograph(photo) is photo


def test_sixteen_bits_keep_their_levels():
    ramp = np.linspace(0, 255, 64).round().astype(np.uint8) * np.ones((32, 1), np.uint8)
    wide = Image.fromarray(ramp.astype(np.uint16) * 257)
    for image in (wide, Image.fromarray(ramp.astype(np.int32) * 257), Image.fromarray(ramp.astype(np.float32) / 255)):
        assert np.array_equal(np.asarray(photograph(image))[..., 1], ramp), image.mode
    dark = Image.fromarray(np.full((32, 32), 2570, np.uint16))
    assert photograph(dark).getpixel((0, 0)) == (10, 10, 10), "a dark picture stays dark"


def test_turned_cameras_animations_and_what_is_transparent():
    photo, buffer = wavy((60, 40)), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(buffer, "PNG", exif=exif)
    turned = photograph(Image.open(buffer))
    assert turned.size == (40, 60) and np.array_equal(levels(turned), levels(photo.rotate(-90, expand=True)))
    frames, buffer = [Image.new("RGB", (32, 32), c) for c in ("red", "blue")], io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    moving = Image.open(buffer)
    moving.seek(1)
    assert photograph(moving).getpixel((3, 3)) == (254, 0, 0) or photograph(moving).getpixel((3, 3)) == (255, 0, 0)
    assert photograph(Image.new("RGBA", (32, 32), (0, 0, 0, 0))).getpixel((1, 1)) == (255, 255, 255)
    half = photograph(Image.new("LA", (32, 32), (0, 128))).getpixel((1, 1))
    assert half == (127, 127, 127)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "choose a photograph"),
        ("photo.png", "choose a photograph"),
        (Image.new("RGB", (200, 15)), "at least 16"),
        (Image.new("1", (9000, 9000)), "64 megapixels"),
    ],
)
def test_what_is_no_photograph_gets_one_sentence(image, words):
    aligned = faces.centre_crop(wavy((100, 100)))
    for call in (faces.detect, faces.align, faces.centre_crop, lambda im: faces.paste(im, aligned, im, im)):
        with pytest.raises(UserError, match=words) as error:
            call(image)
        assert str(error.value).count(".") == 1


def test_a_damaged_picture_gets_one_sentence():
    buffer = io.BytesIO()
    wavy((300, 300)).save(buffer, "PNG")
    with pytest.raises(UserError, match="cannot be read|can be read"):
        faces.detect(Image.open(io.BytesIO(buffer.getvalue()[:4000])))


def test_bad_arguments():
    picture = wavy((200, 200))
    face = given(picture.size)
    for options, words in (
        ({"crop": "passport"}, "crop"),
        ({"crop": ["celeba"]}, "crop"),
        ({"size": 1e6}, "from 16 to 2,048"),
        ({"size": "large"}, "from 16 to 2,048"),
        ({"face": -1}, "from 0 to 31"),
        ({"face": float("nan")}, "from 0 to 31"),
        ({"face": None, "detector": "dlib"}, "detector"),
    ):
        with pytest.raises(UserError, match=words):
            faces.align(picture, **{"face": face, **options})
    for landmarks in (
        [(math.nan, 0)] * 5,
        [(5, 5)] * 5,
        [(1e9, 0), (0, 1e9), (0, 0), (1, 1), (2, 2)],
        [(1, 2)] * 4,
        "none",
        None,
        [(float(x) + 390, float(y)) for x, y in face.landmarks],
    ):
        with pytest.raises(UserError, match="landmarks|too small"):
            faces.align(picture, faces.Face((0, 0, 1, 1), landmarks, 1.0, "cascade"))
    aligned = faces.align(picture, face)
    for photo, one, strength in (
        (wavy((201, 200)), aligned, 1),
        (picture, "face", 1),
        (picture, aligned, 1e6),
        (picture, aligned, math.nan),
    ):
        with pytest.raises(UserError):
            faces.paste(photo, one, aligned.image, aligned.image, strength)
    with pytest.raises(UserError, match="square"):
        faces.paste(picture, aligned, aligned.image.resize((64, 32)), aligned.image)
    for limit in (0, 1e9):
        with pytest.raises(UserError, match="number of faces"):
            faces.detect(picture, limit=limit)


# -- YuNet


def test_yunet_finds_the_face_as_well(portrait, fixtures, monkeypatch):
    path = fixtures("face_detection_yunet_2026may.onnx")
    monkeypatch.setattr(detection, "yunet_file", lambda online=False: path)
    for turn in (0, 20, 180):
        picture, truth = scene(portrait, turn)
        aligned = faces.align(picture)
        assert aligned.face.detector == "yunet" and off(aligned.transform, truth) < 6
    picture, truth = scene(portrait, 22)
    raw, refined = (faces.align(picture, faces.detect(picture, refine=r)[0]).transform for r in (False, True))
    assert off(refined, truth) < off(raw, truth), "YuNet straightens what is turned; the landmark network does not"


def test_without_yunet_the_cascade_looks(portrait, tmp_path, monkeypatch):
    picture, _ = scene(portrait)
    assert faces.detect(picture)[0].detector == "cascade"
    with pytest.raises(UserError, match="connect"):
        faces.detect(picture, detector="yunet")
    # A file that is not the published one is not used, and thrown away.
    spoilt, dropped = tmp_path / "yunet.onnx", []
    spoilt.write_bytes(b"something else")
    monkeypatch.setattr(weights, "fetch", lambda name, **_: spoilt)
    monkeypatch.setattr(weights, "forget", dropped.append)
    with pytest.raises(UserError, match="damaged"):
        faces.detect(picture, detector="yunet")
    assert dropped == ["faces/yunet"] * 2
    assert faces.detect(picture)[0].detector == "cascade"


def test_a_file_that_opencv_cannot_run_is_no_end(portrait, tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no network")
    monkeypatch.setattr(detection, "yunet_file", lambda online=False: path)
    picture, _ = scene(portrait)
    assert faces.detect(picture)[0].detector == "cascade"
    with pytest.raises(UserError, match="cannot run"):
        faces.detect(picture, detector="yunet")


def test_only_who_asks_goes_online(monkeypatch):
    asked = []

    def fetch(name, offline=None):
        asked.append(offline)
        raise UserError("Not today.")

    monkeypatch.setattr(weights, "fetch", fetch)
    picture = wavy((64, 64))
    faces.detect(picture)
    faces.detect(picture, online=True)
    faces.detect(picture, detector="cascade", online=True)
    assert asked == [True, None]


def test_several_visitors_at_once(portrait):
    pictures = [scene(portrait, turn)[0] for turn in (0, 15, -15)]
    alone = [faces.detect(picture, detector="cascade") for picture in pictures]
    together = [None] * 3

    def look(i):
        together[i] = faces.detect(pictures[i], detector="cascade")

    threads = [threading.Thread(target=look, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_the_box_lies_around_the_landmarks():
    face = detection._face(geometry.celeba_landmarks(128), 0.9, "cascade")
    left, top, right, bottom = face.box
    assert all(left < x < right and top < y < bottom for x, y in face.landmarks)
