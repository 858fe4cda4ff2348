"""The cell of the notebook: words, controls, result, and the code that made it. All cells of all tabs are made of it.

This module lays a cell out. What happens in it is its lifecycle (``lifecycle``); a cell whose results are each one call
of a pipeline function says so with ``does`` (``runs``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import escape

import gradio as gr

from . import networks
from .lifecycle import NO_CODE, going, note
from .runs import PREVIEW_S, Run, Runs

__all__ = ["LATEX", "PREVIEW_S", "Cell", "Notebook", "Run", "going", "note"]

LATEX = [{"left": "$$", "right": "$$", "display": True}, {"left": "$", "right": "$", "display": False}]


class Notebook:
    """One tab: cells that number themselves and share a chooser of networks."""

    def __init__(self, tab: str, chooser: networks.Chooser):
        self.tab, self.chooser = tab, chooser
        self.count = 0

    def cell(self, slug: str, title: str, prose: str) -> Cell:
        self.count += 1
        return Cell(self, slug, self.count, title, prose)


class Cell(Runs):
    """``with book.cell(...) as cell:``, in it ``cell.controls()`` and ``cell.result()``; then what happens in it."""

    def __init__(self, book: Notebook, slug: str, number: int, title: str, prose: str):
        super().__init__()
        self.book, self.slug, self.number, self.title, self.prose = book, slug, number, title, prose
        self.run_button = self.extra_button = self.stop_button = self.sheet = self.recipe = None
        self.send_buttons: dict[str, gr.Button] = {}

    def id(self, name: str) -> str:
        """The ``elem_id`` of a part of this cell: ``sg2-sample-seeds``."""
        return f"{self.book.tab}-{self.slug}-{name}"

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
                NO_CODE,
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
        self.empty[self.code] = NO_CODE
        self._frame.__exit__(*error)

    @contextmanager
    def controls(self, run: str | None = None, extra: str | None = None, stop: str | None = "late") -> Iterator[None]:
        """The column of controls, ended by a button that says ``run``, if any; ``extra`` names a second.

        ``stop``: "always" for work that is long by nature, "late" for a button that comes when it takes a while, None
        where there is nothing to stop.
        """
        with gr.Column(elem_classes="nb-controls", min_width=0):
            yield
            if run is None:
                return
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
    def result(
        self,
        sheet: str | None = "Contact sheet · PNG",
        send: Mapping[str, str] | None = None,
        recipes: bool = True,
        tools: Callable[[], None] | None = None,
    ) -> Iterator[None]:
        """The column of results, ended by what ran and by the downloads; ``sheet`` names the picture or animation.

        ``send`` has tabs to which the result can be handed, and the words of the buttons; ``tools`` lays further
        buttons beside them. ``news`` says what goes on or went wrong; ``status`` says what made the result that stands
        there.
        """
        with gr.Column(elem_classes="nb-result", min_width=0):
            yield
            self.news = gr.HTML("", label="News", elem_classes="nb-news", elem_id=self.id("news"))
            self.status = gr.HTML("", label="What ran", elem_classes="nb-status", elem_id=self.id("status"))
            with gr.Row(elem_classes="nb-tools"):
                if sheet:
                    self.sheet = self.download(sheet, "download")
                if recipes:
                    self._recipe_buttons()
                for tab, words in (send or {}).items():
                    self.send_buttons[tab] = self.button(words, f"send-{tab}")
                if tools:
                    tools()

    def button(self, words: str, name: str, after: bool = True, **options) -> gr.Button:
        """A small button; with ``after`` it is there when there is a result."""
        classes = "nb-after" if after else None
        return gr.Button(words, elem_id=self.id(name), elem_classes=classes, size="sm", min_width=0, **options)

    def download(self, words: str, name: str, classes: str = "nb-after", **options) -> gr.DownloadButton:
        """A file of the result; without a result there is none."""
        made = gr.DownloadButton(words, elem_id=self.id(name), elem_classes=classes, size="sm", min_width=0, **options)
        self.empty[made] = None
        return made

    def _recipe_buttons(self) -> None:
        """The recipe of the present result as a file and as a link, and a place for one that was kept."""
        self.recipe = self.download("Recipe · JSON", "recipe")
        copy = f"(file) => {{ ganbookVisit.link('{self.book.tab}-{self.slug}', file); }}"
        link = self.button("Copy a link", "link")
        link.click(None, self.recipe, None, js=copy, queue=False, api_visibility="private")
        self.recipe_load = gr.UploadButton(
            "Load a recipe", file_types=[".json"], elem_id=self.id("recipe-load"), size="sm", min_width=0
        )
