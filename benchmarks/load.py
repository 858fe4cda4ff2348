"""Many visitors at once: what they wait for, what fails, and whether each gets their own pictures.

The page runs as ``python app.py`` in a process of its own; the visitors are tasks of this one. Each does one thing
after the other, drawn from all tabs: pictures, drags, strokes, photographs, own files, Stop, and closing the window
in the middle. Everybody's seeds and photographs are their own, and what comes back is compared with them.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import io
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from . import measure
from .server import MB, ROOT, Server
from .visitor import Failed, NobodyAnswered, Page, Visitor

VISITORS, MINUTES = 50, 10.0
WARM_UP_S = 30.0  # after it memory is taken as that of a page in use
PATIENCE_S = 120.0  # how long a visitor waits for an answer
THINKING_S = (0.5, 2.0)  # between two things that a visitor does
OWN_SEEDS = 16  # pictures of a visitor whose pixels are known beforehand
MARK = 24  # pixels of the square in a photograph that says whose it is


@dataclass
class Outcome:
    """What the visitors met: seconds of every answer by function, and in words what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    failures: list[str] = field(default_factory=list)
    timeouts: list[str] = field(default_factory=list)
    mixed_up: list[str] = field(default_factory=list)
    checked: int = 0
    departures: int = 0

    @property
    def all_seconds(self) -> list[float]:
        return [s for values in self.seconds.values() for s in values]


class MixedUp(Exception):
    """A visitor was given something that is not theirs."""


class Person:
    """One of the visitors: their seeds, their photographs, and what they do."""

    def __init__(self, number: int, known: Known, outcome: Outcome):
        self.number, self.known, self.outcome = number, known, outcome
        self.random = random.Random(number)
        self.seeds = known.seeds(number)
        self.colour = (40 + 9 * (number % 20), 30 + 37 * (number // 20 % 5), 200 - 7 * (number % 17))

    async def call(self, visitor: Visitor, name: str, /, **given) -> list:
        began = time.perf_counter()
        results = await visitor.call(name, **given)
        self.outcome.seconds[name].append(time.perf_counter() - began)
        return results

    def must(self, right: bool, what: str) -> None:
        self.outcome.checked += 1
        if not right:
            raise MixedUp(f"visitor {self.number}: {what}")

    async def recipe_is_mine(self, visitor: Visitor, value: dict, name: str, wanted) -> None:
        recipe = await visitor.json(value)
        got = recipe["arguments"].get(name)
        self.must(got == wanted, f"{recipe['function']} with {name} {got} came, and {wanted} was asked for")

    # -- what they do

    async def sample(self, visitor: Visitor) -> None:
        first, last = self.seeds[0], self.seeds[-1]
        answer = await self.call(visitor, "stylegan2_sample", network="stylegan2/faces", seeds=f"{first}-{last}")
        pictures = [await visitor.picture(item["image"]) for item in answer[0]]
        right = [np.array_equal(a, b) for a, b in zip(pictures, self.known.faces[self.number], strict=True)]
        self.must(all(right), f"{right.count(False)} pictures of others among the samples")

    async def mix(self, visitor: Visitor) -> None:
        rows, columns = self.seeds[:4], self.seeds[4:9]
        answer = await self.call(
            visitor, "stylegan2_mix", row_seeds=",".join(map(str, rows)), col_seeds=",".join(map(str, columns))
        )
        await self.recipe_is_mine(visitor, answer[4], "row_seeds", ",".join(map(str, rows)))

    async def walk(self, visitor: Visitor) -> None:
        seeds = ",".join(map(str, self.seeds[:2]))
        answer = await self.call(visitor, "stylegan2_interpolate", seeds=seeds)
        await self.recipe_is_mine(visitor, answer[5], "seeds", seeds)

    async def move(self, visitor: Visitor) -> None:
        answer = await self.call(visitor, "stylegan2_move", seed=self.seeds[1], Smiling=2)
        await self.recipe_is_mine(visitor, answer[4], "seed", self.seeds[1])

    def drag_arguments(self, steps: int) -> dict:
        points = [{"handle": [50.0, 70.0], "target": [float(56 + self.number % 20), 74.0]}]
        drawing = {"size": [128, 128], "points": points, "layers": {}}
        return {"network": "stylegan2/faces", "seed": self.seeds[0], "drawing": drawing, "steps": steps}

    async def drag(self, visitor: Visitor) -> None:
        answer = await self.call(visitor, "draggan_drag", **self.drag_arguments(100))
        before = await visitor.picture(answer[1][0])
        mine = Image.fromarray(self.known.faces[self.number][0]).resize(before.size, Image.Resampling.BICUBIC)
        apart = np.abs(np.asarray(before, int) - np.asarray(mine, int)).max()
        self.must(apart <= 2, "a drag of somebody else's picture")  # alone and among sixteen, sums round differently

    async def stop(self, visitor: Visitor) -> None:
        """Starts a long drag and stops it; what is there then comes."""
        drag = asyncio.create_task(visitor.call("draggan_drag", **self.drag_arguments(500)))
        await asyncio.sleep(1.0)
        began = time.perf_counter()
        while not drag.done():  # what waits in the queue still is not running, so Stop is pressed again
            await visitor.call("draggan_stop")
            await asyncio.wait([drag], timeout=2.0)
        await drag
        self.outcome.seconds["draggan_stop"].append(time.perf_counter() - began)

    async def paint(self, visitor: Visitor) -> None:
        cells = np.zeros((64, 64), bool)
        cells[30:38, 14:50] = True
        edges = np.flatnonzero(np.diff(cells.ravel().astype(np.int8))) + 1
        lengths = np.diff([0, *edges, cells.size]).tolist()
        runs = [n for i, length in enumerate(lengths) for n in (length, i % 2)]
        layer = {"size": [64, 64], "runs": runs, "palette": [list(self.colour)]}
        drawing = {"size": [64, 64], "layers": {"colour": layer}, "patches": []}
        answer = await self.call(visitor, "igan_brush", network="igan/shoes", seed=self.seeds[2], drawing=drawing)
        self.must(str(self.seeds[2]) in answer[4], "a stroke on somebody else's picture")

    async def project(self, visitor: Visitor) -> None:
        answer = await self.call(visitor, "igan_project", photo=await self.own_photograph(visitor))
        self.must(bool(answer[1]), "no latent of the photograph")

    async def own_photograph(self, visitor: Visitor) -> dict:
        return await visitor.upload(self.known.photographs[self.number], f"photo-{self.number}.png")

    async def photograph_is_mine(self, visitor: Visitor, value: dict) -> None:
        corner = np.asarray(await visitor.picture(value))[:MARK, :MARK]
        self.must(bool((corner == self.known.colours[self.number]).all()), "somebody else's photograph")

    async def edit(self, visitor: Visitor) -> None:
        await self.call(visitor, "attgan_face", photo=await self.own_photograph(visitor))
        for changes in ({"Eyeglasses": 1}, {"Eyeglasses": 1, "Young": -1}):
            await self.call(visitor, "attgan_edit", changes=changes)
        await self.call(visitor, "attgan_flips")
        files = await self.call(visitor, "attgan_files")
        await self.photograph_is_mine(visitor, files[1])

    async def out_of_domain(self, visitor: Visitor) -> None:
        await self.call(visitor, "od_photo", photo=await self.own_photograph(visitor))
        for strength in (2, 3):
            await self.call(visitor, "od_edit", edits={"Smiling": strength})
        files = await self.call(visitor, "od_files")
        await self.photograph_is_mine(visitor, files[1])

    async def own_file(self, visitor: Visitor) -> None:
        """The same file from everybody: one's upload must not be another's hindrance."""
        given = await visitor.upload(self.known.checkpoint, "mine.pt")
        answer = await self.call(visitor, "load_checkpoint", file=given)
        self.must("32 px" in str(answer), "a checkpoint that is not the one uploaded")

    async def leave(self, visitor: Visitor) -> None:
        """Closes the window while something runs."""
        away = asyncio.create_task(visitor.call("stylegan2_interpolate", seeds="1-4", frames=120))
        await asyncio.sleep(1.5)
        away.cancel()
        with contextlib.suppress(asyncio.CancelledError, Failed):
            await away
        raise Departed


class Departed(Exception):
    """The visitor has closed the window."""


# What is done how often: much of what is quick, as visitors do.
DEEDS: dict[str, int] = {
    "sample": 5,
    "mix": 2,
    "walk": 1,
    "move": 2,
    "drag": 4,
    "stop": 1,
    "paint": 4,
    "project": 1,
    "edit": 2,
    "out_of_domain": 2,
    "own_file": 1,
    "leave": 1,
}


class Known:
    """What is known before the visitors come: their pictures, their photographs, and a file that everybody has."""

    def __init__(self, count: int):
        import weights
        from pipelines import stylegan2

        net = weights.load("stylegan2/faces")
        self.faces: list[list[np.ndarray]] = []
        self.photographs: list[bytes] = []
        self.colours: list[tuple[int, int, int]] = []
        for number in range(count):
            pictures = stylegan2.sample(net, seeds=list(self.seeds(number)), truncation_psi=0.7)
            self.faces.append([np.asarray(picture) for picture in pictures])
            self.colours.append((number % 16 * 16 + 5, number // 16 * 16 + 9, 255 - number % 7 * 30))
            self.photographs.append(self._photograph(pictures[0], self.colours[-1]))
        self.checkpoint = (ROOT / "tests" / "fixtures" / "rosinality_32.pt").read_bytes()

    @staticmethod
    def seeds(number: int) -> range:
        return range(1000 + number * OWN_SEEDS, 1000 + (number + 1) * OWN_SEEDS)

    @staticmethod
    def _photograph(face: Image.Image, colour: tuple[int, int, int]) -> bytes:
        """A made face in a larger picture, with a square in the corner that says whose it is."""
        whole = Image.new("RGB", (640, 640), (128, 136, 144))
        whole.paste(face.resize((384, 384), Image.Resampling.LANCZOS), (128, 128))
        whole.paste(colour, (0, 0, MARK, MARK))
        file = io.BytesIO()
        whole.save(file, "PNG")
        return file.getvalue()


async def visit(person: Person, page: Page, until: float, deeds: dict[str, int], patience: float) -> None:
    """Comes, does one thing after the other, leaves, and comes again, until the time is up."""
    outcome = person.outcome
    names, shares = list(deeds), list(deeds.values())
    while time.perf_counter() < until:
        async with Visitor(page, patience) as visitor:
            with contextlib.suppress(Departed):
                while time.perf_counter() < until:
                    await asyncio.sleep(person.random.uniform(*THINKING_S))
                    name = person.random.choices(names, shares)[0]
                    deed: Callable[[Visitor], Awaitable[None]] = getattr(person, name)
                    try:
                        await deed(visitor)
                    except NobodyAnswered as error:
                        outcome.timeouts.append(str(error))
                    except Failed as error:
                        outcome.failures.append(f"{name}: {error}")
                    except MixedUp as error:
                        outcome.mixed_up.append(str(error))
        outcome.departures += 1


@dataclass
class Measured:
    visitors: int
    minutes: float
    outcome: Outcome
    memory: dict[str, int]
    busy: float  # seconds of processor time a second
    complaints: int  # tracebacks in the page's log


async def _crowd(server: Server, known: Known, visitors: int, seconds: float, deeds, patience: float) -> Measured:
    outcome, memory = Outcome(), {"at start": server.memory()}
    page = await Page.opened(server.address)
    people = [Person(number, known, outcome) for number in range(visitors)]

    async def warm() -> None:
        await asyncio.sleep(min(WARM_UP_S, seconds / 2))
        memory["after warm-up"] = server.memory()

    began, before = time.perf_counter(), server.seconds()
    until = began + seconds
    await asyncio.gather(warm(), *(visit(person, page, until, deeds, patience) for person in people))
    took = time.perf_counter() - began
    memory["at the end"] = server.memory()
    busy = (server.seconds() - before) / took
    return Measured(visitors, seconds / 60, outcome, memory, busy, server.complaints())


def measured(
    visitors: int,
    minutes: float,
    device: str = "cpu",
    deeds: dict[str, int] = DEEDS,
    patience: float = PATIENCE_S,
    known: Known | None = None,
) -> Measured:
    """A page of its own, and so many visitors for so long."""
    known = known or Known(visitors)
    with tempfile.TemporaryDirectory() as folder, Server(folder, device) as server:
        return asyncio.run(_crowd(server, known, visitors, minutes * 60, deeds, patience))


def percentile(values: list[float], share: float) -> float:
    """The smallest value that so large a share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, int(np.ceil(share * len(ordered))) - 1)]


def report(found: Measured) -> str:
    outcome = found.outcome
    rows = []
    for name, values in [("all", outcome.all_seconds), *sorted(outcome.seconds.items())]:
        if values:
            row = [name, len(values), f"{statistics.median(values):.2f}", f"{percentile(values, 0.95):.2f}"]
            rows.append([*map(str, row), f"{max(values):.2f}"])
    lines = [measure.table(["", "answers", "median s", "95 % s", "longest s"], rows), ""]
    memory = ", ".join(f"{value / MB:,.0f} MB {when}" for when, value in found.memory.items())
    lines += [
        f"{len(outcome.all_seconds) / found.minutes / 60:.2f} answers a second, the page used {found.busy:.2f} cores",
        f"memory: {memory}",
        f"{len(outcome.failures)} failures, {len(outcome.timeouts)} without an answer within the patience,"
        f" {outcome.departures} departures, {found.complaints} tracebacks in the log",
        f"{outcome.checked} results checked, {len(outcome.mixed_up)} of somebody else",
    ]
    for words, count in collections.Counter(outcome.failures + outcome.timeouts + outcome.mixed_up).most_common(8):
        lines.append(f"  {count} x {words[:200]}")
    return "\n".join(lines)


def main(device: str = "cpu", quick: bool = False, visitors: int | None = None, minutes: float | None = None) -> int:
    visitors = visitors or (5 if quick else VISITORS)
    minutes = minutes or (0.5 if quick else MINUTES)
    print(f"\n## {visitors} visitors for {minutes:g} minutes\n")
    found = measured(visitors, minutes, device)
    print(report(found))
    outcome = found.outcome
    return int(bool(outcome.failures or outcome.timeouts or outcome.mixed_up or not outcome.all_seconds))
