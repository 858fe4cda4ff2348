"""What happens in the first cell: a photograph comes, a face is found, boxes are ticked, sliders moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import gradio as gr
from PIL import Image

from weights.errors import UserError

from ... import networks, results, uploads
from ...controls import faces_of
from ...notebook import note, report_errors
from ...pictures import CENTRE, UPLOADED, crop_of, enlarged, fitted, number_of, pictures_of, source_of
from ...session import Sent
from . import jobs
from .state import Found, State
from .text import cleared, code_of, numbers, odds_table, recipe_for, same, summary_of, usual

FACES = "stylegan2/faces"
EXAMPLES = (3, 8, 17, 20, 25, 41)  # seeds of faces that our own network makes, for visitors with no photograph at hand
TICKED = 1.0  # the intensity of a box that is ticked
MOST = 16  # sliders on the page; a network may know more names


def state_of(visitor) -> State:
    return visitor.state("attgan", State)


class Handlers:
    """Functions for events; ``part`` has the cell's components by name, and every function yields what they become."""

    def __init__(self, part: dict, sliders: Sequence[gr.Slider], technique: str):
        self.part, self.sliders, self.technique = part, list(sliders), technique

    # -- a photograph

    @report_errors
    def look(self, visitor, network, path, face=None, has=None) -> Iterator[dict]:
        """Finds the faces of a photograph and takes the most prominent one, or the one asked for."""
        yield from self._look(state_of(visitor), networks.resolve(visitor, network, self.technique),
                              uploads.image(path), face, has)  # fmt: skip

    def _look(
        self, state: State, reference, photo: Image.Image, which=None, has=None, source: str = UPLOADED
    ) -> Iterator[dict]:
        from pipelines import faces

        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        yield {self.part["news"]: note("Looking for faces …")}
        there = faces.detect(photo)
        if not there and which != CENTRE:
            state.put(photo, [], source)
            yield self.nothing() | {
                self.part["middle"]: gr.update(visible=True),
                self.part["news"]: note(faces.NO_FACE, "nb-error"),
            }
            return
        yield from self._take(state, reference, photo, there, number_of(which, len(there)), has, source)

    def _take(
        self, state: State, reference, photo, there: list, number: int | str, has=None, source: str | None = None
    ) -> Iterator[dict]:
        source = source or state.source
        found = jobs.found(reference, photo, there, number, has)  # until this is known to go well, nothing is lost
        found = replace(found, source=source)
        state.put(photo, there, source)
        state.take(found)
        many = len(there) > 1
        shown = [(crop_of(photo, face), f"face {i + 1}") for i, face in enumerate(there)] if many else []
        yield self.face(state) | {
            self.part["faces"]: faces_of(shown, None if number == CENTRE else number),
            self.part["middle"]: gr.update(visible=False),
        }

    @report_errors
    def another(self, visitor, network, event: gr.EventData) -> Iterator[dict]:
        """Another face of the same photograph."""
        state = state_of(visitor)
        if state.photo is None or not state.faces:
            return
        reference = networks.resolve(visitor, network, self.technique)
        yield from self._take(state, reference, state.photo, state.faces, number_of(event.key, len(state.faces)))

    @report_errors
    def middle(self, visitor, network) -> Iterator[dict]:
        """No face was found, and the visitor wants the middle of the photograph."""
        state = state_of(visitor)
        if state.photo is None:
            raise UserError("There is no photograph yet; choose one first.")
        yield from self._take(
            state, networks.resolve(visitor, network, self.technique), state.photo, state.faces, CENTRE
        )

    @report_errors
    def follow(self, visitor, network) -> Iterator[dict]:
        """Another network: the same face, in its crop and with its names."""
        state = state_of(visitor)
        if state.found is None or state.found.reference.name == network:
            return
        reference = networks.resolve(visitor, network, self.technique)
        if not reference.at_hand:
            return
        yield from self._take(state, reference, state.photo, state.faces, state.found.which)

    @report_errors
    def greet(self, visitor, network) -> Iterator[dict]:
        """The tab is opened: faces to try, and the first of them on the state unless there is, or will be, another."""
        state = state_of(visitor)
        if state.greeted:
            return
        pictures = pictures_of(visitor, [Sent(FACES, seed=seed) for seed in EXAMPLES])
        tries = [(picture, f"face of seed {seed}") for picture, seed in zip(pictures, EXAMPLES, strict=True)]
        state.greeted, shown = True, {self.part["examples"]: faces_of(tries)}
        reference = networks.resolve(visitor, network, self.technique)
        if state.photo is not None or "attgan" in visitor.sent or not reference.at_hand:
            yield shown
            return
        # Together, because of answers that come at once one after another a browser shows the last.
        for update in self._example(visitor, reference, EXAMPLES[0]):
            yield shown | update

    @report_errors
    def example(self, visitor, network, event: gr.EventData) -> Iterator[dict]:
        """A face that our own network makes."""
        yield from self._example(visitor, networks.resolve(visitor, network, self.technique), EXAMPLES[int(event.key)])

    def _example(self, visitor, reference, seed: int) -> Iterator[dict]:
        [photo] = pictures_of(visitor, [Sent(FACES, seed=seed)])
        for update in self._look(state_of(visitor), reference, photo, source=source_of(Sent(FACES, seed=seed), photo)):
            yield {self.part["photo"]: None} | update

    @report_errors
    def take_sent(self, visitor, network) -> Iterator[dict]:
        """A face that another tab has sent here."""
        sent = visitor.sent.pop("attgan", None)
        if sent is None:
            return
        [photo] = pictures_of(visitor, [sent])
        reference = networks.resolve(visitor, network, self.technique)
        for update in self._look(state_of(visitor), reference, photo, source=source_of(sent, photo)):
            yield {self.part["photo"]: None} | update
        yield from self.files(visitor)

    # -- what it is to have

    @report_errors
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

    @report_errors
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

    @report_errors
    def edit(self, visitor, changes) -> Iterator[dict]:
        """Intensities by name, from a script."""
        yield from self._edit(state_of(visitor), {} if changes is None else changes)

    @report_errors
    def undo(self, visitor) -> Iterator[dict]:
        yield from self._edit(state_of(visitor), {})

    def _edit(self, state: State, wanted: dict, replaced: dict[str, str] | None = None) -> Iterator[dict]:
        found = state.face()
        edited, odds = jobs.edited(found, wanted)
        if state.found is not found:  # another face came meanwhile
            return
        state.edit(numbers(wanted), edited, odds)
        yield self.face(state, replaced)

    # -- what is shown

    @staticmethod
    def values(state: State) -> dict[str, float]:
        """What the decoder is told, by name."""
        found = state.face()
        told = {name: usual(found, name) for name in found.names} | state.wanted
        for other in cleared(state):
            told[other] = usual(found, other) * -1
        return told

    def face(self, state: State, replaced: dict[str, str] | None = None) -> dict:
        """Everything about the face as it is now."""
        from pipelines import attgan

        found, values = state.face(), self.values(state)
        choices = [(attgan.shown(name), name) for name in found.names]
        words = {**cleared(state), **(replaced or {})}
        said = "; ".join(f"{attgan.shown(new)} replaces {attgan.shown(old)}" for old, new in words.items())
        image = state.edited or found.reconstruction
        updates = {
            "crop": enlarged(found.aligned.image),
            "made": enlarged(image),
            "whole": tuple(fitted(picture) for picture in (state.photo, state.whole())),
            "odds": odds_table(found.odds, state.odds if state.wanted else None),
            "ticks": gr.update(choices=choices, value=[n for n, _v in values.items() if values[n] > 0]),
            "news": note(said[:1].upper() + said[1:] + ".") if said else "",
            "status": note(
                f"{summary_of(state.wanted)} · {found.title}, {found.face.image.width} px, on {found.device}", "nb-ran"
            ),
            "code": code_of(state),
            "sheet": None,
            "full": None,
            "recipe": None,
        }
        made = {self.part[name]: value for name, value in updates.items()}
        for i, slider in enumerate(self.sliders):
            known = i < len(found.names)
            name = found.names[i] if known else ""
            label = attgan.shown(name) if known else slider.label
            made[slider] = (
                gr.update(value=values[name], label=label, visible=True) if known else gr.update(visible=False)
            )
        return made

    def nothing(self) -> dict:
        """No face."""
        empty = ("crop", "made", "whole", "sheet", "full", "recipe")
        return {self.part[name]: None for name in empty} | {
            self.part["ticks"]: gr.update(choices=[], value=[]),
            self.part["odds"]: "",
            self.part["status"]: "",
            self.part["code"]: self.part["code"].value,
            self.part["faces"]: faces_of([]),
            self.part["middle"]: gr.update(visible=False),
            **{slider: gr.update(visible=False) for slider in self.sliders},
        }

    @property
    def everything(self) -> list:
        """All components that ``face`` and ``nothing`` speak of."""
        return [*self.part.values(), *self.sliders]

    def writes(self, event, session) -> None:
        """After an event that changes the face come its files, which it need not wait for."""
        outputs = [self.part[name] for name in ("sheet", "full", "recipe")]
        event.success(
            self.files, session, outputs, concurrency_id="files", concurrency_limit=2,
            show_progress="hidden", api_visibility="private",
        )  # fmt: skip

    def files(self, visitor) -> Iterator[dict]:
        """The downloads of the newest edit; what has become old meanwhile is left out."""
        state = state_of(visitor)
        if state.found is None or state.written == state.version:
            yield {self.part["sheet"]: gr.skip()}
            return
        version, found = state.version, state.found
        with results.folder() as folder:
            name = found.checkpoint.split("/")[-1].replace(":", "-")
            sheet, full, recipe = (Path(folder) / f"{name}-{what}" for what in ("face.png", "photo.png", "edit.json"))
            (state.edited or found.reconstruction).save(sheet)
            state.whole().save(full, compress_level=1)
            recipe.write_text(
                recipe_for("attgan.edit", found, {"attributes": state.wanted}).to_json(), encoding="utf-8"
            )
            if state.version == version:
                state.written = version
                yield {self.part[n]: str(p) for n, p in (("sheet", sheet), ("full", full), ("recipe", recipe))}
            else:
                yield {self.part["sheet"]: gr.skip()}

    @report_errors
    def load_recipe(self, visitor, path) -> Iterator[dict]:
        """The face that a recipe holds, edited as it says."""
        recipe, photo, found = yield from self.held(visitor, path, "attgan.edit", self.part["news"])
        yield self.lay(visitor, photo, found, recipe.arguments["attributes"])

    def held(self, visitor, path, function: str, news: gr.HTML) -> Iterator[dict]:
        """Reads a recipe of ``function``; returns it, the face's picture and the face. Raises UserError."""
        from pipelines import attgan
        from pipelines.recipes import Recipe

        recipe = Recipe.from_json(uploads.recipe(path))
        if recipe.function != function:
            raise UserError(f"That recipe is for another cell: it was made with {recipe.function}.")
        reference = networks.resolve(visitor, recipe.checkpoint, self.technique)
        for far in networks.fetching(reference):
            yield {news: far}
        if not isinstance(recipe.arguments["image"], str):
            raise UserError("That recipe holds no face.")
        photo = attgan.decode_image(recipe.arguments["image"])
        return recipe, photo, jobs.found(reference, photo, [], CENTRE, recipe.arguments.get("has"), recipe.sha256)

    def lay(self, visitor, photo: Image.Image, found: Found, wanted: dict | None = None) -> dict:
        """Puts a recipe's face on the state, with what is wanted of it. Raises UserError before anything changes."""
        done = jobs.edited(found, wanted) if wanted not in (None, {}) else None
        state = state_of(visitor)
        state.put(photo, [])
        state.take(found)
        if done:
            state.edit(numbers(wanted), *done)
        return self.face(state) | {
            self.part["network"]: gr.update(value=found.reference.name),
            self.part["photo"]: None,
            self.part["faces"]: faces_of([]),
            self.part["middle"]: gr.update(visible=False),
        }
