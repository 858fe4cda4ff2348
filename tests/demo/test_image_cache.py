"""Pictures on their way to the browser are never half there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio import processing_utils
from PIL import Image

import demo
from demo import image_cache

PICTURE = Image.fromarray(np.random.RandomState(0).randint(0, 255, (40, 30, 3), dtype=np.uint8))


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(processing_utils, "save_pil_to_cache", processing_utils.save_pil_to_cache)
    image_cache.install()


def test_a_picture_shown_again_is_not_written_again(installed, tmp_path):
    """Whoever reads the file meanwhile has the same one, whole."""
    component = gr.Image(type="pil", format="png")
    component.GRADIO_CACHE = str(tmp_path)
    path = Path(component.postprocess(PICTURE).path)
    os.utime(path, (0, 0))
    before = path.stat()
    with path.open("rb") as reader:
        head = reader.read(10)
        assert Path(component.postprocess(PICTURE).path) == path
        assert head + reader.read() == path.read_bytes()
    after = path.stat()
    assert after.st_ino == before.st_ino and after.st_size == before.st_size
    assert after.st_mtime > before.st_mtime, "it counts as used, or it would be cleared away under a visitor's eyes"
    with Image.open(path) as kept:
        assert np.array_equal(np.asarray(kept), np.asarray(PICTURE))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_full_disk_leaves_no_half_picture(installed, tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space"):
            image_cache.kept(PICTURE, str(tmp_path), format="png")
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
    assert Path(image_cache.kept(PICTURE, str(tmp_path), format="png")).stat().st_size > 0


def test_the_page_uses_it(installed):
    """Gradio's own function is where it is looked for: another version of Gradio may have moved it."""
    demo.build()
    assert processing_utils.save_pil_to_cache is image_cache.kept
    component = gr.Gallery()
    (item,) = component.postprocess([PICTURE]).root
    assert Path(item.image.path).is_file()
