"""Pictures that are pressed: candidates, a map of pictures. They may change many times a second without a flicker.

``board`` makes the component, ``shown`` is what it shows: ``{tiles_component: shown(...)}``. A press is a ``select``
event whose ``gr.EventData`` has the ``key`` of the tile. The script is ``assets/tiles.js``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from PIL import Image

from . import tables

SIDE = 192  # pixels of a picture on the page at most


@dataclass(frozen=True)
class Tile:
    """``key`` is what a press gives; ``caption`` stands below the picture, ``alt`` for it."""

    key: str
    image: Image.Image
    caption: str = ""
    alt: str = ""


def board(label: str, classes: Sequence[str] = (), **options: Any) -> gr.HTML:
    """The component; ``options`` are those of ``gr.HTML``, such as ``elem_id``. Empty, it takes no room."""
    return gr.HTML(
        None,
        label=label,
        html_template=f'<div class="gt gt-none" role="group" aria-label="{escape(label)}"></div>',
        js_on_load="ganbookTiles.attach(element, trigger, props, watch);",
        apply_default_css=False,
        tiles=None,
        elem_classes=list(classes),
        **options,
    )


def shown(
    tiles: Iterable[Tile],
    chosen: str | None = None,
    columns: int | None = None,
    passing: bool = False,
    side: int = SIDE,
) -> dict:
    """An update that shows pictures.

    Args:
        chosen: the key of the tile that is marked.
        columns: how many stand in a row; as many as there is room for if None.
        passing: other pictures come in a moment, so these may lose a little.
        side: larger pictures are made this small.
    """
    items = [
        {"key": t.key, "picture": _address(t.image, passing, side), "caption": t.caption, "alt": t.alt or t.caption}
        for t in tiles
    ]
    return gr.update(tiles={"items": items, "chosen": chosen, "columns": columns})


def _address(image: Image.Image, passing: bool, side: int) -> str:
    if max(image.size) > side:
        image = image.copy()
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    if passing:
        return tables.data_uri(image, "JPEG", quality=88)
    return tables.data_uri(image, compress_level=1)
