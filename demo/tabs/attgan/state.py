"""What one visitor holds in this tab: a photograph, the faces in it, and what one of them is to have.

It lives in a ``gr.State`` and belongs to that visitor alone. Encodings are kept on the CPU, so that a slider decodes
only, wherever the decoding is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from weights.errors import UserError

from ...networks import Reference
from ...pictures import UPLOADED
from ...session import Newest


@dataclass(frozen=True)
class Found:
    """One face, ready for edits.

    Attributes:
        reference, checkpoint, sha256, title, device: the network and where it runs.
        which: the face's number in the photograph, or ``CENTRE``.
        aligned: ``pipelines.faces.AlignedFace``.
        face: ``pipelines.attgan.Face``; what it has is what the classifier says unless the visitor said otherwise.
        odds: the classifier's probabilities by attribute.
        reconstruction: the network's picture of the face with nothing changed.
        source: the Python that makes ``photo``.
        around: what lies around the crop, of ``pipelines.faces.surroundings``; None where that is not known.
    """

    reference: Reference
    checkpoint: str
    sha256: str
    title: str
    device: str
    which: int | str
    aligned: Any
    face: Any
    odds: dict[str, float]
    reconstruction: Image.Image
    source: str = UPLOADED
    around: Any = None

    @property
    def names(self) -> list[str]:
        return list(self.face.has)


@dataclass
class State(Newest):
    """What is ``wanted`` of the face that was ``found``, what became of it, and what the classifier sees in that.

    ``local``: edits stay where their attribute lies. ``greeted``: the tab was opened before. ``version`` goes up with
    every edit: files are made of the newest only. ``faced`` goes up with every face.
    """

    photo: Image.Image | None = None
    faces: list = field(default_factory=list)
    found: Found | None = None
    wanted: dict[str, float] = field(default_factory=dict)
    edited: Image.Image | None = None
    odds: dict[str, float] | None = None
    source: str = UPLOADED
    local: bool = True
    greeted: bool = False
    faced: int = 0
    version: int = 0
    written: int = -1

    def put(self, photo: Image.Image | None, faces: list, source: str = UPLOADED) -> None:
        """Another photograph, and the Python that makes it; what belonged to the last one goes."""
        self.photo, self.faces, self.source, self.found = photo, list(faces), source, None
        self.clear()

    def take(self, found: Found) -> None:
        """One of its faces."""
        self.found = found
        self.faced += 1
        self.clear()

    def hold(self, found: Found) -> None:
        """The same face, of which edits stay where their attribute lies, or no longer do."""
        self.found, self.local = found, found.face.local

    def clear(self) -> None:
        self.wanted, self.edited, self.odds = {}, None, None
        self.version += 1

    def edit(self, wanted: dict[str, float], edited: Image.Image, odds: dict[str, float]) -> None:
        self.wanted, self.edited, self.odds = dict(wanted), edited, odds
        self.version += 1

    @property
    def key(self) -> str:
        """The same for the same edit of the same face."""
        local = self.found is not None and self.found.face.local
        return f"{self.faced} {sorted(self.wanted.items())} {local}"

    def face(self) -> Found:
        """The face that is being edited. Raises UserError as long as there is none."""
        if self.found is None:
            raise UserError("There is no face yet; choose a photograph or one of the examples first.")
        return self.found

    def whole(self) -> Image.Image:
        """The whole photograph with the edit in it."""
        from pipelines import attgan

        found = self.face()
        image, still = self.edited or found.reconstruction, found.reconstruction
        return attgan.paste(self.photo, found.aligned, found.face, still, image, self.wanted, found.around)
