"""What a cell has made, what it shows of it, and the files that can be taken away."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from weights.errors import UserError

from . import disk


@dataclass(frozen=True)
class Result:
    """A pipeline's result with what led to it.

    ``value`` is the function's result (a list of frames where it yields), ``companions`` those of further calls,
    ``recipe`` is what was done, ``arguments`` are its arguments with the function's defaults; ``folder`` takes files:
    the page copies what it is handed, and the folder goes when the event is over.
    """

    value: Any
    companions: dict[str, Any]
    recipe: Any
    arguments: dict
    folder: Path

    def file(self, *words: object, ending: str = "png") -> Path:
        """A path with a name that still tells something in a download folder: ``faces-seed-7.png``.

        Raises UserError for an ending that is none: whatever it comes from, the path stays inside ``folder``.
        """
        if not isinstance(ending, str) or not re.fullmatch(r"[a-z0-9]{1,12}", ending):
            raise UserError("The format of the file is gif, webp or mp4.")
        parts = [self.recipe.checkpoint.split("/")[-1], *map(str, words)]
        name = "-".join(re.sub(r"[^A-Za-z0-9.+-]+", "-", p).strip("-") for p in parts)
        return self.folder / f"{name[:80]}.{ending}"

    def save(self, image: Image.Image, *words: object) -> str:
        """Writes a picture without loss and gives its path."""
        path = self.file(*words)
        image.save(path, compress_level=1)  # a quarter of the time of the default for a tenth more bytes
        return str(path)

    def save_all(self, images: Sequence[Image.Image], captions: Sequence[str]) -> list[tuple[str, str]]:
        """Pictures for a gallery, each with its caption; a number keeps names apart and in order."""
        return [
            (self.save(image, caption, f"{i + 1:02d}"), caption)
            for i, (image, caption) in enumerate(zip(images, captions, strict=True))
        ]


@dataclass(frozen=True)
class Display:
    """``values`` go to the cell's result components, in their order; ``amount`` says in words what there is.

    ``sheet`` makes the one picture that holds everything, for download; ``file`` is a finished download instead.
    """

    values: Sequence[Any]
    amount: str
    sheet: Callable[[], Image.Image] | None = None
    file: Path | None = field(default=None)


def written(
    frames: Sequence[Image.Image], path: Path, say: Callable[[str], Any], **options: Any
) -> Generator[Any, None, Path]:
    """Writes an animation with ``animation.save``; yields ``say(how far it is)``, and returns the path.

    Raises UserError.
    """
    from pipelines import animation

    from .running import with_progress

    with closing(with_progress(lambda: animation.save(frames, path, **options))) as work:
        while True:
            try:
                far = next(work)
            except StopIteration as end:
                return end.value
            yield say(f"Writing the file, {far.done / far.total:.0%}" if far.total else "Writing the file")


@contextmanager
def folder() -> Iterator[str]:
    """A folder for an event's files, gone when the event is over. Raises UserError when the disk is full."""
    with disk.report_full_disk(), tempfile.TemporaryDirectory(prefix="ganbook-", ignore_cleanup_errors=True) as path:
        yield path
