"""Between tensors ``[N, 3, H, W]`` in [-1, 1] and pictures."""

from __future__ import annotations

import base64
import io
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from weights.errors import UserError

# What calls take as a mask: see ``read_mask``.
Mask: TypeAlias = Image.Image | np.ndarray | Tensor | str

MAX_MASK = 8192  # pixels a side
LARGE_MASK = f"The mask is larger than {MAX_MASK} pixels; make it as large as the picture."


def to_pil(x: Tensor) -> list[Image.Image]:
    """RGB pictures; values beyond [-1, 1] are clipped."""
    x = (x.detach().float() * 127.5 + 127.5).round_().clamp_(0, 255).to(torch.uint8)
    if x.shape[1] == 1:
        x = x.expand(-1, 3, -1, -1)
    return [Image.fromarray(a) for a in x.permute(0, 2, 3, 1).contiguous().cpu().numpy()]


def read_mask(mask: Mask, size: int) -> Tensor:
    """What is painted, as ``[size, size]`` from 0 to 1.

    Args:
        mask: a PIL image, an array or tensor [H, W] of bool, 0..1 or 0..255, or the text of ``encode_mask``; of
            another size than the picture it is resized.

    Raises UserError for anything else.
    """
    if isinstance(mask, str):
        mask = decode_png(mask, (1, MAX_MASK), LARGE_MASK, "This text is not a mask; paint it again.")
    if isinstance(mask, Image.Image):
        if max(mask.size) > MAX_MASK:
            raise UserError(LARGE_MASK)
        levels = np.asarray(mask.convert("L"), dtype=np.float32) / 255
    else:
        values = mask.detach().cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
        if values.ndim != 2 or not values.size or max(values.shape) > MAX_MASK or values.dtype.kind not in "biuf":
            raise UserError("A mask is a picture or a table of numbers, one for each pixel.")
        levels = values.astype(np.float32)
        if not np.isfinite(levels).all():
            raise UserError("The mask contains NaN or infinite values; paint it again.")
        levels = levels / 255 if levels.max() > 1 else levels
    levels = np.clip(levels, 0, 1)
    if levels.shape != (size, size):
        resized = Image.fromarray(levels).resize((size, size), Image.Resampling.BOX)
        levels = np.clip(np.asarray(resized), 0, 1)
    return torch.from_numpy(levels.copy())


def encode_mask(mask: Mask, size: int) -> str:
    """A mask as short text that JSON can carry (a PNG of 256 levels in base64); ``read_mask`` takes it back."""
    levels = (read_mask(mask, size) * 255).round().to(torch.uint8).numpy()
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def decode_png(text: str, sides: tuple[int, int], size_words: str, wrong: str) -> Image.Image:
    """The picture in base64 text. Raises UserError: ``size_words`` for sides beyond ``sides``, ``wrong`` for no PNG."""
    try:
        image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"])
        if not sides[0] <= min(image.size) <= max(image.size) <= sides[1]:
            raise UserError(size_words)
        image.load()
    except (ValueError, OSError, SyntaxError, Image.DecompressionBombError):
        raise UserError(wrong) from None
    return image


def encode_image(image: Image.Image) -> str:
    """A picture as text that JSON can carry (PNG in base64); ``decode_image`` takes it back without loss."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def decode_image(text: str) -> Image.Image:
    """Raises UserError for what ``encode_image`` did not write, and for more than 1024 pixels a side."""
    other_size = "The picture in this text is not of a size that is edited; take another one."
    image = decode_png(text, (16, 1024), other_size, "This text holds no picture; choose the photograph again.")
    return image.convert("RGB")


# Control points of a dark-to-bright map whose lightness rises evenly, so that it also reads in grey.
_HEAT = np.array(
    [
        [13, 10, 35],
        [61, 18, 92],
        [120, 28, 109],
        [181, 45, 97],
        [229, 83, 66],
        [249, 142, 35],
        [250, 205, 79],
        [252, 253, 191],
    ],
    dtype=np.float32,
)


def heat_map(values: Tensor | np.ndarray, size: int | None = None, high: float | None = None) -> Image.Image:
    """``[H, W]`` non-negative numbers as colours, black to pale yellow.

    ``high`` is the brightest value (the largest if not given); ``size`` enlarges by whole pixels, so that small maps
    keep their squares.
    """
    v = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=np.float32)
    high = float(v.max()) if high is None else high
    t = np.clip(v / max(high, 1e-12), 0, 1) * (len(_HEAT) - 1)
    i = np.minimum(t.astype(int), len(_HEAT) - 2)
    rgb = _HEAT[i] + (t - i)[..., None] * (_HEAT[i + 1] - _HEAT[i])
    image = Image.fromarray(rgb.round().astype(np.uint8))
    if size is not None and size > max(image.size):
        factor = size // max(image.size)
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    return image
