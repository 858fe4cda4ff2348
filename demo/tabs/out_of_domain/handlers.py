"""What happens in the first cell: a photograph comes, is inverted once, and is edited as often as one likes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing

import gradio as gr
from PIL import Image

from weights.errors import UserError

from ... import canvas, gpu, networks, uploads
from ...controls import faces_of, number_or_none
from ...notebook import note, report_errors
from ...pictures import CENTRE, UPLOADED, crop_of, number_of, pictures_of, source_of
from ...session import Sent
from . import examples, jobs
from .display import CHANGE, KEEP, TOOLS, Shows, state_of
from .examples import EXAMPLES, FACES
from .state import MOST, OWN, State, Way
from .text import board, stages, tile

TICKED = 3.0  # the strength of a direction that is ticked, in standard deviations of w
SHOW_EVERY, PREVIEW_S = 5, 0.2
MAX_STEPS = 1000


class Handlers(Shows):
    """Functions for events; ``part`` has the cell's components by name, and every function yields what they become."""

    # -- a photograph

    @report_errors
    def look(self, visitor, network, path, method=None, steps=None, face=None) -> Iterator[dict]:
        """Finds the faces of a photograph, takes the most prominent one or the one asked for, and inverts it."""
        reference = networks.resolve(visitor, network, self.technique)
        yield from self._look(state_of(visitor), reference, uploads.image(path), method, steps, face)

    def _look(
        self, state: State, reference, photo: Image.Image, method, steps, which=None, source: str = UPLOADED
    ) -> Iterator[dict]:
        from pipelines import faces

        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        yield {self.part["news"]: note("Looking for faces …")}
        there = [] if which == CENTRE else faces.detect(photo)
        if not there and which != CENTRE:
            state.put(photo, [], None)
            yield self.nothing() | {
                self.part["middle"]: gr.update(visible=True),
                self.part["news"]: note(faces.NO_FACE, "nb-error"),
            }
            return
        yield from self._take(state, reference, photo, there, number_of(which, len(there)), method, steps, source)

    def _take(
        self, state: State, reference, photo, there: list, number, method, steps, source=UPLOADED, wish=None
    ) -> Iterator[dict]:
        found = jobs.found(reference, photo, there, number, source)  # until this goes well, nothing is lost
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

    @report_errors
    def another(self, visitor, network, method, steps, event: gr.EventData) -> Iterator[dict]:
        """Another face of the same photograph."""
        state = state_of(visitor)
        if state.photo is None or not state.faces:
            return
        reference = networks.resolve(visitor, network, self.technique)
        number = number_of(event.key, len(state.faces))
        yield from self._take(state, reference, state.photo, state.faces, number, method, steps)

    @report_errors
    def middle(self, visitor, network, method, steps) -> Iterator[dict]:
        """No face was found, and the visitor wants the middle of the photograph."""
        state = state_of(visitor)
        if state.photo is None:
            raise UserError("There is no photograph yet; choose one first.")
        reference = networks.resolve(visitor, network, self.technique)
        yield from self._take(state, reference, state.photo, state.faces, CENTRE, method, steps)

    @report_errors
    def greet(self, visitor, network) -> Iterator[dict]:
        """The tab is opened: faces to try, and the first of them on the state, not inverted yet."""
        state = state_of(visitor)
        if state.greeted:
            return
        made = pictures_of(visitor, [Sent(FACES, seed=example.seed) for example in EXAMPLES])
        tries = [(examples.picture(e, face), e.title) for e, face in zip(EXAMPLES, made, strict=True)]
        state.greeted = True
        update = {self.part["examples"]: faces_of(tries)}
        reference = networks.resolve(visitor, network, self.technique)
        if state.photo is None and "out_of_domain" not in visitor.sent and reference.at_hand:
            found = jobs.found(reference, tries[0][0], [], CENTRE)
            state.put(tries[0][0], [], found)
            update |= self.face(state)
        yield update

    @report_errors
    def example(self, visitor, network, method, steps, event: gr.EventData) -> Iterator[dict]:
        """A face that our own network makes, with something before it."""
        chosen = EXAMPLES[int(event.key)]
        [face] = pictures_of(visitor, [Sent(FACES, seed=chosen.seed)])
        reference = networks.resolve(visitor, network, self.technique)
        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        photo = examples.picture(chosen, face)
        state = state_of(visitor)
        taken = self._take(state, reference, photo, [], CENTRE, method, steps, wish=chosen.edit)
        for update in taken:
            yield {self.part["photo"]: None} | update

    @report_errors
    def take_sent(self, visitor, network, method, steps) -> Iterator[dict]:
        """A face that another tab has sent here."""
        sent = visitor.sent.pop("out_of_domain", None)
        if sent is None:
            return
        [photo] = pictures_of(visitor, [sent])
        reference = networks.resolve(visitor, network, self.technique)
        source = source_of(sent, photo)
        if source != UPLOADED:
            source = f"import weights\n{source}"
        for update in self._take(state_of(visitor), reference, photo, [], CENTRE, method, steps, source):
            yield {self.part["photo"]: None} | update
        yield from self.files(visitor)

    # -- its latent

    @report_errors
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
            taken = self._take(state, reference, state.photo, state.faces, found.which, method, steps, found.source)
            yield from taken
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
        told_ = f"{'inverted' if whole else 'stopped'} after {last.step} steps in {time.perf_counter() - began:.1f} s"
        if whole and not last.step:
            told_ = f"inverted in one pass, {time.perf_counter() - began:.1f} s"
        state.way = Way(told_, arguments if whole else None)
        state.known, state.change = jobs.known(found.reference, image, last.latent), None
        if wish is not None and not state.wanted:
            name = wish[0] if wish[0] in state.names else state.names[0]
            state.wanted = {name: wish[1]}
        yield from self._make(state)

    def stop(self, visitor) -> str:
        state = state_of(visitor)
        running, state.stopped = state.searching, True
        return note("Stopping …" if running else "Nothing is running.")

    # -- what is wanted of it

    @report_errors
    def tick(self, visitor, chosen: list[str]) -> Iterator[dict]:
        """Directions were ticked or unticked."""
        state = state_of(visitor)
        state.ready()
        with state.tried():
            state.wanted = {name: state.wanted.get(name, TICKED) for name in state.names if name in chosen}
            for update in self._make(state):
                del update[self.part["ticks"]]  # boxes that were ticked meanwhile stay ticked
                yield update

    @report_errors
    def part_them(self, visitor, apart) -> Iterator[dict]:
        """Directions without what they have of each other, or with it."""
        state = state_of(visitor)
        with state.tried():
            state.apart, state.change = bool(apart), None
            if state.known is not None:
                yield from self._only_result(state)

    @report_errors
    def slid(self, visitor, *values: float) -> Iterator[dict]:
        """Sliders of strength were moved."""
        state = state_of(visitor)
        if state.known is None:  # a slider with no face under it
            return
        moved = dict(zip(state.names, values, strict=False))
        with state.tried():
            state.wanted = {n: float(moved[n]) if moved.get(n) is not None else v for n, v in state.wanted.items()}
            yield from self._only_result(state)

    @report_errors
    def soften(self, visitor, threshold, softness, cautious, deghost) -> Iterator[dict]:
        """The sliders of the mask."""
        state = state_of(visitor)
        with state.tried():
            state.mask |= {"threshold": threshold, "softness": softness, "cautious": bool(cautious)}
            state.deghost = bool(deghost)
            if state.known is not None:
                yield from self._only_result(state)

    @report_errors
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
        for tool, name in ((CHANGE, "add"), (KEEP, "keep")):
            area = layers[tool.name].area((size, size)) if tool.name in layers else None
            state.mask[name] = None if area is None else out_of_domain.encode_mask(area, size)

    @report_errors
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
    ) -> Iterator[dict]:
        """Everything at once, from a script."""
        from pipelines import out_of_domain

        state = state_of(visitor)
        state.ready()
        if not isinstance({} if edits is None else edits, Mapping):
            raise UserError("Edits are strengths by direction, such as Smiling: 3.")
        values = {"threshold": threshold, "softness": softness}
        usual = {"threshold": out_of_domain.THRESHOLD, "softness": out_of_domain.SOFTNESS}
        with state.tried():
            state.wanted, state.deghost = dict(edits or {}), bool(deghost)
            state.apart, state.change = bool(apart), None
            state.mask = {name: usual[name] if value is None else value for name, value in values.items()}
            state.mask["cautious"] = bool(cautious)
            self._painted(state, drawing)
            yield from self._make(state)

    @report_errors
    def undo(self, visitor) -> Iterator[dict]:
        """Nothing is wanted any more, and nothing painted."""
        state = state_of(visitor)
        if state.found is None:
            return
        with state.tried():
            state.wanted = {}
            state.mask |= {"add": None, "keep": None}
            if state.known is not None:
                for update in self._make(state):
                    frame = {**update[self.part["board"]], **gr.update(value=canvas.drawn(board(state).size))}
                    yield update | {self.part["board"]: frame}

    @report_errors
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
            state.wanted[next(iter(new))] = TICKED
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
        change, made = jobs.made(
            found.reference, known, change, edits, state.own, state.apart, state.mask, state.deghost
        )
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
