"""What the tab lets compute: everything here runs where the accelerator is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from PIL import Image

from models import device_of
from weights.errors import UserError

from ...networks import Reference
from ...running import in_worker, with_progress
from .state import Latent, Start

FACE_SIDE = 512  # pixels of faces that become one another
GROUND = (236, 233, 227)  # what one paints on where there is no picture yet


def same(net, sha256: str | None) -> None:
    """Raises UserError for a recipe that was made with another version of a network."""
    from pipelines.recipes import same_version

    same_version(net.info.name, net.info.sha256, sha256)


@in_worker
def _opened(reference: Reference, latent, sent, about: str | None, sha256: str | None) -> Iterator:
    from pipelines import igan

    net = reference.open()
    info = net.info
    same(net, sha256)
    space = igan.Space(net)
    if sent is not None:
        latent = _sent(net, space, sent)
    size = net.img_resolution
    image = Image.new("RGB", (size, size), GROUND) if latent is None else igan.picture(net, latent)
    words = "from scratch" if latent is None else f"seed {latent}" if isinstance(latent, int) else "a latent of its own"
    yield Start(
        reference,
        info.name,
        info.sha256,
        info.title,
        size,
        space.device.type,
        latent,
        image,
        f"{info.title}, {about or words}",
        space.is_style,
        getattr(net, "discriminator", None) is not None,
    )


def _sent(net, space, sent) -> str:
    """The latent of a picture that another tab made, as text."""
    from pipelines import draggan, igan, stylegan2

    if not space.is_style:
        raise UserError("That picture was made by another kind of network; choose a StyleGAN2 first.")
    if sent.latent:
        return igan.encode_latent(draggan.decode_latent(sent.latent, net))
    w = stylegan2.latent(net, sent.seed, sent.truncation_psi, sent.class_index)
    return igan.encode_latent(w[:, 0] if bool((w == w[:, :1]).all()) else w)


def opened(
    reference: Reference,
    latent: Latent | None,
    sent=None,
    about: str | None = None,
    sha256: str | None = None,
) -> Start:
    """The picture to start from. Raises UserError.

    Args:
        latent: a seed, the text of a latent, or None for an empty ground.
        sent: instead of it, what another tab sent.
        about: what it is, in a few words.
        sha256: of the network that a recipe was made with.
    """
    [start] = _opened(reference, latent, sent, about, sha256)
    return start


@in_worker
def brushed(reference: Reference, arguments: dict) -> Iterator:
    """Every step of ``igan.brush``."""
    from pipelines import igan

    net = reference.open()
    every = 1 if net.img_resolution <= 256 else 2
    yield from igan.brush(net, **arguments, show_every=every)


@in_worker
def between(reference: Reference, first: Latent, last: Latent, frames: int) -> Iterator:
    """Every frame of ``igan.interpolate``."""
    from pipelines import igan

    yield from igan.interpolate(reference.open(), first, last, frames)


@in_worker
def prepared(reference: Reference, photo: Image.Image, crop: str) -> Iterator:
    """Once: the photograph as the network is shown it, and in words what its features are compared by."""
    from pipelines import igan

    net = reference.open()
    yield igan.prepare(photo, net, crop), igan.features_in_use(net), getattr(net, "predictor", None) is not None


@in_worker
def projected(reference: Reference, cut: Image.Image, arguments: dict) -> Iterator:
    """Every step of ``igan.project``."""
    from pipelines import igan

    yield from igan.project(reference.open(), cut, **arguments)


@in_worker
def _pictures(reference: Reference, latents: list) -> Iterator:
    from pipelines import igan

    net = reference.open()
    for latent in latents:
        yield igan.picture(net, latent)


def pictures(reference: Reference, latents: list[Latent]) -> list[Image.Image]:
    """What a network makes of latents. Raises UserError."""
    return list(_pictures(reference, latents))


@in_worker
def _dragged(reference: Reference, latent: Latent) -> Iterator:
    from pipelines import draggan, igan

    net = reference.open()
    space = igan.Space(net)
    if not space.is_style:
        raise UserError("DragGAN drags pictures of StyleGAN2 networks; choose one of them above first.")
    w = space.latent(latent).cpu()
    yield draggan.encode_latent(w if w.ndim == 3 else w[:, None].repeat(1, net.num_ws, 1), net)


def for_draggan(reference: Reference, latent: Latent) -> str:
    """The latent as DragGAN's recipes hold it. Raises UserError for networks that it does not know."""
    [text] = _dragged(reference, latent)
    return text


@in_worker
def _checked(reference: Reference, arguments: dict) -> Iterator:
    from pipelines import igan

    igan.brush(reference.open(), **arguments).close()  # what is wrong with them is said before the first step
    yield True


def checked(reference: Reference, arguments: dict) -> None:
    """Raises UserError for arguments that ``igan.brush`` would refuse; makes no step."""
    list(_checked(reference, arguments))


@in_worker
def toy(arguments: dict, begun, until: int | None, show_every: int, halves: bool) -> Iterator:
    """Steps of a toy GAN, each with the toy where it is shown, else with None.

    ``begun``: the ``igan.ToyGAN`` that goes on; None for a new one with the ``arguments`` of ``igan.ring``.
    """
    from pipelines import igan

    trained = begun or igan.ToyGAN(**arguments)
    for step in trained.train(until, show_every, halves=halves):
        yield step, trained if step.image is not None else None


@in_worker
def plane(reference: Reference, arguments: dict, sha256: str | None) -> Iterator:
    """How far it is as ("far", done, total), then ``igan.slice`` with the texts of its latents and its recipe."""
    from pipelines import igan, recipes

    net = reference.open()
    same(net, sha256)
    recipe = recipes.make("igan.slice", net, **arguments)

    def work() -> tuple:
        made = igan.slice(net, **arguments)
        rows = range(len(made.images))
        return made, [made.text(i, j) for i in rows for j in rows]

    steps = with_progress(work)
    while True:
        try:
            far = next(steps)
        except StopIteration as over:
            made, texts = over.value
            break
        if far.total:
            yield "far", far.done, far.total
    yield made, texts, recipe, net.info.title, device_of(net).type


@in_worker
def transferred(reference: Reference, photo: Image.Image, crop: str, arguments: dict, sha256: str | None) -> Iterator:
    """Every frame of ``igan.transfer``, at the photograph's own size; ``crop`` as the projection had it."""
    from pipelines import faces, igan

    net = reference.open()
    same(net, sha256)
    aligned = faces.align(photo, crop=net.info.crop or "celeba") if crop == "face" else None
    yield from igan.transfer(net, photo, **arguments, aligned=aligned)


@in_worker
def morphed(reference: Reference, photos: list, crop: str, arguments: dict) -> Iterator:
    """Frames of ``igan.morph``, and ``Progress`` while both latents are looked for.

    Of photographs with a ``crop`` the faces morph.
    """
    from pipelines import faces, igan

    net = reference.open()
    if crop == "face":
        photos = [faces.align(photo, crop=net.info.crop or "celeba", size=FACE_SIDE).image for photo in photos]
    with closing(igan.morph(net, *photos, **arguments)) as frames:
        while frame := (yield from with_progress(lambda: next(frames, None))):
            yield frame
