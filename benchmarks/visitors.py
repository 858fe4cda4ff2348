"""Visitors who come, upload a large photograph, edit it in two tabs and leave: whether the page's memory stays level.

The page's time to live is shortened, so that those who left are gone while the others come. Memory is read when all
have left and what they freed was given back; it rises while the first dozens come (networks, thread pools, caches),
so that it is read after each block of visitors, and the last is compared with the first.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
import time

from PIL import Image

from . import measure
from .server import MB, Server
from .visitor import Failed, Page, Visitor

KEEP_S = 4.0  # the page's time to live for those who left
SIDE = 4096
BLOCK = 100  # visitors between two readings; the first block is the warm-up
AT_ONCE = 2
WITHIN = 1.10  # of the memory after warm-up
PATIENCE_S = 300.0


def picture(number: int, side: int = SIDE) -> bytes:
    """A PNG of few bytes and many pixels, another for each visitor."""
    data = io.BytesIO()
    Image.new("RGB", (side, side), (number % 256, number // 256 % 256, 120)).save(data, "PNG", compress_level=6)
    return data.getvalue()


async def visit(page: Page, number: int, side: int = SIDE) -> None:
    """One visitor, from the first byte to leaving: the photograph in two tabs, an edit."""
    async with Visitor(page, PATIENCE_S) as visitor:
        photo = await visitor.upload(picture(number, side), f"photo-{number}.png")
        await visitor.call("attgan_face", photo=photo, face="centre")
        await visitor.call("attgan_edit", changes={"Eyeglasses": 1.0})
        await visitor.call("od_photo", photo=photo, face="centre")


async def many(page: Page, numbers: range, side: int = SIDE) -> list[str]:
    """So many visitors, ``AT_ONCE`` of them at a time. Gives what failed."""
    waiting, failed = iter(numbers), []

    async def one_after_the_other() -> None:
        for number in waiting:
            try:
                await visit(page, number, side)
            except Failed as error:
                failed.append(f"visitor {number}: {error}")

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    return failed


async def settled(server: Server) -> int:
    """Resident memory once those who left are gone and what they freed was given back."""
    await asyncio.sleep(KEEP_S + 3.0)
    lowest = server.memory()
    for _ in range(15):
        await asyncio.sleep(1.0)
        lowest = min(lowest, server.memory())
    return lowest


async def watched(server: Server, count: int, block: int, side: int = SIDE) -> tuple[list[list[str]], list[str]]:
    """Rows of the table, a block of visitors each, and what failed."""
    rows, failed, warm = [["started", "", f"{server.memory() / MB:.0f}", ""]], [], 0
    page = await Page.opened(server.address)
    for first in range(0, count, block):
        last = min(first + block, count)
        began = time.perf_counter()
        failed += await many(page, range(first, last), side)
        each = (time.perf_counter() - began) / (last - first)
        now = await settled(server)
        warm = warm or now
        rows.append([f"{last} gone", f"{each:.2f}", f"{now / MB:.0f}", f"{now / warm:.2f}x"])
        print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    return rows, failed


def main(device: str = "cpu", quick: bool = False, count: int | None = None) -> int:
    count = count or (40 if quick else 500)
    block = min(BLOCK, max(count // 2, 1))
    print(f"\n## {count} visitors who come and go, each with a photograph of {SIDE} px in two tabs\n")
    with tempfile.TemporaryDirectory() as folder, Server(folder, device, KEEP_S) as server:
        rows, failed = asyncio.run(watched(server, count, block))
    print(measure.table(["", "s a visitor", "MB resident", f"of the page after {block}"], rows))
    print(f"\n{len(failed)} of {count} visits failed. Wanted at the end: at most {WITHIN:.2f}x.")
    for line in failed[:10]:
        print(line)
    return int(bool(failed) or float(rows[-1][3][:-1]) > WITHIN)
