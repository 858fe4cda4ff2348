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
from ...notebook import note, told
from ...pictures import CENTRE, UPLOADED, crop_of, number_of, pictures_of, source_of
from ...session import Sent
from . import examples, jobs
from .display import CHANGE, KEEP, TOOLS, Shows, desk_of
from .examples import EXAMPLES, FACES
from .state import MOST, OWN, Desk, Way
from .text import board, stages, tile

TICKED = 3.0  # the strength of a direction that is ticked, in standard deviations of w
SHOW_EVERY, PREVIEW_S = 5, 0.2
MAX_STEPS = 1000


class Hands(Shows):
    """Functions for events; ``part`` has the cell's components by name, and every function yields what they become."""

    # -- a photograph

    @told
    def look(self, visitor, network, path, method=None, steps=None, face=None) -> Iterator[dict]:
        """Finds the faces of a photograph, takes the most prominent one or the one asked for, and inverts it."""
        reference = networks.resolve(visitor, network, self.technique)
        yield from self._look(desk_of(visitor), reference, uploads.image(path), method, steps, face)

    def _look(
        self, desk: Desk, reference, photo: Image.Image, method, steps, which=None, source: str = UPLOADED
    ) -> Iterator[dict]:
        from pipelines import faces

        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        yield {self.part["news"]: note("Looking for faces …")}
        there = [] if which == CENTRE else faces.detect(photo)
        if not there and which != CENTRE:
            desk.put(photo, [], None)
            yield self.nothing() | {
                self.part["middle"]: gr.update(visible=True),
                self.part["news"]: note(faces.NO_FACE, "nb-error"),
            }
            return
        yield from self._take(desk, reference, photo, there, number_of(which, len(there)), method, steps, source)

    def _take(
        self, desk: Desk, reference, photo, there: list, number, method, steps, source=UPLOADED, wish=None
    ) -> Iterator[dict]:
        found = jobs.found(reference, photo, there, number, source)  # until this goes well, nothing is lost
        desk.stopped = True  # an earlier search of the same visitor
        desk.put(photo, there, found)
        many = len(there) > 1
        crops = [(crop_of(photo, face), f"face {i + 1}") for i, face in enumerate(there)] if many else []
        chosen = None if found.which == CENTRE else found.which
        laid = {
            self.part["faces"]: faces_of(crops, chosen),
            self.part["middle"]: gr.update(visible=False),
        }
        yield self.face(desk) | laid
        yield from self._invert(desk, method, steps, wish)

    @told
    def another(self, visitor, network, method, steps, event: gr.EventData) -> Iterator[dict]:
        """Another face of the same photograph."""
        desk = desk_of(visitor)
        if desk.photo is None or not desk.faces:
            return
        reference = networks.resolve(visitor, network, self.technique)
        number = number_of(event.key, len(desk.faces))
        yield from self._take(desk, reference, desk.photo, desk.faces, number, method, steps)

    @told
    def middle(self, visitor, network, method, steps) -> Iterator[dict]:
        """No face was found, and the visitor wants the middle of the photograph."""
        desk = desk_of(visitor)
        if desk.photo is None:
            raise UserError("There is no photograph yet; choose one first.")
        reference = networks.resolve(visitor, network, self.technique)
        yield from self._take(desk, reference, desk.photo, desk.faces, CENTRE, method, steps)

    @told
    def greet(self, visitor, network) -> Iterator[dict]:
        """The tab is opened: faces to try, and the first of them on the desk, not inverted yet."""
        desk = desk_of(visitor)
        if desk.greeted:
            return
        made = pictures_of(visitor, [Sent(FACES, seed=example.seed) for example in EXAMPLES])
        tries = [(examples.picture(e, face), e.title) for e, face in zip(EXAMPLES, made, strict=True)]
        desk.greeted = True
        update = {self.part["examples"]: faces_of(tries)}
        reference = networks.resolve(visitor, network, self.technique)
        if desk.photo is None and "out_of_domain" not in visitor.sent and reference.at_hand:
            found = jobs.found(reference, tries[0][0], [], CENTRE)
            desk.put(tries[0][0], [], found)
            update |= self.face(desk)
        yield update

    @told
    def example(self, visitor, network, method, steps, event: gr.EventData) -> Iterator[dict]:
        """A face that our own network makes, with something before it."""
        chosen = EXAMPLES[int(event.key)]
        [face] = pictures_of(visitor, [Sent(FACES, seed=chosen.seed)])
        reference = networks.resolve(visitor, network, self.technique)
        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        photo = examples.picture(chosen, face)
        desk = desk_of(visitor)
        taken = self._take(desk, reference, photo, [], CENTRE, method, steps, wish=chosen.edit)
        for update in taken:
            yield {self.part["photo"]: None} | update

    @told
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
        for update in self._take(desk_of(visitor), reference, photo, [], CENTRE, method, steps, source):
            yield {self.part["photo"]: None} | update
        yield from self.files(visitor)

    # -- its latent

    @told
    def again(self, visitor, network, method, steps) -> Iterator[dict]:
        """The same face, inverted once more, or for another network; what is wanted of it stays wanted."""
        desk = desk_of(visitor)
        if desk.found is None:
            raise UserError("There is no face yet; choose a photograph or one of the examples first.")
        reference = networks.resolve(visitor, network, self.technique)
        if reference != desk.found.reference:
            for far in networks.fetching(reference):
                yield {self.part["news"]: far}
            found = desk.found
            taken = self._take(desk, reference, desk.photo, desk.faces, found.which, method, steps, found.source)
            yield from taken
            return
        yield from self._invert(desk, method, steps)

    def _invert(self, desk: Desk, method=None, steps=None, wish=None) -> Iterator[dict]:
        found, arguments = desk.found, {} if method in (None, "", "auto") else {"method": method}
        many = number_or_none(steps, "Steps")
        if many is not None:
            from pipelines import checks

            arguments["steps"] = checks.integer(many, "The number of steps", 1, MAX_STEPS)
        desk.searching, desk.stopped, last, shown_at = True, False, None, 0.0
        began = time.perf_counter()
        try:
            image = found.aligned.image
            with closing(jobs.searched(found.reference, image, arguments, SHOW_EVERY)) as search:
                for step in search:
                    last, seconds = step, time.perf_counter() - began
                    if desk.stopped or desk.found is not found:
                        break
                    if step.image is not None and seconds - shown_at > gpu.pace(PREVIEW_S):
                        shown_at = seconds
                        rate = f" · {step.step / seconds:.0f} a second" if step.step else ""
                        yield {
                            self.part["stages"]: [*stages(desk)[:1], (tile(step.image), f"I′ · step {step.step}")],
                            self.part["news"]: note(f"Step {step.step} · distance {step.loss:.3f}{rate}", "nb-going"),
                        }
        finally:
            desk.searching = False
        if desk.found is not found or last is None:  # another face came meanwhile
            return
        whole = last.done and not desk.stopped
        told_ = f"{'inverted' if whole else 'stopped'} after {last.step} steps in {time.perf_counter() - began:.1f} s"
        if whole and not last.step:
            told_ = f"inverted in one pass, {time.perf_counter() - began:.1f} s"
        desk.way = Way(told_, arguments if whole else None)
        desk.known, desk.change = jobs.known(found.reference, image, last.latent), None
        if wish is not None and not desk.wanted:
            name = wish[0] if wish[0] in desk.names else desk.names[0]
            desk.wanted = {name: wish[1]}
        yield from self._make(desk)

    def stop(self, visitor) -> str:
        desk = desk_of(visitor)
        running, desk.stopped = desk.searching, True
        return note("Stopping …" if running else "Nothing is running.")

    # -- what is wanted of it

    @told
    def tick(self, visitor, chosen: list[str]) -> Iterator[dict]:
        """Directions were ticked or unticked."""
        desk = desk_of(visitor)
        desk.ready()
        with desk.tried():
            desk.wanted = {name: desk.wanted.get(name, TICKED) for name in desk.names if name in chosen}
            for update in self._make(desk):
                del update[self.part["ticks"]]  # boxes that were ticked meanwhile stay ticked
                yield update

    @told
    def part_them(self, visitor, apart) -> Iterator[dict]:
        """Directions without what they have of each other, or with it."""
        desk = desk_of(visitor)
        with desk.tried():
            desk.apart, desk.change = bool(apart), None
            if desk.known is not None:
                yield from self._only_result(desk)

    @told
    def slid(self, visitor, *values: float) -> Iterator[dict]:
        """Sliders of strength were moved."""
        desk = desk_of(visitor)
        if desk.known is None:  # a slider with no face under it
            return
        moved = dict(zip(desk.names, values, strict=False))
        with desk.tried():
            desk.wanted = {n: float(moved[n]) if moved.get(n) is not None else v for n, v in desk.wanted.items()}
            yield from self._only_result(desk)

    @told
    def soften(self, visitor, threshold, softness, cautious, deghost) -> Iterator[dict]:
        """The sliders of the mask."""
        desk = desk_of(visitor)
        with desk.tried():
            desk.mask |= {"threshold": threshold, "softness": softness, "cautious": bool(cautious)}
            desk.deghost = bool(deghost)
            if desk.known is not None:
                yield from self._only_result(desk)

    @told
    def paint(self, visitor, drawing) -> Iterator[dict]:
        """Something was painted on the mask."""
        desk = desk_of(visitor)
        if desk.known is None:
            return
        with desk.tried():
            self._painted(desk, drawing)
            yield from self._only_result(desk)

    @staticmethod
    def _painted(desk: Desk, drawing) -> None:
        from pipelines import out_of_domain

        size, layers = desk.found.size, canvas.read(drawing, TOOLS).layers
        for tool, name in ((CHANGE, "add"), (KEEP, "keep")):
            area = layers[tool.name].area((size, size)) if tool.name in layers else None
            desk.mask[name] = None if area is None else out_of_domain.encode_mask(area, size)

    @told
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

        desk = desk_of(visitor)
        desk.ready()
        if not isinstance({} if edits is None else edits, Mapping):
            raise UserError("Edits are strengths by direction, such as Smiling: 3.")
        values = {"threshold": threshold, "softness": softness}
        usual = {"threshold": out_of_domain.THRESHOLD, "softness": out_of_domain.SOFTNESS}
        with desk.tried():
            desk.wanted, desk.deghost = dict(edits or {}), bool(deghost)
            desk.apart, desk.change = bool(apart), None
            desk.mask = {name: usual[name] if value is None else value for name, value in values.items()}
            desk.mask["cautious"] = bool(cautious)
            self._painted(desk, drawing)
            yield from self._make(desk)

    @told
    def undo(self, visitor) -> Iterator[dict]:
        """Nothing is wanted any more, and nothing painted."""
        desk = desk_of(visitor)
        if desk.found is None:
            return
        with desk.tried():
            desk.wanted = {}
            desk.mask |= {"add": None, "keep": None}
            if desk.known is not None:
                for update in self._make(desk):
                    frame = {**update[self.part["board"]], **gr.update(value=canvas.drawn(board(desk).size))}
                    yield update | {self.part["board"]: frame}

    @told
    def take_direction(self, visitor, path) -> Iterator[dict]:
        """Directions out of a file of one's own; the first of them is ticked."""
        desk = desk_of(visitor)
        found = desk.ready()
        if not path:
            raise UserError("There is no direction yet; choose a file first.")
        new = {}
        for name, text in jobs.directions(found.reference, str(path)).items():
            while name in found.names:
                name = f"{name} (file)"
            new[name] = text
        if len({*desk.own, *new}) > OWN or len({*desk.names, *new}) > MOST:
            raise UserError(f"Up to {OWN} directions of your own at a time; open the face again to begin anew.")
        with desk.tried():
            desk.own, desk.change = {**desk.own, **new}, None
            desk.wanted[next(iter(new))] = TICKED
            yield from self._make(desk)

    def _make(self, desk: Desk) -> Iterator[dict]:
        if self._done(desk):
            yield self.face(desk)

    def _only_result(self, desk: Desk) -> Iterator[dict]:
        """The answer to a slider, which leaves all sliders to the hand that moves them."""
        if self._done(desk):
            yield {self.part[name]: value for name, value in self._result(desk).items()}

    def _done(self, desk: Desk) -> bool:
        found, known = desk.ready(), desk.known
        wanted = {name: float(v) if isinstance(v, (int, float)) else v for name, v in desk.wanted.items()}
        same = desk.change is not None and dict(desk.change.edits) == {n: v for n, v in wanted.items() if v}
        change = desk.change if same else None
        edits = [[name, value] for name, value in wanted.items()]
        change, made = jobs.made(found.reference, known, change, edits, desk.own, desk.apart, desk.mask, desk.deghost)
        if desk.known is not known:  # another face came meanwhile
            return False
        desk.change, desk.made = change, made
        desk.wanted = {name: float(value) for name, value in wanted.items()}
        desk.version += 1
        return True

    @staticmethod
    def sent(visitor) -> Sent | None:
        """T, on its way to another tab: a photograph has no latent that makes it, its edit has."""
        from pipelines import out_of_domain

        desk = desk_of(visitor)
        if desk.change is None:
            return None
        return Sent(desk.found.reference.name, latent=out_of_domain.encode_latent(desk.change.latent))
