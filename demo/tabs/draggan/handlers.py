"""What happens when a hand does something: the events of the tab's first cell, without a word about its looks."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from pipelines import sizes
from pipelines.sizes import resize
from weights.errors import UserError

from ... import canvas, gpu, networks, results, uploads
from ...controls import number_or_none
from ...notebook import note, report_errors
from ...results import Result
from ...session import Sent
from . import jobs
from .state import MAX_PULLS, OPTIONAL, Pull, Start, State

FRAME_S = 0.06  # seconds between two pictures of a drag
BEFORE_AFTER = 512  # pixels of the comparison, into which small pictures are enlarged


class Handlers:
    """Functions for events; ``part`` has the cell's components by name, and every function yields what they become."""

    def __init__(self, part: dict[str, gr.components.Component], parameters: Sequence[str], technique: str):
        self.part, self.parameters, self.technique = part, list(parameters), technique

    # -- the picture to start from

    @report_errors
    def open(self, visitor, network, class_index, seed, truncation_psi, live=False) -> Iterator[dict]:
        """Puts the picture of a seed on the canvas; what is drawn there stays as it was before it was pulled."""
        state = state_of(visitor)
        reference = networks.resolve(visitor, network, self.technique)
        made = seeded(seed, truncation_psi, class_index)
        if state.start and (state.start.reference, state.start.made) == (reference, made):
            return
        if live and not reference.at_hand:  # nobody wants to fetch 400 MB because a list was looked through
            state.put(None)
            yield self.idle(state) | self.nothing("Press Show the picture to fetch this network.")
            return
        opened = yield from self._open(state, reference, made)
        yield opened | self.hints(state.start)  # the other controls belong to the hand that is moving them

    @report_errors
    def greet(self, visitor, *picture) -> Iterator[dict]:
        """When the tab comes into view: a picture, unless there is one, or one is on its way here."""
        state = state_of(visitor)
        if state.start is None and "draggan" not in visitor.sent:
            yield from self.open(visitor, *picture, live=True)

    @report_errors
    def follow(self, visitor, network, *picture) -> Iterator[dict]:
        """When another network is chosen: its picture. Not when a recipe or another tab has just chosen it."""
        state = state_of(visitor)
        if state.start is None or state.start.reference.name != network:
            yield from self.open(visitor, network, *picture, live=True)

    def _open(self, state: State, reference, made: dict, **options) -> Iterator[dict]:
        """Yields how far a download is; returns what the components become, for the caller to yield.

        With whatever else there is, because of answers that come at once one after another a browser shows the last.
        """
        for progress in networks.fetching(reference):
            yield {self.part["news"]: progress}
        start = jobs.opened(reference, made, **options)
        before, drawn = state.start, state.reset()
        state.put(start)
        if before is not None and before.size != start.size:
            drawn = canvas.drawn(start.size)
        return self.idle(state, drawn) | self.nothing()

    @staticmethod
    def sent(visitor) -> Sent | None:
        """The picture as it is now, on its way to another tab."""
        state = state_of(visitor)
        return Sent(state.start.reference.name, **state.made()) if state.start else None

    @report_errors
    def take_latent(self, visitor, network, file) -> Iterator[dict]:
        """A latent that was saved is the picture to start from."""
        state = state_of(visitor)
        if not file:
            raise UserError("There is no latent yet; choose a file first.")
        reference = networks.resolve(visitor, network, self.technique)
        opened = yield from self._open(state, reference, {}, latent=str(file))
        yield opened | self.controls(state.start)

    @report_errors
    def take_sent(self, visitor) -> Iterator[dict]:
        """A picture that another tab has sent here."""
        state = state_of(visitor)
        sent = visitor.sent.pop("draggan", None)
        if sent is None:
            return
        reference = networks.resolve(visitor, sent.network, self.technique)
        made = {"latent": sent.latent} if sent.latent else seeded(sent.seed, sent.truncation_psi, sent.class_index)
        opened = yield from self._open(state, reference, made)
        # A network that was made for this visitor a moment ago is in no list yet.
        listed = gr.update(choices=networks.choices(self.technique, visitor), value=reference.name)
        yield opened | self.controls(state.start) | {self.part["network"]: listed}

    # -- pulling

    def ask(self, visitor) -> str:
        """Before a drag gets its turn; from now on it can be stopped."""
        state = state_of(visitor)
        state.asked, state.called_off = True, False
        return note("Waiting for its turn …")

    @report_errors
    def drag(self, visitor, network, class_index, seed, truncation_psi, drawing, *values) -> Iterator[dict]:
        state = state_of(visitor)
        asked, state.asked = state.asked, False
        if asked and state.called_off:
            state.called_off = False
            yield {self.part["news"]: note("Stopped before it began.")}
            return
        drawn = canvas.read(drawing)
        reference = networks.resolve(visitor, network, self.technique)
        made = seeded(seed, truncation_psi, class_index)
        start = state.start
        # On the page the picture has followed every control; a script says with each call which one it means.
        other = not asked and start is not None and "seed" in start.made and start.made != made
        if start is None or start.reference != reference or other:
            yield (yield from self._open(state, reference, made))
        arguments = {**pairs(drawn, state.start.size), **self.options(drawn, state.start.resolution, values)}
        with results.folder() as folder:
            yield from self._pull(state, arguments, drawing, folder)

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

    def _pull(self, state: State, arguments: dict, drawn: dict, folder: str) -> Iterator[dict]:
        start, resume = state.start, state.last
        pull = state.begin(arguments, drawn)
        watched = [self.part[name] for name in ("board", "meter", "news")]
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
                        yield dict(zip(watched, (gr.update(frame=live), meter, ""), strict=True))
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

    def reset(self, visitor) -> Iterator[dict]:
        """The picture as it was first, with what was drawn on it then."""
        state = state_of(visitor)
        if state.start is None:
            yield {self.part["news"]: note("There is no picture yet.")}
            return
        yield self.idle(state, state.reset()) | self.nothing()

    # -- recipes and examples

    @report_errors
    def load_recipe(self, visitor, path) -> Iterator[dict]:
        """Sets the controls as a recipe says, and pulls again as it was pulled."""
        from pipelines import checks
        from pipelines.recipes import Recipe

        state = state_of(visitor)
        recipe = Recipe.from_json(uploads.recipe(path))
        if recipe.function != "draggan.replay":
            raise UserError(f"That recipe is for another cell: it was made with {recipe.function}.")
        made = dict(recipe.arguments)
        drags = checks.sequence(made.pop("drags"), "The list of drags", 1, MAX_PULLS)
        made.pop("show_every", None)
        if "latent" not in made:
            made = seeded(made.get("seed", 1), made.get("truncation_psi", 0.7), made.get("class_index"))
        reference = networks.resolve(visitor, recipe.checkpoint, self.technique)
        yield from self.play(state, reference, made, drags, recipe.sha256)

    def play(self, state, reference, made: dict, drags: Sequence[dict], sha256: str | None = None) -> Iterator[dict]:
        """Opens a picture and makes all drags, one after another, as if a hand had made them."""
        opened = yield from self._open(state, reference, made, drags=list(drags), sha256=sha256)
        start = state.start
        controls, board = self.controls(start, drags[-1]), self.part["board"]
        update = opened | controls
        with results.folder() as folder:
            for arguments in drags:
                if state.start is not start:
                    return
                drawn = drawing_of(arguments, start.size)
                yield update | {board: {**update.get(board, {}), **gr.update(value=drawn)}}
                for far in self._pull(state, dict(arguments), drawn, folder):
                    update = far
                    yield update | (controls if self.part["status"] in update else {})
                if not state.pulls or state.pulls[-1].stopped:
                    return

    @report_errors
    def play_example(self, visitor, example) -> Iterator[dict]:
        state = state_of(visitor)
        reference = networks.resolve(visitor, example.network, self.technique)
        start = jobs.opened(reference, example.made())
        yield from self.play(state, reference, start.made, [example.drag(start.resolution)])

    def controls(self, start: Start, arguments: dict | None = None) -> dict:
        """The controls as they were for a picture, and for a drag of it if that is given."""
        from pipelines import draggan

        updates = self.hints(start)
        if arguments is not None:
            usual = inspect.signature(draggan.drag).parameters
            values = {name: arguments.get(name, usual[name].default) for name in self.parameters}
            values |= {name: "" if values[name] is None else f"{values[name]:g}" for name in OPTIONAL}
            for name, value in values.items():
                updates[self.part[name]] = {**updates.get(self.part[name], {}), **gr.update(value=value)}
        updates[self.part["network"]] = gr.update(value=start.reference.name)
        if "seed" in start.made:
            updates[self.part["seed"]] = gr.update(value=start.made["seed"])
            updates[self.part["truncation_psi"]] = gr.update(value=start.made["truncation_psi"])
            if "class_index" in start.made:
                updates[self.part["class_index"]] = gr.update(value=start.made["class_index"])
        return updates

    def hints(self, start: Start) -> dict:
        """What suits the network, in the boxes that are left empty for that."""
        return {self.part[name]: gr.update(placeholder=f"{value:.4g}") for name, value in start.usual.items()}

    # -- what is shown

    def idle(self, state: State, drawn: dict | None = None, points=None) -> dict:
        """The canvas with the picture as it is, and nothing running."""
        about = state.start.about if state.start else ""
        frame = canvas.frame(state.image, f"{about}, dragged" if state.last else about, points)
        update = gr.update(frame=frame) if drawn is None else gr.update(frame=frame, value=drawn)
        return {self.part["board"]: update}

    def nothing(self, news: str = "") -> dict:
        """No result: nothing was pulled."""
        empty = {name: None for name in ("compare", "sheet", "recipe", "latent", "latent_npz", "film", "video")}
        words = {"news": note(news) if news else "", "status": "", "meter": "", "film_news": ""}
        words |= {"code": self.part["code"].value, "go": gr.update(value="Drag")}
        words["file"] = gr.update(value=None, visible=False)
        return {self.part[name]: value for name, value in {**empty, **words}.items()}

    def result(self, state: State, folder: str, points=None, drawn: dict | None = None) -> dict:
        """Everything that there is to see and to take away after a drag."""
        step = state.last
        if step is None:
            pull = state.pulls[-1] if state.pulls else None
            words = outcome(pull) if pull else ""
            return self.idle(state, drawn, points) | self.nothing(words)
        start, pull = state.start, next(p for p in reversed(state.pulls) if p.steps)
        recipe = state.recipe()
        made = Result(None, {}, recipe, recipe.arguments, Path(folder))
        path = made.file("drag-recipe", ending="json")
        path.write_text(recipe.to_json(), encoding="utf-8")
        rate = pull.steps / pull.seconds if pull.seconds else 0
        ran = f"{outcome(pull)} · {rate:.1f} steps a second · {start.about}, {start.resolution} px, on {start.device}"
        values = {
            "compare": (enlarged(start.image), enlarged(state.image)),
            "sheet": made.save(resize(state.image, state.size), "dragged"),
            "recipe": str(path),
            "latent": str(jobs.save_latent(start.reference, step.w, made.file("latent", ending="safetensors"))),
            "latent_npz": str(jobs.save_latent(start.reference, step.w, made.file("latent", ending="npz"))),
            "code": recipe.code(),
            "status": note(ran, "nb-ran"),
            "news": "",
            "film": None,
            "video": None,
            "meter": "",
            "file": gr.update(value=None, visible=False),
            "film_news": "",
            "go": gr.update(value="Drag" if step.done == "arrived" else "Continue"),
        }
        return self.idle(state, drawn, points) | {self.part[name]: value for name, value in values.items()}

    def _film_news(self, words: str) -> dict:
        return {self.part["film_news"]: note(words)}

    @report_errors
    def resized(self, visitor, size: str) -> Iterator[dict]:
        """The picture as a file of another size."""
        state = state_of(visitor)
        sizes.resized_to(size, (1, 1))
        state.size = size
        if state.last is None:
            return
        with results.folder() as folder:
            made = Result(None, {}, state.recipe(), {}, Path(folder))
            yield {self.part["sheet"]: made.save(resize(state.image, size), "dragged"), self.part["news"]: ""}

    @report_errors
    def animate(self, visitor, kind: str, fps: float, with_points: bool, size: str = "1x") -> Iterator[dict]:
        """All drags so far as one animation."""
        from pipelines import draggan

        state = state_of(visitor)
        with results.folder() as folder:
            frames = state.frames
            if len(frames) < 2:
                raise UserError("Nothing has been dragged yet, so there is nothing to animate; press Drag first.")
            nowhere = ((), ())
            pictures = [draggan.draw(f.image(), *(f.points() if with_points else nowhere), size=256) for f in frames]
            pictures += pictures[-1:] * round(fps)  # a second to look at the end
            made = Result(None, {}, state.recipe(), {}, Path(folder))
            file = made.file("drag", ending=kind)
            path = str((yield from results.written(pictures, file, self._film_news, fps=fps, size=size or "1x")))
            film = kind == "mp4"
            yield {
                self.part["film"]: None if film else path,
                self.part["video"]: path if film else None,
                self.part["file"]: gr.update(value=path, visible=True),
                self.part["film_news"]: note(
                    f"{len(pictures)} frames, {networks.size_text(Path(path).stat().st_size)}"
                ),
            }


def state_of(visitor) -> State:
    return visitor.state("draggan", State)


# -- words and numbers -------------------------------------------------------------------------------------------------


def seeded(seed, truncation_psi, class_index) -> dict:
    """How recipes make a picture of a seed. Raises UserError for an empty box."""
    if seed is None or truncation_psi is None:
        raise UserError("The seed is empty; fill it in first." if seed is None else "The truncation is empty.")
    made = {"seed": seed, "truncation_psi": truncation_psi}
    return made if class_index is None else {**made, "class_index": class_index}


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


def points_of(step) -> list | None:
    return None if step is None else list(zip(step.handles, step.targets, strict=True))


def far(pull: Pull, step, first: float) -> str:
    """HTML: how far a drag is, in numbers."""
    if step is None:
        return ""
    made = step.step - pull.began
    rate = f"{made / pull.seconds:.1f}" if pull.seconds else "–"
    numbers = {"step": str(made), "pixels left": f"{step.distance:.1f}", "steps a second": rate}
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in numbers.items())
    way, gone = max(first, 0.01), max(0.0, first - step.distance)
    return f'<dl>{items}</dl><progress max="{way:.3f}" value="{gone:.3f}" aria-label="way to the targets"></progress>'


def outcome(pull: Pull) -> str:
    """In words, how a drag ended."""
    step, made = pull.last, f"{pull.steps} step{'s' if pull.steps != 1 else ''}"
    if step is None:
        return "Stopped before it began"
    if step.done == "arrived":
        return f"Arrived after {made}" if pull.steps else "Every point is at its target already."
    left = f"{step.distance:.1f} px left"
    if step.done == "stuck":
        held = [str(i + 1) for i, stuck in enumerate(step.stuck) if stuck]
        points = f"point {held[0]} comes" if len(held) == 1 else f"points {', '.join(held)} come"
        return f"Ended after {made}, {left}: {points} no nearer"
    return f"Stopped after {made}, {left}" if pull.stopped else f"{made} made, {left}"


def enlarged(image: Image.Image) -> Image.Image:
    factor = max(1, BEFORE_AFTER // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC)
