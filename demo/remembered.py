"""What a visitor's browser keeps of a visit: the seeds, and the recipe of each cell's last result.

Work lives in the server's memory and is gone when that is started again, or when nobody touched it for long. The page
notices (``assets/visit.js``), says so and starts clean; what was kept comes back. Nothing of it reaches the server
before that: storing happens in the browser.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from html import escape, unescape
from typing import Any

import gradio as gr

from .networks import Chooser
from .page import Page
from .parts import Arrival
from .session import Visitor

# Gradio encrypts what it keeps in a browser. With a secret of its own it makes another at each start, and could read
# nothing of the time before; recipes are nothing to hide from the browser that they came from.
STORE = {"storage_key": "ganbook-visit", "secret": "ganbook-visit-01"}
MAX_TEXT = 200
PRIVATE = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Kept:
    """A cell that has recipes: the start of its parts' ``elem_id``, what it is called, and its tab's words."""

    cell: str
    title: str
    tab: str
    status: gr.components.Component
    recipe: gr.components.Component


def wire(page: Page, session: gr.State, tabs: gr.Tabs, choosers: dict[str, Chooser]) -> None:
    """Inside the page, after all tabs: whatever has a seed or a recipe by the name of its ``elem_id`` is kept.

    What a tab does when it comes (``page.greets``) follows its seeds, and its network (``choosers`` by the tabs' ids).
    """
    parts = {str(block.elem_id): block for block in page.blocks.values() if getattr(block, "elem_id", None)}
    seeds = {
        name: part
        for name, part in parts.items()
        if re.search(r"-seeds?$", name) and isinstance(part, (gr.Number, gr.Textbox))
    }
    cells = cells_of(parts)
    words = json.dumps({kept.cell: {"tab": kept.tab, "title": kept.title} for kept in cells})
    here = gr.HTML(
        "",
        html_template=f'<span hidden data-cells="{escape(words)}"></span>',
        js_on_load="ganbookVisit.attach(props, watch);",
        apply_default_css=False,
        elem_id="visit",
        elem_classes="nb-visit",
    )
    kept = gr.BrowserState({}, **STORE)
    names = json.dumps({"seeds": list(seeds), "cells": [one.cell for one in cells]})
    gr.on(
        [one.status.change for one in cells],
        None,
        [kept, *seeds.values(), *(one.recipe for one in cells)],
        kept,
        js=f"(...values) => ganbookVisit.remember({names}, values)",
        **PRIVATE,
    )

    def arrive(_found: Any, request: gr.Request) -> str | None:
        return request.session_hash

    arrived = {tabs.children[0]: page.load(arrive, kept, here, js="(found) => [ganbookVisit.back(found)]", **PRIVATE)}
    for tab in tabs.children[1:]:
        mine = {name: part for name, part in seeds.items() if tab_of(part) is tab}
        comes = Arrival(tab, partial(tab_arrives, tab.id, choosers.get(tab.id), mine))
        outputs = [*([choosers[tab.id].network] if tab.id in choosers else []), *mine.values()]
        js = "(visitor, found) => [visitor, ganbookVisit.kept()]"
        arrived[tab] = page.load(comes, [session, kept], outputs, js=js, **PRIVATE)
    for (function, inputs, outputs), options in page.greetings:
        arrived[tab_of(outputs[0])].then(function, inputs, outputs, **options)
    for tab, event in arrived.items():
        event.then(None, None, None, js=f"() => ganbookParts.begun({tab.elem_id!r})", **PRIVATE)


def tab_arrives(tab: str, chooser: Chooser | None, seeds: dict, visitor: Visitor, found: Any) -> dict | None:
    """Updates of a tab's network and seeds when the browser has laid it out; None for a tab that has neither.

    ``found`` is what the browser kept.
    """
    visitor.opened.add(tab)
    values = found.get("seeds") if isinstance(found, dict) else None
    values = values if isinstance(values, dict) else {}
    network = {chooser.network: chooser.opened(visitor, tab)} if chooser else {}
    return (network | {part: back(part, values.get(name)) for name, part in seeds.items()}) or None


def back(part: gr.components.Component, value: Any) -> Any:
    """What sets a seed again; nothing for what no visitor could have written there."""
    if isinstance(part, gr.Number):
        fits = type(value) in (int, float) and 0 <= value < 2**63
    else:
        fits = isinstance(value, str) and len(value) <= MAX_TEXT
    return gr.update(value=value) if fits else gr.skip()


def cells_of(parts: dict[str, gr.blocks.Block]) -> list[Kept]:
    """The cells that take recipes, in the order of the page."""
    found = []
    for name, button in parts.items():
        cell = name.removesuffix("-recipe-load")
        frame, status, recipe = (parts.get(f"{cell}{part}") for part in ("", "-status", "-recipe"))
        if cell == name or None in (frame, status, recipe):
            continue
        heading = next(str(block.value) for block in below(frame) if "<h2>" in str(getattr(block, "value", "")))
        title = unescape(re.search(r"<h2>(.*?)</h2>", heading)[1])
        found.append(Kept(cell, title, tab_of(button).label, status, recipe))
    return found


def tab_of(block: gr.blocks.Block) -> gr.Tab:
    while not isinstance(block, gr.Tab):
        block = block.parent
    return block


def below(block: gr.blocks.Block):
    for child in getattr(block, "children", ()):
        yield child
        yield from below(child)
