"""What happens when a hand paints: the events of the tab's first cell, without a word about its looks."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import gradio as gr

from pipelines import sizes
from pipelines.sizes import resize
from weights.errors import UserError

from ... import canvas, gpu, networks, results, tiles, uploads
from ...notebook import note, report_errors
from ...session import Sent
from . import jobs
from .state import AVERAGE, Latent, Run, Start, State
from .text import (
    TOOLS,
    alt_of,
    code_of,
    drawing_of,
    edits_of,
    meter_of,
    moved,
    recipe_of,
    summary_of,
    tiles_of,
)

FRAME_S = 0.12  # seconds between two looks at an answer on its way
PAINTED_NEWS = "Fixed what was painted before, because a patch is cut from the picture that is shown."
SEED, SCRATCH, PHOTO = "seed", "scratch", "photo"


def state_of(visitor) -> State:
    return visitor.state("igan", State)


class Handlers:
    """Functions for events; ``part`` has the cell's components by name, and every function yields what they become."""

    def __init__(self, part: dict, settings: Sequence[str], technique):
        self.part, self.settings, self.technique = part, list(settings), technique

    # -- the picture to start from

    @report_errors
    def open(self, visitor, network, origin, seed, live=False) -> Iterator[dict]:
        """Puts a picture on the pad; what was painted on the last one goes."""
        state = state_of(visitor)
        reference = networks.resolve(visitor, network, self.technique)
        if origin == PHOTO:
            if state.photo is None:
                raise UserError("There is no photograph yet; look for its latent in cell 2, then press Paint on it.")
            return
        latent = wanted(origin, seed)
        if live and not reference.at_hand:  # nobody wants to fetch 400 MB because a list was looked through
            state.ask()
            state.start = state.run = None
            yield self.nothing("Press Show the picture to fetch this network.")
            return
        if (
            live
            and state.start
            and (state.start.reference, state.start.latent) == (reference, latent)
            and not state.run
        ):
            return
        yield (yield from self._open(state, reference, latent))

    @report_errors
    def greet(self, visitor, *picture) -> Iterator[dict]:
        """When the tab comes into view: a picture, unless there is one, or one is on its way here."""
        if state_of(visitor).start is None and "igan" not in visitor.sent:
            yield from self.open(visitor, *picture, live=True)

    @report_errors
    def follow(self, visitor, network, origin, seed) -> Iterator[dict]:
        """When another network is chosen: its picture. Not when a recipe or another tab has just chosen it."""
        state = state_of(visitor)
        if state.start is None or state.start.reference.name != network:
            yield from self.open(visitor, network, SEED if origin == PHOTO else origin, seed, live=True)

    def _open(self, state: State, reference, latent: Latent | None, photo=None, **options) -> Iterator[dict]:
        """Yields how far a download is; returns what the components become, for the caller to yield."""
        number = state.ask()
        for progress in networks.fetching(reference):
            yield {self.part["news"]: progress}
        start = jobs.opened(reference, latent, **options)
        if state.number != number:  # something newer was asked for meanwhile
            return {self.part["news"]: gr.skip()}
        return self.put(state, start, photo)

    def put(self, state: State, start: Start, photo=None) -> dict:
        """A picture comes onto the pad."""
        before = state.start
        state.put(start, photo)
        update = self.shown(state, canvas.drawn(start.size, patches=())) | self.rest(state)
        if before is None or before.reference != start.reference:  # one step of a StyleGAN2 takes as long as ten
            update[self.part["starts"]] = gr.update(value=4 if start.is_style else 16)
            update[self.part["realism"]] = gr.update(interactive=start.realistic)
        origin = SCRATCH if start.latent is None else PHOTO if photo else SEED
        update[self.part["origin"]] = gr.update(value=origin)
        return update

    @report_errors
    def take_sent(self, visitor) -> Iterator[dict]:
        """A picture that another tab has sent here."""
        state = state_of(visitor)
        sent = visitor.sent.pop("igan", None)
        if sent is None:
            return
        reference = networks.resolve(visitor, sent.network, self.technique)
        about = "sent here" if sent.latent else f"seed {sent.seed}"
        opened = yield from self._open(state, reference, None, sent=sent, about=about)
        listed = gr.update(choices=networks.choices(self.technique, visitor), value=reference.name)
        yield opened | {self.part["network"]: listed}

    @staticmethod
    def sent(visitor) -> Sent | None:
        """The picture as it is now, on its way to DragGAN."""
        state = state_of(visitor)
        if state.start is None or state.latent is None:
            return None
        return Sent(state.start.reference.name, latent=jobs.for_draggan(state.start.reference, state.latent))

    # -- painting

    def heard(self, visitor) -> int:
        """A stroke has ended: what runs for the one before it ends. Gives the number under which this one runs."""
        return state_of(visitor).ask()

    @report_errors
    def paint(self, visitor, network, origin, seed, drawing, ticket=None, *values) -> Iterator[dict]:
        """The manifold answers to what is painted, until there is something newer to be answered."""
        state = state_of(visitor)
        mine = state.ask() if ticket is None else int(ticket)
        if mine != state.number:
            return
        drawn = canvas.read(drawing, TOOLS)
        reference = networks.resolve(visitor, network, self.technique)
        update = {}
        if not self._same(state, reference, origin, seed):
            yield (yield from self._open(state, reference, wanted(origin, seed)))
            mine = state.number
        start = state.opened()
        asked = edits_of(drawn, start.resolution)
        if new := self._new_patches(state, drawn, asked):
            # A patch is cut from the picture that is seen, so this round ends with that picture.
            state.fix()
            mine, asked = state.number, {"warp": [patch.to_json() for patch in new]}
            drawing = canvas.drawn(start.size, patches=new)
            update = {self.part["board"]: gr.update(value=drawing), self.part["news"]: note(PAINTED_NEWS)}
            yield update
        if not asked:
            state.run, state.chosen, state.frames = None, None, None
            yield self.shown(state) | self.rest(state)
            if drawing is None or ticket is None:
                raise UserError("Nothing is drawn yet; paint a colour, draw a line or move a patch first.")
            return
        arguments = {**asked, **self.options(values)}
        if state.z0 is not None:
            arguments["z0"] = state.z0
        if state.rounds:
            arguments["fixed"] = state.rounds
        with results.folder() as folder:
            yield from self._run(state, mine, arguments, drawing, folder)

    @staticmethod
    def _same(state: State, reference, origin, seed) -> bool:
        """Whether the controls mean the picture that is there: the page has followed them, scripts say it anew."""
        start = state.start
        if start is None or start.reference != reference:
            return False
        by_seed = start.latent is None or isinstance(start.latent, int)
        return not by_seed or origin == PHOTO or start.latent == wanted(origin, seed)

    @staticmethod
    def _new_patches(state: State, drawn: canvas.Drawing, asked: dict) -> list[canvas.Patch]:
        return moved(drawn, state.run) if "warp" in asked and state.candidate is not None else []

    def options(self, values: Sequence) -> dict:
        """Arguments of ``igan.brush`` from the settings; what is as the function has it is left out."""
        from pipelines import igan

        usual = {p.name: p.default for p in inspect.signature(igan.brush).parameters.values()}
        given = dict(zip(self.settings, values, strict=False))
        for name, value in given.items():
            if value is None:
                raise UserError(f"“{self.part[name].label}” is empty; fill it in first.")
        return {name: v for name, v in given.items() if name == "steps" or v != usual[name]}

    def _run(self, state: State, mine: int, arguments: dict, drawing, folder: str) -> Iterator[dict]:
        run = Run(arguments, drawing)
        began, shown_at = time.perf_counter(), -1.0
        try:
            with closing(jobs.brushed(state.start.reference, arguments)) as steps:
                for step in steps:
                    if state.number != mine and not run.stopped:
                        yield {self.part["news"]: gr.skip()}
                        return
                    if step.candidates:
                        run.last, run.seconds = step, time.perf_counter() - began
                        state.run = run
                        state.frames = None
                    if run.stopped or step.done:
                        break
                    # The first two at once: where it begins, and that something happens.
                    if step.candidates and (step.step < 2 or run.seconds - shown_at > gpu.pace(FRAME_S)):
                        shown_at = run.seconds
                        yield self.shown(state, passing=True) | {
                            self.part["meter"]: meter_of(run),
                            self.part["news"]: "",
                        }
        finally:
            run.running = False
        yield self.result(state, Path(folder))

    @report_errors
    def attempt(self, visitor, network, origin, seed, *values, example) -> Iterator[dict]:
        """An example: drawn on the picture as it was first, and answered."""
        state = state_of(visitor)
        reference = networks.resolve(visitor, network, self.technique)
        origin = SEED if origin == SCRATCH else origin  # a patch needs a picture to be cut from
        if not self._same(state, reference, origin, seed):
            yield (yield from self._open(state, reference, wanted(origin, seed)))
        state.restart()
        drawing, mine = example(state.start.resolution), state.ask()
        laid = {self.part["board"]: gr.update(value=drawing)}
        for update in self.paint(visitor, network, origin, seed, drawing, mine, *values):
            yield update | {self.part["board"]: {**laid[self.part["board"]], **update.get(self.part["board"], {})}}

    def stop(self, visitor) -> str:
        state = state_of(visitor)
        running = state.run is not None and state.run.running
        if running:
            state.run.stopped = True
        else:
            state.ask()  # of what waits for its turn
        return note("Stopping …" if running else "Nothing is running.")

    # -- what came of it

    @report_errors
    def choose(self, visitor, event: gr.EventData) -> Iterator[dict]:
        """A candidate was pressed, or the average of all."""
        yield from self._choose(state_of(visitor), event.key)

    @report_errors
    def pick(self, visitor, number) -> Iterator[dict]:
        """A candidate by its place, 1 for the best, 0 for the average of all; for scripts."""
        state = state_of(visitor)
        count = len(state.candidates)
        if not count:
            raise UserError("There are no candidates yet; paint something first.")
        if number is None or number != int(number) or not 0 <= number <= count:
            raise UserError(f"The candidates are numbered 1 to {count}; 0 is their average.")
        yield from self._choose(state, AVERAGE if number == 0 else str(state.candidates[int(number) - 1].number))

    def _choose(self, state: State, key: str) -> Iterator[dict]:
        numbers = [str(c.number) for c in state.candidates]
        if key != AVERAGE and key not in numbers:
            return
        state.chosen, state.frames = (AVERAGE if key == AVERAGE else int(key)), None
        if state.run.running:
            yield self.shown(state, passing=True)
            return
        with results.folder() as folder:
            yield self.result(state, Path(folder))

    @report_errors
    def fix(self, visitor) -> Iterator[dict]:
        """What was painted is kept as it was asked for; the chosen candidate is what painting goes on from."""
        state = state_of(visitor)
        state.fix()
        words = f"Fixed. What was painted goes on being asked for; paint on. ({len(state.rounds)} so far)"
        yield self.shown(state, canvas.drawn(state.start.size, patches=())) | self.rest(state, words)

    @report_errors
    def restart(self, visitor) -> Iterator[dict]:
        """The picture as it was first; what was painted and fixed is forgotten."""
        state = state_of(visitor)
        start = state.opened()
        state.restart()
        yield self.shown(state, canvas.drawn(start.size, patches=())) | self.rest(state)

    # -- recipes

    @report_errors
    def load_recipe(self, visitor, path) -> Iterator[dict]:
        """Paints again what a recipe says, with its settings, and chooses the candidate that was chosen."""
        from pipelines.recipes import Recipe

        recipe = Recipe.from_json(uploads.recipe(path))
        if recipe.function != "igan.brush":
            raise UserError(f"That recipe is for another cell: it was made with {recipe.function}.")
        state = state_of(visitor)
        reference = networks.resolve(visitor, recipe.checkpoint, self.technique)
        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        arguments = {k: v for k, v in recipe.arguments.items() if k not in ("show_every",)}
        jobs.checked(reference, arguments)  # before anything on the page changes
        start = jobs.opened(reference, arguments.get("z0"), sha256=recipe.sha256)
        drawing = drawing_of(arguments, start.resolution)
        update = self.put(state, start) | self.controls(start, arguments)
        state.rounds = list(arguments.get("fixed") or [])
        mine = state.ask()
        which = (recipe.output or {}).get("candidate", 0)
        update[self.part["board"]] = {**update[self.part["board"]], **gr.update(value=drawing)}
        with results.folder() as folder:
            for far in self._run(state, mine, {"steps": 40, **arguments}, drawing, folder):
                last = update | far
                yield {**last, self.part["board"]: {**update[self.part["board"]], **far.get(self.part["board"], {})}}
                update = {self.part["board"]: {}}
        if state.candidates and which != 0:
            index = min(which, len(state.candidates) - 1) if isinstance(which, int) and which >= 0 else None
            yield from self._choose(state, AVERAGE if index is None else str(state.candidates[index].number))

    def controls(self, start: Start, arguments: dict) -> dict:
        """The controls as a recipe has them."""
        from pipelines import igan

        usual = inspect.signature(igan.brush).parameters
        updates = {self.part[n]: gr.update(value=arguments.get(n, usual[n].default)) for n in self.settings}
        updates[self.part["network"]] = gr.update(value=start.reference.name)
        if isinstance(start.latent, int):
            updates[self.part["seed"]] = gr.update(value=start.latent)
        return updates

    # -- what is shown

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

    @report_errors
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
            "status": note(summary_of(state), "nb-ran"),
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


def wanted(origin, seed) -> Latent | None:
    """The latent that the controls mean. Raises UserError."""
    if origin == SCRATCH:
        return None
    if origin not in (SEED, PHOTO):
        raise UserError(f"Painting starts from {SEED} (the picture of a seed), {SCRATCH} or {PHOTO}.")
    if seed is None:
        raise UserError("The seed is empty; fill it in first.")
    return int(seed) if float(seed) == int(seed) else seed


def write(state: State, folder: Path) -> dict[str, Path]:
    """The chosen picture, its latent as text, and the recipe, as files."""
    name = state.start.checkpoint.split("/")[-1].replace(":", "-")
    files = {
        "sheet": folder / f"{name}-painted.png",
        "latent": folder / f"{name}-latent.txt",
        "recipe": folder / f"{name}-painted-recipe.json",
    }
    resize(state.image, state.size).save(files["sheet"])
    files["latent"].write_text(str(state.latent), encoding="utf-8")
    files["recipe"].write_text(recipe_of(state).to_json(), encoding="utf-8")
    return files
