"""The one lifecycle of a cell: its result is waited for, made, done, stopped, failed, or stale.

Every event that makes or changes a result is wired with ``Lifecycle.on``. What a visitor sees of it is the same in all
cells: ``news`` says what waits, goes on, was stopped or failed; ``status`` says what made the result that stands there,
and gets a badge when a control has changed since (``assets/cells.js``, in the browser alone).
"""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from html import escape

import gradio as gr

from weights.errors import UserError

from . import disk, gpu, uploads
from .page import SORRY

Component = gr.components.Component
QUIET = {"show_progress": "hidden"}
PRIVATE = {**QUIET, "api_visibility": "private"}
PICTURES = (gr.Image, gr.Gallery, gr.Video, gr.ImageSlider)
NO_CODE = "# Run the cell; the Python that makes its picture then stands here."


def note(text: str, kind: str = "") -> str:
    """HTML of a status line.

    ``kind``: ``nb-ran`` made the result that stands there, ``nb-going`` goes on, ``nb-stopped``, ``nb-error``.
    """
    return f'<p class="{kind}" role="status">{escape(text)}</p>'


def going(text: str) -> str:
    return note(text, "nb-going")


def ran(text: str, key: object = None) -> str:
    """The line of a finished result. Results with the same ``key`` are one and the same to what is made of them."""
    line = note(text, "nb-ran")
    return line if key is None else line.replace(' role="', f' data-key="{escape(str(key))}" role="', 1)


STOPPED = note("Stopped.", "nb-stopped")


@dataclass
class Made:
    """One of the results of a cell: what shows it, and the controls and earlier results that it was made with."""

    shows: list[Component]
    watched: list[Component] = field(default_factory=list)


class Lifecycle:
    """What a cell does. ``cell.makes(...)`` for each of its results, ``cell.on(...)`` for each event, then ``finish``.

    ``news`` and ``status`` are components; ``empty`` is what each of the others is when there is no result: those that
    only a finished result has, such as downloads and code.
    """

    news: gr.HTML
    status: gr.HTML
    code: gr.Code
    _frame: gr.Column

    def __init__(self):
        self.made: list[Made] = []
        self.empty: dict[Component, object] = {}
        self.events: list[gr.events.Dependency] = []

    def makes(self, shows: Sequence[Component], watched: Sequence[Component]) -> int:
        """A result in ``shows``, out of date when one of ``watched`` changes. Gives its number, for ``on``."""
        number = len(self.made)
        self.made.append(Made(list(shows), [c for c in watched if not isinstance(c, gr.State)]))
        for component in shows:
            component.elem_classes = [*(component.elem_classes or []), f"nb-of-{number}"]
        return number

    def on(
        self,
        triggers: Callable | Sequence[Callable],
        function: Callable[..., Iterator[dict]],
        inputs: Sequence[Component],
        outputs: Sequence[Component],
        *,
        result: int = 0,
        live: bool = False,
        trails: bool = False,
        **wiring,
    ) -> gr.events.Dependency:
        """An event whose ``function`` yields updates by component; those that are no ``outputs`` are left out.

        ``live``: it follows a control that is being moved, so an error is worth a line and no alarm. ``trails``: it
        adds to the result that stands there, such as an animation of it, and replaces nothing. ``wiring`` is Gradio's;
        without an ``api_name`` the event is the page's alone.
        """
        inputs, outputs = list(inputs), list(outputs)
        options = {} if "concurrency_limit" in wiring else dict(gpu.LANE)
        options |= {**({} if "show_progress_on" in wiring else QUIET), **wiring}
        if "api_name" not in wiring:
            options["api_visibility"] = "private"
        listen = triggers if callable(triggers) else functools.partial(gr.on, list(triggers))
        handler = self._followed(function, outputs, -1 if trails else result, live)
        event = listen(handler, inputs, outputs, js=self._asks(inputs, result), **options)
        if event is not None and wiring.get("queue", True):  # what is in no queue cannot be cancelled
            self.events.append(event)
        return event

    def shows_itself(
        self,
        function: Callable[..., Iterator[dict]],
        inputs: Sequence[Component],
        outputs: Sequence[Component],
        **wiring,
    ) -> gr.events.Dependency | None:
        """The event also happens when a visitor reads as far as this cell and it is empty (``assets/unasked.js``).

        For what takes a few seconds, and only with a network that ships. None where ``gpu.unasked`` forbids it. Before
        ``stops``.
        """
        if not gpu.unasked():
            return None
        with self._frame:
            button = gr.Button("A first result", elem_id=self.id("unasked"), visible="hidden")
        self._frame.elem_classes = [*self._frame.elem_classes, "nb-shows-itself"]
        quiet = unasked(function, self.news)
        return self.on(button.click, quiet, inputs, outputs, live=True, trigger_mode="once", **wiring)

    def stops(self, events: Sequence[gr.events.Dependency] | None = None) -> None:
        """The stop button ends ``events`` (all so far); their iterators are closed, and with them the work.

        It is said twice: a last frame that was on its way already must not stand over it.
        """
        quiet = {"queue": False, **PRIVATE}
        cancelled = list(self.events if events is None else events)
        stopped = self.stop_button.click(lambda: STOPPED, None, self.news, cancels=cancelled, **quiet)
        stopped.then(lambda: STOPPED, None, self.news, **quiet)

    def clears(self, photo: gr.Image, clear: Callable[..., Iterator[dict]], outputs: Sequence[Component]) -> None:
        """A photograph that is taken away takes with it what was made of it, and ends what is being made."""
        self.on(
            photo.clear,
            clear,
            [self.book.chooser.session],
            outputs,
            cancels=list(self.events),
            queue=False,
            concurrency_limit=None,
        )

    def loads(
        self,
        functions: str | Sequence[str],
        load: Callable[..., Iterator[dict]],
        outputs: Sequence[Component],
        *,
        result: int = 0,
        **wiring,
    ) -> gr.events.Dependency:
        """A recipe of one of ``functions`` that is loaded: ``load(visitor, recipe)`` yields updates by component."""

        def load_recipe(visitor, path) -> Iterator[dict]:
            yield from load(visitor, read_recipe(path, functions))

        inputs = [self.book.chooser.session, self.recipe_load]
        return self.on(self.recipe_load.upload, load_recipe, inputs, outputs, result=result, **wiring)

    def finish(self) -> None:
        """Watches for what makes the results out of date; after the last ``makes``."""
        watched = list(dict.fromkeys(c for made in self.made for c in made.watched))
        about = {
            "cell": self.id("")[:-1],
            "parts": [part(c) for c in watched],
            "made": [{"parts": [part(c) for c in m.watched], "label": m.shows[0].label or ""} for m in self.made],
        }
        gr.on(
            [c.change for c in (self.news, self.status, *watched)],
            None,
            [self.news, self.status, *watched],
            None,
            js=f"(...values) => {{ ganbookCells.seen({json.dumps(about)}, values); }}",
            queue=False,
            **PRIVATE,
        )

    # -- of one event

    def _asks(self, inputs: Sequence[Component], result: int) -> str:
        """The script that notes with which values an event began, and that it waits."""
        watched = self.made[result].watched if result < len(self.made) else []
        names = [part(c) if c in watched else None for c in inputs]
        cell = self.id("")[:-1]
        return f"(...values) => ganbookCells.asked({json.dumps(cell)}, {json.dumps(names)}, {result}, values)"

    def _followed(self, function: Callable, outputs: list[Component], result: int, live: bool) -> Callable:
        """``function`` with what every event has in common; its signature stays, for scripts read it."""
        shows = self.made[result].shows if 0 <= result < len(self.made) else []

        @functools.wraps(function)
        def followed(*args, **kwargs):
            silent, passing, taken = True, False, set()
            try:
                with closing(function(*args, **kwargs)) as updates:
                    for update in updates:
                        taken.update(update)
                        if self.status in update:
                            passing, update = False, self._marked(update, result, taken)
                        elif passing or any(c in update for c in shows):
                            # A picture on the way stands where the last result stood: the rest of that goes. Its line
                            # and files with every picture, since of answers that come at once a browser shows the last.
                            rest = {} if passing else {c: None for c in shows if isinstance(c, PICTURES)}
                            passing, update = True, {**rest, **self.cleared(), **update}
                        kept = {c: value for c, value in update.items() if c in outputs}
                        if kept:
                            silent = False
                            yield kept
            except UserError as error:
                yield self._failed(str(error), outputs)
                if not live:
                    raise
                return
            except Exception as error:
                yield self._failed(disk.FULL if disk.is_full(error) else SORRY, outputs)
                raise
            if silent:  # of a generator that ends without a word Gradio takes every value for empty
                yield {outputs[0]: gr.skip()}

        followed.cell = self
        return followed

    def _failed(self, text: str, outputs: list[Component]) -> dict:
        return {self.news: note(text, "nb-error")} if self.news in outputs else {outputs[0]: gr.skip()}

    def _marked(self, update: dict, result: int, taken: set) -> dict:
        """A finished result: its line says which one it is, and whether controls were set with it."""
        status = update[self.status]
        if not isinstance(status, str) or 'class="nb-ran"' not in status:
            return update
        result = next((i for i, m in enumerate(self.made) if any(c in update for c in m.shows)), result)
        watched = self.made[result].watched if result < len(self.made) else []
        laid = " data-set" if any(c in taken for c in watched) else ""
        mark = f'class="nb-ran" data-run="{uuid.uuid4().hex[:12]}" data-of="{result}"{laid}'
        return {self.news: "", **update, self.status: status.replace('class="nb-ran"', mark, 1)}

    def cleared(self) -> dict:
        """What only a finished result has, when there is none."""
        return {self.status: "", **self.empty}


def unasked(function: Callable[..., Iterator[dict]], news: gr.HTML) -> Callable[..., Iterator[dict]]:
    """``function`` without its complaints: nobody asked for it, so nobody is told what it lacks."""

    @functools.wraps(function)
    def quiet(*args, **kwargs) -> Iterator[dict]:
        try:
            with closing(function(*args, **kwargs)) as updates:
                yield from updates
        except UserError:
            yield {news: ""}  # how far it was, if it was

    return quiet


def part(component: Component) -> str:
    """What the script calls a component."""
    return str(component.elem_id or component._id)


def read_recipe(path, functions: str | Sequence[str]):
    """A recipe out of a visitor's file. Raises UserError for one that is none of ``functions``."""
    from pipelines.recipes import Recipe

    recipe = Recipe.from_json(uploads.recipe(path))
    if recipe.function not in ((functions,) if isinstance(functions, str) else functions):
        raise UserError(f"That recipe is for another cell: it was made with {recipe.function}.")
    return recipe


def filled(inputs: Mapping[str, Component], values: Sequence) -> dict:
    """Controls' values by name. Raises UserError for a control that was emptied; some may be empty from the start."""
    for control, value in zip(inputs.values(), values, strict=True):
        if value is None and control.value is not None:
            raise UserError(f"“{control.label}” is empty; fill it in first.")
    return dict(zip(inputs, values, strict=True))
