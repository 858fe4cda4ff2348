"""Cell 1: points on a picture, and the picture follows."""

from __future__ import annotations

from functools import partial

import gradio as gr

from ... import canvas, controls
from ...controls import kinds
from ...handover import Handover
from ...lifecycle import QUIET
from ...notebook import Cell, Notebook
from ...running import named
from . import animation, examples
from .handlers import Handlers

PROSE = r"""
Click what should move, click where it should go, press *Drag*. Nothing is cut or warped: step by step the network finds
pictures in which the point is a little nearer to its target. Paint an area to say what may move, or what must stay.
"""

API_DRAG = """Pulls points of a picture to their targets (DragGAN). Yields while it runs; the last answer has the
picture as PNG, before and after, the latent, the recipe, the Python that repeats it, what ran, and more that the page
shows. Called again in the same session it goes on from where it is, with the points that are sent then.

Args:
    network: a checkpoint such as stylegan2/faces.
    class_index: for conditional networks, which class.
    seed, truncation_psi: of the picture to start from.
    drawing: size, points and painted area, such as
        {"size": [64, 64], "points": [{"handle": [20, 32], "target": [28, 32]}]}.
    painted: flexible (what is painted may move) or fixed (it must stay).
    steps: at most, 1 to 500.
    lr, r1, r2, rows, feature_resolution, stop_distance: numbers as text; empty: what suits the network. r1, r2 are the
        radius that is pulled and that is searched, in pixels at 512 px.
    mask_weight: how strongly the rest is held, as text; empty: what suits the network.
    mask_space: what of the rest is held: auto (what suits the network), features or picture (its colours).
    latent_weight: how strongly the latent is held.
    patience: it ends after so many steps without coming nearer.
    space: w+ or w.
    mode: fast, or reference (the authors' arithmetic).
"""
API_STOP = """Stops the drag that runs in this session within one step; what is done stays. Gives a sentence as HTML.

Args: none."""
API_UNDO = """Takes the last drag of this session back. Gives what the drag gives, as it was before.

Args: none."""
API_BACK = """Takes the last drag of this session back to the last step whose picture had not strayed from what the
network makes. Gives what the drag gives.

Args: none."""
API_PASTE = """The photograph of this session with what the drags have changed in it: those of a picture that was found
for a photograph (draggan_invert) and sent here. Gives it before and after, it as PNG, and the news.

Args: none."""
API_RESET = """Takes all drags of this session back. Gives what the drag gives, as it was at first.

Args: none."""
API_ANIMATE = """The drags of this session as an animation. Gives the file; then it as a picture (GIF, WebP) or as a
video (MP4).

Args:
    format: gif, webp or mp4.
    fps: frames per second, 1 to 60.
    points: draws the points in.
    size: 1x (256 pixels), 2x, 4x, or the pixels of a side.
"""
# What a drag gives to scripts, in this order; then what only the page has use for.
RESULT = ("sheet", "compare", "latent", "recipe", "code", "status", "news")
SHOWN = ("board", "meter", "go", "back", "paste", "whole", "full", "film", "video", "file", "film_news", "latent_npz")
# Parameters that suit a network where nothing is written; what that is stands in the empty box.
OPTIONAL_CONTROLS = (
    ("lr", "Step size", None),
    ("r1", "r₁", "pulled around a point; px at 512 px"),
    ("r2", "r₂", "searched around a point; px at 512 px"),
    ("rows", "Rows of w+ that move", None),
    ("feature_resolution", "Feature map, px", None),
    ("stop_distance", "Arrived within, px", None),
    ("mask_weight", "λ", "holds what must stay"),
)


def build(book: Notebook, tab: gr.Tab, handover: Handover) -> tuple[Cell, Handlers]:
    part = {}
    with book.cell("drag", "Press, pull", PROSE) as cell:
        with cell.controls():
            parameters = _controls(cell, part)
        with cell.result("Picture · PNG"):
            tries = _examples(cell)
            with gr.Row(elem_classes="nb-stage"):
                part["board"] = canvas.board(
                    label="Picture with points",
                    empty="Press Show the picture, or one of the examples.",
                    compares=True,
                    elem_id=cell.id("canvas"),
                )
                with gr.Column(elem_classes=["nb-buttons", "nb-hands"], min_width=0):
                    small = {"min_width": 0}
                    part["go"] = gr.Button("Drag", variant="primary", elem_id=cell.id("run"), **small)
                    stop = gr.Button("Stop", variant="stop", elem_id=cell.id("stop"), **small)
                    part["back"] = gr.Button("Back", visible=False, elem_id=cell.id("back"), **small)
                    undo = gr.Button("Undo last drag", elem_id=cell.id("undo"), **small)
                    reset = gr.Button("Reset", elem_id=cell.id("reset"), **small)
                    part["meter"] = gr.HTML(
                        "", label="How far it is", elem_classes="nb-numbers", elem_id=cell.id("meter")
                    )
        part |= {name: getattr(cell, name) for name in ("news", "status", "sheet", "recipe")}
        animate = _outcome(cell, part)
    part |= {"code": cell.code, "network": book.chooser.network, "class_index": book.chooser.class_index}
    handlers = Handlers(part, parameters, book.chooser.technique)
    _wire(cell, handlers, tab, animate, stop, undo, reset, tries)
    for to in ("attgan", "igan"):
        handover.offers(cell.send_buttons[to], to, [], handlers.sent)
    handover.takes("draggan", cell, handlers.take_sent, [], list(part.values()))
    return cell, handlers


def _controls(cell: Cell, part: dict) -> list[str]:
    """The column beside the canvas. Gives the names of those controls that are arguments of ``draggan.drag``."""
    part["seed"] = controls.seed(cell, 3)
    with gr.Row(elem_classes=["nb-buttons", "nb-pick"]):
        part["show"] = gr.Button("Show the picture", elem_id=cell.id("show"), min_width=0)
        part["another"] = gr.Button("Another", elem_id=cell.id("another"), min_width=0)
    part["truncation_psi"] = controls.psi(cell)
    made = {
        "painted": gr.Radio(
            [("may move", "flexible"), ("stays", "fixed")],
            value="flexible",
            label="What is painted",
            elem_id=cell.id("painted"),
        )
    }
    with gr.Accordion("Settings of the drag", open=False, elem_id=cell.id("how")):
        made["steps"] = gr.Slider(1, 1000, 100, step=1, label="Steps at most", elem_id=cell.id("steps"))
        made["latent_weight"] = gr.Slider(
            0, 10, 0, step=0.1, label="Latent regularisation", elem_id=cell.id("latent-weight")
        )
        made["space"] = gr.Radio(
            ["w+", "w"],
            value="w+",
            label="Latent space",
            info="w changes more of the picture",
            elem_id=cell.id("space"),
        )
        made["patience"] = gr.Slider(
            5,
            1000,
            30,
            step=5,
            label="Patience",
            info="steps without coming nearer, then it ends",
            elem_id=cell.id("patience"),
        )
        for name, words, info in OPTIONAL_CONTROLS:
            made[name] = controls.optional(cell, name.replace("_", "-"), words, info=info, placeholder="auto")
        made["mask_space"] = gr.Radio(
            [("auto", "auto"), ("features", "features"), ("colours", "picture")],
            value="auto",
            label="λ holds",
            elem_id=cell.id("mask-space"),
        )
        made["mode"] = gr.Radio(
            [("fast", "fast"), ("as the authors' program", "reference")],
            value="fast",
            label="Arithmetic",
            elem_id=cell.id("mode"),
        )
    part |= made
    with gr.Row(elem_classes="nb-tools"):
        part["latent_load"] = gr.UploadButton(
            "Start from a latent",
            file_types=[".safetensors", ".npz"],
            size="sm",
            min_width=0,
            elem_id=cell.id("latent-load"),
        )
    return list(made)


def _examples(cell: Cell) -> dict[str, gr.Button]:
    with gr.Row(elem_classes=["nb-inline", "nb-tries"], elem_id=cell.id("examples")):
        gr.HTML("Try", elem_classes="nb-try")
        return {
            example.key: gr.Button(example.title, size="sm", min_width=0, elem_id=cell.id(f"try-{example.key}"))
            for example in examples.at_hand()
        }


def _outcome(cell: Cell, part: dict) -> gr.Button:
    """What there is after a drag: before and after, the latent, the animation."""
    small = {"size": "sm", "min_width": 0}
    with gr.Row(elem_classes="nb-outcome", elem_id=cell.id("outcome")):
        with gr.Column(min_width=0):
            gr.HTML("<h3>Before and after</h3>", elem_classes="nb-small-heading")
            part["compare"] = controls.before_after(cell, "compare")
            with gr.Row(elem_classes="nb-tools"):
                part["size"] = controls.file_size(cell)
                part["latent"] = cell.download("Latent · safetensors", "latent", classes=None)
                part["latent_npz"] = cell.download("Latent · npz", "latent-npz", classes=None)
                for to, words in (("attgan", "Tick attributes in AttGAN"), ("igan", "Paint in iGAN")):
                    cell.send_buttons[to] = gr.Button(words, elem_id=cell.id(f"send-{to}"), **small)
                words = "Put it back into the photograph"
                part["paste"] = gr.Button(words, visible=False, elem_id=cell.id("paste"), **small)
            part["whole"] = controls.before_after(cell, "whole", visible=False)
            part["full"] = gr.DownloadButton("Photograph · PNG", visible=False, elem_id=cell.id("full"), **small)
        with gr.Column(elem_classes=["nb-controls", "nb-film-tools"], min_width=0):
            gr.HTML("<h3>The way there</h3>", elem_classes="nb-small-heading")
            part["film"], part["video"] = controls.film(cell)
            part["format"] = gr.Radio(kinds(), value="gif", label="File", elem_id=cell.id("format"))
            part["film_size"] = controls.file_size(cell, "film-size")
            part["fps"] = gr.Slider(1, 60, 20, step=1, label="Frames a second", elem_id=cell.id("fps"))
            part["points"] = gr.Checkbox(True, label="With the points", elem_id=cell.id("points"))
            with gr.Row(elem_classes="nb-tools"):
                animate = gr.Button("Make the animation", elem_id=cell.id("animate"), **small)
                part["file"] = gr.DownloadButton("Animation file", visible=False, elem_id=cell.id("file"), **small)
            part["film_news"] = gr.HTML("", label="Animation", elem_classes="nb-news", elem_id=cell.id("film-news"))
    return animate


def _wire(cell, handlers: Handlers, tab, animate, stop, undo, reset, tries) -> None:
    part, chooser = handlers.part, cell.book.chooser
    session, everything = chooser.session, list(handlers.part.values())
    result = [part[name] for name in (*RESULT, *SHOWN)]
    picture = [session, chooser.network, chooser.class_index, part["seed"], part["truncation_psi"]]
    at_once = {"queue": False, **QUIET}
    cell.makes([part["board"], part["compare"], part["film"], part["video"]], picture[1:])

    # The picture to start from: it follows its controls, and comes by itself when the tab is first looked at.
    newest = {"trigger_mode": "always_last"}
    moved = [part["seed"].input, part["truncation_psi"].input, chooser.class_index.input]
    cell.on(moved, partial(handlers.open, live=True), picture, everything, **newest)
    cell.on(chooser.network.change, handlers.follow, picture, everything, **newest)
    cell.on(tab.select, handlers.greet, picture, everything)
    drawn = controls.another(part["another"], part["seed"])
    for trigger in (part["show"].click, drawn.then):
        cell.on(trigger, handlers.open, picture, everything)
    latent = [session, chooser.network, part["latent_load"]]
    cell.on(part["latent_load"].upload, handlers.take_latent, latent, everything)

    # Pulling.
    drag = named(
        handlers.drag, ["visitor", "network", "class_index", "seed", "truncation_psi", "drawing"], handlers.parameters
    )
    inputs = [*picture, part["board"], *(part[name] for name in handlers.parameters)]
    asked = part["go"].click(handlers.ask, session, None, **{**at_once, "api_visibility": "private"})
    cell.on(asked.then, drag, inputs, result, api_name="draggan_drag", api_description=API_DRAG)
    stop.click(handlers.stop, session, part["news"], api_name="draggan_stop", api_description=API_STOP, **at_once)
    taking_back = (
        (part["back"], handlers.back, API_BACK),
        (undo, handlers.undo, API_UNDO),
        (reset, handlers.reset, API_RESET),
    )
    for button, function, words in taking_back:
        name = f"draggan_{function.__name__}"
        cell.on(button.click, function, [session], result, api_name=name, api_description=words, queue=False,
                concurrency_limit=None)  # fmt: skip
    cell.loads("draggan.replay", handlers.load_recipe, everything)
    for key, button in tries.items():
        play = partial(handlers.play_example, example=examples.EXAMPLES[key])
        cell.on(button.click, play, [session], everything)
    resized = [part["sheet"], part["news"]]
    cell.on(part["size"].input, handlers.resized, [session, part["size"]], resized, trails=True)
    pasted = [part[name] for name in ("whole", "full", "news")]
    cell.on(part["paste"].click, handlers.pasted, [session], pasted, api_name="draggan_paste",
            api_description=API_PASTE, trails=True)  # fmt: skip
    cell.on(
        animate.click,
        named(partial(animation.animate, part), ["visitor", "format", "fps", "points", "size"]),
        [session, part["format"], part["fps"], part["points"], part["film_size"]],
        [part[name] for name in ("file", "film", "video", "film_news", "news")],
        api_name="draggan_animate",
        api_description=API_ANIMATE,
        show_progress_on=part["film_news"],
        concurrency_id="files",
        concurrency_limit=2,
        trails=True,
    )
    cell.finish()
