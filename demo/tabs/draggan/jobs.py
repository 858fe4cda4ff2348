"""What the tab lets compute: everything here runs where the accelerator is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from models import device_of

from ...networks import Reference
from ...running import in_worker
from .state import OPTIONAL, Start


@in_worker
def _opened(reference: Reference, made: dict, drags: list | None, sha256: str | None, latent: str | None) -> Iterator:
    from pipelines import draggan, recipes, stylegan2

    net = reference.open()
    recipes.same_version(net.info.name, net.info.sha256, sha256)
    if latent is not None:
        made = {"latent": draggan.encode_latent(draggan.load_latent(latent, net), net)}
    if drags is not None:
        draggan.replay(net, drags, **made)  # nothing runs yet: this finds out whether all of it could
    if "latent" in made:
        w = draggan.decode_latent(made["latent"], net)
        about = f"{net.info.title}, a latent of its own"
    else:
        w = stylegan2.latent(net, **made).cpu()
        about = f"{net.info.title}, seed {made['seed']}"
    device, usual = device_of(net).type, draggan.defaults(net)
    yield Start(
        reference,
        net.info.name,
        net.info.sha256,
        net.info.title,
        net.img_resolution,
        device,
        made,
        w,
        stylegan2.picture(net, w),
        about,
        {name: getattr(usual, name) for name in OPTIONAL},
    )


def opened(
    reference: Reference,
    made: dict,
    drags: list | None = None,
    sha256: str | None = None,
    latent: str | None = None,
) -> Start:
    """The picture to start from. Raises UserError.

    Args:
        made: seed, truncation_psi and class_index, or latent as text; not looked at if ``latent`` is given.
        drags, sha256: of a recipe, which are checked with it.
        latent: a file that ``draggan.save_latent`` has written.
    """
    [start] = _opened(reference, made, drags, sha256, latent)
    return start


@in_worker
def pulled(reference: Reference, w, resume, arguments: dict) -> Iterator:
    """Every step of a drag, as ``draggan.drag`` yields them."""
    from pipelines import draggan

    net = reference.open()
    every = 1 if net.img_resolution <= 256 else 4  # of large networks a picture costs more than a step
    yield from draggan.drag(net, None if resume else w, **arguments, resume=resume, show_every=every)


@in_worker
def _pictured(reference: Reference, w, noise_mode: str) -> Iterator:
    from pipelines import stylegan2

    yield stylegan2.picture(reference.open(), w, noise_mode)


def settled(reference: Reference, step, arguments: dict):
    """A step at which a drag was ended, with the picture that it would have as the last of a shorter drag."""
    if step.done:
        return step
    [image] = _pictured(reference, step.w, arguments.get("noise_mode", "const"))
    return replace(step, image=image)


@in_worker
def inverted(reference: Reference, photo, arguments: dict) -> Iterator:
    """Every step of the search for a photograph's latent."""
    from pipelines import inversion

    yield from inversion.invert(reference.open(), photo, **arguments)


@in_worker
def tuned(reference: Reference, photo, w, arguments: dict, path: str) -> Iterator:
    """Every step of pivotal tuning; the tuned copy is written to ``path`` instead of being handed over."""
    from pipelines import inversion

    for step in inversion.tune(reference.open(), photo, w, **arguments):
        if step.net is not None:
            inversion.save_network(path, step.net)
        yield replace(step, net=None)


def save_latent(reference: Reference, w, path: Path) -> Path:
    from pipelines import draggan

    return draggan.save_latent(path, w, reference.open())
