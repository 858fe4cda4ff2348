"""The cell of the notebook: words, controls, result, and the code that made it. All cells of all tabs are made of it.

A cell's controls are named after the arguments of a pipeline function. Running the cell turns them into a recipe
(``pipelines.recipes``), does what the recipe says, and shows the result; the Code view, the recipe file and a recipe
loaded back are that same recipe, so none of them can differ from the picture.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

import gradio as gr

from weights.errors import UserError

from . import gpu, networks, results, running, uploads
from .page import Page
from .results import Display, Result

PREVIEW_S = 0.2  # seconds between two pictures that are shown while work goes on
LATEX = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]


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


class Notebook:
    """One tab: cells that number themselves and share a chooser of networks."""

    def __init__(self, tab: str, chooser: networks.Chooser):
        self.tab, self.chooser = tab, chooser
        self.count = 0

    def cell(self, slug: str, title: str, prose: str) -> Cell:
        self.count += 1
        return Cell(self, slug, self.count, title, prose)


class Cell:
    """``with book.cell(...) as cell:``, in it ``cell.controls()`` and ``cell.result()``; then ``cell.does(...)``."""

    def __init__(self, book: Notebook, slug: str, number: int, title: str, prose: str):
        self.book, self.slug, self.number, self.title, self.prose = book, slug, number, title, prose
        self.runs: list[Run] = []
        self.run_button = self.extra_button = self.stop_button = None
        self.send_buttons: dict[str, gr.Button] = {}

    def id(self, name: str) -> str:
        """The ``elem_id`` of a part of this cell: ``sg2-sample-seeds``."""
        return f"{self.book.tab}-{self.slug}-{name}"

    # -- what it looks like

    def __enter__(self) -> Cell:
        self._frame = gr.Column(elem_classes="nb-cell", elem_id=f"{self.book.tab}-{self.slug}")
        self._frame.__enter__()
        number = f'<span class="nb-number" aria-hidden="true">{self.number}</span>'
        gr.HTML(f"{number}<h2>{escape(self.title)}</h2>", elem_classes="nb-heading")
        gr.Markdown(self.prose, latex_delimiters=LATEX, elem_classes="nb-prose")
        self._body = gr.Row(elem_classes="nb-body")
        self._body.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._body.__exit__(*error)
        with gr.Accordion("Code", open=False, elem_classes="nb-code", elem_id=self.id("code-fold")):
            self.code = gr.Code(
                "# Run the cell; the Python that makes its picture then stands here.",
                language="python",
                interactive=False,
                show_label=False,
                container=False,
                show_line_numbers=False,
                wrap_lines=True,
                label="Code",
                buttons=["copy", "download"],
                elem_id=self.id("code"),
            )
        self._frame.__exit__(*error)

    @contextmanager
    def controls(self, run: str, extra: str | None = None, stop: str | None = "late") -> Iterator[None]:
        """The column of controls, ended by a button that says ``run``; ``extra`` names a second.

        ``stop``: "always" for work that is long by nature, "late" for a button that comes when it takes a while, None
        where there is nothing to stop.
        """
        with gr.Column(elem_classes="nb-controls", min_width=0):
            yield
            with gr.Row(elem_classes="nb-buttons"):
                self.run_button = gr.Button(run, variant="primary", elem_id=self.id("run"), min_width=0)
                if extra:
                    self.extra_button = gr.Button(extra, elem_id=self.id("extra"), min_width=0)
                if stop:
                    late = "nb-late" if stop == "late" else None
                    self.stop_button = gr.Button(
                        "Stop", variant="stop", elem_id=self.id("stop"), elem_classes=late, min_width=0
                    )

    @contextmanager
    def result(self, sheet: str = "Contact sheet · PNG", send: Mapping[str, str] | None = None) -> Iterator[None]:
        """The column of results, ended by what ran and by the downloads; ``sheet`` names the picture or animation.

        ``send`` has tabs to which the result can be handed, and the words of the buttons. ``news`` says what goes on or
        went wrong; ``status`` says what made the result that stands there.
        """
        with gr.Column(elem_classes="nb-result", min_width=0):
            yield
            self.news = gr.HTML("", label="News", elem_classes="nb-news", elem_id=self.id("news"))
            self.status = gr.HTML("", label="What ran", elem_classes="nb-status", elem_id=self.id("status"))
            with gr.Row(elem_classes="nb-tools"):
                small = {"size": "sm", "min_width": 0}
                self.sheet = gr.DownloadButton(sheet, elem_id=self.id("download"), elem_classes="nb-after", **small)
                self.recipe_buttons()
                for tab, words in (send or {}).items():
                    self.send_buttons[tab] = gr.Button(
                        words, elem_id=self.id(f"send-{tab}"), elem_classes="nb-after", **small
                    )

    def recipe_buttons(self) -> None:
        """The recipe of the present result as a file and as a link, and a place for one that was kept."""
        small = {"size": "sm", "min_width": 0}
        self.recipe = gr.DownloadButton("Recipe · JSON", elem_id=self.id("recipe"), elem_classes="nb-after", **small)
        link = gr.Button("Copy a link", elem_id=self.id("link"), elem_classes="nb-after", **small)
        copy = f"(file) => {{ ganbookVisit.link('{self.book.tab}-{self.slug}', file); }}"
        link.click(None, self.recipe, None, js=copy, queue=False, api_visibility="private")
        self.recipe_load = gr.UploadButton(
            "Load a recipe", file_types=[".json"], elem_id=self.id("recipe-load"), **small
        )

    def takes_recipes(
        self, function: str, inputs: dict[str, gr.components.Component], run: Callable, outputs: list
    ) -> None:
        """For cells that need no network of the chooser: a recipe loaded sets ``inputs`` and calls ``run`` with them.

        ``run`` yields or returns values for ``outputs``, of which the first is what it is about; ``self.news`` must be
        one of them.
        """

        def load(path):
            from pipelines.recipes import Recipe

            try:
                recipe = Recipe.from_json(uploads.recipe(path))
                if recipe.function != function:
                    raise UserError(f"That recipe is for another cell: it was made with {recipe.function}.")
                recipe.run()  # whether its values are sound is known before anything on the page changes
                values = {name: recipe.arguments.get(name, control.value) for name, control in inputs.items()}
                for shown in run(*values.values()):
                    controls = {inputs[name]: gr.update(value=value) for name, value in values.items()}
                    yield {**controls, **dict(zip(outputs, shown, strict=True))}
            except UserError as error:
                yield {self.news: note(str(error), "nb-error")}
                raise

        self.recipe_load.upload(
            load,
            self.recipe_load,
            [*inputs.values(), *outputs],
            show_progress_on=outputs[0],
            api_visibility="private",
            **gpu.LANE,
        )

    # -- what it does

    def does(
        self,
        run: Run,
        api_name: str,
        doc: str,
        button: gr.Button | None = None,
        live: Sequence[gr.components.Component] = (),
        after: Sequence[gr.events.Dependency] = (),
    ) -> None:
        """Wires a run to a button (the cell's own if none is given).

        ``live`` controls start it while they are moved, and so do the events ``after`` when they are over. ``doc`` is
        what scripts read about the API endpoint.
        """
        self.runs.append(run)
        if live:  # on a narrow screen the picture stays above the controls that change it
            self._frame.elem_classes = [*self._frame.elem_classes, "nb-live"]
            run.outputs[0].elem_classes = [*run.outputs[0].elem_classes, "nb-follows"]
        handler = self._handler(run, api_name, doc)
        wiring = {
            "inputs": [*self.book.chooser.inputs, *run.inputs.values()],
            "outputs": self._outputs(run),
            "show_progress_on": list(run.outputs),
            **gpu.LANE,
        }
        click = (button or self.run_button).click(handler, api_name=api_name, trigger_mode="once", **wiring)
        self._refresh_after(click)
        events = [click]
        if live:
            events.append(
                gr.on(
                    [
                        *(getattr(c, "input", None) or c.change for c in live),
                        # Gradio's text boxes tell of letters typed, not of letters taken away: Enter tells of both.
                        *(c.submit for c in live if isinstance(c, gr.Textbox)),
                    ],
                    self._handler(run, f"{api_name}_live", doc, live=True),
                    trigger_mode="always_last",
                    api_visibility="private",
                    **{**wiring, "show_progress": "hidden"},
                )
            )
        for event in after:
            events.append(event.then(handler, api_visibility="private", **wiring))
        if self.stop_button is not None:
            self._stops(events)

    def finish(self) -> None:
        """Wires the loading of recipes; after the last ``does``."""
        controls = list(dict.fromkeys(c for run in self.runs for c in run.inputs.values()))
        shown = list(dict.fromkeys(c for run in self.runs for c in run.outputs))
        chooser = self.book.chooser
        loaded = self.recipe_load.upload(
            self._load_recipe,
            [chooser.session, self.recipe_load],
            [chooser.network, chooser.class_index, *controls, *shown, *self._outputs()],
            show_progress_on=shown,
            api_visibility="private",
            **gpu.LANE,
        )
        self._refresh_after(loaded)

    def at_start(self, page: Page, run: Run) -> None:
        """Runs once when a visitor opens the page, unless the network would have to be downloaded."""
        page.greets(
            self._handler(run, f"{self.slug}_at_start", "", live=True),
            [*self.book.chooser.inputs, *run.inputs.values()],
            self._outputs(run),
            show_progress_on=list(run.outputs),
            api_visibility="private",
            **gpu.LANE,
        )

    def _outputs(self, run: Run | None = None) -> list:
        return [*(run.outputs if run else ()), self.status, self.code, self.sheet, self.recipe, self.news]

    def _refresh_after(self, event) -> None:
        """A network that was fetched is at hand now, and can tell its classes."""
        chooser = self.book.chooser
        event.success(
            lambda visitor, network: networks.about(network, visitor),
            [chooser.session, chooser.network],
            chooser.about,
            show_progress="hidden",
            queue=False,
            api_visibility="private",
        )

    def _stops(self, events: list) -> None:
        """Ends what runs; its iterator is closed, and with it the work. What was shown before stays.

        It is said twice: a last frame that was on its way already must not stand over it.
        """
        quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        stopped = self.stop_button.click(lambda: note("Stopped."), None, self.news, cancels=events, **quiet)
        stopped.then(lambda: note("Stopped."), None, self.news, **quiet)

    def _handler(self, run: Run, name: str, doc: str, live: bool = False) -> Callable:
        """The event's function. Gradio reads its signature, so that scripts see each control under its name."""

        def handle(visitor=None, network=None, class_index=None, *values):
            try:
                chosen = networks.resolve(visitor, network, self.book.chooser.technique)
                if live and not chosen.at_hand:  # nobody wants to fetch 400 MB because a slider moved
                    yield self._tuple(run, gr.skip())
                    return
                controls = filled(run.inputs, values)
                arguments = run.arguments(controls)
                if class_index is not None:
                    arguments["class_index"] = class_index
                output = run.output(controls) if run.output else None
                yield from self._carry_out(run, chosen, arguments, output)
            except UserError as error:
                yield self._tuple(run, note(str(error), "nb-error"))
                if not live:  # a box that is being filled in is wrong for a moment; that is worth a line, no alarm
                    raise

        names = ["visitor", "network", "class_index", *run.inputs]
        parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for n in names]
        handle.__signature__ = inspect.Signature(parameters)
        handle.__name__, handle.__doc__ = name, doc
        return handle

    def _carry_out(self, run: Run, chosen, arguments, output, sha256=None) -> Iterator[list]:
        """Yields the values of ``_outputs``: previews, then the result with its downloads."""
        for far in networks.fetching(chosen):
            yield self._tuple(run, far)
        companions = run.companions(arguments) if run.companions else {}
        wish = running.PipelineCall(chosen, run.function, arguments, output, companions, sha256)
        with results.folder() as folder, closing(running.run(wish)) as events:
            yield from self._follow(run, events, folder)

    def _follow(self, run: Run, events: Iterator, folder: str) -> Iterator[list]:
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
                    yield self._tuple(run, note(text), run.preview(event.value))
            elif isinstance(event, running.Progress):
                far = f"{event.done} of {event.total} pictures" if event.total > 1 else "Working"
                yield self._tuple(run, note(f"{far} · {time.perf_counter() - began:.0f} s", "nb-going"))
            else:
                value = frames if event.value is None else event.value
                made = Result(value, event.companions, start.recipe, arguments, Path(folder))
                yield self._finished(run, made, start, event.seconds)

    def _finished(self, run: Run, made: Result, start: running.Started, seconds: float) -> list:
        shown = run.show(made)
        if shown.sheet is not None:
            sheet = made.save(shown.sheet(), run.function.split(".")[1])
        else:
            sheet = shown.file and str(shown.file)
        recipe = made.file(run.function.split(".")[1], "recipe", ending="json")
        recipe.write_text(start.recipe.to_json(), encoding="utf-8")
        network = start.title if "px" in start.title else f"{start.title}, {start.resolution} px"
        ran = f"{shown.amount} · {network} · {seconds:.2f} s on {start.device}"
        return [*shown.values, note(ran, "nb-ran"), start.recipe.code(), sheet, str(recipe), ""]

    def _tuple(self, run: Run, news, values: Sequence | None = None) -> list:
        """Values for ``_outputs`` while there is no result: news, and pictures on the way if there are."""
        shown = [gr.skip()] * len(run.outputs) if values is None else list(values)
        return [*shown, *[gr.skip()] * 4, news]

    def _load_recipe(self, visitor, path):
        """Sets the controls as a recipe says, and makes its picture again from the recipe itself."""
        try:
            yield from self._follow_recipe(visitor, path)
        except UserError as error:
            yield {self.news: note(str(error), "nb-error")}
            raise

    def _follow_recipe(self, visitor, path) -> Iterator[dict]:
        from pipelines.recipes import Recipe

        recipe = Recipe.from_json(uploads.recipe(path))
        run = next((r for r in self.runs if r.function == recipe.function), None)
        if run is None:
            raise UserError(f"That recipe is for another cell: it was made with {recipe.function}.")
        chosen = networks.resolve(visitor, recipe.checkpoint, self.book.chooser.technique)
        controls = self._restored(run, recipe, chosen, visitor)
        for values in self._carry_out(run, chosen, recipe.arguments, recipe.output, recipe.sha256):
            shown = dict(zip(self._outputs(run), values, strict=True))
            done = isinstance(shown[self.recipe], str)  # only then is it known that the recipe's values are sound
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


def filled(inputs: dict[str, gr.components.Component], values: Sequence) -> dict:
    """Controls' values by name. Raises UserError for a control that was emptied; some may be empty from the start."""
    for control, value in zip(inputs.values(), values, strict=True):
        if value is None and control.value is not None:
            raise UserError(f"“{control.label}” is empty; fill it in first.")
    return dict(zip(inputs, values, strict=True))


def note(text: str, kind: str = "") -> str:
    """HTML of a status line."""
    return f'<p class="{kind}" role="status">{escape(text)}</p>'


def reporting_errors(news: gr.HTML, updates: Iterator[dict]) -> Iterator[dict]:
    """``updates`` of components; what a visitor has to know of an error stands in ``news`` too, where the work was."""
    silent = True
    try:
        for update in updates:
            silent = False
            yield update
    except UserError as error:
        yield {news: note(str(error), "nb-error")}
        raise
    if silent:  # of a generator that ends without a word Gradio takes every value for empty
        yield {news: gr.skip()}


def report_errors(function: Callable[..., Iterator[dict]]) -> Callable[..., Iterator[dict]]:
    """``reporting_errors`` as a decorator of methods whose object has its ``part["news"]``."""

    @functools.wraps(function)
    def spoken(self, *args, **kwargs) -> Iterator[dict]:
        yield from reporting_errors(self.part["news"], function(self, *args, **kwargs))

    return spoken


def report_errors_in(news: gr.HTML) -> Callable:
    """``reporting_errors`` as a decorator of plain functions."""

    def decorate(function: Callable[..., Iterator[dict]]) -> Callable[..., Iterator[dict]]:
        def spoken(*values) -> Iterator[dict]:
            yield from reporting_errors(news, function(*values))

        return spoken

    return decorate
