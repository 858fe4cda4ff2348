"""The picture to start from: of a seed, an empty ground, a photograph, or one that another tab sent."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from weights.errors import UserError

from ... import canvas, networks
from ...session import Sent
from . import jobs
from .display import Display, state_of
from .state import Latent, Start, State

SEED, SCRATCH, PHOTO = "seed", "scratch", "photo"
NO_SEED = "this picture has none; Another draws one"


class Picture(Display):
    """Functions for events; every function yields what the cell's components become."""

    def open(self, visitor, network, origin, seed, live=False) -> Iterator[dict]:
        """Puts a picture on the pad; what was painted on the last one goes."""
        state = state_of(visitor)
        reference = networks.resolve(visitor, network, self.technique)
        if origin == PHOTO:
            if state.photo is None:
                raise UserError("There is no photograph yet; look for its latent in cell 2, then press Paint on it.")
            return
        latent = wanted(origin, seed)
        if live and not reference.at_hand:  # nobody wants to fetch 400 MB because a list was looked through
            state.ask()
            state.start = state.run = None
            yield self.nothing("Press Show the picture to fetch this network.")
            return
        if (
            live
            and state.start
            and (state.start.reference, state.start.latent) == (reference, latent)
            and not state.run
        ):
            return
        yield (yield from self._open(state, reference, latent))

    def show(self, visitor, network, origin, seed) -> Iterator[dict]:
        """The picture of the seed, also where that of a photograph is."""
        yield from self.open(visitor, network, SEED if origin == PHOTO else origin, seed)

    def greet(self, visitor, *picture) -> Iterator[dict]:
        """When the tab comes into view: a picture, unless there is one, or one is on its way here."""
        if not state_of(visitor).number and not visitor.expects("igan"):
            yield from self.open(visitor, *picture, live=True)

    def follow(self, visitor, network, origin, seed) -> Iterator[dict]:
        """When another network is chosen: its picture. Not when a recipe or another tab has just chosen it."""
        state = state_of(visitor)
        if state.start is None or state.start.reference.name != network:
            yield from self.open(visitor, network, SEED if origin == PHOTO else origin, seed, live=True)

    def _open(self, state: State, reference, latent: Latent | None, photo=None, **options) -> Iterator[dict]:
        """Yields how far a download is; returns what the components become, for the caller to yield."""
        number = state.ask()
        for progress in networks.fetching(reference):
            yield {self.part["news"]: progress}
        start = jobs.opened(reference, latent, **options)
        if state.number != number:  # something newer was asked for meanwhile
            return {self.part["news"]: gr.skip()}
        return self.put(state, start, photo)

    def put(self, state: State, start: Start, photo=None) -> dict:
        """A picture comes onto the pad."""
        before = state.start
        state.put(start, photo)
        update = self.shown(state, canvas.drawn(start.size, patches=())) | self.rest(state)
        if before is None or before.reference != start.reference:  # one step of a StyleGAN2 takes as long as ten
            update[self.part["starts"]] = gr.update(value=4 if start.is_style else 16)
            update[self.part["realism"]] = gr.update(interactive=start.realistic)
        origin = SCRATCH if start.latent is None else PHOTO if photo else SEED
        update[self.part["origin"]] = gr.update(value=origin)
        seeded = isinstance(start.latent, int)
        value = {"value": start.latent} if seeded else {}
        info = None if seeded or start.latent is None else NO_SEED
        update[self.part["seed"]] = gr.update(interactive=seeded, info=info, **value)
        return update

    def take_sent(self, visitor) -> Iterator[dict]:
        """A picture that another tab has sent here."""
        state = state_of(visitor)
        sent = visitor.receive("igan")
        if sent is None:
            return
        reference = networks.resolve(visitor, sent.network, self.technique)
        about = "sent here" if sent.latent else f"seed {sent.seed}"
        opened = yield from self._open(state, reference, None, sent=sent, about=about)
        listed = gr.update(choices=networks.choices(self.technique, visitor), value=reference.name)
        if state.start is not None and state.start.reference == reference:
            yield opened | {self.part["network"]: listed}

    @staticmethod
    def sent(visitor) -> Sent | None:
        """The picture as it is now, on its way to DragGAN."""
        state = state_of(visitor)
        if state.start is None or state.latent is None:
            return None
        if not state.start.is_style:
            raise UserError(f"DragGAN needs a StyleGAN2, and {state.start.title} is none; choose another network here.")
        return Sent(state.start.reference.name, latent=jobs.for_draggan(state.start.reference, state.latent))


def wanted(origin, seed) -> Latent | None:
    """The latent that the controls mean. Raises UserError."""
    if origin == SCRATCH:
        return None
    if origin not in (SEED, PHOTO):
        raise UserError(f"Painting starts from {SEED} (the picture of a seed), {SCRATCH} or {PHOTO}.")
    if seed is None:
        raise UserError("The seed is empty; fill it in first.")
    return int(seed) if float(seed) == int(seed) else seed
