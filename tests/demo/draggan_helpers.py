"""What tests of the DragGAN tab share: what is drawn and asked for, and ways to its events."""

from __future__ import annotations

import numpy as np
from PIL import Image

from demo import canvas

from .conftest import events_of

SIZE = 32
SHEET, COMPARE, LATENT, RECIPE, CODE, STATUS, NEWS = range(7)


def drawing(*points, mask=None, size=SIZE) -> dict:
    layers = {} if mask is None else {"mask": canvas.Layer(np.asarray(mask, np.uint8))}
    return canvas.drawn((size, size), points or [((8, 10), (20, 18))], layers)


def arguments(**changes) -> dict:
    return {"network": "stylegan2/faces", "seed": 4, "drawing": drawing(), "steps": 5, **changes}


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def run(code: str) -> list:
    names: dict = {}
    exec(code, names)
    return names["result"]


def events(page, name: str):
    """The function behind an event of the tab."""
    found = events_of(page, name)
    mine = [event for cell, event in found.items() if cell.startswith("dg-")] or list(found.values())
    return mine[0] if mine else next(fn.fn for fn in page.fns.values() if getattr(fn.fn, "__name__", "") == name)


def handlers(page):
    return events(page, "stop").__self__


def defaults(page, **changes) -> list:
    found = handlers(page)
    return [changes.get(name, found.part[name].value) for name in found.parameters]
