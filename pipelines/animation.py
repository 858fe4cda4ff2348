"""Frames to files (GIF, WebP, MP4), and pictures to sheets."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from weights.atomic import replacing
from weights.errors import UserError

from . import checks

MAX_PIXELS = 160_000_000  # of all frames together: half a gigabyte while a file is made
MAX_FRAMES = 2000
KINDS = ("gif", "webp", "mp4")
# A film of 64 px is a stamp on a modern screen and players blur it; whole-number enlargement up to this size is not.
MP4_LEAST = 256


def formats() -> list[str]:
    """The endings that ``save`` can write here; mp4 only where an encoder is installed."""
    return ["gif", "webp", *(["mp4"] if _mp4_codec() else [])]


@lru_cache(maxsize=1)
def _mp4_codec() -> str | None:
    try:
        import av
    except ImportError:
        return None
    return next((c for c in ("libx264", "libopenh264", "mpeg4") if c in av.codecs_available), None)


def _collect(frames: Iterable[Image.Image]) -> list[Image.Image]:
    kept: list[Image.Image] = []
    pixels = 0
    for frame in frames:
        frame = frame if frame.mode == "RGB" else frame.convert("RGB")
        if kept and frame.size != kept[0].size:
            raise UserError("All frames of an animation must have one size.")
        pixels += frame.width * frame.height
        if pixels > MAX_PIXELS or len(kept) >= MAX_FRAMES:
            raise UserError(
                f"This animation is too large; {max(2, MAX_PIXELS // (frame.width * frame.height))} frames of "
                f"{frame.width} x {frame.height} pixels are the most."
            )
        kept.append(frame)
    if not kept:
        raise UserError("There are no frames to save.")
    return kept


def save(frames: Iterable[Image.Image], path: str | os.PathLike, fps: float = 20, loop: bool = True) -> Path:
    """Writes an animation; the ending says which: ``.gif``, ``.webp`` (lossless colours of a still), ``.mp4``.

    Args:
        frames: pictures of one size, at most 160 million pixels together; an iterator is read once.
        fps: 1 to 60 (a GIF counts in hundredths of a second: over 50 becomes 50).
        loop: GIF and WebP start again at the end.
    Returns the path. The file appears whole or not at all. Raises UserError.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    fps = checks.number(fps, "Frames per second", 1, 60)
    if kind not in KINDS:
        raise UserError("Animations are saved as .gif, .webp or .mp4.")
    if kind not in formats():
        raise UserError("This machine has no MP4 encoder; choose GIF or WebP.")
    kept = _collect(frames)
    writer = {"gif": _gif, "webp": _webp, "mp4": _mp4}[kind]
    try:
        with replacing(path) as beside:
            writer(kept, str(beside), fps, loop)
    except OSError as e:
        raise UserError(f"The animation could not be written ({e.strerror or 'the file system refused'}).") from e
    return path


def _durations(count: int, fps: float, unit: int) -> list[int]:
    """Milliseconds a frame in multiples of ``unit``, rounded so that the errors never add up."""
    edges = [round(i * 1000 / fps / unit) for i in range(count + 1)]
    return [(b - a) * unit for a, b in itertools.pairwise(edges)]


# A static threshold pattern: unlike error diffusion it does not crawl from frame to frame.
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], dtype=np.float32) / 16 - 15 / 32


def _gif(frames: list[Image.Image], path: str, fps: float, loop: bool) -> None:
    palette = _shared_palette(frames)
    width, height = frames[0].size
    pattern = np.tile(_BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width, None] * 12
    quantised = []
    for frame in frames:
        dithered = (np.asarray(frame, dtype=np.float32) + pattern).round().clip(0, 255).astype(np.uint8)
        quantised.append(Image.fromarray(dithered).quantize(palette=palette, dither=Image.Dither.NONE))
    extra = {"loop": 0} if loop else {}
    quantised[0].save(
        path,
        save_all=True,
        append_images=quantised[1:],
        duration=_durations(len(frames), min(fps, 50), 10),
        optimize=False,
        disposal=1,
        **extra,
    )


def _shared_palette(frames: list[Image.Image]) -> Image.Image:
    """One palette of 256 colours from all frames: a palette of its own for each frame would flicker."""
    chosen = frames[:: max(1, len(frames) // 48)]
    tiles = [
        f if f.width <= 96 else f.resize((96, max(1, round(f.height * 96 / f.width))), Image.Resampling.BOX)
        for f in chosen
    ]
    width, height = tiles[0].size
    board = Image.new("RGB", (width * len(tiles), height))
    for i, tile in enumerate(tiles):
        board.paste(tile, (i * width, 0))
    return board.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1)


def _webp(frames: list[Image.Image], path: str, fps: float, loop: bool) -> None:
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=_durations(len(frames), fps, 1),
        loop=0 if loop else 1,
        quality=90,
        method=3,
    )


def _mp4(frames: list[Image.Image], path: str, fps: float, loop: bool) -> None:
    import av

    factor = max(1, -(-MP4_LEAST // max(frames[0].size)))
    width, height = (max(2, v * factor // 2 * 2) for v in frames[0].size)  # the codecs want even sizes
    with av.open(path, "w", options={"movflags": "faststart"}) as container:
        from fractions import Fraction

        stream = container.add_stream(_mp4_codec(), rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if _mp4_codec() == "libx264":
            stream.options = {"crf": "16", "preset": "medium"}
        else:
            stream.bit_rate = width * height * 8
        for frame in frames:
            frame = (
                frame.resize((frame.width * factor, frame.height * factor), Image.Resampling.BICUBIC)
                if factor > 1
                else frame
            )
            picture = av.VideoFrame.from_image(frame.crop((0, 0, width, height)))
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


# -- sheets ------------------------------------------------------------------------------------------------------


def _font(size: int):
    return ImageFont.load_default(size)


def grid(
    rows: Sequence[Sequence[Image.Image]],
    row_header: Sequence[Image.Image] | None = None,
    col_header: Sequence[Image.Image] | None = None,
    gap: int | None = None,
    background: tuple[int, int, int] = (255, 255, 255),
) -> Image.Image:
    """Pictures of one size as a table; headers stand before the rows and above the columns, set off by a wider gap."""
    if not rows or not rows[0]:
        raise UserError("There are no pictures to put in a grid.")
    width, height = rows[0][0].size
    gap = max(1, width // 32) if gap is None else gap
    left = width + 3 * gap if row_header else 0
    top = height + 3 * gap if col_header else 0
    columns = max(len(r) for r in rows)
    total = (left + columns * width + (columns - 1) * gap, top + len(rows) * height + (len(rows) - 1) * gap)
    sheet = Image.new("RGB", total, background)
    for j, image in enumerate(col_header or ()):
        sheet.paste(image, (left + j * (width + gap), 0))
    for i, row in enumerate(rows):
        y = top + i * (height + gap)
        if row_header:
            sheet.paste(row_header[i], (0, y))
        for j, image in enumerate(row):
            sheet.paste(image, (left + j * (width + gap), y))
    return sheet


def strip(
    images: Sequence[Image.Image],
    captions: Sequence[str] | None = None,
    gap: int | None = None,
    background: tuple[int, int, int] = (255, 255, 255),
) -> Image.Image:
    """Pictures in one row, with a line of text under each where ``captions`` are given."""
    row = grid([list(images)], gap=gap, background=background)
    if not captions:
        return row
    width = images[0].width
    gap = max(1, width // 32) if gap is None else gap
    size = max(10, min(22, width // 7))
    sheet = Image.new("RGB", (row.width, row.height + size + 8), background)
    sheet.paste(row, (0, 0))
    draw = ImageDraw.Draw(sheet)
    ink = (30, 30, 30) if sum(background) > 380 else (230, 230, 230)
    for j, text in enumerate(captions):
        draw.text((j * (width + gap) + width / 2, row.height + 3), str(text), fill=ink, font=_font(size), anchor="ma")
    return sheet
