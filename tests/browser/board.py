"""The page of canvases in one window, with a hand at it."""

from __future__ import annotations

import io
import json
import time
from contextlib import contextmanager

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from demo import canvas

from .drawing_page import SIZES
from .hand import Hand
from .server import ARTEFACTS
from .visit import TIMEOUT_S

WINDOWS = {"wide": (1280, 900), "tall": (700, 1100), "narrow": (390, 844)}


class Board(Hand):
    """The page in one window; ``root`` is the canvas that is used, ``log`` where the page keeps its events."""

    root, log = "board", "heard"

    def __init__(self, browser, address: str, window: str = "wide", **options):
        width, height = WINDOWS[window]
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.context.set_default_timeout(TIMEOUT_S * 1000)
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda m: m.type == "error" and self.problems.append(m.text))
        self.page.goto(address)
        super().__init__(self.page, type(self).root, SIZES["square"])
        self.kind = "square"
        expect(self.part(".gc:not(.gc-empty)")).to_be_visible(timeout=TIMEOUT_S * 1000)

    def close(self) -> None:
        self.context.close()
        assert not self.problems, self.problems

    def show(self, kind: str) -> None:
        if kind != self.kind:
            self.page.locator(f"#kind input[value={kind}]").check()
            self.kind, self.size = kind, SIZES[kind]
            expect(self.view.locator("canvas").first).to_have_attribute("aria-label", f"a {kind} picture")
        self.settle()

    def settle(self) -> None:
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    # -- what was heard

    def heard(self) -> list[dict]:
        return json.loads(self.page.locator(f"#{self.log} textarea, #{self.log} input").first.input_value())

    @contextmanager
    def events(self, count: int):
        """So many events, no more, come of what happens inside."""
        before = len(self.heard())
        yield
        deadline = time.monotonic() + TIMEOUT_S
        while len(self.heard()) < before + count:
            assert time.monotonic() < deadline, f"{len(self.heard()) - before} of {count} events"
            self.page.wait_for_timeout(30)
        self.page.wait_for_timeout(150)
        assert len(self.heard()) == before + count

    @property
    def value(self) -> canvas.Drawing:
        """The value of the last event."""
        return canvas.read(self.heard()[-1])

    def press(self, keys: str) -> None:
        self.page.keyboard.press(keys)

    def wipe(self) -> None:
        button = self.page.locator("#board [data-act=clear]")
        if button.is_enabled():
            with self.events(1):
                button.click()
        self.tool("Points")

    def colours(self, x: float, y: float) -> np.ndarray:
        """What the screen shows at a place of the picture."""
        left, top = self.at(x, y)
        clip = {"x": int(left) - 1, "y": int(top) - 1, "width": 3, "height": 3}
        shot = Image.open(io.BytesIO(self.page.screenshot(clip=clip))).convert("RGB")
        return np.asarray(shot).reshape(-1, 3).mean(axis=0)

    def look(self, name: str) -> None:
        folder = ARTEFACTS / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"canvas-{name}.png")


def near(found, wanted, within: float = 0.2) -> bool:
    return bool(np.abs(np.array(found, float) - np.array(wanted, float)).max() <= within)
