"""Cell 6: directions in w, found without looking at a single picture."""

from __future__ import annotations

import gradio as gr

from ...notebook import Cell, Notebook, Run
from ...results import Made, Shown
from . import controls

PROSE = r"""
Some directions in $\mathcal W$ change pictures more than others, and the network's own weights tell which: the
eigenvectors of $A^\top A$, where $A$ holds the style weights of the chosen layers (SeFa, Shen and Zhou 2021). They are
numbered by strength; what each one does is for you to find out. One unit is one standard deviation of $w$.
"""

API_MOVE = """One seed moved along directions. Gives the picture, what ran, the code, the picture as PNG and the recipe.

Args:
    seed: the seed.
    layers: coarse, middle, fine, all, sums such as coarse+middle, or rows of w+ such as 3-7.
    truncation_psi: -1 to 2.
    direction_1 to direction_8: how far along each, in standard deviations of w.
"""
API_STRIP = """One direction at nine amounts, -4 to 4. Gives the pictures with captions, what ran, the code, the strip
as one PNG and the recipe.

Args:
    seed: the seed.
    direction: its number as text, 1 to 8.
    layers: coarse, middle, fine, all, sums such as coarse+middle, or rows of w+ such as 3-7.
    truncation_psi: -1 to 2.
"""
COUNT = 8
AMOUNTS = [-4, -3, -2, -1, 0, 1, 2, 3, 4]


def build(book: Notebook) -> Cell:
    with book.cell("directions", "Turning knobs", PROSE) as cell:
        with cell.controls("Show the picture", extra="Back to zero"):
            seed = controls.seed(cell, 3)
            layers = controls.layers(cell, "all", "that listen; or rows such as 3-7")
            psi = controls.psi(cell)
            with gr.Column(elem_classes="nb-knobs"):
                knobs = {
                    f"direction_{i}": gr.Slider(
                        -6, 6, 0, step=0.1, label=f"Direction {i}", elem_id=cell.id(f"direction-{i}"), min_width=0
                    )
                    for i in range(1, COUNT + 1)
                }
        with cell.result("Picture or strip · PNG"):
            picture = controls.picture(cell, "picture", "The seed, moved")
            with gr.Row(elem_classes="nb-inline"):
                direction = gr.Dropdown(
                    [str(i) for i in range(1, COUNT + 1)],
                    value="1",
                    label="Direction",
                    elem_id=cell.id("direction"),
                    min_width=0,
                )
                whole = gr.Button("Show its whole range", elem_id=cell.id("strip-run"), min_width=0)
            strip = controls.tiles(cell, "strip", "One direction, from one end to the other", strip=True)
    zero = cell.extra_button.click(
        lambda: [0] * COUNT,
        None,
        list(knobs.values()),
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    shared = {"seed": seed, "layers": layers, "truncation_psi": psi}
    move = Run("stylegan2.move", {**shared, **knobs}, [picture], show_picture, arguments=amounts, restore=knob_values)
    along = Run(
        "stylegan2.move_strip",
        {**shared, "direction": direction},
        [strip],
        show_strip,
        arguments=lambda values: {**values, "amounts": AMOUNTS},
        restore=lambda arguments, output: {**arguments, "layers": controls.as_text(arguments["layers"])},
    )
    cell.does(move, "stylegan2_move", API_MOVE, live=[*knobs.values(), seed, layers, psi], after=[zero])
    cell.does(along, "stylegan2_move_strip", API_STRIP, button=whole)
    cell.finish()
    return cell


def amounts(values: dict) -> dict:
    """The sliders that stand at zero are left out, so that the shown code says only what was done."""
    moved = {str(i): values.pop(f"direction_{i}") for i in range(1, COUNT + 1)}
    return {**values, "amounts": {name: amount for name, amount in moved.items() if amount}}


def knob_values(arguments: dict, output: dict | None) -> dict:
    moved = arguments.pop("amounts")
    knobs = {f"direction_{i}": moved.get(str(i), 0) for i in range(1, COUNT + 1)}
    return {**arguments, **knobs, "layers": controls.as_text(arguments["layers"])}


def show_picture(made: Made) -> Shown:
    moved = made.arguments["amounts"]
    text = ", ".join(f"direction {name} by {amount:g}" for name, amount in moved.items()) or "not moved"
    return Shown([made.value], f"seed {made.arguments['seed']}, {text}", sheet=lambda: made.value)


def show_strip(made: Made) -> Shown:
    from pipelines import animation

    captions = [f"{amount:+g}" if amount else "0" for amount in made.arguments["amounts"]]
    return Shown(
        [made.save_all(made.value, captions)],
        f"direction {made.arguments['direction']}, {len(captions)} amounts",
        sheet=lambda: animation.strip(made.value, captions),
    )
