"""Photographs and faces of several tabs: enlarged, fitted, chosen by number, or sent from another tab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image

from weights.errors import UserError

from . import networks
from .networks import Reference
from .running import in_worker
from .session import Sent

SHOWN = 384  # pixels of the two faces beside each other
WHOLE = 1024  # pixels of the comparison of whole photographs
UPLOADED = 'photo = Image.open("your-photograph.png")'
CENTRE = "centre"  # in place of a face's number: the square in the middle


def enlarged(image: Image.Image) -> Image.Image:
    if image.width >= SHOWN:
        return image
    return image.resize((SHOWN, SHOWN), Image.Resampling.BICUBIC)


def fitted(image: Image.Image) -> Image.Image:
    """Small enough to be sent at every movement of a slider; a picture that is small already is enlarged."""
    scale = min(WHOLE / max(image.size), max(1.0, SHOWN / max(image.size)))
    size = tuple(max(1, round(v * scale)) for v in image.size)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def crop_of(photo: Image.Image, face) -> Image.Image:
    """A face with some of what is around it, for a list of faces."""
    left, top, right, bottom = face.box
    margin = 0.25 * max(right - left, bottom - top)
    box = (
        max(0, left - margin),
        max(0, top - margin),
        min(photo.width, right + margin),
        min(photo.height, bottom + margin),
    )
    cut = photo.crop(tuple(round(v) for v in box))
    cut.thumbnail((160, 160), Image.Resampling.LANCZOS)
    return cut


def number_of(which, count: int) -> int | str:
    """Which of ``count`` faces is asked for: its number, the first if nothing is said, or ``CENTRE``.

    Raises:
        UserError: there is no such face.
    """
    if which == CENTRE:
        return CENTRE
    try:
        number = 0 if which in (None, "") else int(which)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < count:
        raise UserError(f"There is no face {str(which)[:12]} in this photograph; they are numbered 0 to {count - 1}.")
    return number


def pictures_of(visitor, sent: Sequence[Sent]) -> list[Image.Image]:
    """Pictures of one network that another tab sent, enlarged to what a face finder is used to."""
    return pictures(networks.resolve(visitor, sent[0].network, networks.STYLEGANS), sent, SHOWN)


def source_of(sent: Sent, photo: Image.Image) -> str:
    """The Python that makes a picture that was sent here; what has no short one is to be saved first."""
    if sent.latent or sent.network.startswith("own:"):
        return UPLOADED
    told = f", class_index={sent.class_index}" if sent.class_index is not None else ""
    return "\n".join(
        [
            f'source = weights.load("{sent.network}")',
            f"w = stylegan2.latent(source, seed={sent.seed}, truncation_psi={sent.truncation_psi!r}{told})",
            f"photo = stylegan2.picture(source, w).resize({photo.size!r}, Image.Resampling.BICUBIC)",
        ]
    )


@in_worker
def _pictures(reference: Reference, sent: Sequence[Sent], least: int) -> Iterator:
    from pipelines import draggan, stylegan2

    net = reference.open()
    for one in sent:
        if one.latent:
            w = draggan.decode_latent(one.latent, net)
        else:
            w = stylegan2.latent(net, one.seed, one.truncation_psi, one.class_index)
        image = stylegan2.picture(net, w)
        scale = max(1, round(least / image.width))
        yield image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)


def pictures(reference: Reference, sent: Sequence[Sent], least: int) -> list[Image.Image]:
    """What a StyleGAN network makes of seeds and latents, enlarged to about ``least`` pixels. Raises UserError."""
    return list(_pictures(reference, list(sent), least))
