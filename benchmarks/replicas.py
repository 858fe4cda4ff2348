"""20 visitors at once, each with a gallery, a drag and an edit: one process against two replicas of Ray Serve.

Both pages do the same work. On one machine replicas share its cores, so what this shows is what the way to a replica
costs, and that many visitors come through; what more machines give has to be measured on more machines.
"""

from __future__ import annotations

import asyncio
import importlib.util
import statistics
import sys
import tempfile
import time

from . import measure
from .server import MB, Server
from .visitor import Failed, Page, Visitor
from .visitors import picture

VISITORS = 20
REPLICAS = 2
PATIENCE_S = 280.0
SIDE = 256  # of the photograph


async def visit(page: Page, number: int) -> tuple[list[float], list[str]]:
    """Seconds of each answer, and what failed."""
    seconds, failed = [], []

    async def timed(name: str, **given) -> None:
        began = time.perf_counter()
        try:
            await visitor.call(name, **given)
            seconds.append(time.perf_counter() - began)
        except Failed as error:
            failed.append(str(error))

    async with Visitor(page, PATIENCE_S) as visitor:
        photo = await visitor.upload(picture(number, SIDE), f"photo-{number}.png")
        await timed("stylegan2_sample", network="stylegan2/faces", seeds=f"{number * 16 + 1}-{number * 16 + 16}")
        points = [{"handle": [50.0, 70.0], "target": [float(56 + number % 20), 74.0]}]
        drawing = {"size": [128, 128], "points": points, "layers": {}}
        await timed("draggan_drag", network="stylegan2/faces", seed=number + 1, drawing=drawing, steps=20)
        await timed("attgan_face", photo=photo, face="centre")
        await timed("attgan_edit", changes={"Eyeglasses": 1.0})
    return seconds, failed


async def all_at_once(server: Server, visitors: int) -> tuple[list[str], list[str]]:
    """A row of the table, and what failed. One visitor comes first, so that networks are loaded."""
    page = await Page.opened(server.address)
    for number in range(REPLICAS + 1):
        await visit(page, number)
    began = time.perf_counter()
    found = await asyncio.gather(*(visit(page, number) for number in range(visitors)))
    took = time.perf_counter() - began
    seconds = sorted(s for one, _ in found for s in one)
    row = [f"{len(seconds)}", f"{60 * len(seconds) / took:.0f}", f"{statistics.median(seconds):.2f}"]
    row += [f"{seconds[int(0.95 * len(seconds))]:.2f}", f"{server.memory() / MB:,.0f}"]
    return row, [line for _, lines in found for line in lines]


def main(device: str = "cpu", quick: bool = False, count: int | None = None) -> int:
    visitors = count or (4 if quick else VISITORS)
    print(f"\n## {visitors} visitors at once, in one process and by Ray Serve\n")
    ways = {"one process": ()}
    if importlib.util.find_spec("ray") is None:
        print("Ray is not installed (pip install -r requirements-ray.txt), so its replicas are left out.\n")
    else:
        ways[f"{REPLICAS} replicas"] = ("--backend", "ray", "--replicas", str(REPLICAS))
    rows, failed = [], []
    for name, flags in ways.items():
        with tempfile.TemporaryDirectory() as folder, Server(folder, device, flags=flags) as server:
            row, wrong = asyncio.run(all_at_once(server, visitors))
            rows.append([name, *row])
            print(" ".join(rows[-1]), file=sys.stderr, flush=True)
            failed += [f"{name}: {line}" for line in wrong]
    print(measure.table(["", "answers", "a minute", "median s", "95 % s", "MB"], rows))
    for line in failed[:10]:
        print(line)
    return int(bool(failed))
