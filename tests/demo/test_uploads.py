"""Files from visitors, checked before anything else sees them."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from demo import uploads
from weights.errors import UserError


def saved(tmp_path, image: Image.Image, name: str = "photo.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def test_a_photograph_comes_upright_and_rgb(tmp_path):
    photo = Image.fromarray(np.zeros((40, 60, 3), np.uint8))
    photo.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the left upper corner belongs to the right
    found = uploads.image(saved(tmp_path, photo, "turned.png", exif=exif))
    assert found.mode == "RGB" and found.size == (40, 60)
    assert found.getpixel((39, 0)) == (255, 0, 0)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    image = Image.new(mode, (32, 32))
    path = saved(tmp_path, image, "photo.tiff")
    assert uploads.image(path).mode == "RGB"


def test_transparent_becomes_white(tmp_path):
    path = saved(tmp_path, Image.new("RGBA", (32, 32), (0, 0, 0, 0)))
    assert uploads.image(path).getpixel((5, 5)) == (255, 255, 255)


def test_large_photographs_are_made_smaller(tmp_path):
    found = uploads.image(saved(tmp_path, Image.new("RGB", (6000, 3000)), "wide.png", compress_level=1))
    assert found.size == (4096, 2048)


def test_the_whole_photograph_is_to_be_had(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (8000, 6250), (1, 2, 3)), "whole.jpg", quality=30)
    assert uploads.image(path, max_side=None).size == (8000, 6250)  # 50 megapixels
    assert max(uploads.image(path).size) == 4096


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is enormous, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"hello, I am no picture", "not a picture"),
        (bomb(100_000, 100_000), "pixels"),
        (bomb(9_000, 9_000), "64 megapixels"),
        (bomb(64, 64)[:60], "not a picture"),
        (bomb(8, 8), "at least 16"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    ],
)
def test_bad_pictures_get_one_sentence(tmp_path, content, word):
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=word):
        uploads.image(path)


def test_no_file_and_too_large_files(tmp_path):
    for check in (uploads.image, uploads.checkpoint, uploads.recipe):
        with pytest.raises(UserError, match="choose a file first"):
            check(None)
        with pytest.raises(UserError, match="choose a file first"):
            check(tmp_path / "nowhere")
    big = tmp_path / "big.pkl"
    with big.open("wb") as file:
        file.truncate(3 * 2**30)  # sparse: takes no room
    for check in (uploads.image, uploads.checkpoint, uploads.recipe):
        with pytest.raises(UserError, match="more than|too large"):
            check(big)


def test_recipes_are_text(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_bytes("\ufeff{}".encode())
    assert uploads.recipe(path) == "{}"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a recipe"):
        uploads.recipe(path)


# -- through the page

NO_PICTURES = {
    "words.png": b"These are only words.\n" * 20,
    "empty.jpg": b"",
    "zeros.webp": bytes(4000),
    "cut.webp": b"RIFF\x10\0\0\0WEBPVP8 " + bytes(20),
    "paper.pdf": b"%PDF-1.4\n",
    "film.mp4": b"\0\0\0 ftypmp42" + bytes(64),
    "phone.heic": b"\0\0\0 ftypheic" + bytes(100),
    "head.png": b"\x89PNG\r\n\x1a\n",
    "script.exe": b"MZ" + bytes(400),
}


@pytest.mark.parametrize("endpoint", ["draggan_invert", "attgan_face", "igan_project", "igan_morph", "od_photo"])
def test_what_is_no_picture_is_told_so_in_every_tab(visitor, tmp_path, endpoint):
    from gradio_client import handle_file

    given = visitor.client.view_api(print_info=False, return_format="dict")["named_endpoints"][f"/{endpoint}"][
        "parameters"
    ]
    places = [p["parameter_name"] for p in given if p["component"] == "Image"]
    assert places
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    good = saved(tmp_path, photo, "good.png")
    (tmp_path / "cut.jpg").write_bytes(saved(tmp_path, photo, "whole.jpg").read_bytes()[:300])
    for name, content in NO_PICTURES.items():
        (tmp_path / name).write_bytes(content)
    for name in (*NO_PICTURES, "cut.jpg"):
        files = {place: handle_file(str(good)) for place in places}
        files[places[0]] = handle_file(str(tmp_path / name))
        with pytest.raises(Exception) as error:
            visitor(endpoint, **files)
        assert "picture" in str(error.value) and "control" not in str(error.value), (name, str(error.value))
    (tmp_path / "bomb.png").write_bytes(bomb(60_000, 60_000))
    with pytest.raises(Exception, match="too many pixels"):
        visitor(endpoint, **{place: handle_file(str(tmp_path / "bomb.png")) for place in places})
