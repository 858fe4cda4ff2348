"""Cells at the end of the tab: a manifold that fits on paper, and a plane through a real one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from weights.errors import UserError

from ... import controls, gpu, networks, results, tiles
from ...networks import Reference
from ...notebook import Cell, Notebook, going, note
from ...running import named
from . import jobs
from .display import state_of
from .handlers import Handlers
from .project import paints

RING = r"""
What a generator learns can be drawn where its latents are two numbers and its pictures are points. On the left is the
square of all latents $z$, on the right the plane of the data: points around a circle. The grid shows where the
generator puts every $z$. Watch it being trained: a sheet has no hole and a ring has one, so it bends, and tears its
colours apart where hardly any data are. All that it can ever make lies on that sheet: that is its *manifold*.
"""
PLANE = r"""
A real network's manifold has a hundred dimensions; here is a plane through it, drawn through the latent of a seed.
Neighbours look alike, and far away things turn into others. Press a picture to go there, zoom in to see how small a
step still changes something, and put what you like on the pad.
"""
API_RING = """Trains a tiny GAN on points around a circle. Yields while it runs; the last answer has the drawing as PNG,
the recipe, the Python that repeats it, what ran and the news.

Args:
    seed: of its first weights and the data.
    steps: of training, 1 to 4000.
"""
API_PLANE = """Pictures on a plane through a network's latent space. Gives all of them as one PNG, the latent of the one
in the middle as text, the recipe, the Python that repeats it, what ran and the news.

Args:
    network: igan/shoes, igan/faces, igan/flowers, or a StyleGAN2.
    seed: the plane goes through its latent.
    x, y: the middle of the window, -10 to 10.
    reach: from the middle to its edge, 0.01 to 10.
    rows: pictures a side, 3 to 11.
"""
KEPT = "igan-plane"
BEAT_S = 0.15


# -- the ring ----------------------------------------------------------------------------------------------------------


def build_ring(book: Notebook) -> Cell:
    with book.cell("ring", "The manifold of a toy GAN", RING) as cell:
        with cell.controls("Train it", extra="Another seed", stop="always"):
            seed = controls.seed(cell, 0)
            steps = gr.Slider(50, 2000, 1000, step=50, label="Steps", elem_id=cell.id("steps"))
        with cell.result("The drawing · PNG"):
            drawing = tiles.board("Latents and where they go", ["nb-ring"], elem_id=cell.id("drawing"))
    outputs = [cell.sheet, cell.recipe, cell.code, cell.status, cell.news, drawing]

    def train(seed, steps, sha256=None) -> Iterator[dict]:
        from pipelines import recipes

        if seed is None or steps is None:
            raise UserError("The seed or the steps are empty; fill them in first.")
        recipe = recipes.make("igan.ring", seed=whole(seed), steps=whole(steps))
        began, shown_at, image = time.perf_counter(), 0.0, None
        with closing(jobs.ring(recipe.arguments)) as made:
            for step in made:
                if step.image is None:
                    continue
                image, seconds = step.image, time.perf_counter() - began
                if step.done or seconds - shown_at > gpu.pace(BEAT_S):
                    shown_at = seconds
                    words = f"Step {step.step} of {steps:g} · {step.step / max(seconds, 1e-3):.0f} a second"
                    yield {drawing: picture(image, step), cell.news: going(words)}
        with results.folder() as folder:
            sheet, kept = (Path(folder) / f"ring-seed-{seed:g}.{ending}" for ending in ("png", "json"))
            image.save(sheet)
            kept.write_text(recipe.to_json(), encoding="utf-8")
            ran = (
                f"{step.step} steps in {time.perf_counter() - began:.1f} s · points at {step.radius:.2f} ± "
                f"{step.spread:.2f} from the middle, the data at 1.00 ± 0.08"
            )
            yield {
                cell.sheet: str(sheet),
                cell.recipe: str(kept),
                cell.code: recipe.code() + "result = steps[-1].image\n",
                cell.status: note(ran, "nb-ran"),
                drawing: picture(image, step),
            }

    def load(visitor, recipe) -> Iterator[dict]:
        given = {"seed": 0, "steps": 1000, **recipe.arguments}
        for update in train(given["seed"], given["steps"]):
            yield {seed: gr.update(value=given["seed"]), steps: gr.update(value=given["steps"])} | update

    run = named(lambda seed, steps: train(seed, steps), ["seed", "steps"])
    cell.makes([drawing], [seed, steps])
    cell.on(cell.run_button.click, run, [seed, steps], outputs, api_name="igan_ring", api_description=API_RING)
    drawn = controls.another(cell.extra_button, seed)
    cell.on(drawn.then, run, [seed, steps], outputs)
    cell.loads("igan.ring", load, [*outputs, seed, steps])
    cell.stops()
    cell.finish()
    return cell


def picture(image, step) -> dict:
    words = f"Step {step.step}: the square of latents, and the sheet that the generator makes of it beside the ring"
    return tiles.shown([tiles.Tile("ring", image, "", words)], columns=1, side=2048)


def whole(value):
    """3.0 as 3; what is no whole number stays as it is, for the pipeline to refuse it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# -- a plane through a real one ----------------------------------------------------------------------------------------


@dataclass
class Plane:
    """What one visitor looks at. ``latents``: text by tile; ``places``: (x, y) by tile."""

    reference: Reference
    arguments: dict
    latents: dict[str, str]
    places: dict[str, tuple[float, float]]
    middle: str


def build_plane(book: Notebook, handlers: Handlers) -> Cell:
    part: dict = {}
    with book.cell("plane", "The manifold of a network, as a map", PLANE) as cell:
        with cell.controls("Show the map", extra="Another"):
            part["seed"] = controls.seed(cell, 1)
            part["reach"] = gr.Slider(
                0.05, 4, 1.5, step=0.05, label="Range", info="small: zoomed in", elem_id=cell.id("reach")
            )
            part["rows"] = gr.Slider(3, 11, 7, step=2, label="Pictures a side", elem_id=cell.id("rows"))
            with gr.Row(elem_classes="nb-two"):
                part["x"] = gr.Number(0, label="x", step=0.1, elem_id=cell.id("x"), min_width=0)
                part["y"] = gr.Number(0, label="y", step=0.1, elem_id=cell.id("y"), min_width=0)
            with gr.Row(elem_classes=["nb-buttons", "nb-pick"]):
                nearer = gr.Button("Zoom in", elem_id=cell.id("nearer"), min_width=0)
                farther = gr.Button("Zoom out", elem_id=cell.id("farther"), min_width=0)
        with cell.result("The map · PNG"):
            part["map"] = tiles.board("The map", ["gt-map"], elem_id=cell.id("map"))
            with gr.Row(elem_classes="nb-tools"):
                send = cell.button("Paint on the one in the middle", "send")
                part["latent"] = cell.download("Its latent · text", "latent")
        part |= {name: getattr(cell, name) for name in ("news", "status", "sheet", "recipe")}
    part |= {"code": cell.code, "network": book.chooser.network}
    walk = Walk(part, handlers)
    session, network = book.chooser.session, book.chooser.network
    names = ("seed", "x", "y", "reach", "rows")
    inputs = [session, network, *(part[name] for name in names)]
    result = [part[name] for name in ("sheet", "latent", "recipe", "code", "status", "news", "map")]
    everything = list(part.values())
    cell.makes([part["map"]], [network, *inputs[2:]])
    show = named(walk.show, ["visitor", "network", *names])
    cell.on(cell.run_button.click, show, inputs, result, api_name="igan_plane", api_description=API_PLANE)
    drawn = controls.another(cell.extra_button, part["seed"])
    cell.on(drawn.then, walk.anew, inputs, everything)
    for button, factor in ((nearer, 0.6), (farther, 1 / 0.6)):
        cell.on(button.click, partial(walk.zoom, factor), inputs, everything)

    def go(visitor, network, seed, x, y, reach, rows, event: gr.EventData) -> Iterator[dict]:
        yield from walk.go(visitor, rows, event.key)

    cell.on(part["map"].select, go, inputs, everything)
    cell.loads("igan.slice", walk.load, everything)
    cell.stops()
    paints(cell, handlers, send, walk.paint_on)
    cell.finish()
    return cell


class Walk:
    """Functions for events of the map."""

    def __init__(self, part: dict, handlers: Handlers):
        self.part, self.handlers = part, handlers

    def show(self, visitor, network, seed, x, y, reach, rows) -> Iterator[dict]:
        reference = networks.resolve(visitor, network, self.handlers.technique)
        given = {"seed": seed, "x": x, "y": y, "reach": reach, "rows": rows}
        for name, value in given.items():
            if value is None:
                raise UserError(f"“{self.part[name].label}” is empty; fill it in first.")
        yield from self.made(
            visitor, reference, {k: whole(v) if k in ("seed", "rows") else v for k, v in given.items()}
        )

    def anew(self, visitor, network, seed, x, y, reach, rows) -> Iterator[dict]:
        """Another seed: from its own place."""
        for update in self.show(visitor, network, seed, 0, 0, reach, rows):
            yield {self.part["x"]: gr.update(value=0), self.part["y"]: gr.update(value=0)} | update

    def zoom(self, by: float, visitor, network, seed, x, y, reach, rows) -> Iterator[dict]:
        from pipelines import checks

        if reach is None:
            raise UserError("“Range” is empty; fill it in first.")
        reach = round(min(4, max(0.05, checks.number(reach, "Range", 0, 10) * by)) * 20) / 20
        for update in self.show(visitor, network, seed, x, y, reach, rows):
            yield {self.part["reach"]: gr.update(value=reach)} | update

    def go(self, visitor, rows, key: str) -> Iterator[dict]:
        """A picture of the map was pressed: it becomes the middle."""
        plane = visitor.kept.get(KEPT)
        if plane is None or key not in plane.places:
            return
        x, y = (round(min(10, max(-10, v)), 3) for v in plane.places[key])
        moved = {self.part["x"]: gr.update(value=x), self.part["y"]: gr.update(value=y)}
        for update in self.made(visitor, plane.reference, {**plane.arguments, "x": x, "y": y}):
            yield moved | update

    def load(self, visitor, recipe) -> Iterator[dict]:
        reference = networks.resolve(visitor, recipe.checkpoint, self.handlers.technique)
        given = {"seed": 0, "x": 0.0, "y": 0.0, "reach": 1.5, "rows": 7, **recipe.arguments}
        laid = {self.part[name]: gr.update(value=given[name]) for name in ("seed", "x", "y", "reach", "rows")}
        laid[self.part["network"]] = gr.update(value=reference.name)
        for update in self.made(visitor, reference, recipe.arguments, recipe.sha256):
            yield laid | update

    def made(self, visitor, reference: Reference, arguments: dict, sha256: str | None = None) -> Iterator[dict]:
        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        began, out = time.perf_counter(), None
        for out in jobs.plane(reference, arguments, sha256):
            if isinstance(out, tuple) and out[0] == "far":
                yield {self.part["news"]: going(f"{out[1]} of {out[2]} pictures")}
        plane, texts, recipe, title, device = out
        rows = len(plane.images)
        keys = [f"{i}-{j}" for i in range(rows) for j in range(rows)]
        flat = [image for row in plane.images for image in row]
        places = dict(zip(keys, (p for row in plane.places for p in row), strict=True))
        middle = f"{rows // 2}-{rows // 2}"
        latents = dict(zip(keys, texts, strict=True))
        visitor.kept[KEPT] = Plane(reference, dict(arguments), latents, places, middle)
        named_ = [
            tiles.Tile(key, image, "", f"Picture at x {places[key][0]:.2f}, y {places[key][1]:.2f}")
            for key, image in zip(keys, flat, strict=True)
        ]
        with results.folder() as folder:
            name = f"{recipe.checkpoint.split('/')[-1].replace(':', '-')}-map"
            sheet, latent, kept = (Path(folder) / f"{name}{end}" for end in (".png", "-latent.txt", "-recipe.json"))
            plane.picture.save(sheet, compress_level=1)
            latent.write_text(latents[middle], encoding="utf-8")
            kept.write_text(recipe.to_json(), encoding="utf-8")
            x, y = places[middle]
            seconds = time.perf_counter() - began
            ran = f"{rows * rows} pictures around x {x:.2f}, y {y:.2f} · {title} · {seconds:.2f} s on {device}"
            yield {
                self.part["map"]: tiles.shown(named_, middle, columns=rows, passing=rows > 7, side=160),
                self.part["sheet"]: str(sheet),
                self.part["latent"]: str(latent),
                self.part["recipe"]: str(kept),
                self.part["code"]: recipe.code() + "result = plane.picture\n",
                self.part["status"]: note(ran, "nb-ran"),
            }

    def paint_on(self, visitor) -> Iterator[dict]:
        """The picture in the middle comes onto the pad."""
        plane = visitor.kept.get(KEPT)
        if plane is None:
            raise UserError("There is no map yet; press Show the map first.")
        x, y = plane.places[plane.middle]
        start = jobs.opened(plane.reference, plane.latents[plane.middle], about=f"from the map, x {x:.2f}, y {y:.2f}")
        update = self.handlers.put(state_of(visitor), start)
        yield update | {self.handlers.part["network"]: gr.update(value=start.reference.name)}
