"""What tests of the out-of-domain tab share: tiny networks, a photograph, a visitor who has inverted it."""

from __future__ import annotations

import importlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from gradio_client import handle_file
from PIL import Image, ImageDraw

from demo.session import Visitor
from models.deghosting import Deghosting
from models.diffcam import DiffCAM
from pipelines import out_of_domain as ood
from pipelines import stylegan2
from weights import hub, paths, store

from .conftest import forget_all, give_directions, last, tiny

STAGES, WHOLE, STATUS, CODE, NEWS = range(5)
FACE, FULL, MASK, RECIPE = range(4)
NAMES = ("Smiling", "Bangs", "Young")
REAL = paths.EMBEDDED
STEPS = "12"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A generator of 32 px with an untrained Diff-CAM and deghosting network, directions, and what finds faces."""
    folder = tmp_path_factory.mktemp("embedded")
    generator = folder / "stylegan2" / "faces.safetensors"
    tiny(generator, 1)
    tiny(folder / "stylegan2" / "cats.safetensors", 2)
    (folder / "landmarks").mkdir()
    shutil.copyfile(REAL / "landmarks" / "faces.safetensors", folder / "landmarks" / "faces.safetensors")
    card = {"generator": "stylegan2/faces", "generator_sha256": hub.file_sha256(generator)}
    torch.manual_seed(3)
    diffcam = DiffCAM(NAMES, img_resolution=32, widths=(4, 8, 8), head=(8, 8))
    store.save(folder / "diffcam" / "faces.safetensors", diffcam, "diffcam", "network", card)
    widths = dict(store.load(generator).synthesis.widths)
    sizes = {"img_resolution": 32, "in_size": 16, "w_dim": 16, "rrdb_channels": 4, "rrdb_growth": 2, "num_rrdbs": 1}
    clean = Deghosting(widths=widths, **sizes)
    store.save(folder / "deghosting" / "faces.safetensors", clean, "deghosting", "network", card)
    give_directions(folder, NAMES, range(8))
    yield folder
    forget_all()


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """A face that nobody has, with a bar before it, on a plain ground."""
    net = store.load(REAL / "stylegan2" / "faces.safetensors")
    face = stylegan2.picture(net, stylegan2.latent(net, 4, 0.7)).resize((150, 150), Image.Resampling.BICUBIC)
    ImageDraw.Draw(face).rectangle([0, 130, 150, 142], fill=(20, 60, 160))
    ground = Image.new("RGB", (240, 240), (120, 140, 160))
    ground.paste(face, (45, 40))
    path = tmp_path_factory.mktemp("album") / "one.png"
    ground.save(path)
    return path


@pytest.fixture
def given(visitor, photo):
    """A visitor whose photograph is inverted."""
    answer = visitor("od_photo", photo=handle_file(photo), steps=STEPS)
    assert re.search(r"likeness \w+ .* inverted after 12 steps and ([1-9]|[1-4]\d) of tuning", answer[STATUS]), (
        "search and tuning"
    )
    return visitor


def value(answer):
    return answer["value"] if isinstance(answer, dict) and "value" in answer else answer


def pixels(path) -> np.ndarray:
    with Image.open(value(path)) as image:
        return np.asarray(image.convert("RGB"))


def stages(answer) -> dict[str, np.ndarray]:
    return {item["caption"].split(" ")[0]: pixels(item["image"]) for item in value(answer[STAGES])}


def handlers(page):
    return next(fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == "soften").__wrapped__.__self__


@pytest.fixture
def state(page, photo):
    """``(hands, visitor, state)`` with the photograph inverted, as events have it."""
    mine, ann = handlers(page), Visitor()
    last(mine.look(ann, "stylegan2/faces", str(photo), "auto", STEPS))
    return mine, ann, ann.kept["out_of_domain"]


@pytest.fixture
def once(monkeypatch):
    """From here on nothing may be inverted."""
    for module in (ood, importlib.import_module("pipelines.out_of_domain.edit")):
        monkeypatch.setattr(module, "invert", lambda *a, **k: pytest.fail("inverted again"))
