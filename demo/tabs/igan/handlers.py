"""What happens when a hand paints: the events of the tab's first cell, without a word about its looks."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import gradio as gr

from weights.errors import UserError

from ... import canvas, gpu, networks, results
from ...lifecycle import note
from . import jobs
from .display import state_of
from .picture import PHOTO, SCRATCH, SEED, Picture, wanted
from .state import AVERAGE, Run, State
from .text import TOOLS, drawing_of, edits_of, meter_of, moved, recipe_of

FRAME_S = 0.12  # seconds between two looks at an answer on its way
PAINTED_NEWS = "Fixed what was painted before, because a patch is cut from the picture that is shown."


class Handlers(Picture):
    """Functions for events; every function yields what the cell's components become."""

    def heard(self, visitor) -> int:
        """A stroke has ended: what runs for the one before it ends. Gives the number under which this one runs."""
        return state_of(visitor).ask()

    def paint(self, visitor, network, origin, seed, drawing, ticket=None, *values) -> Iterator[dict]:
        """The manifold answers to what is painted, until there is something newer to be answered."""
        state = state_of(visitor)
        mine = state.ask() if ticket is None else int(ticket)
        if mine != state.number:
            return
        drawn = canvas.read(drawing, TOOLS)
        reference = networks.resolve(visitor, network, self.technique)
        update = {}
        if not self._same(state, reference, origin, seed):
            yield (yield from self._open(state, reference, wanted(origin, seed)))
            mine = state.number
        start = state.opened()
        asked = edits_of(drawn, start.resolution)
        if new := self._new_patches(state, drawn, asked):
            # A patch is cut from the picture that is seen, so this round ends with that picture.
            state.fix()
            mine, asked = state.number, {"warp": [patch.to_json() for patch in new]}
            drawing = canvas.drawn(start.size, patches=new)
            update = {self.part["board"]: gr.update(value=drawing), self.part["news"]: note(PAINTED_NEWS)}
            yield update
        if not asked:
            state.run, state.chosen, state.frames = None, None, None
            yield self.shown(state) | self.rest(state)
            if drawing is None or ticket is None:
                raise UserError("Nothing is drawn yet; paint a colour, draw a line or move a patch first.")
            return
        arguments = {**asked, **self.options(values)}
        if state.z0 is not None:
            arguments["z0"] = state.z0
        if state.rounds:
            arguments["fixed"] = state.rounds
        with results.folder() as folder:
            yield from self._run(state, mine, arguments, drawing, folder)

    @staticmethod
    def _same(state: State, reference, origin, seed) -> bool:
        """Whether the controls mean the picture that is there: the page has followed them, scripts say it anew."""
        start = state.start
        if start is None or start.reference != reference:
            return False
        by_seed = start.latent is None or isinstance(start.latent, int)
        return not by_seed or origin == PHOTO or start.latent == wanted(origin, seed)

    @staticmethod
    def _new_patches(state: State, drawn: canvas.Drawing, asked: dict) -> list[canvas.Patch]:
        return moved(drawn, state.run) if "warp" in asked and state.candidate is not None else []

    def options(self, values: Sequence) -> dict:
        """Arguments of ``igan.brush`` from the settings; what is as the function has it is left out."""
        from pipelines import igan

        usual = {p.name: p.default for p in inspect.signature(igan.brush).parameters.values()}
        given = dict(zip(self.settings, values, strict=False))
        for name, value in given.items():
            if value is None:
                raise UserError(f"“{self.part[name].label}” is empty; fill it in first.")
        return {name: v for name, v in given.items() if name == "steps" or v != usual[name]}

    def _run(self, state: State, mine: int, arguments: dict, drawing, folder: str) -> Iterator[dict]:
        run = Run(arguments, drawing)
        began, shown_at = time.perf_counter(), -1.0
        try:
            with closing(jobs.brushed(state.start.reference, arguments)) as steps:
                for step in steps:
                    if state.number != mine and not run.stopped:
                        yield {self.part["news"]: gr.skip()}
                        return
                    if step.candidates:
                        run.last, run.seconds = step, time.perf_counter() - began
                        state.run = run
                        state.frames = None
                    if run.stopped or step.done:
                        break
                    # The first two at once: where it begins, and that something happens.
                    if step.candidates and (step.step < 2 or run.seconds - shown_at > gpu.pace(FRAME_S)):
                        shown_at = run.seconds
                        yield self.shown(state, passing=True) | {
                            self.part["meter"]: meter_of(run),
                            self.part["news"]: "",
                        }
        finally:
            run.running = False
        yield self.result(state, Path(folder))

    def attempt(self, visitor, network, origin, seed, *values, example) -> Iterator[dict]:
        """An example: drawn on the picture as it was first, and answered."""
        state = state_of(visitor)
        reference = networks.resolve(visitor, network, self.technique)
        origin = SEED if origin == SCRATCH else origin  # a patch needs a picture to be cut from
        if not self._same(state, reference, origin, seed):
            yield (yield from self._open(state, reference, wanted(origin, seed)))
        state.restart()
        drawing, mine = example(state.start.resolution), state.ask()
        laid = {self.part["board"]: gr.update(value=drawing)}
        for update in self.paint(visitor, network, origin, seed, drawing, mine, *values):
            yield update | {self.part["board"]: {**laid[self.part["board"]], **update.get(self.part["board"], {})}}

    def stop(self, visitor) -> str:
        state = state_of(visitor)
        running = state.run is not None and state.run.running
        if running:
            state.run.stopped = True
        else:
            state.ask()  # of what waits for its turn
        return note("Stopping …" if running else "Nothing is running.")

    # -- what came of it

    def choose(self, visitor, event: gr.EventData) -> Iterator[dict]:
        """A candidate was pressed, or the average of all."""
        yield from self._choose(state_of(visitor), event.key)

    def pick(self, visitor, number) -> Iterator[dict]:
        """A candidate by its place, 1 for the best, 0 for the average of all; for scripts."""
        state = state_of(visitor)
        count = len(state.candidates)
        if not count:
            raise UserError("There are no candidates yet; paint something first.")
        if number is None or number != int(number) or not 0 <= number <= count:
            raise UserError(f"The candidates are numbered 1 to {count}; 0 is their average.")
        yield from self._choose(state, AVERAGE if number == 0 else str(state.candidates[int(number) - 1].number))

    def _choose(self, state: State, key: str) -> Iterator[dict]:
        numbers = [str(c.number) for c in state.candidates]
        if key != AVERAGE and key not in numbers:
            return
        state.chosen, state.frames = (AVERAGE if key == AVERAGE else int(key)), None
        if state.run.running:
            yield self.shown(state, passing=True)
            return
        with results.folder() as folder:
            yield self.result(state, Path(folder))

    def fix(self, visitor) -> Iterator[dict]:
        """What was painted is kept as it was asked for; the chosen candidate is what painting goes on from."""
        state = state_of(visitor)
        fixed = (recipe_of(state), state.candidates) if state.candidate else None
        state.fix()
        state.fixed = fixed
        words = f"Fixed. What was painted goes on being asked for; paint on. ({len(state.rounds)} so far)"
        yield self.shown(state, canvas.drawn(state.start.size, patches=())) | self.rest(state, words)

    def restart(self, visitor) -> Iterator[dict]:
        """The picture as it was first; what was painted and fixed is forgotten."""
        state = state_of(visitor)
        start = state.opened()
        state.restart()
        yield self.shown(state, canvas.drawn(start.size, patches=())) | self.rest(state)

    # -- recipes

    def load_recipe(self, visitor, recipe) -> Iterator[dict]:
        """Paints again what a recipe says, with its settings, and chooses the candidate that was chosen."""
        state = state_of(visitor)
        reference = networks.resolve(visitor, recipe.checkpoint, self.technique)
        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        arguments = {k: v for k, v in recipe.arguments.items() if k not in ("show_every",)}
        jobs.checked(reference, arguments)  # before anything on the page changes
        start = jobs.opened(reference, arguments.get("z0"), sha256=recipe.sha256)
        drawing = drawing_of(arguments, start.resolution)
        update = self.put(state, start) | self.controls(start, arguments)
        state.rounds = list(arguments.get("fixed") or [])
        mine = state.ask()
        which = (recipe.output or {}).get("candidate", 0)
        update[self.part["board"]] = {**update[self.part["board"]], **gr.update(value=drawing)}
        with results.folder() as folder:
            for far in self._run(state, mine, {"steps": 40, **arguments}, drawing, folder):
                last = update | far
                yield {**last, self.part["board"]: {**update[self.part["board"]], **far.get(self.part["board"], {})}}
                update = {self.part["board"]: {}}
        if state.candidates and which != 0:
            index = min(which, len(state.candidates) - 1) if isinstance(which, int) and which >= 0 else None
            yield from self._choose(state, AVERAGE if index is None else str(state.candidates[index].number))
