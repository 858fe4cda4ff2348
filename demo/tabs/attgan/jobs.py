"""What computes for this tab: functions that run where the accelerator is, with plain values in and out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from PIL import Image

from models import device_of
from weights.errors import UserError

from ...networks import Reference
from ...pictures import CENTRE
from ...running import in_worker
from .state import Found


@in_worker
def _found(
    reference: Reference, photo: Image.Image, known, which, has: dict | None, sha256: str | None, local
) -> Iterator:
    from pipelines import attgan, faces, recipes
    from pipelines.faces import segmentation, surroundings

    net = reference.open()
    recipes.same_version(net.info.name, net.info.sha256, sha256)
    if has is not None and not isinstance(has, dict):
        raise UserError("What a face has is given by name, such as Male: true.")
    size = net.img_size or attgan.DEFAULT_SIZE
    if which == CENTRE:
        aligned = faces.centre_crop(photo, size)
    else:
        aligned = faces.align(photo, known[which] if known else which, net.info.crop or "celeba", size)
    face = attgan.encode(net, aligned.image, has, local and segmentation.knows(aligned.crop))
    device = device_of(net).type
    yield Found(
        reference,
        net.info.name,
        net.info.sha256,
        net.info.title,
        device,
        which,
        aligned,
        face.to("cpu"),
        attgan.attributes(aligned.image),
        attgan.edit(net, face, {}),
        around=surroundings.around(photo, aligned) if which != CENTRE and segmentation.knows(aligned.crop) else None,
    )


def found(
    reference: Reference,
    photo: Image.Image,
    known: Sequence,
    which: int | str,
    has: dict | None = None,
    sha256: str | None = None,
    local: bool = False,
) -> Found:
    """One face of a photograph: cut out, named, encoded. Raises UserError.

    Args:
        known: what ``faces.detect`` found in it.
        which: its number there, or ``CENTRE``.
        has: what the visitor says it has; what is not said, the classifier says.
        sha256: of the network that a recipe was made with.
        local: whether edits stay where their attribute lies.
    """
    [made] = _found(reference, photo, list(known), which, has, sha256, local)
    return made


@in_worker
def _restricted(reference: Reference, face, local: bool) -> Iterator:
    from pipelines import attgan

    yield attgan.restricted(*_ready(reference, face), local).to("cpu")


def restricted(found: Found, local: bool) -> Found:
    """The same face for edits that stay where their attribute lies, or do not. Raises UserError."""
    [face] = _restricted(found.reference, found.face, local)
    return replace(found, face=face)


def _ready(reference: Reference, face):
    """The network, and the face on its device."""
    net = reference.open()
    return net, face.to(device_of(net))


@in_worker
def _edited(reference: Reference, face, wanted: dict) -> Iterator:
    from pipelines import attgan

    net, face = _ready(reference, face)
    image = attgan.edit(net, face, wanted)
    yield image, attgan.attributes(image)


def edited(found: Found, wanted: dict[str, float]) -> tuple[Image.Image, dict[str, float]]:
    """The face with attributes changed (only the decoder runs), and what the classifier sees then. Raises UserError."""
    [made] = _edited(found.reference, found.face, wanted)
    return made


@in_worker
def _flips(reference: Reference, face, intensity: float) -> Iterator:
    from pipelines import attgan

    net, face = _ready(reference, face)
    yield attgan.flips(net, face, intensity)


def flips(found: Found, intensity: float) -> dict[str, Image.Image]:
    """``attgan.flips`` of a face that is encoded already. Raises UserError."""
    [made] = _flips(found.reference, found.face, intensity)
    return made


@in_worker
def slide(reference: Reference, face, arguments: dict) -> Iterator:
    """Every frame of ``attgan.slide``."""
    from pipelines import attgan

    net, face = _ready(reference, face)
    yield from attgan.slide(net, face, **arguments)


@in_worker
def many(reference: Reference, photos: Sequence[tuple[str, Image.Image]], wanted: dict, local: bool) -> Iterator:
    """For each photograph its name, and the most prominent face edited in it, or the sentence why not."""
    from pipelines import attgan, faces
    from pipelines.faces import segmentation

    net = reference.open()
    size = net.img_size or attgan.DEFAULT_SIZE
    attgan.change(net, dict.fromkeys(attgan.names(net), False), wanted)  # what is wrong with it is said once
    for name, photo in photos:
        try:
            aligned = faces.align(photo, crop=net.info.crop or "celeba", size=size)
            face = attgan.encode(net, aligned.image, local=local and segmentation.knows(aligned.crop))
            still, made = attgan.edit(net, face, {}), attgan.edit(net, face, wanted)
            yield name, attgan.paste(photo, aligned, face, still, made, wanted), None
        except UserError as error:
            yield name, None, str(error)
