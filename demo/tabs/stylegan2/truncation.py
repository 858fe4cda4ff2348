"""Cell 2: truncation, on the whole and by layer group."""

from __future__ import annotations

import gradio as gr

from ... import controls
from ...notebook import Cell, Notebook, Run
from ...results import Display, Result

PROSE = r"""
The network knows an average picture, $\bar w$. *Truncation* pulls every style towards it:

$$w' = \bar w + \psi\,(w - \bar w)$$

At $\psi = 0$ all seeds look alike; near 1 they differ as in training, with the odd failure; beyond it they exaggerate;
below 0 stands the opposite of the seed. Coarse layers (4 to 8 px) hold pose and shape, middle ones (16 to 32 px) the
features, fine ones (64 px and up) colour and skin, and each group may have a $\psi$ of its own.
"""

API_STRIP = """One seed at several psi, as a strip. Gives the pictures with captions, then (unchanged) the single
picture's slot, what ran, the code, the strip as one PNG and the recipe.

Args:
    seed: the seed.
    psis: numbers with commas between them, at most 32, each -4 to 4.
    truncation_cutoff: rows of w+ from this one on are not truncated; empty for none.
    coarse, middle, fine: own psi of these layers; empty to follow the strip.
"""
API_PICTURE = """One seed at one psi. Gives the picture, what ran, the code, the picture as PNG and the recipe.

Args:
    seed: the seed.
    truncation_psi: -1 to 2.
    truncation_cutoff: rows of w+ from this one on are not truncated; empty for none.
    coarse, middle, fine: own psi of these layers; empty to follow truncation_psi.
"""
GROUPS = ("coarse", "middle", "fine")


def build(book: Notebook) -> Cell:
    with book.cell("truncation", "Truncation: towards the average, and away from it", PROSE) as cell:
        with cell.controls("Show the strip", extra="Another seed"):
            seed = controls.seed(cell, 3)
            psi = controls.psi(cell, label="ψ of the picture")
            psis = gr.Textbox(
                "-1, -0.5, 0, 0.5, 0.7, 1, 1.5, 2", label="ψ of the strip", max_length=300, elem_id=cell.id("psis")
            )
            with gr.Accordion("By layer", open=False, elem_id=cell.id("levels")):
                cutoff = controls.optional(
                    cell, "cutoff", "Cutoff", placeholder="all", info="only the first so many layers; empty: all"
                )
                gr.Markdown("A ψ of its own for a group; empty: as above.", elem_classes="nb-hint")
                with gr.Row(elem_classes="nb-three"):
                    levels = {
                        name: controls.optional(cell, f"psi-{name}", name, placeholder="ψ", min_width=0)
                        for name in GROUPS
                    }
            single = gr.Button("Show the picture", elem_id=cell.id("picture-run"), min_width=0)
        with cell.result("Picture or strip · PNG"):
            picture = controls.picture(cell, "picture", "The seed at this ψ")
            strip = controls.tiles(cell, "strip", "The seed at several ψ", strip=True)
    shared = {"truncation_cutoff": cutoff, **levels}
    one = Run(
        "stylegan2.sample",
        {"seed": seed, "truncation_psi": psi, **shared},
        [picture],
        show_picture,
        arguments=picture_arguments,
        restore=picture_controls,
    )
    many = Run(
        "stylegan2.truncation",
        {"seed": seed, "psis": psis, **shared},
        [strip],
        show_strip,
        arguments=strip_arguments,
        restore=strip_controls,
    )
    drawn = controls.another(cell.extra_button, seed)
    cell.does(many, "stylegan2_truncation", API_STRIP, after=[drawn], itself=True)
    live = [psi, seed, cutoff, *levels.values()]
    cell.does(one, "stylegan2_truncation_picture", API_PICTURE, button=single, live=live, after=[drawn])
    cell.finish()
    return cell


def with_levels(values: dict) -> dict:
    levels = {name: controls.number_or_none(values.pop(name), f"ψ of the {name} layers") for name in GROUPS}
    levels = {name: value for name, value in levels.items() if value is not None}
    values["truncation_cutoff"] = controls.number_or_none(values["truncation_cutoff"], "Cutoff")
    return {**values, "psi_levels": levels} if levels else values


def without_levels(arguments: dict, output: dict | None) -> dict:
    levels = arguments.pop("psi_levels", None) or {}
    return {"truncation_cutoff": None, **arguments, **{name: levels.get(name) for name in GROUPS}}


def picture_arguments(values: dict) -> dict:
    return {"seeds": values.pop("seed"), **with_levels(values)}


def picture_controls(arguments: dict, output: dict | None) -> dict:
    """Raises UserError for a recipe of many seeds: that is cell 1's."""
    from pipelines import stylegan2

    return {"seed": stylegan2.parse_seeds(arguments.pop("seeds"), 1)[0], **without_levels(arguments, output)}


def strip_arguments(values: dict) -> dict:
    return {**with_levels(values), "psis": controls.numbers(values["psis"], "ψ of the strip")}


def strip_controls(arguments: dict, output: dict | None) -> dict:
    values = without_levels(arguments, output)
    return {**values, "psis": controls.as_text(values["psis"])} if "psis" in values else values


def show_picture(made: Result) -> Display:
    text = f"seed {made.arguments['seeds']} at ψ = {made.arguments['truncation_psi']:g}"
    return Display([made.value[0]], text, sheet=lambda: made.value[0])


def show_strip(made: Result) -> Display:
    from pipelines import animation

    captions = [f"ψ = {psi:g}" for psi in made.arguments["psis"]]
    return Display(
        [made.save_all(made.value, captions)],
        f"{len(captions)} values of ψ",
        sheet=lambda: animation.strip(made.value, captions),
    )
