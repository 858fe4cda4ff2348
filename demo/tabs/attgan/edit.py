"""Cell 1: a photograph with a face, and what that face should have."""

from __future__ import annotations

import gradio as gr

from ... import controls
from ...handover import Handover
from ...notebook import Cell, Notebook
from .display import Display, state_of
from .handlers import MOST, Handlers

PROSE = r"""
Choose a photograph. The face in it is found, aligned and read; the bars say what a second network sees in it.
Then tick what it should have. The encoder keeps who it is, $z = E(x)$; the decoder makes the face again from that and
from a list of attributes $b$, $\hat x = G(z, b)$; the difference to $G(z, a)$, with the attributes $a$ it had, goes
back into your photograph.
"""

API_FACE = """Finds a face in a photograph and reads it; the other AttGAN endpoints of this session then edit that face.
Gives the aligned face, its reconstruction, the photograph before and after, the bars as HTML, what ran, the Python that
repeats it, and the news.

Args:
    network: a checkpoint such as attgan/faces.
    photo: a photograph.
    face: its number, 0 being the most prominent; centre: the square in the middle.
    has: attributes by name that it has or has not, such as {"Male": true}; what is not said, the classifier says.
    local: true: edits change only where their attribute lies; false: the network's whole picture, as in the paper.
"""
API_EDIT = """Changes attributes of the face of this session. Gives what the face gives, edited.

Args:
    changes: intensities by name, -2 to 2, such as {"Eyeglasses": 1, "Young": -1}; {} gives the face as it was.
"""
API_FILES = """The present edit of this session as files: the face, the whole photograph, the recipe.

Args: none."""
RESULT = ("crop", "made", "whole", "odds", "status", "code", "news")


def build(book: Notebook, tab: gr.Tab, handover: Handover) -> tuple[Cell, Handlers]:
    part, sliders = {}, []
    with book.cell("edit", "A face, and what it should have", PROSE) as cell:
        with cell.controls():
            part["photo"] = controls.photograph(cell, ("upload", "webcam", "clipboard"))
            part["faces"] = controls.faces(cell, "faces", "Faces in it")
            part["middle"] = gr.Button("Centre crop", visible=False, elem_id=cell.id("middle"), min_width=0)
            part["ticks"] = gr.CheckboxGroup(
                [],
                label="What it should have",
                info="ticked: as it is now",
                elem_id=cell.id("ticks"),
                elem_classes="nb-chips",
            )
            part["local"] = gr.Checkbox(
                True,
                label="Leave the rest as it was",
                info="only what belongs to the attribute changes; off: the network's whole picture, as in the paper",
                elem_id=cell.id("local"),
            )
            with gr.Accordion("How strongly", open=False, elem_id=cell.id("how")):
                for i in range(MOST):
                    sliders.append(
                        gr.Slider(-2, 2, 0, step=0.05, label=f"Attribute {i + 1}", elem_id=cell.id(f"slider-{i + 1}"))
                    )
            with gr.Row(elem_classes="nb-buttons"):
                undo = gr.Button("Reset", elem_id=cell.id("undo"), min_width=0)
        with cell.result("The face · PNG"):
            part["examples"] = controls.faces(cell, "examples", "Faces to try")
            with gr.Row(elem_classes=["nb-looks", "nb-pair"]):
                part["crop"] = controls.picture(cell, "crop", "Before: the face in the photograph")
                part["made"] = controls.picture(cell, "made", "After: what the network makes of it")
            with gr.Row(elem_classes=["nb-outcome", "nb-whole"]):
                with gr.Column(min_width=0):
                    gr.HTML("<h3>In the photograph</h3>", elem_classes="nb-small-heading")
                    part["whole"] = controls.before_after(cell, "whole", "jpeg")
                    with gr.Row(elem_classes="nb-tools"):
                        part["full"] = cell.download("The photograph · PNG", "full")
                with gr.Column(min_width=0):
                    gr.HTML("<h3>What it has now</h3>", elem_classes="nb-small-heading")
                    part["odds"] = gr.HTML("", label="Probabilities", elem_id=cell.id("odds"))
        part |= {name: getattr(cell, name) for name in ("news", "status", "sheet", "recipe")}
        # What scripts send; the page has boxes and sliders for it.
        which = gr.Textbox(None, visible=False, label="Face", elem_id=cell.id("api-which"))
        has = gr.JSON(None, visible=False, label="Has")
        changes = gr.JSON(None, visible=False, label="Changes")
        api_look, api_edit, api_files = (
            gr.Button(words, visible=False, elem_id=cell.id(f"api-{words.lower()}"))
            for words in ("Look", "Edit", "Files")
        )
    part |= {"code": cell.code, "network": book.chooser.network}
    handlers = Handlers(part, sliders, book.chooser.technique)

    _wire(cell, handlers, tab, undo)
    _script(cell, handlers, (api_look, api_edit, api_files), (which, has, changes))
    network = book.chooser.network
    handover.takes("attgan", cell, handlers.take_sent, [network], handlers.everything)
    return cell, handlers


def _wire(cell: Cell, handlers: Handlers, tab: gr.Tab, undo: gr.Button) -> None:
    part, sliders, chooser = handlers.part, handlers.sliders, cell.book.chooser
    session, network, outputs = chooser.session, chooser.network, handlers.everything
    cell.makes([part[name] for name in ("crop", "made", "whole", "odds")], [network, part["photo"]])

    def on(trigger, function, inputs, **options) -> None:
        handlers.writes(cell.on(trigger, function, inputs, outputs, **options), session)

    newest = {"trigger_mode": "always_last"}
    on(part["photo"].input, handlers.chosen, [session, network, part["photo"]], **newest)
    on(part["faces"].select, handlers.another, [session, network])
    on(part["middle"].click, handlers.middle, [session, network])
    on(network.change, handlers.follow, [session, network])
    on(part["ticks"].input, handlers.tick, [session, part["ticks"], *sliders], **newest)
    on([s.input for s in sliders], handlers.slid, [session, *sliders], **newest)
    on(part["local"].input, handlers.keep, [session, part["local"]], **newest)
    on(undo.click, handlers.undo, [session])
    on(part["examples"].select, handlers.example, [session, network])
    on(tab.select, handlers.greet, [session, network])
    handlers.writes(cell.loads("attgan.edit", handlers.load_recipe, outputs), session)
    cell.clears(part["photo"], handlers.clear, outputs)
    cell.finish()


def _script(cell: Cell, handlers: Handlers, buttons: tuple, given: tuple) -> None:
    """What scripts call; the page has boxes and sliders for it."""
    part, chooser, (which, has, changes) = handlers.part, cell.book.chooser, given
    session, result = chooser.session, [part[name] for name in RESULT]
    look, edit, files = buttons

    def attgan_face(visitor, network=None, photo=None, face=None, has=None, local=None):
        yield from handlers.look(visitor, network, photo, face, has, local)

    def attgan_edit(visitor, changes=None):
        yield from handlers.edit(visitor, changes)

    def attgan_files(visitor):
        state = state_of(visitor)
        state.face()
        state.written = -1  # scripts are given them as often as they ask
        yield from handlers.files(visitor)

    inputs = [session, chooser.network, part["photo"], which, has, part["local"]]
    cell.on(look.click, attgan_face, inputs, result, api_name="attgan_face", api_description=API_FACE)
    cell.on(edit.click, attgan_edit, [session, changes], result, api_name="attgan_edit", api_description=API_EDIT)
    outputs = [part[name] for name in Display.FILES]
    cell.on(files.click, attgan_files, [session], outputs, api_name="attgan_files", api_description=API_FILES,
            concurrency_limit=1)  # fmt: skip
