"""What a visitor takes home: animations, sheets, recipes that bring everything back, code that makes it again."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageSequence

from .server import ROOT
from .visit import WIDE, pixels

# What each cell is set to: control and value, in the order of setting; and where its pictures are then.
SET = {
    "sample": ({"seeds": "3, 7-8", "psi": 0.55, "noise-mode": "random", "noise-seed": 9}, ["gallery"], "run"),
    "truncation": ({"seed": 12, "psis": "-0.5, 0.5, 1", "psi-fine": 0.25, "cutoff": 6}, ["strip"], "run"),
    "mixing": (
        {"rows": "1, 4", "cols": "11-12", "layers": "middle", "psi": 0.8, "noise-mode": "none"},
        ["grid"],
        "run",
    ),
    "interpolation": (
        {"seeds": "5-6", "frames": 7, "fps": 12, "space": "z", "easing": "smooth", "loop": False, "format": "webp"},
        ["animation"],
        "run",
    ),
    "noise": ({"seed": 21, "count": 4, "psi": 0.6, "noise-seed": 3}, ["gallery", "heat"], "run"),
    "directions": ({"seed": 8, "layers": "coarse", "direction-1": 3, "smiling": -2.5}, ["picture"], "run"),
}
# The same controls, moved somewhere else.
ELSEWHERE = {
    "sample": {"seeds": "1", "psi": 1, "noise-mode": "const"},
    "truncation": {"seed": 1, "psis": "0", "psi-fine": "", "cutoff": ""},
    "mixing": {"rows": "2", "cols": "3", "layers": "fine", "psi": 0.3, "noise-mode": "const"},
    "interpolation": {
        "seeds": "1-3",
        "frames": 3,
        "fps": 5,
        "space": "w",
        "easing": "linear",
        "loop": True,
        "format": "gif",
    },
    "noise": {"seed": 1, "count": 2, "psi": 0.9, "noise-seed": 0},
    "directions": {"seed": 1, "layers": "all", "direction-1": 0, "smiling": 0},
}


def put(visit, cell: str, values: dict) -> None:
    for name, value in values.items():
        control = f"{cell}-{name}"
        if isinstance(value, bool):
            visit.tick(control, value)
        elif name in ("noise-mode", "space", "easing", "format"):
            visit.pick(control, value)
        elif name == "layers":
            visit.choose(control, value)
        else:
            visit.write(control, value)


def stands(visit, cell: str) -> dict[str, str]:
    return {name: visit.value(f"{cell}-{name}") for name in SET[cell][0]}


def pictures(visit, cell: str) -> list[np.ndarray]:
    return [picture for part in SET[cell][1] for picture in visit.pictures(f"{cell}-{part}")]


@pytest.fixture(scope="module")
def taken(windows, tmp_path_factory):
    """Every cell set and run once: recipe file, controls, pictures and code by cell."""
    visit = windows.at_first_tab(WIDE)
    folder, found = tmp_path_factory.mktemp("taken"), {}
    visit.unfold("truncation-levels")
    for cell, (values, _parts, button) in SET.items():
        put(visit, cell, values)
        visit.press(f"{cell}-{button}")
        visit.ran(cell)
        found[cell] = {
            "recipe": visit.download(f"{cell}-recipe", folder),
            "download": visit.download(f"{cell}-download", folder),
            "stands": stands(visit, cell),
            "pictures": pictures(visit, cell),
            "code": visit.code(cell),
        }
    return found


@pytest.mark.parametrize("cell", SET)
def test_a_recipe_brings_everything_back(wide, taken, cell):
    """Download, move every control, load: the same pixels, and the controls as they were."""
    before = taken[cell]
    assert before["pictures"]
    assert json.loads(before["recipe"].read_text())["checkpoint"]["name"] == "stylegan2/faces"
    put(wide, cell, ELSEWHERE[cell])
    wide.press(f"{cell}-run")
    moved = pictures(wide, cell)
    assert len(moved) != len(before["pictures"]) or any(
        a.shape != b.shape or (a != b).any() for a, b in zip(moved, before["pictures"], strict=True)
    )
    wide.upload(f"{cell}-recipe-load", before["recipe"])
    wide.ran(cell)
    assert stands(wide, cell) == before["stands"]
    after = pictures(wide, cell)
    assert len(after) == len(before["pictures"])
    assert all(np.array_equal(a, b) for a, b in zip(after, before["pictures"], strict=True))
    wide.screenshot(f"recipe-{cell}", cell)


RUN_ALL = """
import json, sys
import numpy as np
from PIL import Image
for cell, code in json.load(open("codes.json")).items():
    names = {}
    exec(compile(code, cell, "exec"), names)
    result = names["result"]
    if cell == "noise":
        result = [*result.images, result.deviation]
    if isinstance(result, Image.Image):
        result = [result]
    if isinstance(result[0], list):
        result = [picture for row in result for picture in row]
    np.savez(f"{cell}.npz", *[np.asarray(picture.convert("RGB")) for picture in result])
"""


@pytest.fixture(scope="module")
def repeated(taken, server, tmp_path_factory):
    """What the code on the page makes where a reader runs it: another process, another folder."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "codes.json").write_text(json.dumps({cell: found["code"] for cell, found in taken.items()}))
    environment = {**server.environment, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("cell", SET)
def test_the_code_makes_the_pictures_of_the_page(taken, repeated, cell):
    made = [array for _name, array in sorted(np.load(repeated / f"{cell}.npz").items(), key=lambda x: int(x[0][4:]))]
    shown = taken[cell]["pictures"]
    if cell == "interpolation":
        first = next(ImageSequence.Iterator(Image.open(repeated / "animation.webp"))).convert("RGB")
        assert np.array_equal(shown[0], np.asarray(first)) and len(made) == 7
        assert (repeated / "animation.webp").read_bytes() == taken[cell]["download"].read_bytes()
        return
    if cell == "mixing":  # the page has the seeds' own pictures before each row and above the columns
        shown = [picture for i, picture in enumerate(shown[2:]) if i % 3]
    assert len(shown) == len(made)
    assert all(np.array_equal(a, b) for a, b in zip(shown, made, strict=True))


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_animation_file(wide, tmp_path, kind):
    """12 frames at 10 a second, in each of the formats, out of the page's own button."""
    put(
        wide, "interpolation", {"seeds": "1-2", "frames": 12, "fps": 10, "space": "w", "easing": "linear", "loop": True}
    )
    wide.write("sample-seeds", "1")
    wide.press("sample-run")
    side = wide.pictures("sample-gallery")[0].shape[0]
    options = wide.at("interpolation-format").locator("input").evaluate_all("all => all.map(e => e.value)")
    if kind not in options:
        pytest.skip(f"this machine writes {', '.join(options)}")
    wide.pick("interpolation-format", kind)
    wide.press("interpolation-run")
    assert wide.ran("interpolation").startswith("12 frames")
    path = wide.download("interpolation-download", tmp_path)
    assert path.suffix == f".{kind}"
    if kind == "mp4":
        av = pytest.importorskip("av")
        with av.open(str(path)) as film:
            video = film.streams.video[0]
            assert video.average_rate == 10
            frames = list(film.decode(video))
        assert len(frames) == 12
        assert frames[0].width == frames[0].height and frames[0].width % side == 0
        return
    with Image.open(path) as film:
        # A WebP frame knows its duration only when it has been decoded.
        durations = [(frame.load(), frame.info["duration"])[1] for frame in ImageSequence.Iterator(film)]
        assert film.size == (side, side) and film.n_frames == 12
        assert film.info["loop"] == 0
    assert sum(durations) == 1200
    shown = wide.bytes(wide.addresses("interpolation-animation")[0])
    assert shown == path.read_bytes(), "what is shown is what is kept"


def test_sheet(wide, tmp_path):
    """The contact sheet holds the very pixels of the single pictures."""
    put(wide, "sample", {"seeds": "1-2", "psi": 0.7, "noise-mode": "const"})
    wide.press("sample-run")
    first, second = wide.pictures("sample-gallery")
    sheet = pixels(wide.download("sample-download", tmp_path).read_bytes())
    side = first.shape[0]
    assert np.array_equal(sheet[:side, :side], first) and np.array_equal(sheet[:side, -side:], second)


def test_one_picture_out_of_the_gallery(wide):
    """The gallery hands out the same bytes that it shows, under a name that tells what it is."""
    address = wide.addresses("sample-gallery")[0]
    assert os.path.basename(address).startswith("faces-seed-1")
