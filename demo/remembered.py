"""What a visitor's browser keeps of a visit: the seeds, and the recipe of each cell's last result.

Work lives in the server's memory and is gone when that is started again, or when nobody touched it for long. The page
notices (``assets/visit.js``), says so and starts clean; what was kept comes back. Nothing of it reaches the server
before that: storing happens in the browser.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import escape, unescape
from typing import Any

import gradio as gr

from .page import Page

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


def wire(page: Page) -> None:
    """Inside the page, after all tabs: whatever has a seed or a recipe by the name of its ``elem_id`` is kept."""
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

    def arrive(found: Any, request: gr.Request) -> list:
        values = found.get("seeds") if isinstance(found, dict) else None
        values = values if isinstance(values, dict) else {}
        return [request.session_hash, *(back(part, values.get(name)) for name, part in seeds.items())]

    arrived = page.load(arrive, kept, [here, *seeds.values()], js="(found) => [ganbookVisit.back(found)]", **PRIVATE)
    for arguments, options in page.greetings:
        arrived.then(*arguments, **options)


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
        tab = button
        while not isinstance(tab, gr.Tab):
            tab = tab.parent
        found.append(Kept(cell, title, tab.label, status, recipe))
    return found


def below(block: gr.blocks.Block):
    for child in getattr(block, "children", ()):
        yield child
        yield from below(child)
