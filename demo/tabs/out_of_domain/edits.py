"""What is wanted of the face: directions ticked, sliders moved, areas painted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import gradio as gr

from pipelines.defaults import BLENDS, MaskOptions, usual_strength
from weights.errors import UserError

from ... import canvas
from ...session import Sent
from . import jobs
from .display import CHANGE, KEEP, TOOLS, Display, state_of
from .state import MOST, OWN, State
from .text import board


class Edits(Display):
    """Functions for events; every function yields what the cell's components become."""

    def tick(self, visitor, chosen: list[str]) -> Iterator[dict]:
        """Directions were ticked or unticked."""
        state = state_of(visitor)
        state.ready()
        with state.tried():
            state.tick(chosen)
            for update in self._make(state):
                del update[self.part["ticks"]]  # boxes that were ticked meanwhile stay ticked
                yield update

    def part_them(self, visitor, apart) -> Iterator[dict]:
        """Directions without what they have of each other, or with it."""
        state = state_of(visitor)
        with state.tried():
            state.apart, state.change = bool(apart), None
            if state.known is not None:
                yield from self._only_result(state)

    def slid(self, visitor, *values: float) -> Iterator[dict]:
        """Sliders of strength were moved."""
        state = state_of(visitor)
        if state.known is None:  # a slider with no face under it
            return
        moved = dict(zip(state.names, values, strict=False))
        with state.tried():
            state.wanted = {n: float(moved[n]) if moved.get(n) is not None else v for n, v in state.wanted.items()}
            yield from self._only_result(state)

    def soften(self, visitor, threshold, softness, cautious, deghost, blend) -> Iterator[dict]:
        """The sliders of the mask, and what it lets through."""
        state = state_of(visitor)
        with state.tried():
            state.mask = replace(state.mask, **mask_of(threshold, softness, cautious, deghost, blend))
            if state.known is not None:
                yield from self._only_result(state)

    def paint(self, visitor, drawing) -> Iterator[dict]:
        """Something was painted on the mask."""
        state = state_of(visitor)
        if state.known is None:
            return
        with state.tried():
            self._painted(state, drawing)
            yield from self._only_result(state)

    @staticmethod
    def _painted(state: State, drawing) -> None:
        from pipelines import out_of_domain

        size, layers = state.found.size, canvas.read(drawing, TOOLS).layers
        painted = {}
        for tool, name in ((CHANGE, "add"), (KEEP, "keep")):
            area = layers[tool.name].area((size, size)) if tool.name in layers else None
            painted[name] = None if area is None else out_of_domain.encode_mask(area, size)
        state.mask = replace(state.mask, **painted)

    def edit(
        self,
        visitor,
        edits=None,
        threshold=None,
        softness=None,
        drawing=None,
        deghost=True,
        apart=False,
        cautious=True,
        blend=None,
    ) -> Iterator[dict]:
        """Everything at once, from a script."""
        state = state_of(visitor)
        state.ready()
        if not isinstance({} if edits is None else edits, Mapping):
            raise UserError("Edits are strengths by direction, such as Smiling: 3.")
        with state.tried():
            state.wanted, state.apart, state.change = dict(edits or {}), bool(apart), None
            state.mask = MaskOptions(**mask_of(threshold, softness, cautious, deghost, blend))
            self._painted(state, drawing)
            yield from self._make(state)

    def undo(self, visitor) -> Iterator[dict]:
        """Nothing is wanted any more, and nothing painted."""
        state = state_of(visitor)
        if state.found is None:
            return
        with state.tried():
            state.wanted, state.mask = {}, replace(state.mask, add=None, keep=None)
            if state.known is not None:
                for update in self._make(state):
                    frame = {**update[self.part["board"]], **gr.update(value=canvas.drawn(board(state).size))}
                    yield update | {self.part["board"]: frame}

    def take_direction(self, visitor, path) -> Iterator[dict]:
        """Directions out of a file of one's own; the first of them is ticked."""
        state = state_of(visitor)
        found = state.ready()
        if not path:
            raise UserError("There is no direction yet; choose a file first.")
        new = {}
        for name, text in jobs.directions(found.reference, str(path)).items():
            while name in found.names:
                name = f"{name} (file)"
            new[name] = text
        if len({*state.own, *new}) > OWN or len({*state.names, *new}) > MOST:
            raise UserError(f"Up to {OWN} directions of your own at a time; open the face again to begin anew.")
        with state.tried():
            state.own, state.change = {**state.own, **new}, None
            state.wanted[next(iter(new))] = usual_strength(next(iter(new)))
            yield from self._make(state)

    def _make(self, state: State) -> Iterator[dict]:
        if self._done(state):
            yield self.face(state)

    def _only_result(self, state: State) -> Iterator[dict]:
        """The answer to a slider, which leaves all sliders to the hand that moves them."""
        if self._done(state):
            yield {self.part[name]: value for name, value in self._result(state).items()}

    def _done(self, state: State) -> bool:
        found, known = state.ready(), state.known
        wanted = {name: float(v) if isinstance(v, (int, float)) else v for name, v in state.wanted.items()}
        same = state.change is not None and dict(state.change.edits) == {n: v for n, v in wanted.items() if v}
        change = state.change if same else None
        edits = [[name, value] for name, value in wanted.items()]
        change, made = jobs.made(found.reference, known, change, edits, state.own, state.apart, state.mask)
        if state.known is not known:  # another face came meanwhile
            return False
        state.change, state.made = change, made
        state.wanted = {name: float(value) for name, value in wanted.items()}
        state.version += 1
        return True

    @staticmethod
    def sent(visitor) -> Sent | None:
        """T, on its way to another tab: a photograph has no latent that makes it, its edit has."""
        from pipelines import out_of_domain

        state = state_of(visitor)
        if state.change is None:
            return None
        return Sent(state.found.reference.name, latent=out_of_domain.encode_latent(state.change.latent))


def mask_of(threshold, softness, cautious, deghost, blend) -> dict:
    """The fields of ``MaskOptions`` that a script or the controls give; None stands for what is usual.

    Raises UserError for what is no way of blending.
    """
    from pipelines import checks

    blend = checks.choice(BLENDS[0] if blend is None else blend, "The blend", BLENDS)
    numbers = {"threshold": threshold, "softness": softness}
    numbers = {name: getattr(MaskOptions, name) if value is None else value for name, value in numbers.items()}
    return {**numbers, "cautious": bool(cautious), "deghost": bool(deghost), "blend": blend}
