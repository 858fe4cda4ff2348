"""What a drag leaves behind: pictures with its points drawn in, and latents as files or as text."""

from __future__ import annotations

import base64
import json
import math
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from models.stylegan2 import Generator
from weights import container
from weights.errors import RefusedFile, UserError, shown

from . import checks
from .draggan_motion import Point
from .images import read_mask

MAX_LATENT_BYTES = 2**22
FORMAT = 1
KEY = "ganbook_latent"
HANDLE, TARGET, LINE, HELD = (232, 52, 46), (36, 98, 222), (255, 255, 255), (20, 20, 24)
FINER = 4  # points are drawn this many times larger and reduced, for smooth edges


def draw(
    image: Image.Image,
    handles: Sequence[Point],
    targets: Sequence[Point],
    mask=None,
    painted: str = "flexible",
    size: int | None = None,
    numbers: bool = False,
) -> Image.Image:
    """The picture with handles (red), targets (blue) and an arrow between them; what is held in place is darkened.

    Args:
        image: square, as a ``DragStep`` has it; not changed.
        handles, targets: (x, y) in pixels of ``image``.
        mask, painted: as ``draggan.drag`` takes them.
        size: least width of the result: smaller pictures are enlarged by a whole number; None leaves the size.
        numbers: writes each pair's number beside its handle.
    """
    checks.choice(painted, "What is painted", ("flexible", "fixed"))
    width = image.width
    factor = 1
    if size is not None:
        factor = max(1, -(-checks.integer(size, "The width", 1, 4096) // width))
    base = image.convert("RGB")
    if factor > 1:
        base = base.resize((width * factor, image.height * factor), Image.Resampling.BICUBIC)
    if mask is not None:
        paint = read_mask(mask, width)
        held = (paint if painted == "fixed" else 1 - paint) if bool(paint.any()) else torch.zeros_like(paint)
        shade = Image.fromarray((held * 110).round().to(torch.uint8).numpy()).resize(base.size)
        base.paste(Image.new("RGB", base.size, HELD), mask=shade)
    radius = max(1.5, base.width / 60) * FINER
    overlay = Image.new("RGBA", (base.width * FINER, base.height * FINER), (*LINE, 0))
    pen = ImageDraw.Draw(overlay)
    for i, (handle, target) in enumerate(zip(handles, targets, strict=True)):
        a, b = (tuple((v + 0.5) * factor * FINER for v in p) for p in (handle, target))
        _arrow(pen, a, b, radius)
        _dot(pen, b, radius, TARGET)
        _dot(pen, a, radius, HANDLE)
        if numbers:
            font = ImageFont.load_default(radius * 2.2)
            at = (a[0] + radius * 1.5, a[1] - radius * 2.6)
            pen.text(at, str(i + 1), LINE, font, stroke_width=round(radius / 3), stroke_fill=HELD)
    overlay = overlay.resize(base.size, Image.Resampling.BOX)
    base.paste(overlay, mask=overlay.getchannel("A"))
    return base


def _dot(pen: ImageDraw.ImageDraw, at: Point, radius: float, colour: tuple[int, int, int]) -> None:
    for r, fill in ((radius, LINE), (radius * 0.72, colour)):
        pen.ellipse([at[0] - r, at[1] - r, at[0] + r, at[1] + r], fill=(*fill, 255))


def _arrow(pen: ImageDraw.ImageDraw, a: Point, b: Point, radius: float) -> None:
    length = math.dist(a, b)
    if length < radius:
        return
    ux, uy = (b[0] - a[0]) / length, (b[1] - a[1]) / length
    thick = max(FINER, radius * 0.45)
    pen.line([a, b], (*LINE, 230), round(thick))
    tip, back, side = radius * 1.1, radius * 2.6, radius * 1.1
    head = [(b[0] - ux * tip, b[1] - uy * tip)]
    head += [(b[0] - ux * back - s * uy * side, b[1] - uy * back + s * ux * side) for s in (1, -1)]
    pen.polygon(head, fill=(*LINE, 230))


def frames(
    steps: Iterable, points: bool = True, size: int | None = 256, mask=None, painted: str = "flexible"
) -> Iterator[Image.Image]:
    """The shown steps of a drag as pictures for ``animation.save``, with their points drawn in if wanted."""
    for step in steps:
        if step.image is None:
            continue
        pair = (step.handles, step.targets) if points else ((), ())
        yield draw(step.image, *pair, mask, painted, size)


# -- latents ------------------------------------------------------------------------------------------------------


def save_latent(path: str | os.PathLike, w: Tensor, net: Generator) -> Path:
    """Writes w+ ``[1, num_ws, w_dim]`` as safetensors that says which checkpoint it belongs to. Returns the path.

    The file appears whole or not at all. Raises UserError.
    """
    import safetensors.torch

    w = _fitting(w, net).detach().cpu().float().contiguous().clone()
    info = getattr(net, "info", None)
    about = {
        "format": FORMAT,
        "checkpoint": {"name": getattr(info, "name", None), "sha256": getattr(info, "sha256", None)},
        "img_resolution": net.img_resolution,
    }
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        safetensors.torch.save_file({"w": w}, temporary, metadata={KEY: json.dumps(about)})
        os.chmod(temporary, 0o644)  # the library makes files for their owner alone
        os.replace(temporary, path)
    except (OSError, safetensors.SafetensorError) as error:
        raise UserError(f"The latent could not be written to {path.name}; choose another place.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def load_latent(path: str | os.PathLike, net: Generator) -> Tensor:
    """w+ ``[1, num_ws, w_dim]`` on the CPU from a file of ``save_latent``.

    A latent of another checkpoint passes if it has this network's sizes. Raises RefusedFile, a UserError.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_LATENT_BYTES:
            raise RefusedFile("This file is too large for a latent.")
        _tensors, metadata = container.header(path)
        about = json.loads(metadata[KEY])
        if about.get("format") != FORMAT:
            raise RefusedFile("This latent was written by a newer version of ganbook.")
        name = about["checkpoint"]["name"]
        w = container.read(path)["w"].float()
    except OSError:
        raise RefusedFile("This file cannot be opened; choose it again.") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RefusedFile("This file is not a latent that ganbook has written.") from None
    if w.shape != (1, net.num_ws, net.w_dim):
        size = " x ".join(map(str, w.shape[1:]))
        raise RefusedFile(
            f"This latent of {size} numbers belongs to {shown(name, 40)} and does not fit this network"
            f" ({net.num_ws} x {net.w_dim}); choose that checkpoint first."
        )
    if not bool(torch.isfinite(w).all()):
        raise RefusedFile("This latent holds numbers that are none; save it again.")
    return w


def encode_latent(w: Tensor, net: Generator) -> str:
    """w+ ``[1, num_ws, w_dim]`` as text that JSON can carry, exact; ``decode_latent`` takes it back."""
    return base64.b64encode(_fitting(w, net).detach().cpu().numpy().astype("<f4").tobytes()).decode()


def decode_latent(text: str, net: Generator) -> Tensor:
    """w+ ``[1, num_ws, w_dim]`` on the CPU. Raises UserError."""
    try:
        raw = base64.b64decode(text, validate=True)
        values = np.frombuffer(raw, "<f4").reshape(1, net.num_ws, net.w_dim).astype(np.float32)
    except (TypeError, ValueError):
        raise UserError(f"This text is not a latent of {net.num_ws} x {net.w_dim} numbers.") from None
    return torch.from_numpy(values)


def _fitting(w: Tensor, net: Generator) -> Tensor:
    if not isinstance(w, Tensor) or w.shape != (1, net.num_ws, net.w_dim):
        raise UserError(f"A latent of this network is w+ of the shape 1 x {net.num_ws} x {net.w_dim}.")
    return w
