"""Cell 5: what noise alone changes."""

from __future__ import annotations

import gradio as gr

from ... import controls
from ...notebook import Cell, Notebook, Run
from ...results import Display, Result

PROSE = """
One style, many noises. The person stays; what moves is what is random in a photograph too: strands of hair, texture,
background. The map is bright where the pictures differ, measured as the standard deviation of each pixel.
The line below a network's name says where one adds no noise: its pictures are all the same here.
"""

API = """One style under many noises. Gives the pictures with captions, the heat map, its numbers as HTML, what ran, the
code, the pictures as one PNG and the recipe.

Args:
    seed: the seed.
    count: how many noises, 2 to 32.
    truncation_psi: -1 to 2.
    noise_seed: seed of the noises.
"""

SILENT = (
    "<p>This network adds no noise: the strength that it has learned is zero in every layer, so the pictures are the"
    " same. Choose another network above to see some.</p>"
)


def build(book: Notebook) -> Cell:
    with book.cell("noise", "Noise: what the style does not decide", PROSE) as cell:
        with cell.controls("Show the noises", extra="Another seed"):
            seed = controls.seed(cell, 3)
            count = gr.Slider(2, 32, 8, step=1, label="How many noises", elem_id=cell.id("count"))
            psi = controls.psi(cell)
            noise_seed = gr.Number(0, precision=0, minimum=0, label="Seed of the noise", elem_id=cell.id("noise-seed"))
        with cell.result():
            with gr.Row(elem_classes="nb-beside"):
                heat = controls.picture(
                    cell, "heat", "Standard deviation of each pixel: from 0 (black) to the largest (yellow)"
                )
                numbers = gr.HTML("", label="Deviation", elem_id=cell.id("numbers"), elem_classes="nb-numbers")
            gallery = controls.tiles(cell, "gallery", "The same style under several noises", strip=True)
    inputs = {"seed": seed, "count": count, "truncation_psi": psi, "noise_seed": noise_seed}
    run = Run("stylegan2.noise", inputs, [gallery, heat, numbers], show)
    cell.does(run, "stylegan2_noise", API, after=[controls.another(cell.extra_button, seed)])
    cell.finish()
    return cell


def show(made: Result) -> Display:
    from pipelines import animation

    found = made.value
    captions = [f"noise {i + 1}" for i in range(len(found.images))]
    numbers = (
        f"<dl><dt>mean deviation</dt><dd>{found.mean_deviation:.2f}</dd>"
        f"<dt>largest</dt><dd>{found.max_deviation:.1f}</dd></dl>"
        f"<p>in levels of 0 to 255</p>{'' if found.max_deviation else SILENT}"
    )
    return Display(
        [made.save_all(found.images, captions), made.save(found.deviation, "noise-map"), numbers],
        f"{len(captions)} noises",
        sheet=lambda: animation.strip(found.images, captions),
    )
