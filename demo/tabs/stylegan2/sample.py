"""Cell 1: seeds to pictures."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from weights.errors import UserError

from ... import controls
from ...handover import Handover
from ...lifecycle import PRIVATE
from ...notebook import Cell, Notebook, Run
from ...results import Display, Result
from ...session import Sent, Visitor

PROSE = """
Each number is the seed of one picture: the same seed gives the same face, here and on any other machine. Write numbers
and ranges, `1-16, 42`. The paper's *stochastic noise* adds what no style decides, such as where single hairs fall.
"""

API = """Pictures of seeds. Gives them as a list of PNG files with captions, then what ran, the Python that repeats it,
the contact sheet and the recipe.

Args:
    network: a checkpoint such as stylegan2/faces.
    class_index: for conditional networks, which class.
    seeds: numbers and ranges, such as 1-16, 42; at most 64.
    truncation_psi: -1 to 2; 0 is the average picture, 1 as trained.
    noise_mode: const (stored), random or none.
    noise_seed: seed of the random noise.
"""
# Sixteen seeds in a row, from anywhere.
DRAW = "() => { const n = Math.floor(Math.random() * 100000); return `${n}-${n + 15}`; }"


def build(book: Notebook, handover: Handover) -> Cell:
    with book.cell("sample", "Sampling: a seed, a picture", PROSE) as cell:
        with cell.controls("Make the pictures", extra="Others"):
            seeds = gr.Textbox("20-35", label="Seeds", info="at most 64", max_length=400, elem_id=cell.id("seeds"))
            psi = controls.psi(cell)
            noise = controls.noise_mode(cell)
            noise_seed = gr.Number(
                0, precision=0, minimum=0, label="Seed of the noise", visible=False, elem_id=cell.id("noise-seed")
            )
        with cell.result(send=handover.words):
            gallery = controls.tiles(cell, "gallery", "Pictures")
    noise.change(
        lambda mode: gr.update(visible=mode == "random"),
        noise,
        noise_seed,
        show_progress="hidden",
        queue=False,
        api_visibility="private",
    )
    inputs = {"seeds": seeds, "truncation_psi": psi, "noise_mode": noise, "noise_seed": noise_seed}
    others = cell.extra_button.click(None, None, seeds, js=DRAW, queue=False, api_visibility="private")
    run = Run("stylegan2.sample", inputs, [gallery], show, restore=restore, keeps=keep)
    cell.does(run, "stylegan2_sample", API, after=[others])
    cell.finish()
    gallery.select(pressed, book.chooser.session, None, queue=False, **PRIVATE)
    for tab, button in cell.send_buttons.items():
        handover.offers(button, tab, [], sent)
    return cell


@dataclass
class Gallery:
    """The pictures that stand there, as what makes them, and which of them was pressed last."""

    pictures: tuple[Sent, ...] = ()
    pressed: int = 0


def gallery_of(visitor: Visitor) -> Gallery:
    return visitor.state("sample", Gallery)


def keep(visitor: Visitor, made: Result) -> None:
    """What can be sent on is what is seen, whatever the controls say meanwhile."""
    from pipelines import stylegan2

    given = made.arguments
    visitor.kept["sample"] = Gallery(
        tuple(
            Sent(made.recipe.checkpoint, given.get("class_index"), seed, given["truncation_psi"])
            for seed in stylegan2.parse_seeds(given["seeds"])
        )
    )


def pressed(visitor: Visitor, event: gr.SelectData) -> None:
    gallery_of(visitor).pressed = event.index


def sent(visitor: Visitor) -> Sent | None:
    """The picture that was pressed last, the first one if none was."""
    gallery = gallery_of(visitor)
    return gallery.pictures[min(gallery.pressed, len(gallery.pictures) - 1)] if gallery.pictures else None


def restore(arguments: dict, output: dict | None) -> dict:
    """Raises UserError for what this cell has no controls for: that is cell 2's."""
    if arguments["psi_levels"] or arguments["truncation_cutoff"] is not None:
        raise UserError("That recipe truncates by layer; load it in cell 2, which has the controls for it.")
    return {**arguments, "seeds": controls.as_text(arguments["seeds"])}


def show(made: Result) -> Display:
    from pipelines import animation, stylegan2

    captions = [f"seed {s}" for s in stylegan2.parse_seeds(made.arguments["seeds"])]
    rows, texts = ([found[i : i + 8] for i in range(0, len(found), 8)] for found in (made.value, captions))
    number = f"{len(made.value)} pictures" if len(made.value) > 1 else "1 picture"
    return Display(
        [made.save_all(made.value, captions)],
        number + controls.noise_words(made),
        sheet=lambda: animation.grid(rows, captions=texts),
    )
