"""Results of a cell that are each one call of a pipeline function, or several calls side by side.

A cell's controls are named after the arguments of the function. Running the cell turns them into a recipe
(``pipelines.recipes``), does what the recipe says, and shows the result; the Code view, the recipe file and a recipe
loaded back are that same recipe, so none of them can differ from the picture.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from weights.errors import UserError

from . import gpu, networks, results, running
from .lifecycle import PRIVATE, QUIET, Lifecycle, filled, going, note
from .page import Page
from .results import Display, Result

PREVIEW_S = 0.2  # seconds between two pictures that are shown while work goes on


@dataclass
class Run:
    """One thing that a cell can do.

    Args:
        function: the pipeline function, as recipes name it: ``"stylegan2.sample"``.
        inputs: control by name. The names are the function's arguments, unless ``arguments`` translates.
        outputs: the components that show the result.
        show: what the result looks like.
        arguments, restore: from the controls' values to the function's arguments, and back.
        output: from the controls' values to the recipe's ``output`` (format, frames a second); ``restore`` gets it too.
        companions: further calls whose results ``show`` needs, from the arguments.
        preview: from one frame to the outputs' values, for functions that yield.
        total: the argument that says how many frames there will be.
        keeps: notes in the visitor what is shown now, so that what is sent on is what is seen.
        first_frame: looks at the first frame and the arguments, and raises UserError if all of them will be too many.
    """

    function: str
    inputs: dict[str, gr.components.Component]
    outputs: Sequence[gr.components.Component]
    show: Callable[[Result], Display]
    arguments: Callable[[dict], dict] = dict
    restore: Callable[[dict, dict | None], dict] = lambda arguments, output: dict(arguments)
    output: Callable[[dict], dict] | None = None
    companions: Callable[[dict], dict[str, tuple[str, dict]]] | None = None
    preview: Callable[[object], Sequence] | None = None
    total: str | None = None
    first_frame: Callable[[object, dict], None] | None = None
    keeps: Callable[[object, Result], None] | None = None


class Runs(Lifecycle):
    """``cell.does(run, ...)`` for each ``Run`` of a cell, then ``cell.finish()``."""

    def __init__(self):
        super().__init__()
        self.runs: list[Run] = []

    def does(
        self,
        run: Run,
        api_name: str,
        doc: str,
        button: gr.Button | None = None,
        live: Sequence[gr.components.Component] = (),
        after: Sequence[gr.events.Dependency] = (),
        itself: bool = False,
    ) -> None:
        """Wires a run to a button (the cell's own if none is given).

        ``live`` controls start it while they are moved, and so do the events ``after`` when they are over. ``itself``:
        see ``shows_itself``. ``doc`` is what scripts read about the API endpoint.
        """
        chooser = self.book.chooser
        self.runs.append(run)
        if live:  # on a narrow screen the picture stays above the controls that change it
            self._frame.elem_classes = [*self._frame.elem_classes, "nb-live"]
            run.outputs[0].elem_classes = [*run.outputs[0].elem_classes, "nb-follows"]
        number = self.makes(run.outputs, [chooser.network, chooser.class_index, *run.inputs.values()])
        handler = self._handler(run, api_name, doc)
        wired = ([*chooser.inputs, *run.inputs.values()], self._outputs(run))
        shown = {"result": number, "show_progress_on": list(run.outputs)}
        click = (button or self.run_button).click
        clicked = self.on(click, handler, *wired, api_name=api_name, trigger_mode="once", **shown)
        self._refresh_after(clicked)
        if live:
            moved = [getattr(c, "input", None) or c.change for c in live]
            # Gradio's text boxes tell of letters typed, not of letters taken away: Enter tells of both.
            moved += [c.submit for c in live if isinstance(c, gr.Textbox)]
            follows = self._handler(run, f"{api_name}_live", doc, live=True)
            self.on(moved, follows, *wired, live=True, trigger_mode="always_last", **{**shown, **QUIET})
        for event in after:
            self.on(event.then, handler, *wired, **shown)
        if itself:
            self.shows_itself(self._handler(run, f"{api_name}_unasked", doc, live=True), *wired, **shown)

    def finish(self) -> None:
        """Wires the loading of recipes, the stop button, and what makes results out of date."""
        if self.runs:
            controls = list(dict.fromkeys(c for run in self.runs for c in run.inputs.values()))
            shown = list(dict.fromkeys(c for run in self.runs for c in run.outputs))
            chooser = self.book.chooser
            outputs = [chooser.network, chooser.class_index, *controls, *shown, *self._outputs()]
            functions = [run.function for run in self.runs]
            self._refresh_after(self.loads(functions, self._load_recipe, outputs, show_progress_on=shown))
            if self.stop_button is not None:
                self.stops()
        super().finish()

    def at_start(self, page: Page, run: Run) -> None:
        """Runs once when a visitor opens the page, unless the network would have to be downloaded."""
        inputs = [*self.book.chooser.inputs, *run.inputs.values()]
        handler = self._handler(run, f"{self.slug}_at_start", "", live=True)
        shown = {"result": self.runs.index(run), "show_progress_on": list(run.outputs)}
        self.on(page.greets, handler, inputs, self._outputs(run), live=True, **shown)

    def _outputs(self, run: Run | None = None) -> list:
        return [*(run.outputs if run else ()), self.status, self.code, self.sheet, self.recipe, self.news]

    def _refresh_after(self, event) -> None:
        """A network that was fetched is at hand now, and can tell its classes."""
        chooser = self.book.chooser
        event.success(
            lambda visitor, network: networks.about(network, visitor),
            [chooser.session, chooser.network],
            chooser.about,
            queue=False,
            **PRIVATE,
        )

    def _handler(self, run: Run, name: str, doc: str, live: bool = False) -> Callable:
        """The event's function. Gradio reads its signature, so that scripts see each control under its name."""

        def handle(visitor=None, network=None, class_index=None, *values) -> Iterator[dict]:
            chosen = networks.resolve(visitor, network, self.book.chooser.technique)
            if live and not chosen.at_hand:  # nobody wants to fetch 400 MB because a slider moved
                return
            controls = filled(run.inputs, values)
            arguments = run.arguments(controls)
            if class_index is not None:
                arguments["class_index"] = class_index
            output = run.output(controls) if run.output else None
            yield from self._carry_out(run, visitor, chosen, arguments, output)

        names = ["visitor", "network", "class_index", *run.inputs]
        parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for n in names]
        handle.__signature__ = inspect.Signature(parameters)
        handle.__name__, handle.__doc__ = name, doc
        return handle

    def _carry_out(self, run: Run, visitor, chosen, arguments, output, sha256=None) -> Iterator[dict]:
        """Yields previews, then the result with its downloads."""
        for far in networks.fetching(chosen):
            yield {self.news: far}
        companions = run.companions(arguments) if run.companions else {}
        call = running.PipelineCall(chosen, run.function, arguments, output, companions, sha256)
        with results.folder() as folder, closing(running.run(call)) as events:
            yield from self._follow(run, visitor, events, folder)

    def _follow(self, run: Run, visitor, events: Iterator, folder: str) -> Iterator[dict]:
        frames, shown_at = [], 0.0
        for event in events:
            if isinstance(event, running.Started):
                start, began = event, time.perf_counter()
                arguments = running.all_arguments(start.recipe)
            elif isinstance(event, running.Step):
                if run.first_frame and not frames:
                    run.first_frame(event.value, arguments)
                frames.append(event.value)
                now = time.perf_counter()
                if run.preview and now - shown_at > gpu.pace(PREVIEW_S):
                    shown_at = now
                    far = f"{len(frames)} of {arguments.get(run.total, '?')}"
                    text = f"Frame {far} · {len(frames) / (now - began):.1f} a second"
                    yield {**dict(zip(run.outputs, run.preview(event.value), strict=True)), self.news: going(text)}
            elif isinstance(event, running.Progress):
                far = f"{event.done} of {event.total} pictures" if event.total > 1 else "Working"
                yield {self.news: going(f"{far} · {time.perf_counter() - began:.0f} s")}
            else:
                value = frames if event.value is None else event.value
                made = Result(value, event.companions, start.recipe, arguments, Path(folder))
                if run.keeps and visitor is not None:
                    run.keeps(visitor, made)
                yield self._finished(run, made, start, event.seconds)

    def _finished(self, run: Run, made: Result, start: running.Started, seconds: float) -> dict:
        shown = run.show(made)
        if shown.sheet is not None:
            sheet = made.save(shown.sheet(), run.function.split(".")[1])
        else:
            sheet = shown.file and str(shown.file)
        recipe = made.file(run.function.split(".")[1], "recipe", ending="json")
        recipe.write_text(start.recipe.to_json(), encoding="utf-8")
        network = start.title if "px" in start.title else f"{start.title}, {start.resolution} px"
        ran = f"{shown.amount} · {network} · {seconds:.2f} s on {start.device}"
        return {
            **dict(zip(run.outputs, shown.values, strict=True)),
            self.status: note(ran, "nb-ran"),
            self.code: start.recipe.code(),
            self.sheet: sheet,
            self.recipe: str(recipe),
        }

    def _load_recipe(self, visitor, recipe) -> Iterator[dict]:
        """Sets the controls as a recipe says, and makes its picture again from the recipe itself."""
        run = next(r for r in self.runs if r.function == recipe.function)
        chosen = networks.resolve(visitor, recipe.checkpoint, self.book.chooser.technique)
        controls = self._restored(run, recipe, chosen, visitor)
        for shown in self._carry_out(run, visitor, chosen, recipe.arguments, recipe.output, recipe.sha256):
            done = isinstance(shown.get(self.recipe), str)  # only then is it known that its values are sound
            yield {**controls, **shown} if done else shown

    def _restored(self, run: Run, recipe, chosen, visitor) -> dict:
        """Component -> update that sets it as the recipe says; what the recipe leaves out stays as it is."""
        try:
            values = run.restore(running.all_arguments(recipe), recipe.output)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            raise UserError("That recipe holds a value that fits none of this cell's controls.") from None
        chooser = self.book.chooser
        updates = {run.inputs[name]: _set(run.inputs[name], v) for name, v in values.items() if name in run.inputs}
        updates[chooser.network] = gr.update(value=chosen.name)
        classes = chooser.classes(visitor, chosen.name)
        if recipe.arguments.get("class_index") is not None:
            classes["value"] = recipe.arguments["class_index"]
        return {**updates, chooser.class_index: classes}


def _set(control: gr.components.Component, value: object) -> object:
    """What sets a control to a value; ``restore`` may also give a whole update, such as one with another label."""
    if isinstance(control, gr.State) or (isinstance(value, dict) and value.get("__type__") == "update"):
        return value
    return gr.update(value=value)
