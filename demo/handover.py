"""From tab to tab: a picture that one of them made is put before another, as what makes it (``session.Sent``).

Tabs offer and take while they are built; when all of them are there, ``wire`` connects them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import gradio as gr

from weights.errors import UserError

from .lifecycle import PRIVATE
from .notebook import Cell
from .session import Sent, Visitor


@dataclass(frozen=True)
class _Offer:
    button: gr.Button
    to: str
    inputs: Sequence[gr.components.Component]
    make: Callable[..., Sent]


@dataclass(frozen=True)
class _Taker:
    cell: Cell
    take: Callable[..., Iterator[dict]]
    inputs: Sequence[gr.components.Component]
    outputs: Sequence[gr.components.Component]


class Handover:
    """``session`` is the visitor's; tabs are known by their ids.

    ``words`` has the tabs that take pictures, and what a button says that sends one there.
    """

    def __init__(self, session: gr.State, words: Mapping[str, str]):
        self.session, self.words = session, words
        self._offers: list[_Offer] = []
        self._takers: dict[str, _Taker] = {}

    def offers(self, button: gr.Button, to: str, inputs: Sequence, make: Callable[..., Sent]) -> None:
        """A button that sends what ``make(visitor, *values)`` makes to a tab; None: there is nothing to send yet."""
        self._offers.append(_Offer(button, to, list(inputs), make))

    def takes(self, tab: str, cell: Cell, take: Callable, inputs: Sequence, outputs: Sequence) -> None:
        """What a tab's cell does with what was sent there: ``take(visitor, *values)`` ``receive``s it."""
        self._takers[tab] = _Taker(cell, take, list(inputs), list(outputs))

    def wire(self, tabs: gr.Tabs) -> None:
        """What takes a picture has to be in the browser first: the tab comes because it is selected."""
        parts = {tab.id: tab.elem_id for tab in tabs.children}
        for offer in self._offers:
            taker = self._takers[offer.to]
            sent = offer.button.click(
                _sending(offer),
                [self.session, *offer.inputs],
                tabs,
                show_progress="hidden",
                concurrency_limit=None,
                api_visibility="private",
            )
            there = sent.success(None, None, None, js=f"() => ganbookParts.there({parts[offer.to]!r})", **PRIVATE)
            taker.cell.on(there.success, taker.take, [self.session, *taker.inputs], taker.outputs)


def _sending(offer: _Offer) -> Callable:
    def send(visitor: Visitor, *values):
        made = offer.make(visitor, *values)
        if made is None:
            raise UserError("There is nothing to send yet; make a picture first.")
        visitor.sent[offer.to] = made
        return gr.Tabs(selected=offer.to)

    return send
