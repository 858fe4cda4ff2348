"""What tests of the iGAN tab share: its networks, photographs, and hands that draw."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from demo import canvas
from demo.tabs.igan.handlers import Handlers
from models.dcgan import DCGAN
from weights import paths, store

from .conftest import forget_all, tiny

SHEET, LATENT, RECIPE, CODE, STATUS, NEWS = range(6)  # of what igan_brush gives
SIZE = 32
REAL = paths.EMBEDDED
SETTINGS = {"starts": 4, "steps": 3, "smoothness": 1.0}


def dcgan(path: Path, seed: int, predictor: bool = True) -> None:
    """A network of 32 px that has learnt nothing, but whose pictures differ enough to be steered."""
    torch.manual_seed(seed)
    parts = {"widths": (8, 8, 16)}
    predicts = {**parts, "outputs": 16, "bounded": True} if predictor else None
    net = DCGAN({"z_dim": 16, "widths": (32, 16, 16), "prior": "uniform"}, {**parts, "norm": "none"}, predicts)
    with torch.no_grad():
        for name, values in net.named_parameters():
            if values.ndim > 1:
                values.mul_(12.0 if name.startswith("generator") else 8.0)
    store.save(path, net, "igan", "generator")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Two DCGANs, one without a predictor, a StyleGAN2, and the classifier whose features projections compare."""
    folder = tmp_path_factory.mktemp("embedded")
    (folder / "attributes").mkdir()
    shutil.copyfile(REAL / "attributes" / "faces.safetensors", folder / "attributes" / "faces.safetensors")
    dcgan(folder / "igan" / "shoes.safetensors", 1)
    dcgan(folder / "igan" / "flowers.safetensors", 2, predictor=False)
    tiny(folder / "stylegan2" / "faces.safetensors", 1)
    yield folder
    forget_all()


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    """A photograph with more detail than any network of 32 px has."""
    path = tmp_path_factory.mktemp("album") / "photograph.png"
    rng = np.random.default_rng(0)
    ramp = np.linspace(40, 200, 240)[None, :, None] * np.ones((180, 1, 3))
    noise = rng.normal(0, 12, (180, 240, 3))
    Image.fromarray((ramp + noise).clip(0, 255).astype(np.uint8)).save(path)
    return path


def drawing(colour=None, line: bool = False, patches=(), size: int = SIZE) -> dict:
    """What a hand has drawn: a stroke of a colour, a line, patches as (source, target, side)."""
    layers = {}
    if colour is not None:
        painted = Image.new("RGBA", (64, 64))
        painted.paste((*colour, 255), (16, 20, 48, 40))
        layers["colour"] = canvas.Layer.of(painted)
    if line:
        cells = np.zeros((64, 64), np.uint8)
        cells[30:33, 8:56] = 1
        layers["sketch"] = canvas.Layer(cells)
    moved = [canvas.Patch(*patch) for patch in patches]
    return canvas.drawn((size, size), layers=layers, patches=moved)


RED = drawing((220, 40, 30))
PATCH = ((8.5, 8.5), (20.5, 14.5), 8)


def value(answer):
    """What a button or a picture holds; Gradio gives some of them with their settings."""
    return answer["value"] if isinstance(answer, dict) else answer


def pixels(path) -> np.ndarray:
    with Image.open(value(path)) as image:
        return np.asarray(image.convert("RGB"))


def run(code: str, folder: Path, monkeypatch):
    """What the Code view's Python makes."""
    monkeypatch.chdir(folder)
    names: dict = {}
    exec(code, names)
    return names["result"]


def handlers(page) -> Handlers:
    return next(fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == "paint").__wrapped__.__self__


def press(key: str) -> SimpleNamespace:
    """A tile that was pressed."""
    return SimpleNamespace(key=key)
