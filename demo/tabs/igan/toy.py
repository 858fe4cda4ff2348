"""The cell of the toy GAN: all of its manifold on paper, trained at once, step by step, or in slow motion."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from weights.errors import UserError

from ... import canvas, controls, gpu, results, tiles
from ...lifecycle import ran
from ...notebook import Cell, Notebook, going
from ...running import named
from . import jobs
from .text import whole

PROSE = r"""
What a generator learns can be drawn where its latents are two numbers and its pictures are points. Above on the left is
the square of all latents $z$, on the right the plane of the data. The grid shows where the generator puts every $z$:
all that it can ever make lies on that sheet, its *manifold*. A sheet has no hole and a ring has one, so it bends, and
tears its colours apart where hardly any data are. Below is what the discriminator says of every place: green where it
expects data, orange where it expects what was made. Arrows show where it sends the points. Choose other data or paint
your own, and go step by step: first the discriminator learns, then the generator follows the arrows.
"""
API = """Trains a tiny GAN on points of the plane. Yields while it runs; the last answer has the drawing as PNG, the
recipe, the Python that repeats it, what ran and the news.

Args:
    seed: of its first weights and the data.
    steps: of training, 1 to 4000.
    shape: ring, moons, clouds, or drawn.
    drawing: for drawn, size and layers with one called data, such as
        {"size": [360, 360], "layers": {"data": {"size": [2, 2], "runs": [0, 1, 3]}}}.
    watch: fast, or slow to see what each network learns.
"""
API_STEP = """One step of the toy GAN that this session trained last, or the first of a new one: the discriminator's,
then the generator's. Gives what igan_ring gives.

Args:
    seed, steps, shape, drawing, watch: those of igan_ring; with others than before a new one begins.
"""
RING, DRAWN = "ring", "drawn"
SHAPES = [("Ring", RING), ("Two moons", "moons"), ("Three clouds", "clouds"), ("Painted", DRAWN)]
WATCH = [("Fast", "fast"), ("Slow motion", "slow")]
BRUSH = canvas.Tool(
    "data", "paint", "Paint", canvas.MASK.icon, "Paint where the data should lie.", ((96, 88, 78, 235),), width=0.08
)
PAPER = Image.new("RGB", (360, 360), (251, 250, 248))
MASK_SIDE = 128  # pixels of what is painted, as a recipe holds it
KEPT = "igan-ring"
BEAT_S, SLOW_S = 0.15, 0.6  # seconds between two pictures


@dataclass
class Kept:
    """The toy that a visitor trained last, as far as it is, and the arguments that it was begun with."""

    arguments: dict
    toy: Any


def build(book: Notebook) -> Cell:
    with book.cell("ring", "The manifold of a toy GAN", PROSE) as cell:
        with cell.controls("Train it", extra="Another seed", stop="always"):
            shape = gr.Radio(SHAPES, value=RING, label="Data", elem_id=cell.id("shape"))
            board = canvas.board(
                [BRUSH], label="Where the data lie", first=canvas.frame(PAPER, "the plane"), elem_id=cell.id("board")
            )
            seed = controls.seed(cell, 0)
            steps = gr.Slider(50, 2000, 1000, step=50, label="Steps", elem_id=cell.id("steps"))
            watch = gr.Radio(WATCH, value="fast", label="Watch", elem_id=cell.id("watch"))
            with gr.Row(elem_classes=["nb-buttons", "nb-pick"]):
                one = gr.Button("One step", elem_id=cell.id("one"), min_width=0)
                go_on = gr.Button("Go on", elem_id=cell.id("go-on"), min_width=0)
        with cell.result("The drawing · PNG"):
            drawing = tiles.board("Latents and where they go", ["nb-ring"], elem_id=cell.id("drawing"))
    training = Training(cell, drawing, {"seed": seed, "steps": steps, "shape": shape, "drawing": board})
    session, own = book.chooser.session, list(training.controls.values())
    outputs = [cell.sheet, cell.recipe, cell.code, cell.status, cell.news, drawing]
    cell.makes([drawing], own)

    def on(trigger, function, **wiring) -> None:
        handler = named(function, ["visitor", *training.controls, "watch"])
        cell.on(trigger, handler, [session, *own, watch], outputs, **wiring)

    on(cell.run_button.click, training.anew, api_name="igan_ring", api_description=API)
    on(one.click, training.one_step, api_name="igan_ring_step", api_description=API_STEP)
    on(go_on.click, training.go_on)
    on(controls.another(cell.extra_button, seed).then, training.anew)
    # Who paints means what is painted.
    board.input(lambda: DRAWN, None, shape, queue=False, show_progress="hidden", api_visibility="private")
    cell.loads("igan.ring", training.load, [*outputs, *own])
    cell.stops()
    cell.finish()
    return cell


class Training:
    """Functions for events of the cell. ``controls``: those of its arguments."""

    def __init__(self, cell: Cell, drawing: gr.HTML, controls: dict[str, gr.components.Component]):
        self.cell, self.drawing, self.controls = cell, drawing, controls

    def anew(self, visitor, seed, steps, shape, drawing, watch) -> Iterator[dict]:
        yield from self._made(visitor, _arguments(seed, steps, shape, drawing), slow=watch == "slow")

    def one_step(self, visitor, seed, steps, shape, drawing, watch) -> Iterator[dict]:
        arguments = _arguments(seed, steps, shape, drawing)
        toy = _begun(visitor, arguments)
        yield from self._made(visitor, arguments, toy, until=toy.step + 1 if toy else 1, slow=True)

    def go_on(self, visitor, seed, steps, shape, drawing, watch) -> Iterator[dict]:
        arguments = _arguments(seed, steps, shape, drawing)
        yield from self._made(visitor, arguments, _begun(visitor, arguments), slow=watch == "slow")

    def load(self, visitor, recipe) -> Iterator[dict]:
        given = {"seed": 0, "steps": 1000} | {
            k: v for k, v in recipe.arguments.items() if k in ("seed", "steps", "shape")
        }
        laid = {self.controls[name]: gr.update(value=given[name]) for name in ("seed", "steps")}
        known = given.get("shape", RING) in [value for _words, value in SHAPES]
        laid[self.controls["shape"]] = gr.update(value=given.get("shape", RING) if known else DRAWN)
        if not known:
            laid[self.controls["drawing"]] = gr.update(value=_painted(given["shape"]))
        for update in self._made(visitor, given, until=recipe.arguments.get("until")):
            yield laid | update

    def _made(self, visitor, arguments: dict, toy=None, until: int | None = None, slow: bool = False) -> Iterator[dict]:
        """Trains a new toy, or ``toy`` further, and shows it on the way."""
        began, shown_at, first = time.perf_counter(), -SLOW_S, None
        beat = SLOW_S if slow else BEAT_S
        with closing(jobs.toy(arguments, copy.deepcopy(toy), until, 1 if slow else 25, slow)) as made:
            for step, state in made:
                first = step.step if first is None else first
                if state is not None:
                    visitor.kept[KEPT] = Kept(arguments, state)
                if step.image is None:
                    continue
                if slow:  # nobody computes meanwhile
                    time.sleep(max(0.0, beat - (time.perf_counter() - began - shown_at)))
                seconds = time.perf_counter() - began
                if step.done or seconds - shown_at > (0 if slow else gpu.pace(beat)):
                    shown_at = seconds
                    rate = "" if slow else f" · {(step.step - first) / max(seconds, 1e-3):.0f} a second"
                    words = f"Step {step.step} of {arguments['steps']}: {TURNS[step.learnt]}{rate}"
                    yield {self.drawing: shown(step), self.cell.news: going(words)}
        seconds = time.perf_counter() - began
        ended = {} if step.step == arguments["steps"] else {"until": step.step}
        yield from self._finished(step, arguments | ended, seconds)

    def _finished(self, step, arguments: dict, seconds: float) -> Iterator[dict]:
        from pipelines import recipes

        recipe = recipes.make("igan.ring", **arguments)
        made = "1 step" if step.step == 1 else f"{step.step} steps"
        words = (
            f"{made} · {seconds:.1f} s · made points lie {step.off:.2f} from the nearest data;"
            f" {100 * step.missed:.0f} % of the data have none near"
        )
        with results.folder() as folder:
            sheet, kept = (Path(folder) / f"ring-seed-{arguments['seed']}.{end}" for end in ("png", "json"))
            step.picture.save(sheet)
            kept.write_text(recipe.to_json(), encoding="utf-8")
            yield {
                self.cell.sheet: str(sheet),
                self.cell.recipe: str(kept),
                self.cell.code: recipe.code() + "result = steps[-1].picture\n",
                self.cell.status: ran(words),
                self.drawing: shown(step),
            }


TURNS = {"discriminator": "the discriminator has learnt", "both": "the generator has learnt"}


def shown(step) -> dict:
    """Both pictures of a step."""
    sheet = f"Step {step.step}: the square of latents, and the sheet that the generator makes of it beside the data"
    surface = f"Step {step.step}: what the discriminator takes for data, where it sends the points, and both losses"
    items = [tiles.Tile("ring", step.image, "", sheet), tiles.Tile("surface", step.surface, "", surface)]
    return tiles.shown(items, columns=1, side=2048)


def _arguments(seed, steps, shape, drawing) -> dict:
    """Those of ``igan.ring``, fit for JSON. Raises UserError."""
    from pipelines import images

    if seed is None or steps is None:
        raise UserError("The seed or the steps are empty; fill them in first.")
    arguments = {"seed": whole(seed), "steps": whole(steps)}
    if shape == DRAWN:
        layer = canvas.read(drawing, [BRUSH]).layers.get(BRUSH.name)
        area = layer.area((MASK_SIDE, MASK_SIDE)) if layer else None
        if area is None:
            raise UserError("Nothing is painted yet; paint where the data should lie.")
        arguments["shape"] = images.encode_mask(area, MASK_SIDE)
    elif shape not in (None, RING):
        arguments["shape"] = shape
    return arguments


def _begun(visitor, arguments: dict):
    """The visitor's toy, if it was begun with the same arguments and has steps left."""
    kept = visitor.kept.get(KEPT)
    same = kept is not None and kept.arguments == arguments and kept.toy.step < kept.toy.steps
    return kept.toy if same else None


def _painted(mask: str) -> dict:
    """What somebody would have painted for the mask of a recipe. Raises UserError."""
    from pipelines.images import read_mask

    cells = (read_mask(mask, MASK_SIDE).numpy() >= 0.5).astype("uint8")
    return canvas.drawn(PAPER.size, layers={BRUSH.name: canvas.Layer(cells)})
