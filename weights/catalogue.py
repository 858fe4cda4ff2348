"""The list of checkpoints (``catalogue.toml``) and what is known about one. Imports nothing heavy."""

from __future__ import annotations

import difflib
import functools
import os
from dataclasses import dataclass, field, fields
from pathlib import Path

from . import paths
from .errors import UserError, shown

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

FILE = Path(__file__).parent / "catalogue.toml"


@dataclass(frozen=True)
class CatalogueEntry:
    """One checkpoint. ``name`` is ``technique/short name``; sizes in bytes, resolution in pixels, None: not known.

    ``verified`` says what of the entry is known, and how.
    """

    name: str
    title: str
    licence: str
    repo: str | None = None
    file: str | None = None
    revision: str = "main"
    size: int | None = None
    sha256: str | None = None
    layout: str = "ganbook"
    resolution: int | None = None
    crop: str | None = None
    labels: tuple[str, ...] | None = None
    uses: tuple[str, ...] = ()
    loadable: bool = True
    note: str = ""
    verified: str = ""

    @property
    def technique(self) -> str:
        return self.name.split("/")[0]

    @property
    def short_name(self) -> str:
        return self.name.split("/", 1)[1]

    @property
    def shipped(self) -> bool:
        """Whether the checkpoint comes with the notebook."""
        return self.repo is None

    @property
    def path(self) -> Path | None:
        """The shipped file (whether or not it is there); None for those on the Hub."""
        return paths.embedded(self.name) if self.shipped else None

    @property
    def card(self) -> Path | None:
        """The model card of a shipped checkpoint, if it is there."""
        return _if_there(self.path and self.path.with_suffix(".md"))

    @property
    def sample(self) -> Path | None:
        """A sheet of pictures that a shipped checkpoint made, if it is there."""
        return _if_there(self.path and self.path.with_suffix(".png"))

    @property
    def link(self) -> str | None:
        """The file's page on the Hub (or on the mirror in use); None for shipped ones."""
        if self.shipped:
            return None
        hub = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        return f"{hub}/{self.repo}/blob/{self.revision}/{self.file}"


@dataclass(frozen=True)
class CheckpointInfo:
    """What a loaded network is: ``net.info``.

    ``sha256`` is that of the file it came from (for a downloaded or own file: the original one). ``crop`` tells how
    faces lie in its training pictures (``ffhq``, ``celeba`` or None), ``labels`` names its classes (or None).
    """

    name: str
    technique: str
    kind: str
    sha256: str
    title: str = ""
    licence: str = ""
    source: str = ""
    crop: str | None = None
    img_resolution: int | None = None
    c_dim: int = 0
    labels: tuple[str, ...] | None = None
    card: dict = field(default_factory=dict, compare=False)


def _if_there(path: Path | None) -> Path | None:
    return path if path and path.is_file() else None


@functools.cache
def _all() -> dict[str, CatalogueEntry]:
    with open(FILE, "rb") as file:
        rows = tomllib.load(file)["checkpoint"]
    lists = {f.name for f in fields(CatalogueEntry) if "tuple" in str(f.type)}
    made = [CatalogueEntry(**{k: tuple(v) if k in lists else v for k, v in row.items()}) for row in rows]
    return {e.name: e for e in made}


def entries() -> list[CatalogueEntry]:
    """Every entry, in the order of the catalogue; also those that this version lists but cannot load."""
    return list(_all().values())


def entry(name: str) -> CatalogueEntry:
    """The entry called ``"technique/name"``. Raises UserError, with the nearest name, if there is none."""
    if not isinstance(name, str):
        raise UserError("A checkpoint is chosen by its name, such as stylegan2/faces; the Checkpoints tab lists all.")
    found = _all().get(name)
    if found is None:
        near = difflib.get_close_matches(name[:80], _all(), n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]}?" if near else "; the Checkpoints tab lists all."
        raise UserError(f"There is no checkpoint called {shown(name)}{hint}")
    return found


def names(technique: str | None = None) -> list[str]:
    """Names that ``weights.load`` takes: with a technique its short names, else full names.

    A shipped checkpoint whose file is not there (not trained yet) is left out, as is what cannot be loaded.
    """
    found = [e for e in entries() if e.loadable and (not e.shipped or e.path.is_file())]
    if technique is None:
        return [e.name for e in found]
    return [e.short_name for e in found if e.technique == technique]
