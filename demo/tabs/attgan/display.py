"""What the first cell shows of a state, the files of an edit, and a recipe brought back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
from PIL import Image

from weights.errors import UserError

from ... import networks
from ...controls import faces_of
from ...face_display import FaceDisplay
from ...lifecycle import note, ran
from ...pictures import CENTRE, enlarged, fitted
from . import jobs
from .state import Found, State
from .text import cleared, code_of, numbers, odds_table, recipe_for, summary_of, usual


def state_of(visitor) -> State:
    return visitor.state("attgan", State)


class Display(FaceDisplay):
    """What the first cell's components become."""

    FILES = {"sheet": "face.png", "full": "photo.png", "recipe": "edit.json"}

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
            "local": found.face.local,
            "odds": odds_table(found.odds, state.odds if state.wanted else None),
            "ticks": gr.update(choices=choices, value=[n for n, _v in values.items() if values[n] > 0]),
            "news": note(said[:1].upper() + said[1:] + ".") if said else "",
            "status": ran(
                f"{summary_of(state.wanted)} · {found.title}, {found.face.image.width} px, on {found.device}", state.key
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
        return super().nothing() | {self.part["crop"]: None, self.part["made"]: None, self.part["odds"]: ""}

    def state(self, visitor) -> State:
        return state_of(visitor)

    def writer(self, state: State) -> Callable[[dict[str, Path]], None] | None:
        if state.found is None:
            return None
        found = state.found

        def write(paths: dict[str, Path]) -> None:
            (state.edited or found.reconstruction).save(paths["sheet"])
            state.whole().save(paths["full"], compress_level=1)
            recipe = recipe_for("attgan.edit", found, {"attributes": state.wanted})
            paths["recipe"].write_text(recipe.to_json(), encoding="utf-8")

        return write

    def load_recipe(self, visitor, recipe) -> Iterator[dict]:
        """The face that a recipe holds, edited as it says."""
        photo, found = yield from self.held(visitor, recipe, self.part["news"])
        yield self.lay(visitor, photo, found, recipe.arguments["attributes"])

    def held(self, visitor, recipe, news: gr.HTML) -> Iterator[dict]:
        """Returns the picture of a recipe's face and the face. Raises UserError."""
        from pipelines import attgan

        reference = networks.resolve(visitor, recipe.checkpoint, self.technique)
        for far in networks.fetching(reference):
            yield {news: far}
        if not isinstance(recipe.arguments["image"], str):
            raise UserError("That recipe holds no face.")
        photo = attgan.decode_image(recipe.arguments["image"])
        return photo, jobs.found(
            reference,
            photo,
            [],
            CENTRE,
            recipe.arguments.get("has"),
            recipe.sha256,
            recipe.arguments.get("local", False),
        )

    def lay(self, visitor, photo: Image.Image, found: Found, wanted: dict | None = None) -> dict:
        """Puts a recipe's face on the state, with what is wanted of it. Raises UserError before anything changes."""
        done = jobs.edited(found, wanted) if wanted not in (None, {}) else None
        state = state_of(visitor)
        state.ask()
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
