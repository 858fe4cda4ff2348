"""Cell 1: three brushes on a picture, and pictures that answer."""

from __future__ import annotations

from functools import partial

import gradio as gr

from ... import canvas, controls, tiles
from ...controls import kinds
from ...handover import Handover
from ...lifecycle import PRIVATE, QUIET
from ...notebook import Cell, Notebook
from ...running import named
from .animation import STEPS, Film
from .examples import EXAMPLES
from .handlers import Handlers
from .picture import PHOTO, SCRATCH, SEED
from .text import TOOLS

PROSE = r"""
Paint a colour where it should be, draw a line where there should be an edge, or press on a part of the picture and pull
it aside. When you let go, sixteen latents $z$ are moved at once until their pictures have what you asked for, without
going far from where they began:

$$z^* = \arg\min_z \sum_g \bigl\| f_g(G(z)) - v_g \bigr\|^2 + \lambda_s \| z - z_0 \|^2 + E_D .$$

Press one of the answers to take it. *Fix* keeps what was asked for and goes on from there.
"""

API_BRUSH = """Pictures that follow a drawing. Yields while it runs; the last answer has the picture that comes nearest
as PNG, its latent as text, the recipe, the Python that repeats it, what ran, the news, and more that the page shows.

Args:
    network: igan/shoes, igan/faces, igan/flowers, or a StyleGAN2 such as stylegan2/faces.
    origin: seed (the picture of a seed) or scratch; photo: what igan_project of this session found.
    seed: of the picture to start from.
    drawing: size, layers (colour, with a palette, and sketch) and patches, such as
        {"size": [64, 64], "patches": [{"source": [20.5, 31.5], "target": [28.5, 31.5], "size": 12}]}.
    starts: latents that are tried at once, 1 to 256.
    steps: 1 to 200.
    smoothness: how strongly it stays near the start, 0 to 20.
    sketch_weight: of lines beside colours, 0 to 2.
    realism: weight of the discriminator's opinion, 0 to 1; 0 leaves it out.
    lr: step size, 0.01 to 0.5.
"""
API_CHOOSE = """Takes another candidate of the last drawing of this session. Gives what igan_brush gives.

Args:
    number: 1 for the best; 0 for the average of all.
"""
API_FIX = """Keeps what was drawn in this session as asked for; the next drawing goes on from the chosen candidate.
Gives what igan_brush gives, empty until then.

Args: none."""
API_RESTART = """Forgets what was drawn and fixed in this session. Gives what igan_brush gives, as it was at first.

Args: none."""
API_STOP = """Stops what runs in this session within one step; what came of it stays. Gives a sentence as HTML.

Args: none."""
API_ANIMATE = """The way from the first picture of this session to the chosen one as an animation, there and back. Gives
the file; then it as a picture (GIF, WebP) or as a video (MP4).

Args:
    frames: 2 to 240, one way.
    format: gif, webp or mp4.
    fps: frames per second, 1 to 60.
    size: 1x (at least 256 pixels), 2x, 4x, or the pixels of a side.
"""
API_SAVE = """The chosen picture, its latent, the recipe and all candidates of this session. Gives a zip file.

Args: none."""
RESULT = ("sheet", "latent", "recipe", "code", "status", "news")
SHOWN = ("board", "tiles", "answer", "meter", "play", "film", "video", "file", "film_news", "save_file", "starts",
         "realism", "origin")  # fmt: skip
# Saved as soon as it is packed: a browser takes a file when its link is pressed.
TAKE = "() => setTimeout(() => document.querySelector('#ig-brush-save-file')?.click(), 150)"


def build(book: Notebook, tab: gr.Tab, handover: Handover) -> tuple[Cell, Handlers]:
    part: dict = {}
    with book.cell("brush", "Brushes: colour, line, warp", PROSE) as cell:
        with cell.controls():
            settings = _controls(cell, part)
        with cell.result("Picture · PNG"):
            with gr.Row(elem_classes=["nb-inline", "nb-tries"], elem_id=cell.id("examples")):
                gr.HTML("Try", elem_classes="nb-try")
                tries = {
                    key: gr.Button(words, size="sm", min_width=0, elem_id=cell.id(f"try-{key}"))
                    for key, (words, _draw) in EXAMPLES.items()
                }
            with gr.Row(elem_classes="nb-stage"):
                part["board"] = canvas.board(
                    TOOLS,
                    label="Drawing pad",
                    empty="Press Show the picture.",
                    keys={
                        "p": cell.id("play-run"),
                        "f": cell.id("fix"),
                        "r": cell.id("restart"),
                        "s": cell.id("save"),
                        "e": "hide",
                    },
                    elem_id=cell.id("canvas"),
                )
                buttons = _hands(cell, part)
            gr.HTML("<h3>Candidates</h3>", elem_classes=["nb-small-heading", "nb-candidates"])
            part["tiles"] = tiles.board("Candidates", elem_id=cell.id("candidates"))
            animate = _outcome(cell, part)
        part |= {name: getattr(cell, name) for name in ("news", "status", "sheet", "recipe")}
        ticket = gr.Number(None, visible=False, label="Ticket", elem_id=cell.id("ticket"))
        number = gr.Number(None, visible=False, label="Number", elem_id=cell.id("api-number"))
        api = {
            name: gr.Button(name, visible=False, elem_id=cell.id(f"api-{name}")) for name in ("brush", "choose", "save")
        }
    part |= {"code": cell.code, "network": book.chooser.network}
    handlers = Handlers(part, settings, book.chooser.technique)
    _wire(cell, handlers, tab, buttons, animate, ticket)
    inputs = [part[name] for name in ("origin", "seed", *settings)]
    for key, button in tries.items():
        event = partial(handlers.attempt, example=EXAMPLES[key][1])
        given = [book.chooser.session, book.chooser.network, *inputs]
        cell.on(button.click, event, given, list(part.values()))
    _script(cell, handlers, api, number)
    handover.offers(cell.send_buttons["draggan"], "draggan", [], handlers.sent)
    handover.takes("igan", cell, handlers.take_sent, [], list(part.values()))
    return cell, handlers


def _controls(cell: Cell, part: dict) -> list[str]:
    """The column beside the pad. Gives the names of those controls that are arguments of ``igan.brush``."""
    part["origin"] = gr.Radio(
        [("a seed", SEED), ("nothing", SCRATCH), ("photograph", PHOTO)],
        value=SEED,
        label="Start from",
        info="a photograph comes from cell 2",
        elem_id=cell.id("origin"),
    )
    part["seed"] = controls.seed(cell, 5)
    with gr.Row(elem_classes=["nb-buttons", "nb-pick"]):
        part["show"] = gr.Button("Show the picture", elem_id=cell.id("show"), min_width=0)
        part["another"] = gr.Button("Another", elem_id=cell.id("another"), min_width=0)
    made = {}
    made["smoothness"] = gr.Slider(
        0,
        20,
        1,
        step=0.5,
        label="Stay near the start, λs",
        info="0: wherever it leads · 20: hardly moves",
        elem_id=cell.id("smoothness"),
    )
    with gr.Accordion("Settings of the search", open=False, elem_id=cell.id("how")):
        made["starts"] = gr.Radio(
            [("4", 4), ("16", 16), ("64", 64)],
            value=16,
            label="Starts",
            info="tried at once; the paper has 64",
            elem_id=cell.id("starts"),
        )
        made["steps"] = gr.Slider(1, 200, 40, step=1, label="Steps", elem_id=cell.id("steps"))
        made["sketch_weight"] = gr.Slider(
            0, 2, 0.2, step=0.05, label="Weight of lines", info="beside colours", elem_id=cell.id("sketch-weight")
        )
        made["realism"] = gr.Slider(
            0,
            1,
            0,
            step=0.01,
            label="Realism, λD",
            info="asks the discriminator, too",
            elem_id=cell.id("realism"),
        )
        made["lr"] = gr.Slider(0.01, 0.5, 0.1, step=0.01, label="Step size", elem_id=cell.id("lr"))
    part |= made
    return list(made)


def _hands(cell: Cell, part: dict) -> dict[str, gr.Button]:
    """What stands beside the pad: the answer without what was painted, and what can be done with it."""
    small = {"min_width": 0}
    with gr.Column(elem_classes=["nb-buttons", "nb-hands", "nb-answering"], min_width=0):
        part["answer"] = tiles.board("The answer", ["nb-answer"], elem_id=cell.id("answer"))
        buttons = {
            "run": gr.Button("Run again", elem_id=cell.id("run"), **small),
            "stop": gr.Button("Stop", variant="stop", elem_id=cell.id("stop"), **small),
            "play": gr.Button("Play", elem_id=cell.id("play-run"), elem_classes="nb-key", **small),
            "fix": gr.Button("Fix", variant="primary", elem_id=cell.id("fix"), elem_classes="nb-key", **small),
            "restart": gr.Button("Restart", elem_id=cell.id("restart"), elem_classes="nb-key", **small),
            "save": gr.Button("Save", elem_id=cell.id("save"), elem_classes="nb-key", **small),
        }
        part["play"] = gr.Slider(
            0,
            STEPS,
            STEPS,
            step=1,
            label="From the first picture to this one",
            elem_id=cell.id("play"),
            elem_classes="nb-way",
            buttons=[],
        )
        part["meter"] = gr.HTML("", label="How far it is", elem_classes="nb-numbers", elem_id=cell.id("meter"))
    return buttons


def _outcome(cell: Cell, part: dict) -> gr.Button:
    """What there is after an answer: the latent, the way as an animation."""
    small = {"size": "sm", "min_width": 0}
    with gr.Accordion("The way there, as an animation", open=False, elem_classes="nb-wayout", elem_id=cell.id("way")):
        with gr.Row(elem_classes="nb-way-body"):
            with gr.Column(elem_classes=["nb-controls", "nb-film-tools"], min_width=0):
                part["frames"] = gr.Slider(2, 120, 24, step=1, label="Frames, one way", elem_id=cell.id("frames"))
                part["format"] = gr.Radio(kinds(), value="gif", label="File", elem_id=cell.id("format"))
                part["film_size"] = controls.file_size(cell, "film-size")
                part["fps"] = gr.Slider(1, 60, 16, step=1, label="Frames a second", elem_id=cell.id("fps"))
                with gr.Row(elem_classes="nb-tools"):
                    animate = gr.Button("Make the animation", elem_id=cell.id("animate"), **small)
                    part["file"] = gr.DownloadButton("Animation file", visible=False, elem_id=cell.id("file"), **small)
                part["film_news"] = gr.HTML("", label="Animation", elem_classes="nb-news", elem_id=cell.id("film-news"))
            with gr.Column(min_width=0):
                part["film"], part["video"] = controls.film(cell)
    with gr.Row(elem_classes="nb-tools"):
        part["size"] = controls.file_size(cell)
        part["latent"] = cell.download("Latent · text", "latent")
        cell.send_buttons["draggan"] = gr.Button("Drag it in DragGAN", elem_id=cell.id("send-draggan"), **small)
        part["save_file"] = gr.DownloadButton(
            "Everything · zip", elem_id=cell.id("save-file"), elem_classes="nb-unseen", **small
        )
    return animate


def _wire(cell: Cell, handlers: Handlers, tab: gr.Tab, buttons: dict, animate: gr.Button, ticket: gr.Number) -> None:
    part, chooser, film = handlers.part, cell.book.chooser, Film(handlers)
    session, everything = chooser.session, list(part.values())
    picture = [session, chooser.network, part["origin"], part["seed"]]
    at_once, fast = {"queue": False, **QUIET}, {"concurrency_limit": 2}
    cell.makes([part["board"], part["tiles"], part["answer"]], picture[1:])

    # The picture to start from: it follows its controls, and comes by itself when the tab is first looked at.
    newest = {"trigger_mode": "always_last"}
    moved = [part["seed"].input, part["origin"].input]
    cell.on(moved, partial(handlers.open, live=True), picture, everything, **newest)
    cell.on(chooser.network.change, handlers.follow, picture, everything, **newest)
    cell.on(tab.select, handlers.greet, picture, everything)
    drawn = controls.another(part["another"], part["seed"])
    for trigger in (part["show"].click, drawn.then):
        cell.on(trigger, handlers.show, picture, everything)

    # Painting. What a stroke asks for carries a number, so that of several on their way the last one counts.
    inputs = [*picture, part["board"], ticket, *(part[name] for name in handlers.settings)]
    for event in (
        part["board"].input,
        buttons["run"].click,
        *(part[name].release for name in ("smoothness", "steps", "sketch_weight", "realism", "lr")),
        part["starts"].input,
    ):
        heard = event(handlers.heard, session, ticket, trigger_mode="multiple", api_visibility="private", **at_once)
        cell.on(heard.then, handlers.paint, inputs, everything, trigger_mode="multiple")
    cell.on(part["tiles"].select, handlers.choose, [session], everything, **fast)
    buttons["stop"].click(
        handlers.stop, session, part["news"], api_name="igan_stop", api_description=API_STOP, **at_once
    )
    result = [part[name] for name in (*RESULT, *SHOWN)]
    for name, words in (("fix", API_FIX), ("restart", API_RESTART)):
        cell.on(buttons[name].click, getattr(handlers, name), [session], result, api_name=f"igan_{name}",
                api_description=words, **fast)  # fmt: skip
    cell.loads("igan.brush", handlers.load_recipe, everything)

    cell.on(buttons["play"].click, film.play, [session], everything, trails=True)
    cell.on(part["play"].input, film.slide, [session, part["play"]], everything, trails=True, **newest)
    resized = [part["sheet"], part["news"]]
    cell.on(part["size"].input, handlers.resized, [session, part["size"]], resized, trails=True)
    cell.on(
        animate.click,
        named(film.animate, ["visitor", "frames", "format", "fps", "size"]),
        [session, part["frames"], part["format"], part["fps"], part["film_size"]],
        [part[name] for name in ("file", "film", "video", "film_news", "news")],
        api_name="igan_animate",
        api_description=API_ANIMATE,
        trails=True,
    )
    file = [part["save_file"], part["news"]]
    packed = cell.on(buttons["save"].click, film.save, [session], file, trails=True, **fast)
    packed.success(None, None, None, js=TAKE, **PRIVATE)
    cell.finish()


def _script(cell: Cell, handlers: Handlers, api: dict, number: gr.Number) -> None:
    """What scripts call; the page has the canvas and its tiles for it."""
    part, chooser = handlers.part, cell.book.chooser
    session, result = chooser.session, [part[name] for name in (*RESULT, *SHOWN)]
    given = ["visitor", "network", "origin", "seed", "drawing"]
    brush = named(
        lambda visitor, network, origin, seed, drawing, *values: handlers.paint(
            visitor, network, origin, seed, drawing, None, *values
        ),
        given,
        handlers.settings,
    )
    inputs = [session, chooser.network, part["origin"], part["seed"], part["board"]]
    inputs += [part[name] for name in handlers.settings]
    cell.on(api["brush"].click, brush, inputs, result, api_name="igan_brush", api_description=API_BRUSH)
    choose = named(handlers.pick, ["visitor", "number"])
    cell.on(api["choose"].click, choose, [session, number], result, api_name="igan_choose", api_description=API_CHOOSE)
    save, outputs = named(Film(handlers).save, ["visitor"]), [part["save_file"], part["news"]]
    cell.on(api["save"].click, save, [session], outputs, api_name="igan_save", api_description=API_SAVE, trails=True,
            concurrency_limit=1)  # fmt: skip
