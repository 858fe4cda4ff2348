"""A hand at a canvas: places are pixels of the picture, as in its value."""

from __future__ import annotations

from playwright.sync_api import Page

# Where a part of the page is in the window, once it is there.
BOX = """part => {
  part.scrollIntoView({ block: 'nearest' });
  const box = part.getBoundingClientRect();
  return [box.left, box.top, box.width, box.height];
}"""
MARKS = """all => all.filter(e => e.getAttribute('visibility') === 'visible')
  .map(e => [`${+e.dataset.number + 1} ${e.dataset.end}`, +e.dataset.x, +e.dataset.y])"""

GOES_ON = {"dg-drag-steps": 1000, "dg-drag-patience": 1000, "dg-drag-stop-distance": "0.05"}  # a drag, for long


class Hand:
    """``root`` is the canvas's ``elem_id``, ``size`` that of its picture (width, height)."""

    def __init__(self, page: Page, root: str, size: tuple[int, int]):
        self.page, self.root, self.size = page, root, size
        self.view = page.locator(f"#{root} .gc-view")

    def part(self, selector: str):
        return self.page.locator(f"#{self.root} {selector}")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the picture is in the window; the view is scrolled to if it is not there."""
        left, top, width, height = self.view.evaluate(BOX)
        return left + (x + 0.5) / self.size[0] * width, top + (y + 0.5) / self.size[1] * height

    def click(self, x: float, y: float, **options) -> None:
        self.page.mouse.click(*self.at(x, y), **options)

    def pull(self, a: tuple[float, float], b: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*a))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*b), steps=5)
        self.page.mouse.up()

    def tool(self, words: str) -> None:
        self.part(".gc-bar button").filter(has_text=words).first.click()

    def clear(self) -> None:
        self.part("[data-act=clear]").click()

    def marks(self) -> list[tuple[str, float, float]]:
        """What stands in the picture: (number and end, x, y)."""
        return [tuple(mark) for mark in self.view.locator("[data-end]").evaluate_all(MARKS)]
