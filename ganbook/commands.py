"""What ``ganbook`` makes without a page. Each command is one or two calls of a pipeline and the files that it writes.

Where a recipe can say how a picture was made, it is written beside it: the page loads it, and so does
``pipelines.recipes``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PIL import Image, UnidentifiedImageError

import weights
from weights.atomic import replacing
from weights.errors import UserError

if TYPE_CHECKING:
    from pipelines.recipes import Recipe

MB = 2**20


def checkpoints(options: argparse.Namespace) -> None:
    """List the checkpoints: name, where it is, size of the download, licence."""
    for name in weights.names():
        found = weights.describe(name)
        if options.technique not in (None, found.technique):
            continue
        size = f"{found.bytes_to_download / MB:.0f} MB" if found.bytes_to_download else ""
        print(f"{found.name:36} {found.status:8} {size:>8}  {found.licence}")


def _checkpoints(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--technique", help="only those of one technique, such as stylegan2")


def sample(options: argparse.Namespace) -> None:
    """Make one picture a seed with a StyleGAN2 network."""
    from pipelines import recipes, stylegan2

    net = weights.load(options.name)
    seeds = stylegan2.parse_seeds(options.seeds)
    recipe = recipes.make("stylegan2.sample", net, seeds=seeds, truncation_psi=options.psi, noise_mode=options.noise)
    pictures = recipe.run(net)
    options.out.mkdir(parents=True, exist_ok=True)
    for seed, picture in zip(seeds, pictures, strict=True):
        _save(picture, options.out / f"seed-{seed}.png")
    _keep(recipe, options.out / "recipe.json")


def _sample(parser: argparse.ArgumentParser) -> None:
    _network(parser)
    parser.add_argument("--seeds", default="1-4", help="numbers and ranges, such as 1-16,42 (default: 1-4)")
    _psi(parser)
    parser.add_argument("--noise", default="const", choices=("const", "random", "none"), help="the noise inputs")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder for the pictures")


def interpolate(options: argparse.Namespace) -> None:
    """Walk from seed to seed with a StyleGAN2 network: a GIF, WebP or MP4."""
    from pipelines import animation, recipes, stylegan2

    kind = _animated(options.out)
    net = weights.load(options.name)
    recipe = recipes.make(
        "stylegan2.interpolate",
        net,
        output={"format": kind, "fps": options.fps},
        seeds=stylegan2.parse_seeds(options.seeds, 8),
        frames=options.frames,
        space=options.space,
        truncation_psi=options.psi,
    )
    animation.save(recipe.run(net), options.out, fps=options.fps)
    print(options.out)
    _keep(recipe, options.out.with_suffix(".json"))


def _interpolate(parser: argparse.ArgumentParser) -> None:
    _network(parser)
    parser.add_argument("--seeds", default="1-3", help="two to eight, such as 1-3 or 5,9 (default: 1-3)")
    parser.add_argument("--frames", type=int, default=60, help="frames in all (default: 60)")
    parser.add_argument("--fps", type=int, default=20, help="frames a second (default: 20)")
    parser.add_argument("--space", default="w", choices=("w", "z"), help="w: straight lines; z: great circles")
    _psi(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".gif, .webp or .mp4")


def drag(options: argparse.Namespace) -> None:
    """Drag points of a generated picture (DragGAN)."""
    from pipelines import animation, draggan, recipes

    _still(options.out)
    if options.animation:
        _animated(options.animation)
    net = weights.load(options.name)
    handles, targets = ([list(pair[i]) for pair in options.move] for i in (0, 1))
    drags = [{"handles": handles, "targets": targets, "steps": options.steps}]
    recipe = recipes.make("draggan.replay", net, drags=drags, seed=options.seed, truncation_psi=options.psi)
    # Not recipe.run, which would say nothing before the end.
    show = 1 if options.animation else 0
    steps = []
    for step in draggan.replay(net, show_every=show, **recipe.arguments):
        steps.append(step)
        if step.step % 10 == 0 or step.done:
            print(f"step {step.step}: {step.distance:.1f} px to go", flush=True)
    last = steps[-1]
    _save(cast(Image.Image, last.image), options.out)  # the last step is always shown
    if options.animation:
        animation.save(draggan.frames(steps), options.animation)
        print(options.animation)
    _keep(recipe, options.out.with_suffix(".json"))
    if last.done != "arrived":
        print("Not every point has arrived; more --steps may help, or a nearer target.")


def _drag(parser: argparse.ArgumentParser) -> None:
    _network(parser)
    parser.add_argument("--seed", type=int, default=1, help="of the picture to start from (default: 1)")
    parser.add_argument(
        "--move",
        nargs=2,
        type=_point,
        action="append",
        required=True,
        metavar=("X,Y", "X,Y"),
        help="from one point to another, in pixels of the picture; once for each point",
    )
    parser.add_argument("--steps", type=int, default=100, help="steps at most (default: 100)")
    _psi(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture, such as dragged.png")
    parser.add_argument("--animation", type=Path, metavar="FILE", help="also the way there: .gif, .webp or .mp4")


def edit(options: argparse.Namespace) -> None:
    """Change attributes of a face in a photograph (AttGAN); outside the face it stays bit for bit."""
    from pipelines import attgan, faces
    from pipelines.faces import segmentation

    _still(options.out)
    photo = _photograph(options.photo)
    net = weights.load(options.network)
    aligned = faces.align(photo, face=options.face, crop=net.info.crop or "celeba", size=net.img_size)
    face = attgan.encode(net, aligned.image, local=not options.whole and segmentation.knows(aligned.crop))
    edited = attgan.edit(net, face, dict(options.change))
    if not options.crop:
        edited = attgan.paste(photo, aligned, face, attgan.edit(net, face, {}), edited, dict(options.change))
    _save(edited, options.out)


def _edit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photo", type=Path, help="a photograph with a face")
    parser.add_argument(
        "change", nargs="+", type=_attribute, help="attributes, -2 to 2 each, such as Eyeglasses=1 Young=-0.8"
    )
    parser.add_argument("--network", default="attgan/faces", help="the checkpoint (default: attgan/faces)")
    parser.add_argument("--face", type=int, default=0, help="which face, from 0; the most prominent one is first")
    parser.add_argument(
        "--whole", action="store_true", help="keep all that the network changes, not only where the attribute lies"
    )
    parser.add_argument("--crop", action="store_true", help="save the aligned face instead of the whole photograph")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture, such as edited.png")


# -- what several commands share -----------------------------------------------------------------------------------


def _network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a checkpoint, such as stylegan2/faces (ganbook checkpoints lists them)")


def _psi(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--psi", type=float, default=0.7, help="truncation (default: 0.7)")


def _point(text: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a point is two numbers, such as 64,80, not {text!r}") from None
    return x, y


def _attribute(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value or "1")
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"an attribute is a name and a number, such as Young=-1, not {text!r}"
        ) from None


def _animated(path: Path) -> str:
    """The format that an ending asks for, before anything is computed. Raises UserError."""
    from pipelines import animation

    kind = path.suffix.lower().lstrip(".")
    if kind not in animation.formats():
        raise UserError(f"{path} has none of the endings of animations that can be written here: .gif, .webp, .mp4.")
    return kind


def _photograph(path: Path) -> Image.Image:
    from pipelines import photographs

    try:
        with Image.open(path) as image:
            return photographs.photograph(image)
    except UnidentifiedImageError:
        raise UserError(photographs.UNREADABLE) from None


def _still(path: Path) -> None:
    """Raises UserError, before anything is computed, for a file whose ending is not that of a picture."""
    if path.suffix.lower() not in Image.registered_extensions():
        raise UserError(f"{path} has no ending of a picture, such as .png.")


def _save(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        picture.save(beside)
    print(path)


def _keep(recipe: Recipe, path: Path) -> None:
    path.write_text(recipe.to_json() + "\n", encoding="utf-8")
    print(path)


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], None], Callable[[argparse.ArgumentParser], None]]] = {
    "checkpoints": (checkpoints, _checkpoints),
    "sample": (sample, _sample),
    "interpolate": (interpolate, _interpolate),
    "drag": (drag, _drag),
    "edit": (edit, _edit),
}
