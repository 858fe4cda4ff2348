"""What happens in the first cell: a photograph comes, a face is found, boxes are ticked, sliders moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import gradio as gr
from PIL import Image

from weights.errors import UserError

from ... import networks, photographs, uploads
from ...controls import faces_of
from ...pictures import CENTRE, UPLOADED, crop_of, number_of, pictures_of, source_of
from ...session import Sent
from . import jobs
from .display import Display, state_of
from .state import State
from .text import cleared, numbers, same, usual

FACES = "stylegan2/faces"
# For visitors with no photograph at hand, after the one that ships: seeds of faces that our own network makes.
SEEDS = (25, 44, 31, 20, 49)
TICKED = 1.0  # the intensity of a box that is ticked
MOST = 16  # sliders on the page; a network may know more names


class Handlers(Display):
    """Functions for events; every function yields what the cell's components become."""

    # -- a photograph

    def look(self, visitor, network, path, face=None, has=None, local=None) -> Iterator[dict]:
        """Finds the faces of a photograph and takes the most prominent one, or the one asked for."""
        state = state_of(visitor)
        if local is not None:
            state.local = bool(local)
        reference, photo = networks.resolve(visitor, network, self.technique), uploads.image(path)
        yield from self._look(state, state.ask(), reference, photo, face, has)

    def chosen(self, visitor, network, path) -> Iterator[dict]:
        """A photograph was chosen; of one that was taken away ``clear`` is told, too."""
        if path:
            yield from self.look(visitor, network, path)

    def clear(self, visitor) -> Iterator[dict]:
        """The photograph was taken away."""
        state = state_of(visitor)
        state.ask()
        state.put(None, [])
        yield self.nothing() | {self.part["news"]: ""}

    def _look(
        self, state: State, mine: int, reference, photo: Image.Image, which=None, has=None, source: str = UPLOADED
    ) -> Iterator[dict]:
        there = yield from self.searched(reference, photo)
        if state.number != mine:  # something newer was asked for meanwhile
            return
        if not there and which != CENTRE:
            state.put(photo, [], source)
            yield self.no_face()
            return
        yield from self._take(state, mine, reference, photo, there, number_of(which, len(there)), has, source)

    def _take(
        self, state: State, mine: int, reference, photo, there: list, number, has=None, source: str | None = None
    ) -> Iterator[dict]:
        source = source or state.source
        local = state.local and number != CENTRE  # in the middle of a photograph may be anything
        # Until this is known to go well, nothing is lost.
        found = jobs.found(reference, photo, there, number, has, local=local)
        if state.number != mine:
            return
        found = replace(found, source=source)
        state.put(photo, there, source)
        state.take(found)
        many = len(there) > 1
        shown = [(crop_of(photo, face), f"face {i + 1}") for i, face in enumerate(there)] if many else []
        yield self.face(state) | {
            self.part["faces"]: faces_of(shown, None if number == CENTRE else number),
            self.part["middle"]: gr.update(visible=False),
        }

    def another(self, visitor, network, event: gr.EventData) -> Iterator[dict]:
        """Another face of the same photograph."""
        state = state_of(visitor)
        if state.photo is None or not state.faces:
            return
        reference = networks.resolve(visitor, network, self.technique)
        number = number_of(event.key, len(state.faces))
        yield from self._take(state, state.ask(), reference, state.photo, state.faces, number)

    def middle(self, visitor, network) -> Iterator[dict]:
        """No face was found, and the visitor wants the middle of the photograph."""
        state = state_of(visitor)
        if state.photo is None:
            raise UserError("There is no photograph yet; choose one first.")
        reference = networks.resolve(visitor, network, self.technique)
        yield from self._take(state, state.ask(), reference, state.photo, state.faces, CENTRE)

    def follow(self, visitor, network) -> Iterator[dict]:
        """Another network: the same face, in its crop and with its names."""
        state = state_of(visitor)
        if state.found is None or state.found.reference.name == network:
            return
        reference = networks.resolve(visitor, network, self.technique)
        if not reference.at_hand:
            return
        yield from self._take(state, state.ask(), reference, state.photo, state.faces, state.found.which)

    def greet(self, visitor, network) -> Iterator[dict]:
        """The tab is opened: faces to try, and the first of them on the state unless there is, or will be, another."""
        state = state_of(visitor)
        if state.greeted:
            return
        pictures = pictures_of(visitor, [Sent(FACES, seed=seed) for seed in SEEDS])
        tries = [(crop_of(photographs.photograph(), photographs.found()[0]), "a photograph")]
        tries += [(picture, f"face of seed {seed}") for picture, seed in zip(pictures, SEEDS, strict=True)]
        state.greeted, shown = True, {self.part["examples"]: faces_of(tries)}
        reference = networks.resolve(visitor, network, self.technique)
        if state.number or visitor.expects("attgan") or not reference.at_hand:
            yield shown
            return
        # Together, because of answers that come at once one after another a browser shows the last. The photograph is
        # left alone: a visitor may be putting one there at this moment.
        for update in self._example(visitor, reference, 0):
            yield shown | update

    def example(self, visitor, network, event: gr.EventData) -> Iterator[dict]:
        """The photograph that ships, or a face that our own network makes."""
        reference = networks.resolve(visitor, network, self.technique)
        for update in self._example(visitor, reference, int(event.key)):
            yield {self.part["photo"]: None} | update

    def _example(self, visitor, reference, number: int) -> Iterator[dict]:
        state = state_of(visitor)
        mine = state.ask()
        if number == 0:
            has = photographs.HAS if reference.sha256 is None else None  # one's own network may name other things
            photo, there = photographs.photograph(), list(photographs.found())
            yield from self._take(state, mine, reference, photo, there, 0, has, photographs.SOURCE)
            return
        face = Sent(FACES, seed=SEEDS[number - 1])
        [photo] = pictures_of(visitor, [face])
        yield from self._look(state, mine, reference, photo, source=source_of(face, photo))

    def take_sent(self, visitor, network) -> Iterator[dict]:
        """A face that another tab has sent here."""
        sent = visitor.receive("attgan")
        if sent is None:
            return
        state = state_of(visitor)
        mine = state.ask()
        [photo] = pictures_of(visitor, [sent])
        reference = networks.resolve(visitor, network, self.technique)
        for update in self._look(state, mine, reference, photo, source=source_of(sent, photo)):
            yield {self.part["photo"]: None} | update
        yield from self.files(visitor)

    # -- what it is to have

    def tick(self, visitor, chosen: list[str], *values: float) -> Iterator[dict]:
        """Boxes were ticked or unticked; what contradicts a new one is unticked."""
        from pipelines import attgan

        state = state_of(visitor)
        found = state.face()
        before = {name for name in found.names if self.values(state)[name] > 0}
        added, taken = [n for n in chosen if n not in before], [n for n in before if n not in chosen]
        wanted = dict(state.wanted)
        for name in (*added, *taken):
            wanted[name] = TICKED if name in added else -TICKED
            if (wanted[name] > 0) == found.face.has[name]:
                del wanted[name]  # as it was
        # Of two that cannot be had together, the one that was ticked last stays. What the face has by itself is only
        # covered by it (``cleared``), and comes back when that box is unticked.
        replaced, stay = {}, before - set(taken)
        for name in added:
            for other in [other for other in stay if attgan.clashes({name: 1.0, other: 1.0})]:
                replaced[other] = name
                wanted.pop(other, None)
                stay.discard(other)
            stay.add(name)
        for update in self._edit(state, wanted, replaced):
            if set(update[self.part["ticks"]]["value"]) == set(chosen):
                del update[self.part["ticks"]]  # boxes that were ticked meanwhile stay ticked
            yield update

    def slid(self, visitor, *values: float) -> Iterator[dict]:
        """Sliders were moved."""
        state = state_of(visitor)
        if state.found is None:  # a slider with no face under it
            return
        found, told, covered = state.found, self.values(state), cleared(state)
        moved, wanted = dict(zip(found.names, values, strict=False)), dict(state.wanted)
        for name, value in moved.items():
            if value is None or same(value, told[name]):
                continue
            if same(value, usual(found, name)) and name not in covered:
                wanted.pop(name, None)  # as it was
            else:
                wanted[name] = value
        for update in self._edit(state, wanted):
            told = self.values(state)
            for slider, (name, value) in zip(self.sliders, moved.items(), strict=False):
                if value is not None and same(value, told[name]):
                    del update[slider]  # it stays where the hand has moved it meanwhile
            yield update

    def keep(self, visitor, local: bool) -> Iterator[dict]:
        """Edits are to stay where their attribute lies, or no longer."""
        state = state_of(visitor)
        state.local = bool(local)
        if state.found is None or state.found.face.local == state.local:
            return
        found, before = jobs.restricted(state.found, state.local), state.found
        if state.found is not before:  # another face came meanwhile
            return
        state.hold(found)
        for update in self._edit(state, state.wanted):
            del update[self.part["local"]]  # it stays as the hand has set it meanwhile
            yield update

    def edit(self, visitor, changes) -> Iterator[dict]:
        """Intensities by name, from a script."""
        yield from self._edit(state_of(visitor), {} if changes is None else changes)

    def undo(self, visitor) -> Iterator[dict]:
        yield from self._edit(state_of(visitor), {})

    def _edit(self, state: State, wanted: dict, replaced: dict[str, str] | None = None) -> Iterator[dict]:
        found = state.face()
        edited, odds = jobs.edited(found, wanted)
        if state.found is not found:  # another face came meanwhile
            return
        state.edit(numbers(wanted), edited, odds)
        yield self.face(state, replaced)
