"""What the first cell shows of a state: the pad, the answers, and what can be taken away."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path

import gradio as gr

from pipelines import sizes
from pipelines.sizes import resize

from ... import canvas, results, tiles
from ...lifecycle import note, ran
from .state import Start, State
from .text import alt_of, code_of, meter_of, recipe_of, summary_of, tiles_of


def state_of(visitor) -> State:
    return visitor.state("igan", State)


class Display:
    """``part`` has the cell's components by name; every function gives what they become."""

    def __init__(self, part: dict, settings: Sequence[str], technique):
        self.part, self.settings, self.technique = part, list(settings), technique

    def controls(self, start: Start, arguments: dict) -> dict:
        """The controls as a recipe has them."""
        from pipelines import igan

        usual = inspect.signature(igan.brush).parameters
        updates = {self.part[n]: gr.update(value=arguments.get(n, usual[n].default)) for n in self.settings}
        updates[self.part["network"]] = gr.update(value=start.reference.name)
        if isinstance(start.latent, int):
            updates[self.part["seed"]] = gr.update(value=start.latent)
        return updates

    def shown(self, state: State, drawn: dict | None = None, passing: bool = False) -> dict:
        """The pad, the answer beside it and the candidates, as they are now."""
        found, chosen = tiles_of(state)
        frame = canvas.frame(state.image, alt_of(state), passing=passing)
        pad = gr.update(frame=frame) if drawn is None else gr.update(frame=frame, value=drawn)
        answer = [tiles.Tile("answer", state.image, "", alt_of(state))] if state.image is not None else []
        return {
            self.part["board"]: pad,
            self.part["tiles"]: tiles.shown(found, chosen, passing=passing),
            self.part["answer"]: tiles.shown(answer, columns=1, passing=passing, side=256),
        }

    def rest(self, state: State, news: str = "") -> dict:
        """Nothing has been answered to what is painted now."""
        empty = {name: None for name in ("sheet", "recipe", "latent", "film", "video", "save_file")}
        words = {"news": note(news) if news else "", "status": note(summary_of(state)), "meter": "", "film_news": ""}
        words |= {"code": code_of(state), "play": gr.update(value=16), "file": gr.update(value=None, visible=False)}
        return {self.part[name]: value for name, value in {**empty, **words}.items()}

    def nothing(self, news: str) -> dict:
        """No picture at all."""
        return {
            self.part["board"]: gr.update(frame=canvas.frame(None)),
            self.part["tiles"]: tiles.shown([]),
            self.part["answer"]: tiles.shown([]),
            self.part["news"]: note(news),
            self.part["status"]: "",
            self.part["meter"]: "",
        }

    def resized(self, visitor, size: str) -> Iterator[dict]:
        """The picture as a file of another size."""
        state = state_of(visitor)
        sizes.resized_to(size, (1, 1))
        state.size = size
        if state.candidate is None:
            return
        with results.folder() as folder:
            yield {self.part["sheet"]: str(write(state, Path(folder))["sheet"]), self.part["news"]: ""}

    def result(self, state: State, folder: Path) -> dict:
        """Everything that there is to see and to take away after an answer."""
        if state.candidate is None:
            return self.shown(state) | self.rest(state)
        files = write(state, folder)
        values = {
            **{name: str(path) for name, path in files.items()},
            "code": code_of(state),
            "status": ran(summary_of(state)),
            "news": "",
            "meter": meter_of(state.run),
            "play": gr.update(value=16),
            "film": None,
            "video": None,
            "file": gr.update(value=None, visible=False),
            "film_news": "",
            "save_file": None,
        }
        return self.shown(state) | {self.part[name]: value for name, value in values.items()}


def write(state: State, folder: Path, recipe=None) -> dict[str, Path]:
    """The chosen picture, its latent as text, and the recipe (of what was fixed, if that is given), as files."""
    name = state.start.checkpoint.split("/")[-1].replace(":", "-")
    files = {
        "sheet": folder / f"{name}-painted.png",
        "latent": folder / f"{name}-latent.txt",
        "recipe": folder / f"{name}-painted-recipe.json",
    }
    resize(state.image, state.size).save(files["sheet"])
    files["latent"].write_text(str(state.latent), encoding="utf-8")
    files["recipe"].write_text((recipe or recipe_of(state)).to_json(), encoding="utf-8")
    return files
