"""Where checkpoints lie on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

EMBEDDED = Path(__file__).parent / "embedded"


def cache() -> Path:
    """The folder for downloads and conversions: ``$GANBOOK_CACHE``, else ``ganbook`` in the platform's cache folder."""
    stated = os.environ.get("GANBOOK_CACHE")
    if stated:
        return Path(stated).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "ganbook"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "ganbook" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "ganbook"


def embedded(name: str) -> Path:
    """``"stylegan2/faces"`` -> the file that ships under this name, whether or not it is there."""
    return EMBEDDED / f"{name}.safetensors"


def hub_cache() -> Path:
    """The folder in which huggingface_hub keeps files, by its own environment variables, without importing it."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.path.expandvars(os.environ[variable])).expanduser()
    home = os.environ.get("HF_HOME")
    if not home:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return Path(os.path.expandvars(str(home))).expanduser() / "hub"
