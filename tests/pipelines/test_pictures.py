from dataclasses import dataclass

import pytest
from PIL import Image

from pipelines import pictures
from weights.errors import UserError


def colour(level: int) -> Image.Image:
    return Image.new("RGB", (8, 6), (level, 0, 0))


@dataclass
class Step:
    image: Image.Image | None


@dataclass
class Method:
    way: str
    image: Image.Image


@dataclass
class Comparison:
    image: Image.Image | None
    found: tuple = ()


RESULTS = [
    (colour(1), {"result.png": 1}),
    ([colour(1), colour(2)], {"result-01.png": 1, "result-02.png": 2}),
    ({"Bald": colour(1), "No beard/": colour(2)}, {"result-Bald.png": 1, "result-No-beard-.png": 2}),
    ([[colour(1), colour(2)], [colour(3), colour(4)]], {"result.png": 1}),
    ([Step(colour(1)), Step(colour(2))], {"result.png": 2}),
    (
        [Comparison(None), Comparison(None, (Method("a", colour(3)), Method("b", colour(4))))],
        {"result-01.png": 3, "result-02.png": 4},
    ),
]


@pytest.mark.parametrize(("result", "files"), RESULTS)
def test_whatever_a_call_gives_becomes_files(tmp_path, result, files):
    paths = pictures.save(result, tmp_path / "result")
    assert {path.name for path in paths} == set(files) == {path.name for path in tmp_path.iterdir()}
    for path in paths:
        with Image.open(path) as image:
            assert image.getpixel((0, 0)) == (files[path.name], 0, 0)


def test_sizes(tmp_path):
    [path] = pictures.save(colour(9), tmp_path / "a", size="4x")
    with Image.open(path) as image:
        assert image.size == (32, 24)
    [path] = pictures.save(colour(9), tmp_path / "a", size=64)
    with Image.open(path) as image:
        assert image.size == (64, 48)
    with pytest.raises(UserError, match="size"):
        pictures.save(colour(9), tmp_path / "b", size="huge")
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize("result", [None, [], {}, 3, "text", [Step(None)], [1, 2]])
def test_what_is_no_picture_is_told(tmp_path, result):
    with pytest.raises(UserError, match="no picture"):
        pictures.save(result, tmp_path / "a")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="choose another folder"):
        pictures.save(colour(1), tmp_path / "nowhere" / "a")
