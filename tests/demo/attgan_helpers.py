"""What tests of the AttGAN tab share: its networks, photographs of faces that nobody has, and words to ask with."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch
from gradio_client import handle_file
from PIL import Image

from demo.tabs.attgan.handlers import Handlers
from models.attgan import Generator
from weights import paths, store
from weights.attributes import ATTRS

from .conftest import client_of, forget_all

CROP, MADE, WHOLE, ODDS, STATUS, CODE, NEWS = range(7)
FACE, FULL, RECIPE = range(3)
GROUND = (120, 140, 160)
REAL = paths.EMBEDDED


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """The networks that find, name and make faces, and an AttGAN of 64 px that has learnt nothing."""
    folder = tmp_path_factory.mktemp("embedded")
    for name in ("stylegan2/faces", "landmarks/faces", "attributes/faces", "segmentation/faces"):
        there = folder / f"{name}.safetensors"
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REAL / f"{name}.safetensors", there)
    torch.manual_seed(5)
    net = Generator(attrs=ATTRS, img_size=64, enc_dim=8, dec_dim=8, enc_layers=3, dec_layers=3)
    with torch.no_grad():  # so that its pictures differ by more than roundings
        for name, values in net.named_parameters():
            if values.ndim > 1:
                values.mul_(4 if name.startswith("dec") else 2)
    (folder / "attgan").mkdir()
    store.save(folder / "attgan" / "faces.safetensors", net, "attgan", "generator")
    yield folder
    forget_all()


@pytest.fixture(scope="module", autouse=True)
def looked():
    """Faces are looked for once in each picture; finding them has tests of its own, and takes most of the time."""
    from pipelines import faces

    seen, detect, patch = {}, faces.detect, pytest.MonkeyPatch()

    def once(image, *args, **rest):
        key = (image.mode, image.size, image.tobytes(), args, tuple(rest.items()))
        if key not in seen:
            seen[key] = detect(image, *args, **rest)
        return seen[key]

    patch.setattr(faces, "detect", once)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def people():
    """Pictures of faces that nobody has, by seed."""
    import weights
    from pipelines import stylegan2

    net = weights.load("stylegan2/faces")
    return {seed: stylegan2.picture(net, stylegan2.latent(net, seed, 0.7, None)) for seed in range(1, 11)}


def sheet(people, seeds, columns: int = 1, side: int = 150) -> Image.Image:
    """Faces on a plain ground, with room all round."""
    rows = -(-len(seeds) // columns)
    canvas = Image.new("RGB", (columns * 200 + 40, rows * 240), GROUND)
    for i, seed in enumerate(seeds):
        place = (i % columns) * 200 + 45, (i // columns) * 240 + 40
        canvas.paste(people[seed].resize((side, side), Image.Resampling.BICUBIC), place)
    return canvas


@pytest.fixture(scope="module")
def album(people, tmp_path_factory):
    """``album(name)``: a photograph in a file."""
    folder = tmp_path_factory.mktemp("album")
    made = {
        "one.png": lambda: sheet(people, [4]),
        "other.png": lambda: sheet(people, [7]),
        "two.png": lambda: sheet(people, [4, 7], 2),
        "ten.png": lambda: sheet(people, list(people), 5),
        "nobody.png": lambda: Image.new("RGB", (300, 200), GROUND),
    }

    def of(name: str) -> Path:
        path = folder / name
        if not path.exists():
            made[name]().save(path)
        return path

    return of


@pytest.fixture(scope="module")
def regular(page):
    """A visitor of several tests, who makes mistakes; each test begins with a face of its own."""
    client = client_of(page.local_url)

    def call(endpoint: str, /, **arguments):
        return client.predict(api_name=f"/{endpoint}", **arguments)

    yield call
    client.close()


@pytest.fixture
def photo(album):
    return handle_file(album("one.png"))


def value(answer):
    """What a button or a picture holds; Gradio gives some of them with their settings."""
    return answer["value"] if isinstance(answer, dict) else answer


def pixels(path) -> np.ndarray:
    with Image.open(value(path)) as image:
        return np.asarray(image.convert("RGB"))


def ticked(html: str) -> list[str]:
    return re.findall(r"<span>([^<]+)</span>", html)


def run(code: str, photograph: Path, folder: Path, monkeypatch):
    """What the Code view's Python makes of the photograph."""
    monkeypatch.chdir(folder)
    shutil.copyfile(photograph, folder / "your-photograph.png")
    names: dict = {}
    exec(code, names)
    return names["result"]


def handlers(page) -> Handlers:
    return next(fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == "tick").__wrapped__.__self__


def unchanged(updates) -> bool:
    """Whether the page stays as it is; an event that ends without a word would empty all that it may change."""
    return all(value == gr.skip() for update in updates for value in update.values())


def press(index: int) -> SimpleNamespace:
    """A tile of a gallery that was tapped."""
    return SimpleNamespace(key=str(index))


@pytest.fixture
def counted(monkeypatch):
    """How often the two halves of the network run."""
    from pipelines import attgan

    counts, fast = {"encode": 0, "decode": 0}, attgan.fast

    class Counting:
        def __init__(self, net):
            self.inner = fast(net)

        def encode(self, *args):
            counts["encode"] += 1
            return self.inner.encode(*args)

        def decode(self, *args):
            counts["decode"] += 1
            return self.inner.decode(*args)

    monkeypatch.setattr(attgan, "fast", Counting)
    return counts
