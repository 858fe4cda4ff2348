"""The picture to start from: of a seed, a latent out of a file, or one that another tab sent."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from weights.errors import UserError

from ... import canvas, networks
from ...session import Sent
from . import jobs
from .display import Display, merged, state_of
from .state import State


class Picture(Display):
    """Functions for events; every function yields what the cell's components become."""

    def open(self, visitor, network, class_index, seed, truncation_psi, live=False) -> Iterator[dict]:
        """Puts the picture of a seed on the canvas; what is drawn there stays as it was before it was pulled."""
        state = state_of(visitor)
        base = visitor.own[network].base if network in visitor.own else None
        if base and state.start and state.start.reference.name == network and "latent" in state.start.made:
            network = base  # a network that was tuned to a photograph stays with it
        reference = networks.resolve(visitor, network, self.technique)
        made = seeded(seed, truncation_psi, class_index)
        if state.start and (state.start.reference, state.start.made) == (reference, made):
            return
        if live and not reference.at_hand:  # nobody wants to fetch 400 MB because a list was looked through
            state.ask()
            state.put(None)
            yield self.idle(state) | self.nothing("Press Show the picture to fetch this network.")
            return
        # The other controls belong to the hand that is moving them.
        yield (yield from self._open(state, reference, made, named=bool(base)))

    def greet(self, visitor, *picture) -> Iterator[dict]:
        """When the tab comes into view: a picture, unless there is one, or one is on its way here."""
        state = state_of(visitor)
        if not state.number and not visitor.expects("draggan"):
            yield from self.open(visitor, *picture, live=True)

    def follow(self, visitor, network, *picture) -> Iterator[dict]:
        """When another network is chosen: its picture. Not when a recipe or another tab has just chosen it."""
        state = state_of(visitor)
        if state.start is None or state.start.reference.name != network:
            yield from self.open(visitor, network, *picture, live=True)

    def _open(self, state: State, reference, made: dict, named=False, **options) -> Iterator[dict]:
        """Yields how far a download is; returns what the components become, for the caller to yield.

        With whatever else there is, because of answers that come at once one after another a browser shows the last.
        ``named``: the chooser of networks follows, too.
        """
        number = state.ask()
        for progress in networks.fetching(reference):
            yield {self.part["news"]: progress}
        start = jobs.opened(reference, made, **options)
        if state.number != number:  # something newer was asked for meanwhile
            return {self.part["news"]: gr.skip()}
        lent, state.lent = state.lent, ()
        before, drawn = state.start, state.reset()
        state.put(start)
        if before is not None and before.size != start.size:
            drawn = canvas.drawn(start.size)
        network = {self.part["network"]: gr.update(value=reference.name)} if named else {}
        return (
            self.idle(state, drawn)
            | self.nothing()
            | merged(self.hints(start, before is None or "seed" in before.made), self.usual(lent))
            | network
        )

    @staticmethod
    def sent(visitor) -> Sent | None:
        """The picture as it is now, on its way to another tab."""
        state = state_of(visitor)
        return Sent(state.start.reference.name, **state.made()) if state.start else None

    def take_latent(self, visitor, network, file) -> Iterator[dict]:
        """A latent that was saved is the picture to start from."""
        state = state_of(visitor)
        if not file:
            raise UserError("There is no latent yet; choose a file first.")
        reference = networks.resolve(visitor, network, self.technique)
        opened = yield from self._open(state, reference, {}, latent=str(file))
        yield merged(opened, self.controls(state.start))

    def take_sent(self, visitor) -> Iterator[dict]:
        """A picture that another tab has sent here."""
        state = state_of(visitor)
        sent = visitor.receive("draggan")
        if sent is None:
            return
        reference = networks.resolve(visitor, sent.network, self.technique)
        made = {"latent": sent.latent} if sent.latent else seeded(sent.seed, sent.truncation_psi, sent.class_index)
        opened = yield from self._open(state, reference, made)
        # A network that was made for this visitor a moment ago is in no list yet.
        listed = gr.update(choices=networks.choices(self.technique, visitor), value=reference.name)
        if state.start is not None and state.start.reference == reference:
            yield merged(opened, self.controls(state.start)) | {self.part["network"]: listed}


def seeded(seed, truncation_psi, class_index) -> dict:
    """How recipes make a picture of a seed. Raises UserError for an empty box."""
    if seed is None or truncation_psi is None:
        raise UserError("The seed is empty; fill it in first." if seed is None else "The truncation is empty.")
    made = {"seed": seed, "truncation_psi": truncation_psi}
    return made if class_index is None else {**made, "class_index": class_index}
