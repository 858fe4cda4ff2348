"""A folder for each technique: its ``TAB`` says all that the page has to know. No mathematics in here."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Tab:
    """A technique's tab.

    Args:
        label: what stands on the tab.
        order: the place among the tabs, the smallest first.
        build: ``build(session, page, tab, handover)`` lays it out within its ``gr.Tab``, wires its events and gives its
            ``Chooser``, if it has networks to choose from.
        networks: techniques whose files of a visitor's own this tab is the first to use.
        send: the words of the buttons that send a picture here; None for a tab that takes none. A tab with words calls
            ``handover.takes``.
        tools: names of endpoints that are MCP tools too: those that need nothing that an earlier call has left.
    """

    label: str
    order: int
    build: Callable
    networks: tuple[str, ...] = ()
    send: str | None = None
    tools: tuple[str, ...] = ()


@functools.cache
def all_tabs() -> dict[str, Tab]:
    """The tabs by the names of their folders, which are their ids, in the order of the page."""
    folders = [module.name for module in pkgutil.iter_modules(__path__) if module.ispkg]
    found = {name: importlib.import_module(f"{__name__}.{name}").TAB for name in folders}
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))
