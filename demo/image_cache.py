"""Pictures that Gradio keeps for the browser: each appears whole or not at all.

Gradio names such a file by its content and writes it anew, in place, every time the same picture is shown. A browser
that is just fetching it then gets half a file and shows a broken picture. Ours is written beside and renamed, as Gradio
itself does with files that are handed over by their path.
"""

from __future__ import annotations

import os
from pathlib import Path

from gradio import processing_utils
from PIL import Image

from weights.atomic import replacing


def kept(img: Image.Image, cache_dir: str, name: str = "image", format: str = "webp") -> str:
    """The path of ``img`` in Gradio's cache; takes the place of ``gradio.processing_utils.save_pil_to_cache``."""
    data = processing_utils.encode_pil_to_bytes(img, format)
    path = (Path(cache_dir) / processing_utils.hash_bytes(data) / f"{name}.{format}").resolve()
    try:
        os.utime(path)  # it is there; Gradio clears away what is old
    except FileNotFoundError:
        path.parent.mkdir(exist_ok=True, parents=True)
        with replacing(path) as beside:
            beside.write_bytes(data)
    return str(path)


def install() -> None:
    processing_utils.save_pil_to_cache = kept
