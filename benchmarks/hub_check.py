"""``make hub-check``: every published checkpoint of the catalogue, once, and a table of it for the docs.

Each is fetched, hashed and loaded, makes four pictures, and is dragged for a few steps; what is no network is fetched
and hashed. What was not on this machine before goes again, so that the disk has to hold one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import weights
from weights.catalogue import CatalogueEntry
from weights.errors import UserError

from . import measure

OUT = Path(__file__).resolve().parent.parent / "docs" / "checkpoints.md"
SAMPLES, STEPS = 4, 10
HEADER = ["checkpoint", "licence", "MB", "SHA-256", "px", "fetched", "four pictures", "drag", "verdict"]


@dataclass
class Found:
    """What one checkpoint turned out to be; None: it was not come to. ``failure`` is a sentence."""

    entry: CatalogueEntry
    bytes: int | None = None
    sha256: str | None = None
    resolution: int | None = None
    fetching: float | None = None
    sampling: float | None = None
    dragging: float | None = None
    failure: str | None = None

    def row(self) -> list[str]:
        def seconds(value: float | None) -> str:
            return "" if value is None else f"{value:.1f} s"

        return [
            self.entry.name,
            self.entry.licence,
            f"{self.bytes / 1e6:.0f}" if self.bytes else "",
            (self.sha256 or "")[:12],
            str(self.resolution or ""),
            seconds(self.fetching),
            seconds(self.sampling),
            seconds(self.dragging),
            self.failure or "works",
        ]


def timed(work: Callable) -> tuple[float, object]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def sampled(net) -> list[np.ndarray]:
    """Four pictures. Raises UserError when they are all one, or flat: then the weights are not where they belong."""
    from pipelines import igan, stylegan2

    if net.info.technique == "igan":
        images = [igan.picture(net, seed) for seed in range(1, SAMPLES + 1)]
    else:
        images = stylegan2.sample(net, seeds=list(range(1, SAMPLES + 1)), truncation_psi=0.7)
    pictures = [np.asarray(image) for image in images]
    if min(picture.std() for picture in pictures) < 2:
        raise UserError("Its pictures are flat.")
    if any(np.array_equal(pictures[0], other) for other in pictures[1:]):
        raise UserError("Its pictures are all the same.")
    return pictures


def dragged(net) -> None:
    """A drag across the middle. Raises UserError when the picture does not change."""
    from pipelines import draggan, stylegan2

    w, size = stylegan2.latent(net, seed=1), net.img_resolution
    handle, target = (size * 0.375, size / 2), (size * 0.625, size / 2)
    with closing(draggan.drag(net, w, handles=[handle], targets=[target], steps=STEPS)) as steps:
        pictures = [np.asarray(state.image) for state in steps if state.image is not None]
    if len(pictures) < 2 or np.array_equal(pictures[0], pictures[-1]):
        raise UserError("A drag changes nothing.")


def checked(entry: CatalogueEntry, device: str = "cpu") -> Found:
    """What becomes of one checkpoint; a failure ends with its sentence, and is no exception."""
    found, before = Found(entry), weights.status(entry.name)

    def told(done: int, total: int | None) -> None:
        found.bytes = total or done

    try:
        found.fetching, path = timed(lambda: weights.fetch(entry.name, progress=told))
        if not entry.loadable:
            found.bytes, found.sha256 = path.stat().st_size, weights.hub.file_sha256(path)
            return found
        net = weights.load(entry.name, device)
        found.sha256, found.resolution = net.info.sha256, net.info.img_resolution
        if entry.resolution and net.info.img_resolution not in (None, entry.resolution):
            raise UserError(f"Its pictures have {net.info.img_resolution} px, the catalogue says {entry.resolution}.")
        found.sampling, _ = timed(lambda: sampled(net))
        if entry.technique == "stylegan2":
            found.dragging, _ = timed(lambda: dragged(net))
    except UserError as error:
        found.failure = str(error)
    except Exception as error:  # one bad file must not keep the others from being looked at
        found.failure = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    finally:
        if before == "remote":
            weights.forget(entry.name)
    return found


def table(found: Iterable[Found]) -> str:
    """The page for the docs."""
    rows = [[cell.replace("|", "/") for cell in one.row()] for one in found]
    words = (
        "# Published checkpoints\n\nWritten by `make hub-check`: each fetched from the Hub, hashed, loaded, four"
        f" pictures made and one point dragged for {STEPS} steps.\n\n"
    )
    return words + measure.table(HEADER, rows) + "\n"


def main(device: str = "cpu", quick: bool = False, count: int | None = None, out: Path = OUT) -> int:
    listed = [entry for entry in weights.entries() if not entry.shipped]
    listed = listed[: 1 if quick and count is None else count]
    found = []
    for entry in listed:
        found.append(checked(entry, device))
        print(" | ".join(found[-1].row()), flush=True)
    if not any(one.sha256 for one in found):
        print("Nothing could be fetched, so no table was written.")
        return 1
    out.write_text(table(found), encoding="utf-8")
    print(f"written: {out.name}")
    return int(any(one.failure for one in found))
