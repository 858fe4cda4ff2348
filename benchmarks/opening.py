"""What opening the page costs: a browser until its first tab can be used, and the server for each new session."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from . import loop_meter

ROOT = Path(__file__).resolve().parent.parent
USABLE_S, SESSION_MS = 1.5, 50.0  # what is wanted of a machine that has nothing else to do
PATIENCE_S = 120
IDLE_S = 3.0
REST_S = 4.0  # in which the page, or a tab that was opened, does what it does by itself
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# What the first tab is for: its pictures open tabs with the examples that they show. A visitor presses one as soon as
# it is there, and again as long as nothing comes of it.
PICTURE, CELL, EXAMPLE = "[data-tour=attgan]", "#ag-edit-undo", "#ag-edit-status p.nb-ran"
PRESSES = """((picture, cell, example) => {
  const found = window.opening = { seen: null, usable: null, shown: null };
  const there = (selector) => document.querySelector(selector)?.offsetParent;
  const timer = setInterval(() => {
    if (!there(picture) && !found.seen) return;
    found.seen ??= performance.now();
    if (!document.querySelector('[role="tab"][aria-selected="true"]')?.textContent.includes("AttGAN")) {
      return document.querySelector(picture)?.click();
    }
    if (!there(cell)) return;
    found.usable ??= performance.now();
    if (!document.querySelector(example)?.textContent.includes("eyeglasses")) return;
    found.shown = performance.now();
    clearInterval(timer);
  }, 20);
})"""
# Any tab, opened later: milliseconds until its first cell is there.
OPENS = """([tab, cell]) => new Promise((done) => {
  const began = performance.now();
  [...document.querySelectorAll('[role="tab"]')].find((one) => one.textContent.trim() === tab).click();
  const timer = setInterval(() => {
    if (!document.querySelector(cell)?.offsetParent) return;
    clearInterval(timer);
    done(performance.now() - began);
  }, 5);
})"""
TAB, TAB_CELL = "StyleGAN2", "#sg2-sample-run"


@dataclass(frozen=True)
class Opened:
    """One visit: seconds until the first tab is there, until a press on its picture has opened a tab with its cell,
    until that shows the example; of script, and of the page's main thread; the server's seconds in its event loop.
    ``later``, ``later_loop``: a tab that is opened when the page rests, until its cell is there, and the server's.
    ``size`` is that of the page in bytes, as it is sent.
    """

    seen: float
    usable: float
    shown: float
    script: float
    task: float
    size: int
    loop: float
    later: float
    later_loop: float


@contextlib.contextmanager
def served(device: str, folder: str) -> Iterator[tuple[str, Path]]:
    """The page in a process of its own: its address, and the file of its loop's meter."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, meter = f"http://127.0.0.1:{port}", Path(folder, "meter")
    own = {"GANBOOK_CACHE": f"{folder}/ganbook", "HF_HUB_CACHE": f"{folder}/hub", "GRADIO_TEMP_DIR": f"{folder}/gradio"}
    command = [sys.executable, str(Path(loop_meter.__file__)), str(meter), "app.py"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--offline", "--device", device]
    with open(f"{folder}/log", "wb") as log:
        app = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **own}, stdout=log, stderr=subprocess.STDOUT)
        try:
            began = time.perf_counter()
            while not answers(address):
                if app.poll() is not None or time.perf_counter() - began > PATIENCE_S:
                    raise RuntimeError(f"no page came up:\n{Path(folder, 'log').read_text(errors='replace')}")
                time.sleep(0.05)
            yield address, meter
        finally:
            app.terminate()
            app.wait(30)


def answers(address: str) -> bool:
    try:
        for path in ("/", "/config"):
            with urllib.request.urlopen(address + path, timeout=PATIENCE_S) as answer:
                answer.read()
        return True
    except (urllib.error.URLError, ConnectionError):
        return False


def visit(browser, address: str, meter: Path, idle: float = 0.0, press: bool = True) -> Opened:
    """Opens the page as somebody who was never there, and waits until it rests.

    ``idle`` seconds a second are what the loop takes without visitors. With a ``press`` it is a visitor in a hurry, who
    gives ``seen``, ``usable`` and ``shown``; without one nothing is asked of the page but what it does by itself, and
    then a tab, which gives the rest.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    if press:
        context.add_init_script(f"{PRESSES}({json.dumps(PICTURE)}, {json.dumps(CELL)}, {json.dumps(EXAMPLE)})")
    page = context.new_page()
    counters = context.new_cdp_session(page)
    counters.send("Performance.enable")

    def rested(do) -> tuple[object, float]:
        """What ``do`` gives, and the seconds of the loop until the page has rested after it."""
        before, began = loop_meter.read(meter), time.perf_counter()
        made = do()
        page.wait_for_timeout(REST_S * 1000)
        return made, (loop_meter.read(meter) - before).loop - idle * (time.perf_counter() - began)

    def opens() -> None:
        page.goto(address, timeout=PATIENCE_S * 1000)
        there = "() => window.opening.shown !== null" if press else f"() => document.querySelector('{PICTURE}')"
        page.wait_for_function(there, timeout=PATIENCE_S * 1000)

    _, loop = rested(opens)
    values = {one["name"]: one["value"] for one in counters.send("Performance.getMetrics")["metrics"]}
    size = page.evaluate("() => performance.getEntriesByType('navigation')[0].encodedBodySize")
    found = page.evaluate("() => window.opening ?? { seen: 0, usable: 0, shown: 0 }")
    later, later_loop = (0.0, 0.0) if press else rested(lambda: page.evaluate(OPENS, [TAB, TAB_CELL]))
    context.close()
    return Opened(
        *(found[name] / 1000 for name in ("seen", "usable", "shown")),
        *(values["ScriptDuration"], values["TaskDuration"], size, loop, later / 1000, later_loop),
    )


def measured(device: str, turns: int) -> list[Opened] | str:
    """Visits with and without a press in turns, one of each as one; or why there are none.

    The first of each, which load torch and the networks, are left out.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return "Playwright is not installed (requirements-dev.txt)"
    if path is None:
        return "there is no Chromium on this machine"
    with tempfile.TemporaryDirectory() as folder, served(device, folder) as (address, meter):
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=SWITCHES)
            for press in (True, False):
                visit(browser, address, meter, press=press)
            time.sleep(2)
            before, began = loop_meter.read(meter), time.perf_counter()
            time.sleep(IDLE_S)
            idle = (loop_meter.read(meter) - before).loop / (time.perf_counter() - began)
            found = []
            for _ in range(turns):
                quiet = visit(browser, address, meter, idle, press=False)
                pressed = visit(browser, address, meter)
                found.append(replace(quiet, seen=pressed.seen, usable=pressed.usable, shown=pressed.shown))
            browser.close()
    return found


def rows(found: list[Opened]) -> list[list[str]]:
    def median(of) -> float:
        return statistics.median(of(one) for one in found)

    return [
        ["page, kB", f"{median(lambda o: o.size) / 1e3:,.0f}", ""],
        ["first tab is there, s", f"{median(lambda o: o.seen):.2f}", ""],
        ["a press on its picture opens that tab, s", f"{median(lambda o: o.usable):.2f}", f"{USABLE_S}"],
        ["... which shows the example, s", f"{median(lambda o: o.shown):.2f}", ""],
        ["script until the page rests, s", f"{median(lambda o: o.script):.2f}", ""],
        ["main thread until the page rests, s", f"{median(lambda o: o.task):.2f}", ""],
        ["server's event loop for a session, ms", f"{median(lambda o: o.loop) * 1e3:.0f}", f"{SESSION_MS:.0f}"],
        [f"{TAB} opened later, s", f"{median(lambda o: o.later):.2f}", ""],
        ["server's event loop for that, ms", f"{median(lambda o: o.later_loop) * 1e3:.0f}", ""],
    ]
