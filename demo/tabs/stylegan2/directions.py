"""Cell 6: directions in w: those that have names, those that the weights tell, and those of a visitor's own files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr

import weights
from weights import latent_directions
from weights.errors import UserError

from ... import controls, gpu, networks
from ...lifecycle import PRIVATE
from ...notebook import Cell, Notebook, Run, note
from ...results import Display, Result
from ...running import in_worker

PROSE = r"""
Along a straight line in $\mathcal W$ pictures change in one way. A classifier that has scored some thousand pictures
separates pictures that smile from those that do not by a plane, whose normal is the direction of smiling
(InterFaceGAN, Shen et al. 2020). Attributes that go together in the training photographs go together here; *leave the
others alone* takes out of a direction what it has of the others. Without any pictures, the network's own weights tell
which directions change most: the eigenvectors of $A^\top A$, where $A$ holds the style weights of the chosen layers
(SeFa, Shen and Zhou 2021). Those are numbered; what each does is for you to find out. One unit is one standard
deviation of $w$.
"""

API_MOVE = """One seed moved along directions. Gives the picture, what ran, the code, the picture as PNG and the recipe.

Args:
    seed: the seed.
    layers: coarse, middle, fine, all, sums such as coarse+middle, or rows of w+ such as 3-7. Named directions move
        their own rows where this is all.
    truncation_psi: -1 to 2.
    apart: named directions without what they have of the other named ones.
    direction_1 to direction_8: how far along each, in standard deviations of w.
    own_1 to own_4: how far along directions that were loaded from a file in this session.
    {names}: how far along each, where the network has it.
"""
API_STRIP = """One direction at nine amounts, -4 to 4. Gives the pictures with captions, what ran, the code, the strip
as one PNG and the recipe.

Args:
    seed: the seed.
    direction: its number as text, 1 to 8, or its name, such as Smiling.
    layers: coarse, middle, fine, all, sums such as coarse+middle, or rows of w+ such as 3-7.
    truncation_psi: -1 to 2.
    apart: named directions without what they have of the other named ones.
"""
API_DIRECTION = """Directions out of a file, for this session: own_1 to own_4 of stylegan2_move, and by name in
stylegan2_move_strip. Gives the news.

Args:
    network: whose latents they move.
    path: a file .npy, .pt or .safetensors with arrays [w_dim], [1, w_dim] or [num_ws, w_dim].
"""
COUNT = 8
OWN = 4  # directions out of files
AMOUNTS = [-4, -3, -2, -1, 0, 1, 2, 3, 4]
NUMBERED = tuple(f"direction_{i}" for i in range(1, COUNT + 1))
OWNED = tuple(f"own_{i}" for i in range(1, OWN + 1))


@dataclass(frozen=True)
class Knobs:
    """The sliders by the names of their arguments: ``named`` those of directions that some network has."""

    named: dict[str, gr.Slider]
    numbered: dict[str, gr.Slider]
    owned: dict[str, gr.Slider]

    @property
    def all(self) -> dict[str, gr.Slider]:
        return {**self.named, **self.numbered, **self.owned}


def build(book: Notebook) -> Cell:
    chooser = book.chooser
    with book.cell("directions", "Directions: one property at a time", PROSE) as cell:
        with cell.controls("Show the picture", extra="Back to zero"):
            seed = controls.seed(cell, 3)
            layers = controls.layers(cell, "all", "that listen; or rows such as 3-7")
            psi = controls.psi(cell)
            with gr.Column(visible=bool(_names(chooser.network.value)), elem_classes="nb-knobs", min_width=0) as group:
                gr.HTML("<h3>By name</h3>", elem_classes="nb-small-heading")
                named = _named_sliders(cell, chooser.network.value)
                apart = gr.Checkbox(False, label="Leave the others alone", elem_id=cell.id("apart"))
            with gr.Column(elem_classes="nb-knobs", min_width=0):
                gr.HTML("<h3>By number, from the weights</h3>", elem_classes="nb-small-heading")
                numbered = {name: _slider(cell, name, f"Direction {i + 1}") for i, name in enumerate(NUMBERED)}
                owned = {name: _slider(cell, name, name, visible=False) for name in OWNED}
            with gr.Row(elem_classes="nb-tools"):
                file = gr.UploadButton(
                    "A direction of your own",
                    file_types=[".npy", ".pt", ".safetensors"],
                    size="sm",
                    min_width=0,
                    elem_id=cell.id("own"),
                )
            own = gr.State({})
        with cell.result("Picture or strip · PNG"):
            picture = controls.picture(cell, "picture", "The seed, moved")
            with gr.Row(elem_classes="nb-inline"):
                direction = gr.Dropdown(
                    _choices(chooser.network.value, {}),
                    value="Smiling" if "Smiling" in _names(chooser.network.value) else "1",
                    label="Direction",
                    elem_id=cell.id("direction"),
                    min_width=0,
                )
                whole = gr.Button("Show its whole range", elem_id=cell.id("strip-run"), min_width=0)
            strip = controls.tiles(cell, "strip", "One direction, from one end to the other", strip=True)
    knobs = Knobs(named, numbered, owned)
    _files(cell, chooser, knobs, group, direction, own, file)
    sliders = list(knobs.all.values())
    zero = cell.extra_button.click(
        lambda: [0] * len(sliders), None, sliders, queue=False, show_progress="hidden", api_visibility="private"
    )
    shared = {"seed": seed, "layers": layers, "truncation_psi": psi, "own": own, "apart": apart}
    move = Run(
        "stylegan2.move", {**shared, **knobs.all}, [picture], show_picture, arguments=amounts, restore=knob_values
    )
    along = Run(
        "stylegan2.move_strip", {**shared, "direction": direction}, [strip], show_strip, arguments=whole_range,
        restore=strip_values,
    )  # fmt: skip
    doc = API_MOVE.format(names=", ".join(knobs.named) or "names")
    cell.does(move, "stylegan2_move", doc, live=[*sliders, apart, seed, layers, psi], after=[zero])
    cell.does(along, "stylegan2_move_strip", API_STRIP, button=whole, itself=True)
    cell.finish()
    return cell


# -- which sliders there are


def _slider(cell: Cell, name: str, label: str, visible: bool = True) -> gr.Slider:
    where = cell.id(name.lower().replace("_", "-"))
    return gr.Slider(-6, 6, 0, step=0.1, label=label, elem_id=where, min_width=0, visible=visible)


def _names(network: str | None) -> tuple[str, ...]:
    return latent_directions.names_for(network) if network else ()


def _named_sliders(cell: Cell, network: str | None) -> dict[str, gr.Slider]:
    """One for each name that any network has; those of the chosen one are shown."""
    shown = _names(network)
    return {name: _slider(cell, name, words(name), name in shown) for name in every_name()}


def every_name() -> list[str]:
    """The names of the directions of all networks that ship."""
    return list(dict.fromkeys(n for found in weights.names("stylegan2") for n in _names(f"stylegan2/{found}")))


def words(name: str) -> str:
    return name.replace("_", " ").lower()


def _choices(network: str | None, own: dict) -> list[tuple[str, str]]:
    numbers = [(str(i), str(i)) for i in range(1, COUNT + 1)]
    return [*((words(name), name) for name in _names(network)), *numbers, *((words(name), name) for name in own)]


def _owned(knobs: Knobs, own: dict) -> list:
    """Updates of the sliders of directions out of files."""
    names = [*own, *[None] * OWN]
    return [
        gr.update(visible=True, label=words(name)) if name else gr.update(visible=False, value=0)
        for name, _slider in zip(names, knobs.owned, strict=False)
    ]


# -- files of one's own


@in_worker
def _read(reference: networks.Reference, path: str) -> Iterator[dict[str, str]]:
    from pipelines import directions

    found = directions.read(path, reference.open())
    yield {name: directions.encode(one) for name, one in found.items()}


@in_worker
def _fits(reference: networks.Reference, own: dict) -> Iterator[bool]:
    from pipelines import directions

    try:
        directions.decode_all(own, reference.open())
    except UserError:
        yield False
    else:
        yield True


def _files(cell: Cell, chooser: networks.Chooser, knobs: Knobs, group, direction, own: gr.State, file) -> None:
    there = [own, direction, *knobs.owned.values()]

    def fit(visitor, network, own_, chosen):
        """Another network was chosen: what it has by name, and of the files what fits it."""
        try:
            reference = networks.resolve(visitor, network, chooser.technique)
            keep = not own_ or (reference.at_hand and next(iter(_fits(reference, own_))))
        except UserError:
            keep = False
        own_ = own_ if keep else {}
        names, choices = _names(network), _choices(network, own_)
        chosen = chosen if chosen in dict(choices).values() else "1"
        named = [gr.update(visible=True) if n in names else gr.update(visible=False, value=0) for n in knobs.named]
        return [
            gr.update(visible=bool(names)),
            *named,
            own_,
            gr.update(choices=choices, value=chosen),
            *_owned(knobs, own_),
        ]

    def stylegan2_direction(visitor, network=None, path=None, own_=None):
        reference = networks.resolve(visitor, network, chooser.technique)
        for far in networks.fetching(reference):
            yield {cell.news: far}
        [found] = _read(reference, path)
        taken = {name if name not in _names(network) else f"{name} (file)": text for name, text in found.items()}
        taken = {**(own_ or {}), **taken}
        if len(taken) > OWN:
            raise UserError(f"Up to {OWN} directions of your own at a time; open the page again to begin anew.")
        sliders = dict(zip(knobs.owned.values(), _owned(knobs, taken), strict=True))
        update = {own: taken, direction: gr.update(choices=_choices(network, taken)), **sliders}
        yield {**update, cell.news: note(f"{', '.join(found)}: the slider is below the numbered ones.")}

    session = chooser.session
    chooser.network.change(
        fit,
        [session, chooser.network, own, direction],
        [group, *knobs.named.values(), *there],
        **PRIVATE,
        **gpu.LANE,
    )
    cell.on(file.upload, stylegan2_direction, [session, chooser.network, file, own], [cell.news, *there],
            api_name="stylegan2_direction", api_description=API_DIRECTION)  # fmt: skip


# -- from sliders to amounts, and back


def amounts(values: dict) -> dict:
    """The sliders that stand at zero are left out, so that the shown code says only what was done."""
    own = values.pop("own") or {}
    names = dict(zip(OWNED, own, strict=False))
    moved = {}
    for name in [name for name in values if name not in ("seed", "layers", "truncation_psi", "apart")]:
        if amount := values.pop(name):
            moved[names.get(name, name).removeprefix("direction_")] = amount
    used = {name: text for name, text in own.items() if name in moved}
    return {**_options(values, used), "amounts": moved}


def _options(values: dict, own: dict) -> dict:
    """What is not as it is anyway."""
    values = {name: value for name, value in values.items() if name != "apart" or value}
    return {**values, "own": own} if own else values


def knob_values(arguments: dict, output: dict | None) -> dict:
    moved, own = arguments.pop("amounts"), arguments.pop("own", None) or {}
    knobs = {name: moved.get(str(i + 1), 0) for i, name in enumerate(NUMBERED)}
    names = [*own, *[None] * OWN]
    for slot, name in zip(OWNED, names, strict=False):
        label = {"label": words(name)} if name else {}
        knobs[slot] = gr.update(visible=bool(name), value=moved.get(name, 0), **label)
    named = {name: moved.get(name, 0) for name in moved if name not in own and not name.isdigit()}
    return {**arguments, **dict.fromkeys(every_name(), 0), **named, **knobs, "own": own, **_layers(arguments)}


def whole_range(values: dict) -> dict:
    own = values.pop("own") or {}
    used = {name: text for name, text in own.items() if name == values["direction"]}
    return {**_options(values, used), "amounts": AMOUNTS}


def strip_values(arguments: dict, output: dict | None) -> dict:
    own = arguments.pop("own", None) or {}
    return {**arguments, **_layers(arguments), "own": own}


def _layers(arguments: dict) -> dict:
    return {"layers": controls.as_text(arguments["layers"])}


def show_picture(made: Result) -> Display:
    moved = made.arguments["amounts"]
    text = ", ".join(f"{told(name)} by {amount:g}" for name, amount in moved.items()) or "not moved"
    return Display([made.value], f"seed {made.arguments['seed']}, {text}", sheet=lambda: made.value)


def told(name: str) -> str:
    return f"direction {name}" if name.isdigit() else words(name)


def show_strip(made: Result) -> Display:
    from pipelines import animation

    captions = [f"{amount:+g}" if amount else "0" for amount in made.arguments["amounts"]]
    return Display(
        [made.save_all(made.value, captions)],
        f"{told(made.arguments['direction'])}, {len(captions)} amounts",
        sheet=lambda: animation.strip(made.value, captions),
    )
