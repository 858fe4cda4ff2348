"""What the first cell shows of a state: the canvas, the controls as they were, and what there is after a drag."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path

import gradio as gr
from PIL import Image

from pipelines import sizes
from pipelines.sizes import resize

from ... import canvas, results
from ...lifecycle import note, ran
from ...pictures import fitted
from ...results import Result
from . import jobs
from .state import OPTIONAL, Pull, Start, State

BEFORE_AFTER = 512  # pixels of the comparison, into which small pictures are enlarged
NO_SEED = "this picture has none; Another draws one"


def state_of(visitor) -> State:
    return visitor.state("draggan", State)


class Display:
    """``part`` has the cell's components by name; every function gives what they become."""

    def __init__(self, part: dict[str, gr.components.Component], parameters: Sequence[str], technique: str):
        self.part, self.parameters, self.technique = part, list(parameters), technique

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
            for name in ("seed", "truncation_psi"):
                updates[self.part[name]] = {**updates[self.part[name]], **gr.update(value=start.made[name])}
            if "class_index" in start.made:
                updates[self.part["class_index"]] = gr.update(value=start.made["class_index"])
        return updates

    def hints(self, start: Start, before: bool | None = None) -> dict:
        """What suits the network, in the boxes that are left empty for that; a picture of a latent has no seed.

        ``before``: whether the picture before had one, None if nobody knows.
        """
        seeded, told = "seed" in start.made, {}
        if before is None or seeded != before:  # otherwise somebody may be typing there
            told["truncation_psi"] = gr.update(interactive=seeded)
            told["seed"] = gr.update(interactive=seeded, info=None if seeded else NO_SEED)
        told |= {name: gr.update(placeholder=f"{value:.4g}") for name, value in start.usual.items()}
        return {self.part[name]: update for name, update in told.items()}

    def usual(self, names: Sequence[str]) -> dict:
        """Parameters as the function has them."""
        from pipelines import draggan

        known = inspect.signature(draggan.drag).parameters
        values = {name: known[name].default for name in names}
        return {self.part[name]: gr.update(value="" if value is None else value) for name, value in values.items()}

    def idle(self, state: State, drawn: dict | None = None, points=None) -> dict:
        """The canvas with the picture as it is, and nothing running."""
        about = state.start.about if state.start else ""
        before = state.start.image if state.last else None
        frame = canvas.frame(state.image, f"{about}, dragged" if state.last else about, points, before=before)
        update = gr.update(frame=frame) if drawn is None else gr.update(frame=frame, value=drawn)
        return {self.part["board"]: update}

    def nothing(self, news: str = "") -> dict:
        """No result: nothing was pulled."""
        empty = {name: None for name in ("compare", "sheet", "recipe", "latent", "latent_npz", "film", "video")}
        words = {"news": note(news) if news else "", "status": "", "meter": "", "film_news": ""}
        words |= {"code": self.part["code"].value, "go": gr.update(value="Drag")}
        words |= {"file": gr.update(value=None, visible=False), "back": gr.update(visible=False)}
        words |= {"paste": gr.update(visible=False), **self.unpasted()}
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
        words = f"{outcome(pull)} · {rate:.1f} steps a second · {start.about}, {start.resolution} px, on {start.device}"
        values = {
            "compare": (enlarged(start.image), enlarged(state.image)),
            "sheet": made.save(resize(state.image, state.size), "dragged"),
            "recipe": str(path),
            "latent": str(jobs.save_latent(start.reference, step.w, made.file("latent", ending="safetensors"))),
            "latent_npz": str(jobs.save_latent(start.reference, step.w, made.file("latent", ending="npz"))),
            "code": recipe.code(),
            "status": ran(words),
            "news": note(strayed(pull), "nb-error") if step.strayed else "",
            "back": way_back(pull),
            "paste": gr.update(visible=state.photograph is not None),
            **self.unpasted(),
            "film": None,
            "video": None,
            "meter": "",
            "file": gr.update(value=None, visible=False),
            "film_news": "",
            "go": gr.update(value="Drag" if step.done == "arrived" else "Continue"),
        }
        return self.idle(state, drawn, points) | {self.part[name]: value for name, value in values.items()}

    @staticmethod
    def unpasted() -> dict:
        """No photograph has the picture in it: what was put back is of an earlier drag."""
        return {"whole": gr.update(value=None, visible=False), "full": gr.update(value=None, visible=False)}

    def pasted(self, visitor) -> Iterator[dict]:
        """The photograph with what was dragged in it."""
        state = state_of(visitor)
        whole = state.whole()
        with results.folder() as folder:
            path = Path(folder) / "photograph.png"
            whole.save(path, compress_level=1)
            both = fitted(state.photograph.image), fitted(whole)
            yield {
                self.part["whole"]: gr.update(value=both, visible=True),
                self.part["full"]: gr.update(value=str(path), visible=True),
                self.part["news"]: "",
            }

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


def merged(one: dict, other: dict) -> dict:
    """Two updates of components; of those that both speak of, what each says."""
    both = {c: {**one[c], **other[c]} for c in one.keys() & other.keys() if isinstance(one[c], dict)}
    return {**one, **other, **both}


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


def way_back(pull: Pull) -> dict:
    """The button that takes back what strayed; hidden where nothing has, or all of it."""
    if pull.way_back is None:
        return gr.update(visible=False)
    return gr.update(visible=True, value=f"Back to step {pull.way_back}")


def strayed(pull: Pull) -> str:
    """What is said of a picture that has left what the network makes."""
    ways = "Take the drag back" if pull.way_back is None else "Go back to where it had not, or take the drag back"
    return (
        "The picture has strayed from what this network makes, so it may not look real any more: its latent lies"
        f" {pull.last.away:.1f} times as far out as the network's own. {ways}."
    )


def enlarged(image: Image.Image) -> Image.Image:
    factor = max(1, BEFORE_AFTER // max(image.size))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC)
