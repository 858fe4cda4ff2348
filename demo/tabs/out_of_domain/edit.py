"""Cell 1: a photograph, what should change in it, and where."""

from __future__ import annotations

import gradio as gr

from pipelines.defaults import BLENDS, SOFTNESS, THRESHOLD

from ... import canvas, controls
from ...handover import Handover
from ...lifecycle import QUIET
from ...notebook import Cell, Notebook
from .display import MASK_CONTROLS, TOOLS, Display, state_of
from .handlers import Handlers
from .state import MOST

PROSE = r"""
The photograph $I$ is *inverted*: a latent $w$ is found from which the network makes something like it, $I' = G(w)$, hat
and hand left out. Then $w$ moves along a direction $n$, and $T = G(w + \alpha n)$ smiles. *Diff-CAM* compares the two
and says where the smile is, $M$. Only that is taken over,

$$F = M \cdot T + (1 - M) \cdot I,$$

and a last network removes what shines through at the seam. So the paper; where the change $T - I'$ is small, we lay
*it* over the photograph, $F = I + M \cdot (T - I')$, so that skin and hair stay yours; what a smile changes
at the border of the mask is left out, so that no border is seen. Where the mask is nothing, the result is the
photograph itself; and what lies before the face, the hat and the hand, a small network finds and leaves out of the
mask, because what the generator makes there is not yours. Tick several things, pull the sliders, paint: the photograph
is inverted once.
"""

API_PHOTO = """Finds a face in a photograph and inverts it; the other out-of-domain endpoints of this session then edit
that face. Gives the stages that there are, the photograph before and after, what ran, the Python that repeats it, and
the news.

Args:
    network: a StyleGAN2 of faces such as stylegan2/faces.
    photo: a photograph.
    method: auto, encoder, hybrid or optimisation.
    steps: of the optimisation as text, 1 to 1000; empty: what suits the method.
    face: its number, 0 being the most prominent; centre: the square in the middle.
"""
API_EDIT = """Edits the face of this session along directions. Gives the six stages with captions, the photograph before
and after, what ran, the Python that repeats it, and the news.

Args:
    edits: strengths by direction, -10 to 10 standard deviations of w, such as {"Smiling": 3}; {} changes nothing.
    threshold: of the mask, 0 to 1.
    softness: of the mask, 0 to 1.
    drawing: painted areas, change and keep, as {"size": [w, h], "layers": {"keep": {"size": [w, h], "runs": [...]}}}.
    deghost: lets a network go over the border of the mask.
    apart: directions without what they have of the other named ones.
    cautious: the mask leaves out what lies before the face, and where the inversion is far from the photograph,
        unless that was painted.
    blend: change lays T - I' over the photograph where that is small, seamless lays it without what it changes at the
        border of the mask and gives the photograph's own hair the colour that T's has, edit lays T itself, as in the
        paper.
"""
API_FILES = """The present edit of this session as files: the face, the whole photograph, the mask, the recipe.

Args: none."""
API_STOP = """Stops the inversion that runs in this session; what it has found so far is used. Gives a sentence as HTML.

Args: none."""
RESULT = ("stages", "whole", "status", "code", "news")
WAYS = [("auto", "auto"), ("encoder", "encoder"), ("hybrid", "hybrid"), ("optimisation", "optimisation")]


def build(book: Notebook, tab: gr.Tab, handover: Handover) -> tuple[Cell, Handlers]:
    part, sliders = {}, []
    with book.cell("edit", "One thing changes, the rest stays", PROSE) as cell:
        with cell.controls():
            _photograph(cell, part)
            part["ticks"] = gr.CheckboxGroup(
                [],
                label="What should change",
                info="as many as you like",
                elem_id=cell.id("ticks"),
                elem_classes="nb-chips",
            )
            for i in range(MOST):
                sliders.append(
                    gr.Slider(
                        -8,
                        8,
                        0,
                        step=0.1,
                        label=f"Direction {i + 1}",
                        visible=False,
                        elem_id=cell.id(f"slider-{i + 1}"),
                    )
                )
            part["apart"] = gr.Checkbox(
                False,
                label="Leave other attributes alone",
                info="takes out of a direction what it has of the others",
                elem_id=cell.id("apart"),
            )
            part["threshold"] = gr.Slider(
                0,
                1,
                THRESHOLD,
                step=0.01,
                label="Threshold of the mask",
                info="higher: less may change",
                elem_id=cell.id("threshold"),
            )
            part["softness"] = gr.Slider(
                0, 1, SOFTNESS, step=0.01, label="Softness", info="0: a hard edge", elem_id=cell.id("softness")
            )
            part["cautious"] = gr.Checkbox(
                True,
                label="Protect occlusions",
                info="what lies before the face, and where I′ is far from I",
                elem_id=cell.id("cautious"),
            )
            part["blend"] = gr.Radio(
                [("the change, seamless", "seamless"), ("the change, T − I′", "change"), ("T itself (paper)", "edit")],
                value=BLENDS[0],
                label="What the mask lets through",
                info="the change leaves the photograph its own skin and hair; seamless, hair takes T's colour alone",
                elem_id=cell.id("blend"),
            )
            part["deghost"] = gr.Checkbox(True, label="Remove ghosting at the seam", elem_id=cell.id("deghost"))
            with gr.Row(elem_classes="nb-buttons"):
                undo = gr.Button("Reset", elem_id=cell.id("undo"), min_width=0)
            with gr.Row(elem_classes="nb-tools"):
                direction = gr.UploadButton(
                    "A direction of your own",
                    file_types=[".npy", ".pt", ".safetensors"],
                    size="sm",
                    min_width=0,
                    elem_id=cell.id("direction"),
                )
        with cell.result("The face · PNG", send={"draggan": "Drag T in DragGAN"}):
            _stages(cell, part)
        part |= {name: getattr(cell, name) for name in ("news", "status", "sheet", "recipe")}
        # What scripts send; the page has boxes and sliders for it.
        which = gr.Textbox(None, visible=False, label="Face", elem_id=cell.id("api-which"))
        edits = gr.JSON(None, visible=False, label="Edits")
        drawing = gr.JSON(None, visible=False, label="Drawing")
        api = {
            name: gr.Button(name, visible=False, elem_id=cell.id(f"api-{name}")) for name in ("photo", "edit", "files")
        }
    part |= {"code": cell.code, "network": book.chooser.network}
    handlers = Handlers(part, sliders, book.chooser.technique)
    _wire(cell, handlers, tab, undo, direction)
    _script(cell, handlers, api, which, edits, drawing)
    given = [book.chooser.network, part["method"], part["steps"]]
    handover.takes("out_of_domain", cell, handlers.take_sent, given, handlers.everything)
    handover.offers(cell.send_buttons["draggan"], "draggan", [], handlers.sent)
    return cell, handlers


def _photograph(cell: Cell, part: dict) -> None:
    part["photo"] = controls.photograph(cell, ("upload", "webcam", "clipboard"))
    part["faces"] = controls.faces(cell, "faces", "Faces in it")
    part["middle"] = gr.Button("Centre crop", visible=False, elem_id=cell.id("middle"), min_width=0)
    with gr.Accordion("How it is inverted", open=False, elem_id=cell.id("how")):
        part["method"] = gr.Dropdown(WAYS, value="auto", label="Inversion method", elem_id=cell.id("method"))
        part["steps"] = controls.optional(cell, "steps", "Steps", placeholder="auto")
    with gr.Row(elem_classes="nb-buttons"):
        part["again"] = gr.Button("Invert it", variant="primary", elem_id=cell.id("run"), min_width=0)
        part["stop"] = gr.Button("Stop", variant="stop", elem_id=cell.id("stop"), min_width=0)


def _stages(cell: Cell, part: dict) -> None:
    part["examples"] = controls.faces(cell, "examples", "A photograph to try, NASA’s of Eileen Collins")
    part["stages"] = controls.tiles(cell, "stages", "Every stage of the edit", strip=True)
    with gr.Row(elem_classes=["nb-outcome", "nb-whole"]):
        with gr.Column(min_width=0):
            gr.HTML("<h3>In the photograph</h3>", elem_classes="nb-small-heading")
            part["whole"] = controls.before_after(cell, "whole", "jpeg")
            with gr.Row(elem_classes="nb-tools"):
                part["full"] = cell.download("The photograph · PNG", "full")
                part["mask_file"] = cell.download("The mask · PNG", "mask")
        with gr.Column(min_width=0):
            gr.HTML("<h3>Where it may change</h3>", elem_classes="nb-small-heading")
            part["board"] = canvas.board(
                TOOLS,
                label="The mask, to paint on",
                empty="There is no face yet.",
                elem_id=cell.id("canvas"),
            )
    part["missing"] = gr.HTML("", label="What is missing", elem_id=cell.id("missing"))


def _wire(cell: Cell, handlers: Handlers, tab: gr.Tab, undo: gr.Button, direction: gr.UploadButton) -> None:
    part, chooser, outputs = handlers.part, cell.book.chooser, handlers.everything
    session, network = chooser.session, chooser.network
    given, photo = [session, network, part["method"], part["steps"]], part["photo"]
    mask = [part[name] for name in MASK_CONTROLS]
    cell.makes([part["stages"], part["whole"]], [photo, *given[1:]])

    def on(trigger, function, inputs, **options) -> None:
        handlers.writes(cell.on(trigger, function, inputs, outputs, **options), session)

    newest = {"trigger_mode": "always_last"}
    on(photo.input, handlers.chosen, [session, network, photo, *given[2:]], **newest)
    on(part["faces"].select, handlers.another, given)
    on(part["middle"].click, handlers.middle, given)
    on(part["again"].click, handlers.again, given)
    on(part["examples"].select, handlers.example, given)
    on(part["ticks"].input, handlers.tick, [session, part["ticks"], *given[2:]], **newest)
    on([s.input for s in handlers.sliders], handlers.slid, [session, *handlers.sliders], **newest)
    on(part["apart"].input, handlers.part_them, [session, part["apart"]], **newest)
    on([control.input for control in mask], handlers.soften, [session, *mask], **newest)
    on(part["board"].input, handlers.paint, [session, part["board"]], **newest)
    on(undo.click, handlers.undo, [session])
    on(direction.upload, handlers.take_direction, [session, direction])
    cell.on(tab.select, handlers.greet, [session, network], outputs)
    if (itself := cell.shows_itself(handlers.first, given, outputs)) is not None:
        handlers.writes(itself, session)
    handlers.writes(cell.loads("out_of_domain.edit", handlers.load_recipe, outputs), session)
    cell.clears(part["photo"], handlers.clear, outputs)
    cell.finish()


def _script(cell: Cell, handlers: Handlers, api: dict, which, edits, drawing) -> None:
    """What scripts call; the page has boxes, sliders and the canvas for it."""
    part, chooser = handlers.part, cell.book.chooser
    session, result = chooser.session, [part[name] for name in RESULT]

    def od_photo(visitor, network=None, photo=None, method="auto", steps=None, face=None):
        yield from handlers.look(visitor, network, photo, method, steps, face)

    def od_edit(
        visitor,
        edits=None,
        threshold=THRESHOLD,
        softness=SOFTNESS,
        drawing=None,
        deghost=True,
        apart=False,
        cautious=True,
        blend=BLENDS[0],
    ):
        yield from handlers.edit(visitor, edits, threshold, softness, drawing, deghost, apart, cautious, blend)

    def od_files(visitor):
        state = state_of(visitor)
        state.ready()
        state.written = -1  # scripts are given them as often as they ask
        yield from handlers.files(visitor)

    inputs = [session, chooser.network, part["photo"], part["method"], part["steps"], which]
    cell.on(api["photo"].click, od_photo, inputs, result, api_name="od_photo", api_description=API_PHOTO)
    mask = [part[name] for name in ("threshold", "softness")]
    inputs = [session, edits, *mask, drawing, *(part[name] for name in ("deghost", "apart", "cautious", "blend"))]
    cell.on(api["edit"].click, od_edit, inputs, result, api_name="od_edit", api_description=API_EDIT)
    files = [part[name] for name in Display.FILES]
    cell.on(api["files"].click, od_files, [session], files, api_name="od_files", api_description=API_FILES,
            concurrency_limit=1)  # fmt: skip
    part["stop"].click(
        handlers.stop, session, part["news"], queue=False, api_name="od_stop", api_description=API_STOP, **QUIET
    )
