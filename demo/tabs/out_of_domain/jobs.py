"""What computes for this tab: functions that run where the accelerator is, with plain values in and out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image

from pipelines.defaults import MaskOptions

from ...networks import Reference
from ...pictures import CENTRE, UPLOADED
from ...running import in_worker
from .state import Found


@in_worker
def _found(reference: Reference, photo: Image.Image, known, which, source: str, sha256: str | None) -> Iterator:
    from pipelines import faces, out_of_domain, recipes

    net = reference.open()
    recipes.same_version(net.info.name, net.info.sha256, sha256)
    nets = out_of_domain.gather(net)
    if which == CENTRE or not net.info.crop:
        which, aligned = CENTRE, faces.centre_crop(photo, nets.size)
    else:
        aligned = faces.align(photo, known[which] if known else which, net.info.crop, nets.size)
    yield Found(
        reference,
        net.info.name,
        net.info.sha256,
        net.info.title,
        nets.device.type,
        nets.size,
        which,
        aligned,
        tuple(nets.steps),
        dict(nets.missing),
        dict(nets.hashes),
        source,
    )


def found(
    reference: Reference,
    photo: Image.Image,
    known: Sequence,
    which: int | str,
    source: str = UPLOADED,
    sha256: str | None = None,
) -> Found:
    """One face of a photograph, cut out as a network has faces. Raises UserError.

    Args:
        known: what ``faces.detect`` found in it.
        which: its number there, or ``CENTRE``.
        source: the Python that makes the photograph.
        sha256: of the network that a recipe was made with.
    """
    [made] = _found(reference, photo, list(known), which, source, sha256)
    return made


@in_worker
def searched(reference: Reference, image: Image.Image, arguments: dict, show_every: int) -> Iterator:
    """Every step of ``out_of_domain.invert``."""
    from pipelines import out_of_domain

    yield from out_of_domain.invert(reference.open(), image, **arguments, show_every=show_every)


@in_worker
def _known(reference: Reference, image: Image.Image, latent, tuning: int) -> Iterator:
    from pipelines import out_of_domain

    yield out_of_domain.inverted(reference.open(), image, latent, tuning)


def known(reference: Reference, image: Image.Image, latent, tuning: int = 0):
    """``out_of_domain.inverted``. Raises UserError."""
    [made] = _known(reference, image, latent, tuning)
    return made


@in_worker
def _made(reference: Reference, known, change, edits: list, own: dict, apart: bool, mask: MaskOptions) -> Iterator:
    from pipelines import out_of_domain

    nets = out_of_domain.gather(reference.open())
    if change is None:
        change = out_of_domain.changed(nets, known, edits, own, apart)
    yield change, out_of_domain.laid(nets, known, change, mask)


def made(reference: Reference, known, change, edits: list, own: dict, apart: bool, mask: MaskOptions) -> tuple:
    """``(Changed, OutOfDomainEdit)``; with a ``change`` known already, only the mask is laid. Raises UserError."""
    [both] = _made(reference, known, change, edits, own, apart, mask)
    return both


@in_worker
def compared(reference: Reference, known, arguments: dict) -> Iterator:
    """Every step of ``out_of_domain.compare``."""
    from pipelines import out_of_domain

    yield from out_of_domain.compare(reference.open(), known, **arguments)


@in_worker
def slid(reference: Reference, known, arguments: dict) -> Iterator:
    """Every frame of ``out_of_domain.slide``."""
    from pipelines import out_of_domain

    yield from out_of_domain.slide(reference.open(), known, **arguments)


@in_worker
def _directions(reference: Reference, path: str) -> Iterator:
    from pipelines import out_of_domain

    nets = out_of_domain.gather(reference.open())
    yield {name: out_of_domain.encode_step(nets, step) for name, step in out_of_domain.published(nets, path).items()}


def directions(reference: Reference, path: str) -> dict[str, str]:
    """Name and text of every direction in a file. Raises UserError."""
    [found_] = _directions(reference, path)
    return found_
