"""One visitor's browser window, in the words of the page: cells, controls, results."""

from __future__ import annotations

import base64
import io
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Download, Locator, expect

from .server import ARTEFACTS

# Nothing takes this long, unless the machine has much else to do.
TIMEOUT_S = 90
expect.set_options(timeout=TIMEOUT_S * 1000)
SCREENSHOTS = ARTEFACTS / "screenshots"
WIDE, NARROW = (1280, 900), (390, 844)
# What belongs to a running event: the page is at rest when none of these is under way.
WORK = re.compile(r"/gradio_api/(run/|upload\b|cancel|component_server)")
# Events are followed in the page itself: from their join until their completion comes. That a stream of events is open
# says nothing: where an event is completed before its join is answered, Gradio's client opens one that stays idle.
EVENTS = r"""(() => {
  const plain = window.fetch.bind(window);
  const running = window.runningEvents = new Set();
  const early = new Set();
  const follow = (message) => {
    if (!message.includes("process_completed")) return;
    const { msg, event_id } = JSON.parse(message.slice(message.indexOf("{")));
    if (msg === "process_completed" && !running.delete(event_id)) early.add(event_id);
  };
  const joined = async (asked) => {
    const ticket = {};
    running.add(ticket);
    try {
      const answer = await asked;
      const { event_id } = await answer.clone().json().catch(() => ({}));
      if (event_id && !early.delete(event_id)) running.add(event_id);
      return answer;
    } finally {
      running.delete(ticket);
    }
  };
  const watched = async (asked) => {
    const answer = await asked, decoder = new TextDecoder();
    let text = "";
    const body = answer.body?.pipeThrough(new TransformStream({
      transform(chunk, controller) {
        const messages = (text + decoder.decode(chunk, { stream: true })).split("\n\n");
        text = messages.pop();
        messages.forEach(follow);
        controller.enqueue(chunk);
      },
    }));
    return new Response(body, { status: answer.status, headers: answer.headers });
  };
  window.fetch = (input, options) => {
    const url = input instanceof Request ? input.url : String(input);
    const asked = plain(input, options);
    if (/\/gradio_api\/queue\/join\b/.test(url)) return joined(asked);
    return /\/gradio_api\/queue\/data\b/.test(url) ? watched(asked) : asked;
  };
})()"""
# A cell that comes into sight does nothing by itself, so that tests alone say what is made.
STILL = """(() => {
  const Plain = window.IntersectionObserver;
  window.IntersectionObserver = class extends Plain {
    observe(part) { if (!part.matches("[class*=nb-of-]")) super.observe(part); }
  };
})()"""
# Two frames later, the page has painted what it was given.
PAINTED = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"""
# Waits a while for no event to be under way, and gives the number of those that are. It looks a few times, since an
# event may begin another; at times and not in frames, which on a busy machine take as long as all else.
RESTED = """async () => {
  const busy = () => window.runningEvents.size + window.ganbookParts.waiting();
  const until = performance.now() + 2000;
  for (let rested = 0; rested < 3 && performance.now() < until; rested = busy() ? 0 : rested + 1)
    await new Promise(done => setTimeout(done, 25));
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  return busy();
}"""
# Whatever of a cell takes a visitor's hand: results, the code and what is hidden are no controls.
CONTROLS = """(cell) => [...cell.querySelectorAll('[id]')]
  .filter(e => e.id.startsWith(cell.id + '-') && e.offsetParent !== null)
  .filter(e => !e.closest('.nb-tiles, .nb-picture, .nb-figure, .nb-command, .nb-status, .nb-numbers'))
  .filter(e => !e.id.endsWith('-code'))
  .filter(e => e.matches('button') || e.querySelector('input, textarea, button'))
  .map(e => e.id.slice(cell.id.length + 1))"""


class Visit:
    """A window of its own session. ``problems`` collects what nobody must see in a browser's console.

    ``unasked``: cells make something by themselves when they come into sight, as they do for visitors.
    """

    def __init__(
        self,
        browser: Browser,
        address: str,
        size: tuple[int, int] = WIDE,
        options: str = "",
        unasked: bool = False,
    ):
        self.address, self.size = address, size
        self.name = f"{size[0]}"
        self.problems: list[str] = []
        self.used: set[str] = set()
        self._busy: set = set()
        self._begun: Counter[int] = Counter()
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, accept_downloads=True, reduced_motion="reduce"
        )
        self.context.set_default_timeout(TIMEOUT_S * 1000)
        self.context.add_init_script(EVENTS)
        if not unasked:
            self.context.add_init_script(STILL)
        self.page = self.context.new_page()
        self.page.set_default_navigation_timeout(TIMEOUT_S * 1000)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on("request", self._request)
        self.page.on("requestfinished", lambda request: self._busy.discard(request))
        self.page.on("requestfailed", lambda request: self._busy.discard(request))
        self.page.goto(f"{address}/{options}")
        self._read_config()
        if "#recipe=" in options:  # such a link opens a tab by itself, or says that it cannot
            self.page.wait_for_function("() => document.querySelector('#visit-link, #sg2-sample')?.offsetParent")
        if "#recipe=" not in options or self.page.locator("#visit-link").count():
            self.leave_first_page()
        # What the page does by itself: a first gallery and the table of parameters.
        self.ran("sample")
        expect(self.at("training-table").locator("table")).to_be_visible()
        self.settle()

    def leave_first_page(self) -> None:
        """A page begins with "Start here", after a reload too; the cells are in the next tab, which comes now."""
        self.page.get_by_role("tab", name="StyleGAN2").click()
        expect(self.at("sample")).to_be_visible()
        self.settle()

    def _read_config(self) -> None:
        """Which events the page's parts start, also those of tabs that were not opened yet."""
        config = self.context.request.get(f"{self.address}/config").json()
        elements = {part["id"]: part["props"].get("elem_id") for part in config["components"]}
        self._ids = {name: number for number, name in elements.items() if name}
        self._starts: set[tuple[str, str]] = set()
        for event in config["dependencies"]:
            for number, kind in event["targets"]:
                if number in elements and event["backend_fn"]:
                    self._starts.add((elements[number], kind))

    def close(self) -> None:
        self.context.close()

    def _console(self, message) -> None:
        if message.type != "error":
            return
        url = message.location.get("url", "")
        # Gradio itself stumbles, without consequence, over a Stop that comes while the event is ending by itself, and
        # over asking how far an upload is that was refused before it began. A bare "Response" comes after the browser's
        # own line on the same answer, with less in it.
        stumbles = (
            url.endswith("/gradio_api/cancel") and "500" in message.text,
            "/gradio_api/upload_progress" in url and "404" in message.text,
            message.text == "Response",
        )
        if not any(stumbles):
            self.problems.append(f"console: {message.text} ({url})")

    def _request(self, request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob", "about") and url.hostname != "127.0.0.1":
            self.problems.append(f"asked another machine: {request.url[:200]}")
        if WORK.search(request.url):
            self._busy.add(request)
        if request.method == "POST" and re.search(r"/queue/join|/run/", request.url):
            self._begun[request.post_data_json.get("trigger_id")] += 1

    # -- time

    def settle(self) -> None:
        """Waits until no event is running and everything that came is painted."""
        deadline = time.monotonic() + TIMEOUT_S
        while (events := self.page.evaluate(RESTED)) or self._busy:
            if time.monotonic() > deadline:
                under_way = [r.url for r in self._busy]
                raise AssertionError(f"still busy after {TIMEOUT_S} s: {events} events, {under_way}")

    @contextmanager
    def event(self, name: str) -> Iterator[None]:
        """What happens inside starts an event of that part of the page; at the end it is over."""
        number = self._ids[self._id(name)]
        before = self._begun[number]
        yield
        self.until(lambda: self._begun[number] > before, f"{name} began no event")
        self.settle()

    def until(self, met, otherwise: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not met():
            if time.monotonic() > deadline:
                raise AssertionError(otherwise)
            self.page.wait_for_timeout(60)

    # -- controls

    @staticmethod
    def _id(name: str) -> str:
        """``elem_id`` of a part of the page; those of the StyleGAN2 tab are named without their prefix."""
        return name if name.startswith(("ckpt", "tab", "st-", "dg-", "ag-", "ig-", "od-")) else f"sg2-{name}"

    def at(self, name: str) -> Locator:
        return self.page.locator(f"#{self._id(name)}")

    def _uses(self, name: str) -> Locator:
        self.used.add(name)
        return self.at(name)

    def press(self, name: str, key: str | None = None) -> None:
        """Presses a button that starts an event, and waits for the event's end; with ``key`` from the keyboard."""
        button = self._uses(name)
        with self.event(name):
            button.press(key) if key else button.click()

    @contextmanager
    def _change(self, name: str) -> Iterator[None]:
        """Around a change of a control: waits for what the control starts by itself, if it starts something."""
        kinds = {kind for part, kind in self._starts if part == self._id(name)}
        before, number = self.value(name), self._ids[self._id(name)]
        begun = self._begun[number]
        yield
        if "input" in kinds or ("change" in kinds and self.value(name) != before):
            self.until(lambda: self._begun[number] > begun, f"{name} began no event")
        self.settle()

    def write(self, name: str, text: object) -> None:
        """Fills a box: text, number, or the number beside a slider; in a text box the picture may wait for Enter."""
        part = self._uses(name)
        if (self._id(name), "submit") in self._starts:
            box = part.get_by_test_id("textbox")
            box.fill(str(text))
            with self.event(name):
                box.press("Enter")
            return
        box = part.locator("textarea, input[type=number], input[type=text], input:not([type])").first
        with self._change(name):
            box.fill(str(text))
            box.press("Tab")

    def type(self, name: str, text: str) -> None:
        """Letter by letter, where the page follows each."""
        box = self._uses(name).get_by_test_id("textbox")
        with self._change(name):
            box.press("Control+a")
            box.press_sequentially(text)

    def slide(self, name: str, key: str = "ArrowRight") -> str:
        """Moves a slider by keys and gives its new value."""
        handle = self._uses(name).locator("input[type=range]")
        with self._change(name):
            handle.press(key)
        return handle.input_value()

    def reset(self, name: str) -> str:
        """Presses the arrow beside a slider that brings its first value back; gives the value."""
        with self._change(name):
            self._uses(name).get_by_test_id("reset-button").click()
        return self.value(name)

    def pick(self, name: str, value: str) -> None:
        """One of few, laid open."""
        part = self._uses(name)
        if self.value(name) != value:
            with self._change(name):
                part.locator(f"label:has(input[value='{value}'])").click()
        expect(part.locator(f"input[value='{value}']")).to_be_checked()

    def tick(self, name: str, on: bool) -> None:
        with self._change(name):
            self._uses(name).locator("input[type=checkbox]").set_checked(on)

    def choose(self, name: str, label: str | re.Pattern) -> None:
        """An entry of a drop-down list, by its exact words or by a pattern."""
        box = self._uses(name).locator("input")
        if isinstance(label, str):
            label = re.compile(rf"^\W*{re.escape(label)}$")
        with self._change(name):
            box.click()
            self.page.get_by_role("option").filter(has_text=label).first.click()

    def enter(self, name: str, text: str) -> None:
        """An own value in a drop-down list that takes one."""
        box = self._uses(name).locator("input")
        with self._change(name):
            box.fill(text)
            box.press("Enter")

    def unfold(self, name: str) -> None:
        fold = self._uses(name).locator("button.label-wrap").first
        if "open" not in (fold.get_attribute("class") or "").split():
            fold.click()
        self.page.evaluate(PAINTED)

    def value(self, name: str) -> str:
        """What stands in a box, at a slider, or in a drop-down list; of a choice its value."""
        part = self.at(name)
        chosen = part.locator("input[type=radio]:checked")
        if chosen.count():
            return chosen.get_attribute("value")
        ticked = part.locator("input[type=checkbox]")
        if ticked.count():
            return str(ticked.is_checked())
        return part.locator("textarea, input[type=number], input").first.input_value()

    @contextmanager
    def every_control(self, cell: str) -> Iterator[None]:
        """Fails at the end if a control that the cell then shows was not used inside."""
        self.used.clear()
        yield
        there = {f"{cell}-{name}" for name in self.page.eval_on_selector(f"#sg2-{cell}", CONTROLS)}
        assert there, f"the cell {cell} shows no control"
        unused = sorted(there - self.used)
        assert not unused, f"no test uses {unused}"

    # -- results

    def status(self, cell: str) -> str:
        return self.at(f"{cell}-status").inner_text().strip()

    def news(self, cell: str) -> str:
        """What a cell says of a run that goes on, was stopped or failed; nothing after one that came to its end."""
        return self.at(f"{cell}-news").inner_text().strip()

    def ran(self, cell: str) -> str:
        """The line that says what ran; fails if the cell's last run did not come to its end."""
        expect(self.at(f"{cell}-status").locator("p.nb-ran")).to_be_visible()
        assert not self.at(f"{cell}-news").count() or not self.news(cell)
        return self.status(cell)

    def bytes(self, address: str) -> bytes:
        if address.startswith("data:"):
            return base64.b64decode(address.split(",", 1)[1])
        answer = self.context.request.get(address)
        assert answer.ok, f"{answer.status} for {address}"
        return answer.body()

    def addresses(self, name: str) -> list[str]:
        """Of every picture that a part of the page shows."""
        return self.at(name).locator("img").evaluate_all("all => all.map(one => one.src)")

    def pictures(self, name: str) -> list[np.ndarray]:
        """The pictures that a part of the page shows, as the server made them: ``[H, W, 3]`` uint8."""
        return [pixels(self.bytes(address)) for address in self.addresses(name)]

    def shows(self, name: str, count: int) -> None:
        """Fails unless a part of the page comes to show that many pictures, all of them really drawn."""
        images = self.at(name).locator("img")
        expect(images).to_have_count(count)
        for image in images.all():
            image.scroll_into_view_if_needed()
        drawn = "part => [...part.querySelectorAll('img')].every(image => image.naturalWidth)"
        self.page.wait_for_function(drawn, arg=self.at(name).element_handle())

    def tile(self, name: str, number: int) -> Locator:
        """One of the pictures that are pressed, from 0."""
        return self.at(name).locator(".gt-tile").nth(number)

    def download(self, name: str, folder: Path) -> Path:
        """Presses a download button; the file lies in ``folder`` under the name that the page gave it."""
        with self.page.expect_download() as begun:
            self._uses(name).click()
        return saved(begun.value, folder)

    def link(self, name: str) -> str:
        """Presses a button that gives a link; the notice with it is put away."""
        self._uses(name).click()
        field = self.page.locator("#visit-link input")
        expect(field).to_be_visible()
        address = field.input_value()
        self.page.locator("#visit-link .nb-notice-close").click()
        return address

    def upload(self, name: str, path: Path) -> None:
        """Hands a file to an upload button or a file box."""
        part = self._uses(name)
        expect(part).to_be_attached()  # its tab may have been opened a moment ago
        inside = part.locator("input[type=file]")
        box = inside if inside.count() else part.locator("xpath=preceding-sibling::input[@type='file'][1]")
        with self.event(name):
            box.set_input_files(str(path))

    def code(self, cell: str) -> str:
        """The Python in a cell's Code view, as it stands on the page."""
        self.unfold(f"{cell}-code-fold")
        lines = self.at(f"{cell}-code").locator(".cm-line")
        expect(lines.first).to_be_visible()
        return "\n".join(lines.all_inner_texts()).replace("\u200b", "").replace("\xa0", " ") + "\n"

    # -- what went wrong

    def toasts(self) -> list[str]:
        """The sentences of the messages that lie over the page."""
        return [text.strip() for text in self.page.get_by_test_id("toast-text").all_inner_texts()]

    def dismiss(self) -> None:
        """Closes the messages as a visitor does."""
        for close in self.page.get_by_test_id("toast-close").all():
            close.click()
        expect(self.page.get_by_test_id("toast-body")).to_have_count(0)

    def complaint(self) -> str:
        """The one sentence that the page says now: in the cell, or as a message, which is closed then."""
        here = self.page.locator("[data-said]")
        expect(self.page.get_by_test_id("toast-text").or_(here)).to_have_count(1)
        said = self.toasts() or [here.inner_text().strip()]
        here.evaluate_all("all => all.forEach(one => one.removeAttribute('data-said'))")
        one_sentence(said[0])
        everything = self.page.inner_text("body")
        assert "Traceback" not in everything and 'File "' not in everything
        self.dismiss()
        return said[0]

    # -- pictures of the page

    def screenshot(self, name: str, part: str | None = None, whole: bool = False) -> Path:
        """``part`` alone, or the ``whole`` page, or what the window shows; in ``artefacts/screenshots``."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}-{self.name}.png"
        if part:
            self.at(part).screenshot(path=path, animations="disabled")
        else:
            self.page.screenshot(path=path, full_page=whole, animations="disabled")
        return path

    def overflow(self) -> list[str]:
        """What sticks out of the page to the right; nothing may, or the page scrolls sideways."""
        return self.page.evaluate(
            """() => document.documentElement.scrollWidth <= innerWidth ? [] :
              [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
                .slice(0, 8).map(e => e.tagName + '#' + e.id + '.' + e.className)"""
        )


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def saved(download: Download, folder: Path) -> Path:
    path = folder / Path(unquote(download.suggested_filename)).name
    download.save_as(path)
    assert path.stat().st_size > 0
    return path


def one_sentence(text: str) -> None:
    """Fails unless ``text`` is a single plain sentence."""
    assert "\n" not in text and "Traceback" not in text and "Error" not in text, text
    assert 8 < len(text) < 400, text
    # Gradio itself answers for its dropdowns, and ends with the list of what may be chosen.
    assert text[-1] in ".?!" or "is not in the list of choices: [" in text, f"no end: {text}"
    assert not re.search(r"[.?!]\s+[A-Z]", text), f"more than one sentence: {text}"
