"""Pulling, and drags that are made again: those of a recipe and of an example."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import gradio as gr

from weights.errors import UserError

from ... import canvas, gpu, networks, results
from ...controls import number_or_none
from ...lifecycle import note
from . import jobs
from .display import far, merged, outcome, points_of, state_of
from .picture import Picture, seeded
from .state import MAX_PULLS, OPTIONAL, Pull, Start, State

FRAME_S = 0.06  # seconds between two pictures of a drag


class Handlers(Picture):
    """Functions for events; every function yields what the cell's components become."""

    @staticmethod
    def ask(visitor) -> None:
        """Before a drag gets its turn; from now on it can be stopped."""
        state = state_of(visitor)
        state.asked, state.called_off = True, False

    def drag(self, visitor, network, class_index, seed, truncation_psi, drawing, *values) -> Iterator[dict]:
        state = state_of(visitor)
        asked, state.asked = state.asked, False
        if asked and state.called_off:
            state.called_off = False
            yield {self.part["news"]: note("Stopped before it began.", "nb-stopped")}
            return
        drawn = canvas.read(drawing)
        reference = networks.resolve(visitor, network, self.technique)
        made = seeded(seed, truncation_psi, class_index)
        start = state.start
        # On the page the picture has followed every control; a script says with each call which one it means.
        other = not asked and start is not None and "seed" in start.made and start.made != made
        if start is None or start.reference != reference or other:
            opened = yield from self._open(state, reference, made)
            start = state.start
            yield opened
            if start is None or state.start is not start:  # another picture came meanwhile
                yield self.idle(state)
                return
        arguments = {**pairs(drawn, start.size), **self.options(drawn, start.resolution, values)}
        with results.folder() as folder:
            yield from self._pull(state, start, arguments, drawing, folder)

    def options(self, drawn: canvas.Drawing, size: int, values: Sequence[Any]) -> dict:
        """Arguments of ``draggan.drag`` from the parameters; what is as the function has it is left out."""
        from pipelines import draggan

        given = dict(zip(self.parameters, values, strict=True))
        given |= {name: number_or_none(given[name], words) for name, words in OPTIONAL.items() if name in given}
        area = drawn.layers["mask"].area((size, size)) if "mask" in drawn.layers else None
        if area is None:
            given.pop("painted", None)
        else:
            given["mask"] = draggan.encode_mask(area, size)
        usual = {p.name: p.default for p in inspect.signature(draggan.drag).parameters.values()}
        return {name: v for name, v in given.items() if v is not None and (name == "steps" or v != usual[name])}

    def _pull(self, state: State, start: Start, arguments: dict, drawn: dict, folder: str) -> Iterator[dict]:
        resume = state.last
        pull = state.begin(start, arguments, drawn)
        if pull is None:  # another picture came meanwhile
            yield self.idle(state)
            return
        watched = [self.part[name] for name in ("board", "meter", "news", "back")]
        began, shown_at, first = time.perf_counter(), 0.0, None
        try:
            with closing(jobs.pulled(start.reference, start.w, resume, arguments)) as steps:
                for step in steps:
                    pull.take(step)
                    pull.seconds = time.perf_counter() - began
                    first = step.distance if first is None else first
                    if pull.stopped or step.done:
                        break
                    if step.image is not None and pull.seconds - shown_at > gpu.pace(FRAME_S):
                        shown_at = pull.seconds
                        live = canvas.frame(step.image, start.about, points_of(step), running=True)
                        meter = far(pull, step, first)
                        updates = (gr.update(frame=live), meter, "", gr.update(visible=False))
                        yield dict(zip(watched, updates, strict=True))
            if pull.steps and any(pull is kept for kept in state.pulls):
                pull.last = jobs.settled(start.reference, pull.last, arguments)
        except UserError:  # such as: the time that is allowed here is over
            pull.running = False
            yield self.result(state, folder, points_of(pull.last))
            raise
        except Exception:  # a bug, or a full disk: nothing moves any more, and the page must not say so
            pull.running = False
            yield self.idle(state, points=points_of(pull.last))
            raise
        finally:
            pull.running = False
        if not any(pull is kept for kept in state.pulls):  # something else was put on the state meanwhile
            yield self.idle(state)
            return
        result = self.result(state, folder, points_of(pull.last))
        if pull.steps:
            result[self.part["meter"]] = far(pull, pull.last, first)
        else:
            result[self.part["news"]] = note(outcome(pull))
        yield result

    def stop(self, visitor) -> str:
        state = state_of(visitor)
        return note("Stopping …" if state.stop() else "Nothing is running.")

    def undo(self, visitor) -> Iterator[dict]:
        """Takes the last drag back; what was drawn before it stands there again."""
        state = state_of(visitor)
        pull = state.undo()
        if pull is None:
            yield {self.part["news"]: note("There is no drag to take back.")}
            return
        with results.folder() as folder:
            yield self.result(state, folder, drawn=pull.drawn)

    def back(self, visitor) -> Iterator[dict]:
        """To the last step before the picture had strayed from what the network makes."""
        state = state_of(visitor)
        pull = state.go_back()
        if pull is None:
            yield {self.part["news"]: note("The picture has not strayed.")}
            return
        pull.last = jobs.settled(state.start.reference, pull.last, pull.arguments)
        with results.folder() as folder:
            yield self.result(state, folder, drawn=drawn_at(pull))

    def reset(self, visitor) -> Iterator[dict]:
        """The picture as it was first, with what was drawn on it then."""
        state = state_of(visitor)
        if state.start is None:
            yield {self.part["news"]: note("There is no picture yet.")}
            return
        yield self.idle(state, state.reset()) | self.nothing()

    # -- recipes and examples

    def load_recipe(self, visitor, recipe) -> Iterator[dict]:
        """Sets the controls as a recipe says, and pulls again as it was pulled."""
        from pipelines import checks

        state = state_of(visitor)
        made = dict(recipe.arguments)
        drags = checks.sequence(made.pop("drags"), "The list of drags", 1, MAX_PULLS)
        made.pop("show_every", None)
        if "latent" not in made:
            made = seeded(made.get("seed", 1), made.get("truncation_psi", 0.7), made.get("class_index"))
        reference = networks.resolve(visitor, recipe.checkpoint, self.technique)
        yield from self.play(state, reference, made, drags, recipe.sha256)

    def play(
        self, state, reference, made: dict, drags: Sequence[dict], sha256: str | None = None, lent: Sequence[str] = ()
    ) -> Iterator[dict]:
        """Opens a picture and makes all drags, one after another, as if a hand had made them.

        ``lent``: parameters that go back to what is usual when another picture comes.
        """
        opened = yield from self._open(state, reference, made, drags=list(drags), sha256=sha256)
        start = state.start
        if start is None or start.reference != reference:  # something newer was asked for meanwhile
            yield opened
            return
        state.lent = tuple(lent)
        controls, board = self.controls(start, drags[-1]), self.part["board"]
        update = merged(opened, controls)
        with results.folder() as folder:
            for arguments in drags:
                if state.start is not start:
                    return
                drawn = drawing_of(arguments, start.size)
                yield update | {board: {**update.get(board, {}), **gr.update(value=drawn)}}
                for far in self._pull(state, start, dict(arguments), drawn, folder):
                    update = far
                    yield update | (controls if self.part["status"] in update else {})
                if not state.pulls or state.pulls[-1].stopped:
                    return

    def play_example(self, visitor, example) -> Iterator[dict]:
        state = state_of(visitor)
        reference = networks.resolve(visitor, example.network, self.technique)
        start = jobs.opened(reference, example.made())
        drags = [example.drag(start.resolution)]
        yield from self.play(state, reference, start.made, drags, lent=tuple(example.options))


def pairs(drawn: canvas.Drawing, size: tuple[int, int]) -> dict:
    """``handles`` and ``targets``. Raises UserError where there are none, or one is missing."""
    if not drawn.points:
        raise UserError("There is no point yet; click in the picture what should move, then where it should go.")
    if drawn.size != size:
        raise UserError(f"This was drawn on another picture; draw on this one of {size[0]} x {size[1]} pixels.")
    for number, pair in enumerate(drawn.points, 1):
        if pair.target is None:
            raise UserError(f"Point {number} has no target yet; click where it should go.")
    return {"handles": [list(p.handle) for p in drawn.points], "targets": [list(p.target) for p in drawn.points]}


def drawing_of(arguments: dict, size: tuple[int, int]) -> dict:
    """What a hand would have drawn for a drag of a recipe."""
    import numpy as np

    from pipelines.images import read_mask

    layers = {}
    if arguments.get("mask"):
        layers["mask"] = canvas.Layer((read_mask(arguments["mask"], size[0]).numpy() >= 0.5).astype(np.uint8))
    return canvas.drawn(size, list(zip(arguments["handles"], arguments["targets"], strict=True)), layers)


def drawn_at(pull: Pull) -> dict:
    """What was drawn for a drag, with every point where it has come to."""
    points = [{"handle": list(h), "target": list(t)} for h, t in points_of(pull.last)]
    return {**pull.drawn, "points": points}
