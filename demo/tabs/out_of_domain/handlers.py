"""What happens in the first cell: a photograph comes, is inverted once, and is edited as often as one likes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import gradio as gr
from PIL import Image

from weights.errors import UserError

from ... import gpu, networks, uploads
from ...controls import faces_of, number_or_none
from ...lifecycle import note
from ...pictures import CENTRE, UPLOADED, crop_of, number_of, pictures_of, source_of
from . import examples, jobs
from .display import state_of
from .edits import Edits
from .examples import EXAMPLES
from .state import State, Way
from .text import stages, tile

SHOW_EVERY, PREVIEW_S = 5, 0.2
MAX_STEPS = 1000


class Handlers(Edits):
    """Functions for events; every function yields what the cell's components become."""

    # -- a photograph

    def look(self, visitor, network, path, method=None, steps=None, face=None) -> Iterator[dict]:
        """Finds the faces of a photograph, takes the most prominent one or the one asked for, and inverts it."""
        reference, photo = networks.resolve(visitor, network, self.technique), uploads.image(path)
        state = state_of(visitor)
        yield from self._look(state, state.ask(), reference, photo, method, steps, face)

    def chosen(self, visitor, network, path, method, steps) -> Iterator[dict]:
        """A photograph was chosen; of one that was taken away ``clear`` is told, too."""
        if path:
            yield from self.look(visitor, network, path, method, steps)

    def clear(self, visitor) -> Iterator[dict]:
        """The photograph was taken away."""
        state = state_of(visitor)
        state.ask()
        state.stopped = True
        state.put(None, [], None)
        yield self.nothing() | {self.part["news"]: ""}

    def _look(
        self, state: State, mine: int, reference, photo: Image.Image, method, steps, which=None, source: str = UPLOADED
    ) -> Iterator[dict]:
        there = yield from self.searched(reference, photo)
        if state.number != mine:  # something newer was asked for meanwhile
            return
        if not there and which != CENTRE:
            state.put(photo, [], None)
            yield self.no_face()
            return
        number = number_of(which, len(there))
        yield from self._take(state, mine, reference, photo, there, number, method, steps, source)

    def _take(
        self, state: State, mine: int, reference, photo, there: list, number, method, steps, source=UPLOADED, wish=None
    ) -> Iterator[dict]:
        found = jobs.found(reference, photo, there, number, source)  # until this goes well, nothing is lost
        if state.number != mine:
            return
        state.stopped = True  # an earlier search of the same visitor
        state.put(photo, there, found)
        many = len(there) > 1
        crops = [(crop_of(photo, face), f"face {i + 1}") for i, face in enumerate(there)] if many else []
        chosen = None if found.which == CENTRE else found.which
        laid = {
            self.part["faces"]: faces_of(crops, chosen),
            self.part["middle"]: gr.update(visible=False),
        }
        yield self.face(state) | laid
        yield from self._invert(state, method, steps, wish)

    def another(self, visitor, network, method, steps, event: gr.EventData) -> Iterator[dict]:
        """Another face of the same photograph."""
        state = state_of(visitor)
        if state.photo is None or not state.faces:
            return
        reference = networks.resolve(visitor, network, self.technique)
        number = number_of(event.key, len(state.faces))
        yield from self._take(state, state.ask(), reference, state.photo, state.faces, number, method, steps)

    def middle(self, visitor, network, method, steps) -> Iterator[dict]:
        """No face was found, and the visitor wants the middle of the photograph."""
        state = state_of(visitor)
        if state.photo is None:
            raise UserError("There is no photograph yet; choose one first.")
        reference = networks.resolve(visitor, network, self.technique)
        yield from self._take(state, state.ask(), reference, state.photo, state.faces, CENTRE, method, steps)

    def greet(self, visitor, network) -> Iterator[dict]:
        """The tab is opened: faces to try, and the first of them on the state, not inverted yet."""
        state = state_of(visitor)
        if state.greeted:
            return
        tries = [(examples.picture(example), example.title) for example in EXAMPLES]
        state.greeted = True
        update = {self.part["examples"]: faces_of(tries)}
        reference = networks.resolve(visitor, network, self.technique)
        if not state.number and not visitor.expects("out_of_domain") and reference.at_hand:
            mine = state.ask()
            photo, there, which, source = examples.given(EXAMPLES[0])
            found = jobs.found(reference, photo, there, which, source)
            if state.number == mine:
                state.put(photo, there, found)
                state.offered = True
                update |= self.face(state)
        yield update

    def first(self, visitor, network, method, steps) -> Iterator[dict]:
        """What ``greet`` has laid there is inverted and edited, while nobody has asked for anything else."""
        state = state_of(visitor)
        if state.offered and state.known is None and not state.searching:
            yield from self._invert(state, method, steps, EXAMPLES[0].edit)

    def example(self, visitor, network, method, steps, event: gr.EventData) -> Iterator[dict]:
        """A photograph to try, or its face with something before it."""
        chosen, state = EXAMPLES[int(event.key)], state_of(visitor)
        mine = state.ask()
        reference = networks.resolve(visitor, network, self.technique)
        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        photo, there, which, source = examples.given(chosen)
        taken = self._take(state, mine, reference, photo, there, which, method, steps, source, chosen.edit)
        for update in taken:
            yield {self.part["photo"]: None} | update

    def take_sent(self, visitor, network, method, steps) -> Iterator[dict]:
        """A face that another tab has sent here."""
        sent = visitor.receive("out_of_domain")
        if sent is None:
            return
        state = state_of(visitor)
        mine = state.ask()
        [photo] = pictures_of(visitor, [sent])
        reference = networks.resolve(visitor, network, self.technique)
        source = source_of(sent, photo)
        if source != UPLOADED:
            source = f"import weights\n{source}"
        for update in self._take(state, mine, reference, photo, [], CENTRE, method, steps, source):
            yield {self.part["photo"]: None} | update
        yield from self.files(visitor)

    def tick(self, visitor, chosen: list[str], method=None, steps=None) -> Iterator[dict]:
        """Directions were ticked or unticked; a face whose latent is not known yet is inverted for that."""
        state = state_of(visitor)
        if state.found is None or state.known is not None:
            yield from super().tick(visitor, chosen)
            return
        state.tick(chosen)
        if not state.searching:  # else it finds there what is wanted when it is over
            yield from self._invert(state, method, steps)

    # -- its latent

    def again(self, visitor, network, method, steps) -> Iterator[dict]:
        """The same face, inverted once more, or for another network; what is wanted of it stays wanted."""
        state = state_of(visitor)
        if state.found is None:
            raise UserError("There is no face yet; choose a photograph or one of the examples first.")
        reference = networks.resolve(visitor, network, self.technique)
        if reference != state.found.reference:
            for far in networks.fetching(reference):
                yield {self.part["news"]: far}
            found = state.found
            given = (state.photo, state.faces, found.which, method, steps, found.source)
            yield from self._take(state, state.ask(), reference, *given)
            return
        yield from self._invert(state, method, steps)

    def _invert(self, state: State, method=None, steps=None, wish=None) -> Iterator[dict]:
        found, arguments = state.found, {} if method in (None, "", "auto") else {"method": method}
        many = number_or_none(steps, "Steps")
        if many is not None:
            from pipelines import checks

            arguments["steps"] = checks.integer(many, "The number of steps", 1, MAX_STEPS)
        state.searching, state.stopped, last, shown_at = True, False, None, 0.0
        began = time.perf_counter()
        try:
            image = found.aligned.image
            with closing(jobs.searched(found.reference, image, arguments, SHOW_EVERY)) as search:
                for step in search:
                    last, seconds = step, time.perf_counter() - began
                    if state.stopped or state.found is not found:
                        break
                    if step.image is not None and seconds - shown_at > gpu.pace(PREVIEW_S):
                        shown_at = seconds
                        rate = f" · {step.step / seconds:.0f} a second" if step.step else ""
                        yield {
                            self.part["stages"]: [*stages(state)[:1], (tile(step.image), f"I′ · step {step.step}")],
                            self.part["news"]: note(f"Step {step.step} · distance {step.loss:.3f}{rate}", "nb-going"),
                        }
        finally:
            state.searching = False
        if state.found is not found or last is None:  # another face came meanwhile
            return
        whole = last.done and not state.stopped
        tuned = f" and {last.tuned} of tuning" if last.tuned else ""
        told_ = f"{'inverted' if whole else 'stopped'} after {last.step - last.tuned} steps{tuned}"
        told_ += f" in {time.perf_counter() - began:.1f} s"
        if whole and not last.step:
            told_ = f"inverted in one pass, {time.perf_counter() - began:.1f} s"
        state.way = Way(told_, arguments if whole else None)
        state.known, state.change = jobs.known(found.reference, image, last), None
        if wish is not None and not state.wanted:
            name = wish[0] if wish[0] in state.names else state.names[0]
            state.wanted = {name: wish[1]}
        yield from self._make(state)

    def stop(self, visitor) -> str:
        state = state_of(visitor)
        running, state.stopped = state.searching, True
        return note("Stopping …" if running else "Nothing is running.")
