"""Frames to files (GIF, WebP, MP4), and pictures to sheets."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from weights.atomic import replacing
from weights.errors import UserError

from . import checks, progress
from .sizes import resize, resized_to

MAX_PIXELS = 160_000_000  # of all frames together: half a gigabyte while a file is made
MAX_FRAMES = 2000
PALETTE_FRAMES, PALETTE_SIDE = 24, 64  # of which the colours of a GIF are taken
KINDS = ("gif", "webp", "mp4")
# A film of 64 px is a stamp on a modern screen and players blur it; whole-number enlargement up to this size is not.
MP4_LEAST = 256
SMALLEST_TEXT = 8  # pixels


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


def most_frames(size: tuple[int, int]) -> int:
    """How many frames of so many pixels an animation may have."""
    return min(MAX_FRAMES, max(2, MAX_PIXELS // (size[0] * size[1])))


def _collect(frames: Iterable[Image.Image], size: str | int) -> list[Image.Image]:
    kept: list[Image.Image] = []
    known = len(frames) if isinstance(frames, Sequence) else None
    first = None
    for frame in frames:
        first = first or frame.size
        if frame.size != first:
            raise UserError("All frames of an animation must have one size.")
        width, height = resized_to(size, first)
        if len(kept) >= most_frames((width, height)) or width * height * (len(kept) + 1) > MAX_PIXELS:
            raise UserError(
                f"This animation is too large; {most_frames((width, height))} frames of "
                f"{width} x {height} pixels are the most."
            )
        kept.append(resize(frame if frame.mode == "RGB" else frame.convert("RGB"), size))
        if known:
            progress.passed(len(kept), 2 * known)  # the other half is the file
    if not kept:
        raise UserError("There are no frames to save.")
    return kept


def save(
    frames: Iterable[Image.Image],
    path: str | os.PathLike,
    fps: float = 20,
    loop: bool = True,
    size: str | int = "1x",
) -> Path:
    """Writes an animation; the ending says which: ``.gif``, ``.webp``, ``.mp4``.

    A GIF has 256 colours, the same in all frames and without dither; WebP and MP4 have all colours.

    Args:
        frames: pictures of one size, at most 160 million pixels together in the file; an iterator is read once.
        fps: 1 to 60 (a GIF counts in hundredths of a second: over 50 becomes 50).
        loop: GIF and WebP start again at the end.
        size: ``"1x"``, ``"2x"``, ``"4x"``, or the pixels of the longer side (Lanczos). An MP4 has at least 256.
    Returns the path. The file appears whole or not at all. Raises UserError.
    """
    path = Path(path)
    kind = path.suffix.lower().lstrip(".")
    fps = checks.number(fps, "Frames per second", 1, 60)
    if kind not in KINDS:
        raise UserError("Animations are saved as .gif, .webp or .mp4.")
    if kind not in formats():
        raise UserError("This machine has no MP4 encoder; choose GIF or WebP.")
    kept = _collect(frames, size)
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


def _written(frames: Sequence[Image.Image]) -> Iterator[Image.Image]:
    """Frames on their way into a file, with word of how many there are."""
    for i, frame in enumerate(frames):
        progress.passed(len(frames) + i, 2 * len(frames))
        yield frame


def _gif(frames: list[Image.Image], path: str, fps: float, loop: bool) -> None:
    palette = _shared_palette(frames)
    # No dither: an ordered pattern shows as a grid of dots on even ground, and error diffusion crawls as frames change.
    quantised = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in _written(frames)]
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
    """One palette of 256 colours from all frames: a palette of its own for each frame would flicker.

    Black and white are among them, so that white ground is as white as the page. More frames, or larger ones, make it
    no better, and k-means takes its time with them.
    """
    chosen = frames[:: -(-len(frames) // PALETTE_FRAMES)]
    width, height = chosen[0].size
    scale = min(1.0, PALETTE_SIDE / max(width, height))
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    board = Image.new("RGB", (width * len(chosen), height))
    for i, frame in enumerate(chosen):
        board.paste(frame if scale == 1 else frame.resize((width, height), Image.Resampling.BOX), (i * width, 0))
    found = board.quantize(254, method=Image.Quantize.MEDIANCUT, kmeans=1)
    palette = Image.new("P", (1, 1))
    palette.putpalette([0, 0, 0, 255, 255, 255, *(found.getpalette() or [])[: 254 * 3]])
    return palette


def _webp(frames: list[Image.Image], path: str, fps: float, loop: bool) -> None:
    frames[0].save(
        path,
        save_all=True,
        append_images=_written(frames[1:]),
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
        for frame in _written(frames):
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
    captions: Sequence[Sequence[str]] | None = None,
    row_captions: Sequence[str] | None = None,
    col_captions: Sequence[str] | None = None,
) -> Image.Image:
    """Pictures of one size as a table; headers stand before the rows and above the columns, set off by a wider gap.

    ``captions`` are lines of text under the pictures, row by row; ``row_captions`` and ``col_captions`` under headers.
    """
    if not rows or not rows[0]:
        raise UserError("There are no pictures to put in a grid.")
    width, height = rows[0][0].size
    gap = max(1, width // 32) if gap is None else gap
    line = _text_size(width) + 8  # what a line of text takes
    left = width + 3 * gap if row_header else 0
    top = height + 3 * gap + (line if col_captions else 0) if col_header else 0
    below = line if captions or row_captions else 0
    columns = max(len(r) for r in rows)
    total = (
        left + columns * width + (columns - 1) * gap,
        top + len(rows) * (height + below) + (len(rows) - 1) * gap,
    )
    sheet = Image.new("RGB", total, background)

    def put(image: Image.Image, x: int, y: int, text: str | None) -> None:
        sheet.paste(image, (x, y))
        if text:
            _write(sheet, text, x, y + height + 3, width, background)

    for j, image in enumerate(col_header or ()):
        put(image, left + j * (width + gap), 0, col_captions[j] if col_captions else None)
    for i, row in enumerate(rows):
        y = top + i * (height + below + gap)
        if row_header:
            put(row_header[i], 0, y, row_captions[i] if row_captions else None)
        for j, image in enumerate(row):
            put(image, left + j * (width + gap), y, captions[i][j] if captions else None)
    return sheet


def _text_size(width: int) -> int:
    return max(10, min(22, width // 7))


def _write(sheet: Image.Image, text: str, x: int, y: int, width: int, background: tuple[int, int, int]) -> None:
    """A line of text in the middle under a picture; smaller where it would be wider than that, and then its end."""
    draw, size = ImageDraw.Draw(sheet), _text_size(width)
    while size > SMALLEST_TEXT and draw.textlength(text, font=_font(size)) > width:
        size -= 1
    while len(text) > 1 and draw.textlength(text, font=_font(size)) > width:
        text = text.split(" ", 1)[1] if " " in text else text[1:]  # of "seed 123456" the number is what counts
    ink = (30, 30, 30) if sum(background) > 380 else (230, 230, 230)
    draw.text((x + width / 2, y), text, fill=ink, font=_font(size), anchor="ma")


def strip(
    images: Sequence[Image.Image],
    captions: Sequence[str] | None = None,
    gap: int | None = None,
    background: tuple[int, int, int] = (255, 255, 255),
) -> Image.Image:
    """Pictures in one row, with a line of text under each where ``captions`` are given."""
    texts = [[str(text) for text in captions]] if captions else None
    return grid([list(images)], gap=gap, background=background, captions=texts)
