"""AttGAN (He et al. 2019): what a face has, and what it would look like with something else.

``net`` is a generator of ``weights.load("attgan/faces")`` or of a file of one's own. Pictures are aligned faces as
``faces.align`` gives them; of another size than the network's they are resized. Values out of bounds raise
``UserError``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import weights
from models import device_of, regions
from models.attgan import CONFLICTS, Generator
from models.attgan_inference import Encoded, fast
from models.attributes import Classifier
from models.segmentation import Parts
from weights.errors import UserError

from . import checks, faces, progress
from .faces import surroundings
from .faces.segmentation import parts
from .images import decode_image, encode_image, to_pil
from .registry import recipe

__all__ = [
    "Change",
    "Face",
    "attributes",
    "change",
    "clashes",
    "cleared",
    "decode_image",
    "edit",
    "encode",
    "encode_image",
    "flips",
    "names",
    "opposite",
    "paste",
    "restricted",
    "shown",
    "slide",
]

TRAINED = 0.5  # what training showed the decoder for yes; no is the negative (He et al. 2019, their programs)
MAX_INTENSITY = 2.0
MAX_FRAMES = 200
DEFAULT_SIZE = 128  # of networks whose file does not say it
CLASSIFIER = "attributes/faces"
RECONSTRUCTION = "Reconstruction"


@dataclass(frozen=True)
class Face:
    """A face as the network knows it: edits of it decode only.

    Attributes:
        image: the aligned picture, at the network's size.
        has: for each attribute of the network whether the face has it, as the decoder is told.
        encoded: the encoder's maps, on the network's device.
        parts: where the person is and the hair, if edits are to change only what belongs to the attribute; else None.
        still: with ``parts``, the network's picture ``[1, 3, S, S]`` of the face with nothing changed; else None.
    """

    image: Image.Image
    has: dict[str, bool]
    encoded: Encoded
    parts: Parts | None = None
    still: Tensor | None = None

    @property
    def local(self) -> bool:
        return self.parts is not None

    def to(self, device: str | torch.device) -> Face:
        """The same face with its maps on a device: "cpu" between the events of a page."""
        still = None if self.still is None else self.still.to(device)
        return replace(self, encoded=self.encoded.to(device), still=still)


@dataclass(frozen=True)
class Change:
    """A change of attributes with its consequences.

    Attributes:
        wanted: the intensities that were asked for, by attribute; positive for having it.
        cleared: attributes that the face loses because what was asked for contradicts them, and by what.
        values: what the decoder is told, by attribute.
    """

    wanted: dict[str, float]
    cleared: dict[str, str]
    values: dict[str, float]


# -- what a face has ---------------------------------------------------------------------------------------------


def attributes(image: Image.Image, classifier: Classifier | None = None) -> dict[str, float]:
    """The probability of every attribute that the classifier knows, 0 to 1, by name.

    Args:
        image: an aligned face in the crop ``celeba``, any size.
        classifier: of ``weights.load("attributes/faces")``, which is taken if none is given.
    """
    classifier = classifier or weights.load(CLASSIFIER)
    x = _tensor(image, classifier.img_size, device_of(classifier))
    with torch.inference_mode():
        found = torch.sigmoid(classifier(x))[0].tolist()
    return dict(zip(classifier.attrs, found, strict=True))


def names(net: Generator) -> list[str]:
    """The attributes that a network edits, in its order; numbered where its file names none."""
    return list(net.attrs) if net.attrs else [f"Attribute {i + 1}" for i in range(net.n_attrs)]


def encode(
    net: Generator, image: Image.Image | str, has: Mapping[str, bool] | None = None, local: bool = False
) -> Face:
    """Reads a face once for any number of edits.

    Args:
        image: an aligned face, or the text of ``encode_image``.
        has: attributes by name that it has or has not; what is not said, the classifier says.
        local: what an edit changes outside of its attribute's region (``models.regions``) is undone, the background
            above all: ours, for a face in the crop ``celeba``. Without, the picture is all the network's (the paper).
    """
    known = names(net)
    has = {} if has is None else dict(has)
    unknown = [name for name in has if name not in known]
    if unknown:
        raise UserError(_unknown(unknown[0], known))
    if isinstance(image, str):
        image = decode_image(image)
    size = net.img_size or DEFAULT_SIZE
    image = _sized(image, size)
    if any(name not in has for name in known):
        told = attributes(image)
        has = {name: bool(has.get(name, told.get(name, 0.0) > 0.5)) for name in known}
    x = _tensor(image, size, device_of(net))
    face = Face(image, {name: bool(has[name]) for name in known}, fast(net).encode(x))
    return restricted(net, face, local)


def restricted(net: Generator, face: Face, local: bool) -> Face:
    """The same face for edits that are ``local``, see ``encode``, or are not. Raises UserError."""
    if not isinstance(local, bool):
        raise UserError("Whether an edit stays where its attribute lies is true or false.")
    if local == face.local:
        return face
    if not local:
        return replace(face, parts=None, still=None)
    source = _has(net, face)
    still = fast(net).decode(face.encoded, net.told(source[None], source))
    return replace(face, parts=parts(face.image), still=still)


# -- what it is to become ------------------------------------------------------------------------------------------


def change(net: Generator, has: Mapping[str, bool], wanted: Mapping[str, float]) -> Change:
    """What the decoder is told for a face that ``has`` attributes, and is to get the ``wanted`` intensities.

    An attribute that is asked for takes its intensity (-2 to 2; 1 is the usual test intensity, 0.5 what training showed
    for yes), whatever the face has. What contradicts one that is switched on is switched off: one colour of hair, bald
    and bangs, moustache and no beard (He et al. 2019, their programs), unless it was itself asked for.
    """
    known = names(net)
    if not isinstance(wanted, Mapping):
        raise UserError("Attributes are given by name, such as Eyeglasses: 1.")
    intensities = {}
    for name, value in wanted.items():
        if name not in known:
            raise UserError(_unknown(name, known))
        intensities[name] = checks.number(value, f"The intensity of {shown(name)}", -MAX_INTENSITY, MAX_INTENSITY)
    values = {name: TRAINED if has[name] else -TRAINED for name in known}
    lost = cleared(has, intensities)
    return Change(intensities, lost, values | dict.fromkeys(lost, -TRAINED) | intensities)


def cleared(has: Mapping[str, bool], wanted: Mapping[str, float]) -> dict[str, str]:
    """What a face loses because it contradicts what is wanted, and which wish it is that it contradicts."""
    return {
        other: name
        for name, value in wanted.items()
        if value > 0
        for group in CONFLICTS
        if name in group
        for other in group
        if other != name and other not in wanted and has.get(other)
    }


def clashes(wanted: Mapping[str, float]) -> list[tuple[str, str]]:
    """Pairs that are both switched on and cannot both be had."""
    on = [name for name, value in wanted.items() if value > 0]
    return [(a, b) for i, a in enumerate(on) for b in on[i + 1 :] if any(a in g and b in g for g in CONFLICTS)]


def opposite(face: Face, name: str, intensity: float = 1.0) -> dict[str, float]:
    """The change that turns one attribute over."""
    return {name: -intensity if face.has[name] else intensity}


# -- pictures --------------------------------------------------------------------------------------------------------


@recipe("image")
def edit(
    net: Generator,
    image: Image.Image | str | Face,
    attributes: Mapping[str, float],
    has: Mapping[str, bool] | None = None,
    local: bool = False,
) -> Image.Image:
    """The face with attributes changed: ``edit(net, image, {"Eyeglasses": 1.0, "Young": -1.0})``.

    Args:
        image: an aligned face, the text of ``encode_image``, or what ``encode`` gave (then ``has`` and ``local`` are
            not looked at).
        attributes: intensities by name, -2 to 2; none gives the reconstruction.
        has, local: see ``encode``.
    """
    face = _face(net, image, has, local)
    return _decoded(net, face, [change(net, face.has, attributes)])[0]


def paste(
    photo: Image.Image,
    aligned: faces.AlignedFace,
    face: Face,
    reconstruction: Image.Image,
    edited: Image.Image,
    attributes: Mapping[str, float],
    around: Parts | None = None,
) -> Image.Image:
    """The photograph with an edit of a face that was cut out of it: ``faces.paste``, and beyond the crop as well.

    The crop ends within the hair. Where edits of ``face`` are ``local``, it is known what belongs to the attribute on
    both sides of the border, and the change goes on there.

    Args:
        aligned: the crop, as ``face`` was encoded from it.
        reconstruction, edited: of ``edit``, with nothing and with ``attributes``.
        around: of ``surroundings.around``, for those who paste often.
    """
    beyond = None
    if face.local and aligned.crop == "celeba":
        names = (*attributes, *cleared(face.has, attributes))
        beyond = surroundings.beyond(around or surroundings.around(photo, aligned), names, aligned.size)
    return faces.paste(photo, aligned, reconstruction, edited, beyond=beyond)


@recipe("images")
def flips(
    net: Generator,
    image: Image.Image | str | Face,
    intensity: float = 1.0,
    has: Mapping[str, bool] | None = None,
    local: bool = False,
) -> dict[str, Image.Image]:
    """The reconstruction (``"Reconstruction"``), then the face with each attribute turned over, by attribute.

    Args:
        intensity: 0 to 2 of what is switched on or off.
    """
    face = _face(net, image, has, local)
    intensity = checks.number(intensity, "The intensity", 0, MAX_INTENSITY)
    changes = [change(net, face.has, {})]
    changes += [change(net, face.has, opposite(face, name, intensity)) for name in face.has]
    return dict(zip([RECONSTRUCTION, *face.has], _decoded(net, face, changes), strict=True))


@recipe("frames")
def slide(
    net: Generator,
    image: Image.Image | str | Face,
    attribute: str,
    low: float = -2.0,
    high: float = 2.0,
    frames: int = 9,
    attributes: Mapping[str, float] | None = None,
    has: Mapping[str, bool] | None = None,
    local: bool = False,
) -> Iterator[Image.Image]:
    """One attribute from one intensity to another in even steps.

    Args:
        low, high: -2 to 2.
        frames: 2 to 200.
        attributes: intensities of others, held.
    """
    low, high = (checks.number(v, "An intensity", -MAX_INTENSITY, MAX_INTENSITY) for v in (low, high))
    frames = checks.integer(frames, "The number of frames", 2, MAX_FRAMES)
    if attribute not in names(net):
        raise UserError(_unknown(attribute, names(net)))
    others = {k: v for k, v in (attributes or {}).items() if k != attribute}
    change(net, dict.fromkeys(names(net), False), others)  # whatever is wrong is said before anything is made

    def made() -> Iterator[Image.Image]:
        face = _face(net, image, has, local)
        for value in np.linspace(low, high, frames).tolist():
            yield _decoded(net, face, [change(net, face.has, {**others, attribute: value})])[0]

    return made()


def _face(net: Generator, image, has, local) -> Face:
    return image if isinstance(image, Face) else encode(net, image, has, local)


def _decoded(net: Generator, face: Face, changes: Sequence[Change]) -> list[Image.Image]:
    if face.local and not all(c.wanted for c in changes):  # nothing is to change: that picture is made already
        asked = iter(_decoded(net, face, some) if (some := [c for c in changes if c.wanted]) else [])
        [still] = to_pil(face.still)
        return [next(asked) if c.wanted else still.copy() for c in changes]
    rows = torch.tensor([list(c.values.values()) for c in changes], device=device_of(net))
    rows, made = net.told(rows, _has(net, face)), []
    for first, part in zip(range(0, len(rows), 16), rows.split(16), strict=True):
        x = fast(net).decode(face.encoded, part)
        if face.local:
            where = [_where(face, one) for one in changes[first : first + len(part)]]
            x = torch.lerp(face.still.to(x), x, torch.from_numpy(np.stack(where))[:, None].to(x))
        made += to_pil(x)
        progress.passed(len(made), len(rows))
    return made


def _has(net: Generator, face: Face) -> Tensor:
    """What the face has, as the decoder is told it, ``[n_attrs]``."""
    return torch.tensor([TRAINED if has else -TRAINED for has in face.has.values()], device=device_of(net))


def _where(face: Face, made: Change) -> np.ndarray:
    """``[S, S]`` in 0..1: where a change may show. Everywhere, if where one of its attributes lies is not known."""
    size = face.image.width
    found = regions.union((*made.wanted, *made.cleared), size, parts=face.parts)
    return np.ones((size, size), np.float32) if found is None else found


# -- in and out --------------------------------------------------------------------------------------------------


def shown(name: str) -> str:
    """An attribute as a reader would write it: ``Mouth_Slightly_Open`` -> ``mouth slightly open``."""
    return str(name)[:40].replace("_", " ").lower()


def _unknown(name, known: Sequence[str]) -> str:
    return f"This network knows no attribute “{str(name)[:30]}”; it knows {', '.join(known)}."


def _sized(image: Image.Image, size: int) -> Image.Image:
    if not isinstance(image, Image.Image):
        raise UserError("A face is a picture; open the file with PIL.Image.open first.")
    image = image.convert("RGB")
    if min(image.size) < 8 or max(image.size) > 8192:
        raise UserError("The aligned face must have 8 to 8192 pixels a side.")
    return image if image.size == (size, size) else image.resize((size, size), Image.Resampling.LANCZOS)


def _tensor(image: Image.Image, size: int, device) -> Tensor:
    """``[1, 3, size, size]`` in [-1, 1]."""
    levels = np.asarray(_sized(image, size), dtype=np.float32)
    return torch.from_numpy(levels / 127.5 - 1).permute(2, 0, 1)[None].to(device)
