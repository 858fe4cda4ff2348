"""Cell 3: style mixing."""

from __future__ import annotations

import gradio as gr

from ... import controls, tables
from ...notebook import Cell, Notebook, Run
from ...results import Display, Result

PROSE = """
Every layer may listen to a style of its own. Here each row keeps its seed, except for the chosen layers, which listen
to the seed of the column: take the *coarse* ones and faces turn and change shape, take the *fine* ones and only the
colouring moves.
"""

API = """A grid of style mixing: row seeds that take some layers from column seeds. Gives the grid as HTML, what ran,
the code, the grid with its headers as one PNG, and the recipe.

Args:
    row_seeds, col_seeds: numbers and ranges, such as 1-4; at most 12 each and 64 pictures in all.
    layers: coarse, middle, fine, all, sums such as coarse+middle, or rows of w+ such as 3-7.
    truncation_psi: -1 to 2.
    noise_mode: const (stored), random or none.
"""


def build(book: Notebook) -> Cell:
    with book.cell("mixing", "Style mixing: the shape of one, the colours of another", PROSE) as cell:
        with cell.controls("Mix"):
            rows = gr.Textbox("22-25", label="Seeds of the rows", max_length=200, elem_id=cell.id("rows"))
            cols = gr.Textbox(
                "42, 44, 47, 52, 31", label="Seeds of the columns", max_length=200, elem_id=cell.id("cols")
            )
            layers = controls.layers(cell, "coarse", "taken from the column; or rows such as 3-7")
            psi = controls.psi(cell)
            noise = controls.noise_mode(cell)
        with cell.result("Grid · PNG"):
            grid = gr.HTML("", label="Grid", elem_id=cell.id("grid"), elem_classes="nb-figure")
    inputs = {"row_seeds": rows, "col_seeds": cols, "layers": layers, "truncation_psi": psi, "noise_mode": noise}
    run = Run("stylegan2.mix", inputs, [grid], show, restore=restore, companions=headers)
    cell.does(run, "stylegan2_mix", API, itself=True)
    cell.finish()
    return cell


def headers(arguments: dict) -> dict[str, tuple[str, dict]]:
    """The seeds' own pictures, which stand before the rows and above the columns."""
    shared = {k: v for k, v in arguments.items() if k in ("truncation_psi", "noise_mode", "class_index")}
    return {
        "rows": ("stylegan2.sample", {"seeds": arguments["row_seeds"], **shared}),
        "cols": ("stylegan2.sample", {"seeds": arguments["col_seeds"], **shared}),
    }


def restore(arguments: dict, output: dict | None) -> dict:
    seeds = {name: controls.as_text(arguments[name]) for name in ("row_seeds", "col_seeds")}
    return {**arguments, **seeds, "layers": controls.as_text(arguments["layers"])}


def pairs(pictures: list, names: list[str]) -> list[tuple]:
    return list(zip(pictures, names, strict=True))


def show(made: Result) -> Display:
    from pipelines import animation, stylegan2

    rows = [f"seed {s}" for s in stylegan2.parse_seeds(made.arguments["row_seeds"])]
    cols = [f"seed {s}" for s in stylegan2.parse_seeds(made.arguments["col_seeds"])]
    heads = made.companions
    what = f"{made.arguments['layers']} layers from the column"
    return Display(
        [tables.table(made.value, pairs(heads["rows"], rows), pairs(heads["cols"], cols), what)],
        f"{len(rows)} × {len(cols)} pictures{controls.noise_words(made)}",
        sheet=lambda: animation.grid(made.value, heads["rows"], heads["cols"], row_captions=rows, col_captions=cols),
    )
