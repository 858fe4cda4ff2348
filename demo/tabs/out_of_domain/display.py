"""What the first cell shows of a state, the files of an edit, and a recipe brought back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import gradio as gr

from pipelines.defaults import MaskOptions
from weights.errors import UserError

from ... import canvas, networks
from ...controls import faces_of
from ...face_display import FaceDisplay
from ...lifecycle import note, ran
from ...pictures import CENTRE, UPLOADED, fitted
from . import jobs
from .state import State, Way
from .text import board, code_of, facts, missing, recipe_for, shown, stages, warning

CHANGE = canvas.Tool(
    "change", "paint", "May change", canvas.MASK.icon, "Paint what the edit may change, too.", ((222, 38, 32, 90),)
)
KEEP = canvas.Tool(
    "keep", "paint", "Must stay", "M3 8l3.5 3.5L13 5", "Paint what has to stay as it is.", ((36, 98, 222, 130),)
)
TOOLS = (CHANGE, KEEP)
MASK_CONTROLS = ("threshold", "softness", "cautious", "deghost", "blend")


def state_of(visitor) -> State:
    return visitor.state("out_of_domain", State)


class Display(FaceDisplay):
    """What the first cell's components become."""

    FILES = {"sheet": "face.png", "full": "photo.png", "mask_file": "mask.png", "recipe": "edit.json"}

    # -- what is shown

    def _result(self, state: State) -> dict:
        words = warning(state.made, any(state.wanted.values()))
        about = "the photograph with the mask over it"
        return {
            "stages": stages(state),
            "whole": tuple(fitted(picture) for picture in (state.photo, state.whole())) if state.made else None,
            "board": gr.update(frame=canvas.frame(board(state), about)),
            "news": note(words, "nb-error") if words else "",
            "status": ran(facts(state), state.key) if state.made else note(facts(state)),
            "code": code_of(state) if state.made else self.part["code"].value,
            "sheet": None,
            "full": None,
            "mask_file": None,
            "recipe": None,
        }

    def face(self, state: State) -> dict:
        """Everything about the face as it is now."""
        names = state.names
        choices = [(shown(name), name) for name in names]
        made = {self.part[name]: value for name, value in self._result(state).items()}
        made[self.part["ticks"]] = gr.update(choices=choices, value=[n for n in names if n in state.wanted])
        made[self.part["missing"]] = missing(state.found)
        for i, slider in enumerate(self.sliders):
            name = names[i] if i < len(names) else None
            if name in state.wanted:
                made[slider] = gr.update(value=state.wanted[name], label=shown(name), visible=True)
            else:
                made[slider] = gr.update(visible=False)
        if state.made is None:
            made[self.part["board"]] = gr.update(
                frame=canvas.frame(board(state), "the photograph"),
                value=canvas.drawn(board(state).size),
            )
        return made

    def nothing(self) -> dict:
        empty = gr.update(frame=canvas.frame(None))
        return super().nothing() | {self.part["stages"]: None, self.part["board"]: empty, self.part["missing"]: ""}

    # -- what can be taken away, and brought back

    def state(self, visitor) -> State:
        return state_of(visitor)

    def writer(self, state: State) -> Callable[[dict[str, Path]], None] | None:
        if state.made is None:
            return None
        made = state.made

        def write(paths: dict[str, Path]) -> None:
            made.result.save(paths["sheet"])
            made.mask.save(paths["mask_file"])
            state.whole().save(paths["full"], compress_level=1)
            recipe = recipe_for("out_of_domain.edit", state, state.options())
            paths["recipe"].write_text(recipe.to_json(), encoding="utf-8")

        return write

    def load_recipe(self, visitor, recipe) -> Iterator[dict]:
        """The face that a recipe holds, edited as it says."""
        given = self.held(recipe)
        direction = given.get("direction")
        edits = [*given.get("edits", ()), *([[direction, given.get("strength", 3.0)]] if direction else [])]
        yield from self.lay(visitor, recipe, {**given, "edits": edits})

    @staticmethod
    def held(recipe) -> dict:
        """The arguments of a recipe that holds a face. Raises UserError."""
        from pipelines import checks
        from pipelines.defaults import MAX_EDITS

        if not isinstance(recipe.arguments["image"], str) or not isinstance(recipe.arguments.get("latent"), str):
            raise UserError("That recipe holds no face with its latent.")
        checks.sequence(recipe.arguments.get("edits", []), "The list of edits", 0, MAX_EDITS)
        for name in ("own", "parts"):
            if not isinstance(recipe.arguments.get(name) or {}, dict):
                raise UserError(f"That recipe's “{name}” is not a table.")
        return recipe.arguments

    def lay(self, visitor, recipe, given: dict, begin: Callable | None = None) -> Iterator[dict]:
        """Puts a recipe's face on the state, with what is wanted of it. Raises UserError before anything changes.

        ``begin(reference, known, own)`` is asked for the first of what the recipe makes besides: then it is sound.
        """
        from pipelines import out_of_domain

        reference = networks.resolve(visitor, recipe.checkpoint, self.technique)
        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        photo = out_of_domain.decode_image(given["image"])
        found = jobs.found(reference, photo, [], CENTRE, UPLOADED, recipe.sha256)
        for part, sha256 in dict(given.get("parts") or {}).items():
            if part != "encoder" and found.parts.get(part) != sha256:
                raise UserError(f"That recipe was made with another version of {part} than is here.")
        known = jobs.known(reference, found.aligned.image, given["latent"], given.get("tuning") or 0)
        mask = MaskOptions(**{f.name: given[f.name] for f in fields(MaskOptions) if given.get(f.name) is not None})
        mask = replace(mask, cautious=bool(mask.cautious), deghost=bool(mask.deghost))
        own, apart = dict(given.get("own") or {}), bool(given.get("apart", False))
        change, made = jobs.made(reference, known, None, list(given["edits"]), own, apart, mask)
        if begin is not None:
            with closing(begin(reference, known, {"own": own} if own else {})) as first:
                next(first)
        state = state_of(visitor)
        state.ask()
        state.put(photo, [], found)
        state.known, state.way, state.own, state.mask = known, Way("from a recipe", None), own, mask
        state.wanted, state.apart, state.change, state.made = dict(change.edits), apart, change, made
        drawn = {tool.name: self._layer(area, found.size) for tool, area in ((CHANGE, mask.add), (KEEP, mask.keep))}
        layers = {name: layer for name, layer in drawn.items() if layer is not None}
        update = self.face(state)
        frame = gr.update(value=canvas.drawn(board(state).size, layers=layers))
        yield update | {
            self.part["board"]: {**update[self.part["board"]], **frame},
            **{self.part[n]: gr.update(value=getattr(mask, n)) for n in MASK_CONTROLS},
            self.part["apart"]: gr.update(value=apart),
            self.part["network"]: gr.update(value=reference.name),
            self.part["photo"]: None,
            self.part["faces"]: faces_of([]),
            self.part["middle"]: gr.update(visible=False),
        }

    @staticmethod
    def _layer(text, size: int) -> canvas.Layer | None:
        if text is None:
            return None
        from pipelines.images import read_mask

        return canvas.Layer((read_mask(text, size).numpy() >= 0.5).astype("uint8"))
