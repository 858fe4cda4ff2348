"""What one visitor holds in this tab: a photograph, its latent, and what is changed of it.

It lives in a ``gr.State`` and belongs to that visitor alone. What is slow is kept: the latent for a photograph, T and
its map for an edit; a slider of the mask only blends.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image

from pipelines.defaults import MaskOptions, usual_strength
from weights.errors import UserError

from ...networks import Reference
from ...pictures import UPLOADED
from ...session import Newest

MOST = 16  # sliders on the page
OWN = 4  # directions of one's own


@dataclass(frozen=True)
class Found:
    """One face, cut out for one network.

    Attributes:
        reference, checkpoint, sha256, title, device, size: the network, where it runs, and pixels of its pictures.
        which: the face's number in the photograph, or ``CENTRE``.
        aligned: ``pipelines.faces.AlignedFace``.
        names: its directions; ``missing`` a sentence about each part that is not there, ``parts`` the hashes of others.
        source: the Python that makes the photograph.
    """

    reference: Reference
    checkpoint: str
    sha256: str
    title: str
    device: str
    size: int
    which: int | str
    aligned: Any
    names: tuple[str, ...]
    missing: dict[str, str]
    parts: dict[str, str | None]
    source: str = UPLOADED


@dataclass(frozen=True)
class Way:
    """How the latent was found: ``told`` says it in words, ``arguments`` for ``out_of_domain.invert`` (None: by hand,
    such as a search that was stopped, so that only the latent itself repeats it)."""

    told: str
    arguments: dict | None


@dataclass
class State(Newest):
    """``known`` is ``out_of_domain.Inverted``, ``change`` T and its map, ``made`` every stage as it is shown.

    ``wanted``: strength by direction; ``own``: directions out of files, as text; ``apart``: named ones without what
    they have of each other. ``mask``: how all that is laid over the photograph, painted areas as text. ``version`` goes
    up with every edit: files are made of the newest only; ``faced`` with every face. ``offered``: the face is there to
    be seen, and nobody has asked for it.
    """

    photo: Image.Image | None = None
    faces: list = field(default_factory=list)
    found: Found | None = None
    known: Any = None
    way: Way | None = None
    faced: int = 0
    wanted: dict[str, float] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)
    mask: MaskOptions = MaskOptions()
    apart: bool = False
    change: Any = None
    made: Any = None
    greeted: bool = False
    offered: bool = False
    searching: bool = False
    stopped: bool = False
    version: int = 0
    written: int = -1

    def put(self, photo: Image.Image | None, faces: list, found: Found | None) -> None:
        """Another photograph or another face of it; what belonged to the last one goes."""
        if found is None or self.found is None or found.sha256 != self.found.sha256:
            self.own = {}
        self.photo, self.faces, self.found = photo, list(faces), found
        self.offered = False
        self.faced += 1
        self.known = self.way = self.change = self.made = None
        self.wanted, self.mask = {}, replace(self.mask, add=None, keep=None)
        self.version += 1

    @contextmanager
    def tried(self) -> Iterator[None]:
        """What is wanted may be changed inside; when that does not work out, it is as it was before."""
        before = dict(self.wanted), dict(self.own), self.mask, self.apart, self.change
        try:
            yield
        except Exception:
            self.wanted, self.own, self.mask, self.apart, self.change = before
            raise

    @property
    def key(self) -> str:
        """The same for the same edit of the same face."""
        return f"{self.faced}-{zlib.crc32(str(self.options()).encode())}"

    @property
    def names(self) -> list[str]:
        return [*(self.found.names if self.found else ()), *self.own][:MOST]

    def tick(self, chosen: list[str]) -> None:
        """These directions are wanted: as strongly as before, new ones as is usual."""
        self.wanted = {name: self.wanted.get(name, usual_strength(name)) for name in self.names if name in chosen}

    def ready(self) -> Found:
        """The face that is being edited. Raises UserError as long as there is none."""
        if self.found is None:
            raise UserError("There is no face yet; choose a photograph or one of the examples first.")
        if self.known is None:
            raise UserError("The network does not know this face yet; press Invert it first.")
        return self.found

    @property
    def edits(self) -> list[list]:
        return [[name, value] for name, value in self.wanted.items()]

    def options(self) -> dict:
        """Arguments of ``out_of_domain.edit`` besides the photograph; what is as the function has it is left out."""
        apart = {"apart": True} if self.apart else {}
        return {"edits": self.edits, **apart, **self.mask.given()}

    def whole(self) -> Image.Image:
        """The whole photograph with the edit in it."""
        from pipelines import out_of_domain

        return out_of_domain.paste(self.photo, self.ready().aligned, self.made)
