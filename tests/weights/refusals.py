"""How a file is refused: by the reader in its process, or, for tests that look at hundreds of files, without it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from crafted import one_sentence

import weights
from weights import conversion

MARKERS = [Path("/tmp") / f"pwned_by_{what}" for what in ("pickle", "storage_bytes", "module_src", "torch_load")]


def refused(path, **options) -> str:
    with pytest.raises(weights.RefusedFile) as error:
        weights.read(path, **options)
    return one_sentence(error.value)


def converted_here(path) -> None:
    """What the reader does with a file, without its process, for tests that look at hundreds of files."""
    with tempfile.TemporaryDirectory() as folder:
        conversion.convert(str(path), "generator", 2**30, folder, {})


def refused_here(path) -> str:
    with pytest.raises(weights.RefusedFile) as error:
        converted_here(path)
    return one_sentence(error.value)
