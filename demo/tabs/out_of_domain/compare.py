"""Cell 2: the same edit without a mask, from two inversions, and ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import gradio as gr

from ... import controls, results, tables
from ...notebook import Cell, Notebook, going, note
from ...results import Result
from . import jobs
from .display import state_of
from .handlers import Handlers
from .text import call, code, recipe_for, shown, summary_of, tile

PROSE = r"""
Before this paper, edits inverted the photograph, moved the latent, and took the whole picture that came out. The plain
inversion is quick and far from the photograph, the hybrid one nearer; neither has your hat. *Lost* is how far the
picture is from the photograph where nothing should have changed, in levels of 255. *Has it* is what an independent
classifier says of the last attribute that was edited.
"""
API = """The present edit of this session beside the same edit without a mask, from a plain and from a hybrid inversion.
Gives pictures with captions, a table as HTML, what ran, the Python that repeats it, all of them as one PNG, the recipe,
and the news.

Args:
    steps: of the inversions that optimise, as text, 1 to 1000; empty: what suits the network.
"""
COLUMNS = ("inverted by", "lost", "has it", "s")
METHODS = {"w": "optimisation in w", "w+": "optimisation in w+"}


def build(book: Notebook, handlers: Handlers) -> Cell:
    with book.cell("compare", "With a mask and without", PROSE) as cell:
        with cell.controls("Compare", stop="always"):
            gr.Markdown("Face and edit are those above.", elem_classes="nb-hint")
            steps = controls.optional(cell, "steps", "Steps", info="of each inversion", placeholder="auto")
        with cell.result("All of them · PNG"):
            gallery = controls.tiles(cell, "gallery", "The photograph, two edits without a mask, and ours", strip=True)
            table = gr.HTML("", label="In numbers", elem_id=cell.id("table"))
    out = [gallery, table, cell.status, cell.code, cell.sheet, cell.recipe, cell.news]

    def od_compare(visitor, steps=None) -> Iterator[dict]:
        many = controls.number_or_none(steps, "Steps")
        yield from made(state_of(visitor), {} if many is None else {"steps": many})

    def made(state, given) -> Iterator[dict]:
        from pipelines import animation

        found, began = state.ready(), time.perf_counter()
        arguments = {**state.options(), **given}
        own, last = {"own": state.own} if state.own else {}, None
        yield {cell.news: going("Inverting …")}
        told = time.perf_counter()
        with closing(jobs.compared(found.reference, state.known, {**arguments, **own})) as steps_:
            for step in steps_:
                new = last is None or len(step.found) != len(last.found)
                last = step
                if new or time.perf_counter() - told > 0.3:
                    told = time.perf_counter()
                    far = going(f"Step {step.done} of {step.total}")
                    yield {cell.news: far} | ({gallery: pictures(state, step)} if new else {})
        with results.folder() as folder:
            recipe = recipe_for("out_of_domain.compare", state, arguments)
            kept = Result(None, {}, recipe, recipe.arguments, Path(folder))
            shown_ = pictures(state, last)
            sheet = animation.strip([image for image, _caption in shown_], [caption for _image, caption in shown_])
            path = kept.file("compare-recipe", ending="json")
            path.write_text(recipe.to_json(), encoding="utf-8")
            seconds = time.perf_counter() - began
            yield {
                gallery: shown_,
                table: numbers(last, state),
                cell.status: note(
                    f"{summary_of(state.wanted)} · {found.title} · {seconds:.1f} s on {found.device}", "nb-ran"
                ),
                cell.code: code(state, [f"result = list({call('compare', state, arguments)})"]),
                cell.sheet: kept.save(sheet, "compare"),
                cell.recipe: str(path),
            }

    def load(visitor, recipe) -> Iterator[dict]:
        given = handlers.held(recipe)
        many = given.get("steps")
        named = {name: given[name] for name in ("edits", "apart", "steps") if given.get(name) is not None}

        def begin(reference, known, own):
            return jobs.compared(reference, known, {**named, **own})

        for update in handlers.lay(visitor, recipe, given, begin):
            laid = update
        laid[steps] = gr.update(value="" if many is None else f"{many:g}")
        for update in made(state_of(visitor), {} if many is None else {"steps": many}):
            yield laid | update

    session = book.chooser.session
    cell.makes([gallery, table], [steps, handlers.part["status"]])
    cell.on(cell.run_button.click, od_compare, [session, steps], out, api_name="od_compare", api_description=API)
    loaded = cell.loads("out_of_domain.compare", load, [*handlers.everything, steps, *out])
    handlers.writes(loaded, session)
    cell.stops()
    cell.finish()
    return cell


def pictures(state, step) -> list:
    rows = [(tile(row.image), row.way.lower()) for row in step.found]
    return [(tile(state.known.photo), "the photograph"), *rows]


def numbers(step, state) -> str:
    """The comparison as a table."""
    name = next((shown(n) for n, v in reversed(state.wanted.items()) if v), "")

    def has(value: float | None) -> str:
        return "–" if value is None else f"{value:.0%}"

    rows = [("The photograph", ("–", "0", has(step.had), "–"))]
    for row in step.found:
        lost = "–" if row.lost is None else tables.number(row.lost)
        rows.append((row.way, (METHODS.get(row.method, row.method), lost, has(row.has), f"{row.seconds:.2f}")))
    return tables.numbers(COLUMNS, rows, f"The three edits in numbers, {name}")
