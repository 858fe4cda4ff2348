"""Cell 2: a photograph becomes a picture of the network, and can then be dragged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from weights.errors import UserError

from ... import controls, networks, results, uploads
from ...handover import Handover
from ...lifecycle import PRIVATE, QUIET, going, note
from ...networks import Reference
from ...notebook import Cell, Notebook
from ...pictures import CENTRE
from ...session import OwnFile, Sent
from . import jobs, methods
from .display import enlarged, state_of
from .handlers import Handlers
from .state import Photograph

PROSE = r"""
A drag moves a latent, so a photograph needs one: the $w^+$ from which the network makes what is most like it. It is
found step by step, and what the network was never shown, it cannot make: faces have to lie as they did in training,
with the eyes where its own pictures have them. An *encoder* is a network that says the latent at once, for the networks
that have one; the search may begin there. *Pivotal tuning* then lets a copy of the network learn the rest of your
photograph; the copy is yours alone.
"""

API = """Looks for the latent of a photograph. Yields while it runs; the last answer has the photograph as the network
is shown it, the picture of the latent, the latent as a file, the Python that repeats it, what ran, and the tuned
network as a file if one was asked for.

Args:
    network: a checkpoint such as stylegan2/faces.
    class_index: for conditional networks, which class.
    photo: the photograph, up to 50 MB and 64 megapixels.
    straight: for networks of faces, cuts the face out as their training pictures were; if none is found, a square.
    zoom: of the square, 1 for the largest, up to 8.
    across, down: where the middle of the square is, 0 to 1.
    method: w+ (nearer to the photograph), w (easier to drag), and for networks with an encoder: encoder (at once)
        or hybrid (w+ from what the encoder says).
    steps: 10 to 1000; the encoder takes none.
    tuning: also tunes a copy of the network to the photograph.
    tuning_steps: 10 to 1000.
"""
API_STOP = """Stops the search that runs in this session; what it has found so far stays. Gives a sentence as HTML.

Args: none."""
KEPT = "draggan-photo"
SHOW_EVERY = 5
ALIGNED = 512  # pixels of a face that was laid straight; the search takes what its network needs


@dataclass
class Found:
    """What was found for a photograph. ``own``: the name of the tuned copy in the visitor's list."""

    reference: Reference
    photo: Image.Image
    source: Photograph
    latent: Any = None  # w+ [1, num_ws, w_dim]
    image: Image.Image | None = None
    own: str | None = None
    stopped: bool = False
    running: bool = True
    facts: list[str] = field(default_factory=list)


def build(book: Notebook, handlers: Handlers, handover: Handover) -> Cell:
    part = {}
    with book.cell("photo", "Your own photograph", PROSE) as cell:
        with cell.controls("Find it", stop="always"):
            part["photo"] = controls.photograph(cell)
            part["straight"] = gr.Checkbox(
                True,
                label="Find the face and align it",
                info="where the network makes faces",
                elem_id=cell.id("straight"),
            )
            part["zoom"] = gr.Slider(1, 8, 1, step=0.05, label="Zoom", visible=False, elem_id=cell.id("zoom"))
            part["across"] = gr.Slider(
                0, 1, 0.5, step=0.01, label="Middle, across", visible=False, elem_id=cell.id("across")
            )
            part["down"] = gr.Slider(0, 1, 0.5, step=0.01, label="Middle, down", visible=False, elem_id=cell.id("down"))
            part["method"] = gr.Radio(
                methods.methods(None, book.chooser.network.value, book.chooser.technique),
                value="w+",
                label="Inversion method",
                info=methods.TOLD,
                elem_id=cell.id("method"),
            )
            part["steps"] = gr.Slider(10, 1000, 300, step=10, label="Steps", elem_id=cell.id("steps"))
            part["tuning"] = gr.Checkbox(False, label="Tune a copy of the network", elem_id=cell.id("tuning"))
            part["tuning_steps"] = gr.Slider(
                10, 1000, 200, step=10, label="Steps of tuning", visible=False, elem_id=cell.id("tuning-steps")
            )
        with cell.result(sheet=None, recipes=False, tools=lambda: part.update(_tools(cell))):
            with gr.Row(elem_classes=["nb-looks", "nb-pair"]):
                part["shown"] = controls.picture(cell, "crop", "Photograph: the part that is shown to the network")
                part["made"] = controls.picture(cell, "made", "Inversion: what the network makes of it")
        part |= {"news": cell.news, "status": cell.status}
    part["code"] = cell.code
    _wire(cell, part, handover)
    return cell


def _tools(cell: Cell) -> dict[str, gr.components.Component]:
    return {
        "send": cell.button("Drag it", "send", variant="primary"),
        "latent": cell.download("Latent · safetensors", "latent"),
        "latent_npz": cell.download("Latent · npz", "latent-npz"),
        "network": cell.download("Tuned network · safetensors", "network", visible=False),
    }


def _wire(cell: Cell, part: dict, handover: Handover) -> None:
    chooser = cell.book.chooser
    session, technique = chooser.session, chooser.technique
    crop = [part[name] for name in ("photo", "straight", "zoom", "across", "down")]
    names = ("photo", "straight", "zoom", "across", "down", "method", "steps", "tuning", "tuning_steps")
    given = [part[name] for name in names]
    cell.makes([part["shown"], part["made"]], [chooser.network, chooser.class_index, *given])
    everything = [part[name] for name in ("shown", "made", "latent", "code", "status", "network", "news", "latent_npz")]

    # What the network will be shown; a result of the last photograph goes with it.
    def chosen(visitor, network, photo, *where) -> Iterator[dict]:
        if photo:
            yield cleared(part, cell, visitor) | preview(part, technique, visitor, network, photo, *where)

    def moved(visitor, network, photo, *where) -> Iterator[dict]:
        if photo:
            yield preview(part, technique, visitor, network, photo, *where)

    def clear(visitor) -> Iterator[dict]:
        yield cleared(part, cell, visitor) | {part["shown"]: None, part["news"]: ""}

    newest = {"trigger_mode": "always_last", "live": True, "trails": True}
    shown = [part["shown"], part["news"]]
    cell.on(part["photo"].input, chosen, [session, chooser.network, *crop], everything, **newest)
    cell.on([c.input for c in crop[1:]], moved, [session, chooser.network, *crop], shown, **newest)
    placing, quiet = [part[name] for name in ("zoom", "across", "down")], {"queue": False, **PRIVATE}
    part["straight"].change(lambda on: [gr.update(visible=not on)] * len(placing), part["straight"], placing, **quiet)
    chooser.network.change(
        partial(methods.offered, technique=technique),
        [session, chooser.network, part["method"]],
        [part["method"], part["steps"]],
        **PRIVATE,
    )
    part["method"].change(lambda method: gr.update(visible=method != "encoder"), part["method"], part["steps"], **quiet)
    part["tuning"].change(lambda on: gr.update(visible=on), part["tuning"], part["tuning_steps"], **quiet)

    def draggan_invert(
        visitor, network=None, class_index=None, photo=None, straight=True, zoom=1, across=0.5, down=0.5, method="w+",
        steps=300, tuning=False, tuning_steps=200,
    ):  # fmt: skip
        finding = Finding(part, visitor, technique)
        yield from finding.run(
            network, class_index, photo, (straight, zoom, across, down), method, steps, tuning, tuning_steps
        )

    found = cell.on(cell.run_button.click, draggan_invert, [*chooser.inputs, *given], everything,
                    api_name="draggan_invert", api_description=API)  # fmt: skip
    found.success(chooser.refresh, session, chooser.network, **quiet)
    cell.stop_button.click(halt, session, part["news"], api_name="draggan_invert_stop", api_description=API_STOP,
                           queue=False, **QUIET)  # fmt: skip
    handover.offers(part["send"], "draggan", [], sent)
    part["send"].click(
        None, None, None, js="() => document.getElementById('dg-drag').scrollIntoView({behavior: 'smooth'})"
    )
    cell.clears(part["photo"], clear, everything)
    cell.finish()


@dataclass(frozen=True)
class Part:
    """What the network is shown: the picture, the Python that cuts it out of ``photo``, what is to be said of it.

    ``aligned``: ``pipelines.faces.AlignedFace``, where it lies in the photograph.
    """

    aligned: Any
    code: str
    said: str = ""

    @property
    def image(self) -> Image.Image:
        return self.aligned.image


def preview(part: dict, technique, visitor, network, photo, *where) -> dict:
    """The part of the photograph that the network will be shown."""
    try:
        found = part_of(uploads.image(photo), networks.resolve(visitor, network, technique), *where)
    except UserError as error:
        return {part["shown"]: None, part["news"]: note(str(error), "nb-error")}
    return {part["shown"]: enlarged(found.image), part["news"]: note(found.said) if found.said else ""}


def cleared(part: dict, cell: Cell, visitor) -> dict:
    """Nothing was found for the photograph that is there now; what runs for another ends."""
    halt(visitor)
    visitor.kept.pop(KEPT, None)
    return {**cell.cleared(), part["made"]: None, part["network"]: gr.update(value=None, visible=False)}


def part_of(photo: Image.Image, reference: Reference, straight, zoom: float, across: float, down: float) -> Part:
    """The face as the network's pictures have it, where it makes faces and one is found; otherwise a square."""
    box, said = square(photo.size, zoom, across, down), ""
    crop = crop_of(reference) if straight else None
    if crop:
        from pipelines import faces

        try:
            aligned = faces.align(photo, crop=crop, size=ALIGNED)
            return Part(aligned, f'faces.align(photo, crop="{crop}", size={ALIGNED}).image')
        except UserError:
            said = "No face was found, so this is a square of it; untick the box above to choose which."
    return Part(cut(photo, box), f"photo.crop({box!r})", said)


def cut(photo: Image.Image, box: tuple[int, int, int, int]):
    """A square of a photograph, pixel for pixel, as ``pipelines.faces.AlignedFace``."""
    from pipelines import faces

    transform = np.array([[1, 0, -box[0]], [0, 1, -box[1]], [0, 0, 1]], np.float64)
    return faces.AlignedFace(photo.crop(box), transform, CENTRE, None, photo.size)


def crop_of(reference: Reference) -> str | None:
    """How faces lie in the pictures of a network, None if it makes none or nobody knows."""
    import weights

    own = reference.sha256 is not None
    return reference.open().info.crop if own else weights.describe(reference.name).crop


def square(size: tuple[int, int], zoom: float, across: float, down: float) -> tuple[int, int, int, int]:
    """The square (left, top, right, bottom) that lies as near to the wished middle as the photograph lets it."""
    side = max(8, min(min(size), round(min(size) / zoom)))
    left = min(max(round(across * size[0] - side / 2), 0), size[0] - side)
    top = min(max(round(down * size[1] - side / 2), 0), size[1] - side)
    return left, top, left + side, top + side


def halt(visitor) -> str:
    found = visitor.kept.get(KEPT)
    if found is None or not found.running:
        return note("Nothing is running.")
    found.stopped = True
    return note("Stopping …")


def sent(visitor) -> Sent | None:
    """What was found, on its way to the canvas."""
    from pipelines import draggan

    found = visitor.kept.get(KEPT)
    if found is None or found.latent is None:
        return None
    reference = Reference(found.own, visitor.sha256(found.own)) if found.own else found.reference
    text = draggan.encode_latent(found.latent, reference.open())
    state_of(visitor).sent_photograph = (text, found.source)
    return Sent(reference.name, latent=text)


class Finding:
    """One search, from the photograph to its latent and on to a network of its own."""

    def __init__(self, part: dict[str, gr.components.Component], visitor, technique: str):
        self.part, self.visitor, self.technique = part, visitor, technique

    def run(self, network, class_index, path, where, method, steps, tuning, tuning_steps) -> Iterator[dict]:
        photo = uploads.image(path)
        own = self.visitor.own.get(network)
        network = own.base if own and own.base else network  # a network that was tuned to a photograph stays with it
        reference = networks.resolve(self.visitor, network, self.technique)
        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        halt(self.visitor)  # an earlier search of the same visitor
        part = part_of(photo, reference, *where)
        found = self.visitor.kept[KEPT] = Found(reference, part.image, Photograph(photo, part.aligned))
        arguments = {"method": method} if method == "encoder" else {"method": method, "steps": int(steps)}
        if class_index is not None:
            arguments["class_index"] = class_index
        try:
            yield {self.part["shown"]: enlarged(found.photo)}
            yield from self.search(found, arguments)
            with results.folder() as folder:
                if tuning and not found.stopped and found.latent is not None:
                    yield from self.tune(found, int(tuning_steps), Path(folder) / "tuned.safetensors")
                if found.latent is not None:
                    yield self.result(found, arguments, part.code, tuning, int(tuning_steps), Path(folder))
                else:
                    yield {self.part["news"]: note("Stopped before it began.", "nb-stopped")}
        finally:
            found.running = False

    def search(self, found: Found, arguments: dict) -> Iterator[dict]:
        began = time.perf_counter()
        with closing(jobs.inverted(found.reference, found.photo, {**arguments, "show_every": SHOW_EVERY})) as steps:
            for step in steps:
                if found.stopped:
                    return
                if step.image is None:
                    continue
                found.latent, found.image = step.latent, step.image
                seconds = max(time.perf_counter() - began, 1e-3)
                if "steps" not in arguments:
                    found.facts = ["one pass of the encoder", f"distance {step.loss:.4f}", f"{seconds:.2f} s"]
                    continue
                found.facts = [f"{step.step} steps", f"distance {step.loss:.4f}", f"{step.step / seconds:.0f} a second"]
                yield self.far(found, f"Step {step.step} of {arguments['steps']}", step.loss, step.step / seconds)

    def tune(self, found: Found, steps: int, path: Path) -> Iterator[dict]:
        import weights

        began = time.perf_counter()
        call = (found.reference, found.photo, found.latent, {"steps": steps, "show_every": SHOW_EVERY}, str(path))
        with closing(jobs.tuned(*call)) as made:
            for step in made:
                if step.image is not None:
                    found.image = step.image
                    seconds = max(time.perf_counter() - began, 1e-3)
                    yield self.far(found, f"Tuning, step {step.step} of {steps}", step.loss, step.step / seconds)
                if step.done:
                    info = weights.read(path).info
                    title, base = "Tuned to a photograph", found.reference.name
                    own = OwnFile(info.sha256, info.technique, title, info.img_resolution, "tuned here", base)
                    self.visitor.add(info.name, own)
                    found.own = info.name
                    found.facts += [f"tuned in {step.step}", f"distance {step.loss:.4f}"]
                if found.stopped:
                    return

    def far(self, found: Found, what: str, loss: float, rate: float) -> dict:
        words = f"{what} · distance {loss:.4f} · {rate:.0f} a second"
        return {self.part["made"]: enlarged(found.image), self.part["news"]: going(words)}

    def result(self, found: Found, arguments: dict, cut: str, tuning: bool, tuning_steps: int, folder: Path) -> dict:
        path, npz = (
            jobs.save_latent(found.reference, found.latent, folder / f"photograph-latent.{ending}")
            for ending in ("safetensors", "npz")
        )
        tuned = folder / "tuned.safetensors"
        ran = " · ".join([("Stopped after " if found.stopped else "") + found.facts[0], *found.facts[1:]])
        values = {
            "shown": enlarged(found.photo),
            "made": enlarged(found.image),
            "latent": str(path),
            "latent_npz": str(npz),
            "network": gr.update(value=str(tuned), visible=True) if found.own else gr.update(value=None, visible=False),
            "code": code(found.reference, arguments, cut, tuning_steps if found.own else None),
            "status": note(ran, "nb-ran"),
        }
        return {self.part[name]: value for name, value in values.items()}


def code(reference: Reference, arguments: dict, cut: str, tuning_steps: int | None) -> str:
    """The Python that finds the same latent."""
    from pipelines.recipes import RUN_IN, SAVE

    options = "".join(f", {name}={value!r}" for name, value in arguments.items())
    load = f'weights.load("{reference.name}")' if reference.sha256 is None else 'weights.read("your-file")'
    lines = [
        RUN_IN,
        "import weights",
        "from PIL import Image",
        f"from pipelines import {'faces, ' if cut.startswith('faces.') else ''}inversion, pictures",
        "",
        f"net = {load}",
        'photo = Image.open("your-photograph.jpg")',
        f"photo = {cut}",
        f"*_, last = inversion.invert(net, photo{options})",
        "result = last.image",
    ]
    if tuning_steps is not None:
        lines += [
            "",
            f"*_, tuned = inversion.tune(net, photo, last.latent, steps={tuning_steps})",
            'inversion.save_network("tuned.safetensors", tuned.net)',
            "result = tuned.image",
        ]
    lines.append(SAVE)
    return "\n".join(lines) + "\n"
