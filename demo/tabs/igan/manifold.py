"""The last cell: a plane through the manifold of a real network, as a map of pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio as gr

from weights.errors import UserError

from ... import controls, networks, results, tiles
from ...networks import Reference
from ...notebook import Cell, Notebook, going, note
from ...running import named
from . import jobs
from .display import state_of
from .handlers import Handlers
from .project import paints
from .text import whole

PLANE = r"""
A real network's manifold has a hundred dimensions; here is a plane through it, drawn through the latent of a seed.
Neighbours look alike, and far away things turn into others. Press a picture to go there, zoom in to see how small a
step still changes something, and put what you like on the pad.
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


@dataclass
class Plane:
    """What one visitor looks at. ``latents``: text by tile; ``places``: (x, y) by tile."""

    reference: Reference
    arguments: dict
    latents: dict[str, str]
    places: dict[str, tuple[float, float]]
    middle: str


def build(book: Notebook, handlers: Handlers) -> Cell:
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
    cell.shows_itself(show, inputs, result)
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
