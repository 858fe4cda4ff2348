"""Cell 2: the latent of a photograph, found three ways, so that one can paint on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr
from PIL import Image

from weights.errors import UserError

from ... import controls, gpu, networks, results, tiles, uploads
from ...lifecycle import PRIVATE, QUIET
from ...networks import Reference
from ...notebook import Cell, Notebook, going, note
from ...running import named
from . import jobs
from .display import state_of
from .handlers import Handlers
from .text import code, features

PROSE = r"""
The network knows no photographs, only what it can make itself. So the one of its own pictures is looked for that is
most like yours, in colours and in the features $C$ of a second network:
$z^* = \arg\min_z \| G(z) - x \|^2 + \lambda \| C(G(z)) - C(x) \|^2$. *Optimisation* goes downhill from a random place
and often gets stuck. A *predictor* was trained to say the latent at a glance. The *hybrid* begins where the predictor
ends, and is the nearest of the three.
"""

API = """The latent of a photograph, found three ways. Yields while it runs; the last answer has the photograph and the
three pictures side by side as PNG, the hybrid's latent as text, the recipe, the Python that repeats it, what ran, and
the news. Afterwards igan_brush paints on it with origin photo.

Args:
    network: igan/shoes, igan/faces, igan/flowers, or a StyleGAN2.
    photo: the photograph, up to 50 MB and 64 megapixels.
    crop: middle (the largest square), face (found and aligned), or auto (face where the network makes faces).
    steps: of each search at most, 10 to 400.
    feature_weight: of features beside colours, 0 to 0.05.
"""
API_STOP = """Stops the search that runs in this session; what it has found stays. Gives a sentence as HTML.

Args: none."""
API_PAINT_ON = """Puts what igan_project has found in this session on the pad; igan_brush then paints on it with origin
photo. Gives what the page shows.

Args: none."""
KEPT = "igan-photo"
WAYS = ("predictor", "hybrid", "optimisation")
HYBRID = "hybrid"
SHOW_EVERY = 4
BEAT_S = 0.25
EXAMPLES = (11, 24, 5, 38)  # seeds of pictures that a network makes, for visitors with no photograph at hand
SIDE = 256  # pixels of an example


@dataclass
class Found:
    """What was found for a photograph. ``ways``: (latent as text, picture, mean square, seconds) by method."""

    reference: Reference
    original: Image.Image
    crop: str
    cut: Image.Image
    features: str = ""
    arguments: dict = field(default_factory=dict)
    ways: dict[str, tuple[str, Image.Image, float, float]] = field(default_factory=dict)
    way: str = HYBRID
    note: str = ""
    stopped: bool = False
    running: bool = True

    @property
    def chosen(self) -> str | None:
        return self.way if self.way in self.ways else next(iter(self.ways), None)

    @property
    def latent(self) -> str | None:
        return self.ways[self.chosen][0] if self.ways else None


class Finding:
    """Functions for events of this cell."""

    def __init__(self, cell: Cell, part: dict, handlers: Handlers):
        self.cell, self.part, self.handlers = cell, part, handlers

    def find(self, visitor, network, photo, crop, steps, feature_weight) -> Iterator[dict]:
        yield from self._find(visitor, network, uploads.image(photo), crop, steps, feature_weight)

    def clear(self, visitor) -> Iterator[dict]:
        """The photograph was taken away, and with it what was found for it."""
        halt(visitor)
        visitor.kept.pop(KEPT, None)
        empty = {self.part["tiles"]: tiles.shown([]), self.part["features"]: "", self.part["news"]: ""}
        yield {**self.cell.cleared(), **empty}

    def example(self, visitor, network, crop, steps, feature_weight, event: gr.EventData) -> Iterator[dict]:
        kept = visitor.kept.get(f"{KEPT}-tries") or {}
        if event.key not in kept:
            return
        for update in self._find(visitor, network, kept[event.key], crop, steps, feature_weight):
            yield {self.part["photo"]: None} | update

    def greet(self, visitor, network) -> Iterator[dict]:
        """Pictures to try: of a larger network of the same things, where there is one, else of the network itself."""
        import weights

        try:
            reference = networks.resolve(visitor, network, self.handlers.technique)
        except UserError:
            reference = None
        kept = visitor.kept.get(f"{KEPT}-tries")
        if reference is None or not reference.at_hand or (kept and kept.get("network") == network):
            return
        other = f"stylegan2/{reference.name.split('/')[-1]}"
        there = other in [e.name for e in weights.entries()] and weights.status(other) in ("shipped", "cached")
        made = jobs.pictures(Reference(other) if there else reference, list(EXAMPLES))
        made = [image.resize((SIDE, SIDE), Image.Resampling.BICUBIC) if image.width < SIDE else image for image in made]
        visitor.kept[f"{KEPT}-tries"] = {str(i): image for i, image in enumerate(made)} | {"network": network}
        shown = [tiles.Tile(str(i), image, "", f"Picture {i + 1} to try") for i, image in enumerate(made)]
        yield {self.part["tries"]: tiles.shown(shown, columns=len(shown))}

    def _find(self, visitor, network, photo, crop, steps, feature_weight) -> Iterator[dict]:
        from pipelines import checks

        reference = networks.resolve(visitor, network, self.handlers.technique)
        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        steps = checks.integer(steps, "The steps", 10, 400)
        weight = checks.number(feature_weight, "The weight of the features", 0, 0.05)
        crop = self.crop_of(reference, checks.choice(crop, "The crop", ("auto", "middle", "face")))
        halt(visitor)
        said = ""
        try:
            [(cut, words, predicts)] = jobs.prepared(reference, photo, crop)
        except UserError:
            if crop != "face":
                raise
            # Nobody asked for a face by name, so the middle of it will do.
            crop, said = "middle", "No face was found, so this is the middle of it."
            [(cut, words, predicts)] = jobs.prepared(reference, photo, crop)
        found = visitor.kept[KEPT] = Found(reference, photo, crop, cut, features=words, note=said)
        found.arguments = {"steps": steps, "feature_weight": weight}
        yield self.shown(found)
        try:
            for way in WAYS:
                if (way == "predictor" and not predicts) or found.stopped:
                    continue
                yield from self._way(found, way)
        finally:
            found.running = False
        with results.folder() as folder:
            yield self.result(found, Path(folder))

    @staticmethod
    def crop_of(reference: Reference, crop: str) -> str:
        import weights

        if crop != "auto":
            return crop
        own = reference.sha256 is not None
        faces = reference.open().info.crop if own else weights.describe(reference.name).crop
        return "face" if faces else "middle"

    def _way(self, found: Found, way: str) -> Iterator[dict]:
        from pipelines import igan

        began, shown_at = time.perf_counter(), 0.0
        arguments = {"method": way, **found.arguments, "show_every": SHOW_EVERY}
        with closing(jobs.projected(found.reference, found.cut, arguments)) as steps:
            for step in steps:
                if found.stopped and found.ways.get(way):
                    return
                if step.image is None:
                    continue
                seconds = time.perf_counter() - began
                found.ways[way] = (igan.encode_latent(step.latent), step.image, step.l2, seconds)
                found.note = step.note or found.note
                if step.done or seconds - shown_at > gpu.pace(BEAT_S):
                    shown_at = seconds
                    words = f"{way.capitalize()}, step {step.step} of {found.arguments['steps']} · error {step.l2:.4f}"
                    yield self.shown(found, passing=True) | {self.part["news"]: going(words)}

    def shown(self, found: Found, passing: bool = False) -> dict:
        shown = [tiles.Tile("photo", found.cut, "photograph", "The photograph, cropped for the network")]
        for way in WAYS:
            if way in found.ways:
                _latent, image, l2, seconds = found.ways[way]
                words = f"{way} · {l2:.4f} · {seconds:.1f} s"
                shown.append(tiles.Tile(way, image, words, f"{way}: error {l2:.4f} after {seconds:.1f} seconds"))
        words = features(found.features, found.note)
        return {self.part["tiles"]: tiles.shown(shown, found.chosen, passing=passing), self.part["features"]: words}

    def result(self, found: Found, folder: Path) -> dict:
        from pipelines import animation
        from pipelines.images import encode_image
        from pipelines.recipes import Recipe

        if not found.ways:
            return self.shown(found) | {self.part["news"]: note("Stopped before it began.", "nb-stopped")}
        info = found.reference.open().info
        arguments = {"image": encode_image(found.cut), "method": found.chosen, **found.arguments}
        recipe = Recipe("igan.project", info.name, info.sha256, arguments)
        recipe.check()
        name = info.name.split("/")[-1].replace(":", "-")
        sheet, latent, kept = (
            folder / f"{name}-projection{ending}" for ending in (".png", "-latent.txt", "-recipe.json")
        )
        pictures = [found.cut, *(image for _latent, image, _l2, _seconds in found.ways.values())]
        larger = max(1, 192 // found.cut.width)
        pictures = [p.resize((p.width * larger, p.height * larger), Image.Resampling.BICUBIC) for p in pictures]
        animation.strip(pictures, ["photograph", *found.ways]).save(sheet)
        latent.write_text(found.latent, encoding="utf-8")
        kept.write_text(recipe.to_json(), encoding="utf-8")
        ran = " · ".join(f"{way} {l2:.4f} in {seconds:.1f} s" for way, (_z, _i, l2, seconds) in found.ways.items())
        begun = "Stopped: " if found.stopped else ""
        cut = f'photo = igan.prepare(Image.open("your-photograph.jpg"), net, crop="{found.crop}")'
        options = "".join(f", {k}={v!r}" for k, v in {"method": found.chosen, **found.arguments}.items())
        calls = [cut, f"*_, last = igan.project(net, photo{options})", "result = last.image"]
        return self.shown(found) | {
            self.part["sheet"]: str(sheet),
            self.part["latent"]: str(latent),
            self.part["recipe"]: str(kept),
            self.part["code"]: code(info.name, calls),
            self.part["status"]: note(f"{begun}{ran} · {info.title}", "nb-ran"),
        }

    def choose(self, visitor, event: gr.EventData) -> Iterator[dict]:
        """Another of the three is what will be painted on."""
        found = visitor.kept.get(KEPT)
        if found is None or event.key not in found.ways or found.running:
            return
        found.way = event.key
        with results.folder() as folder:
            yield self.result(found, Path(folder))

    def load_recipe(self, visitor, recipe) -> Iterator[dict]:
        from pipelines.images import decode_image

        given = {"steps": 200, "feature_weight": 0.002, **recipe.arguments}
        if not isinstance(given["image"], str):
            raise UserError("That recipe holds no photograph.")
        photo = decode_image(given["image"])
        reference = networks.resolve(visitor, recipe.checkpoint, self.handlers.technique)
        jobs.opened(reference, 0, sha256=recipe.sha256)
        laid = {
            self.part["photo"]: None,
            self.part["network"]: gr.update(value=reference.name),
            self.part["steps"]: gr.update(value=given["steps"]),
            self.part["feature_weight"]: gr.update(value=given["feature_weight"]),
        }
        for update in self._find(visitor, reference.name, photo, "middle", given["steps"], given["feature_weight"]):
            yield laid | update

    # -- on to the pad

    def paint_on(self, visitor) -> Iterator[dict]:
        """What was found is the picture to paint on, and its photograph is remembered for cell 3."""
        found = visitor.kept.get(KEPT)
        if found is None or not found.ways:
            raise UserError("There is no latent yet; choose a photograph and press Find it first.")
        start = jobs.opened(found.reference, found.latent, about=f"{found.chosen} of a photograph")
        state = state_of(visitor)
        update = self.handlers.put(state, start, found)
        yield update | {self.handlers.part["network"]: gr.update(value=start.reference.name)}


def halt(visitor) -> str:
    found = visitor.kept.get(KEPT)
    if found is None or not found.running:
        return note("Nothing is running.")
    found.stopped = True
    return note("Stopping …")


def build(book: Notebook, handlers: Handlers, tab: gr.Tab) -> Cell:
    part: dict = {}
    with book.cell("project", "Projection: the picture nearest to a photograph", PROSE) as cell:
        with cell.controls("Find it", stop="always"):
            part["photo"] = controls.photograph(cell)
            gr.HTML("or one of these", elem_classes="nb-try")
            part["tries"] = tiles.board("Pictures to try", ["nb-tryouts"], elem_id=cell.id("tries"))
            part["crop"] = gr.Radio(
                [("auto", "auto"), ("the middle", "middle"), ("the face", "face")],
                value="auto",
                label="What of it",
                elem_id=cell.id("crop"),
            )
            with gr.Accordion("Settings of the search", open=False, elem_id=cell.id("how")):
                part["steps"] = gr.Slider(10, 400, 100, step=10, label="Steps at most", elem_id=cell.id("steps"))
                part["feature_weight"] = gr.Slider(
                    0,
                    0.05,
                    0.002,
                    step=0.001,
                    label="Features, λ",
                    info="0: colours alone",
                    elem_id=cell.id("feature-weight"),
                )
        with cell.result("The pictures · PNG"):
            part["tiles"] = tiles.board("Three ways", ["gt-large"], elem_id=cell.id("ways"))
            part["features"] = gr.HTML("", label="Features in use", elem_id=cell.id("features"))
            with gr.Row(elem_classes="nb-tools"):
                send = cell.button("Paint on it", "send", variant="primary")
                part["latent"] = cell.download("Latent · text", "latent")
        part |= {name: getattr(cell, name) for name in ("news", "status", "sheet", "recipe")}
    part |= {"code": cell.code, "network": book.chooser.network}
    finding = Finding(cell, part, handlers)
    session, network = book.chooser.session, book.chooser.network
    settings = [part[name] for name in ("crop", "steps", "feature_weight")]
    everything = list(part.values())
    order = [part[name] for name in ("sheet", "latent", "recipe", "code", "status", "news", "tiles", "features")]
    cell.makes([part["tiles"]], [network, part["photo"], *settings])
    find = named(finding.find, ["visitor", "network", "photo", "crop", "steps", "feature_weight"])
    inputs = [session, network, part["photo"], *settings]
    cell.on(cell.run_button.click, find, inputs, order, api_name="igan_project", api_description=API)
    cell.on(part["tries"].select, finding.example, [session, network, *settings], everything)
    cell.loads("igan.project", finding.load_recipe, everything)
    cell.clears(part["photo"], finding.clear, everything)
    cell.on(part["tiles"].select, finding.choose, [session], everything, concurrency_limit=2)
    cell.on(tab.select, finding.greet, [session, network], everything, trails=True)
    cell.on(network.change, finding.greet, [session, network], everything, trails=True, trigger_mode="always_last")
    cell.stop_button.click(
        halt, session, part["news"], api_name="igan_project_stop", api_description=API_STOP, queue=False, **QUIET
    )
    paints(cell, handlers, send, named(finding.paint_on, ["visitor"]), api_name="igan_paint_on",
           api_description=API_PAINT_ON)  # fmt: skip
    cell.finish()
    return cell


def paints(cell: Cell, handlers: Handlers, button: gr.Button, paint_on, **wiring) -> None:
    """A button that puts a picture on the pad, and shows the pad."""
    outputs = list(dict.fromkeys([*handlers.part.values(), cell.news]))
    sent = cell.on(button.click, paint_on, [cell.book.chooser.session], outputs, trails=True, **wiring)
    to_pad = "() => document.getElementById('ig-brush').scrollIntoView({behavior: 'smooth'})"
    sent.success(None, None, None, js=to_pad, **PRIVATE)
