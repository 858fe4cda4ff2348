"""Cell 7: what changed from ProGAN over StyleGAN to StyleGAN2, on networks trained for the comparison."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import gradio as gr

from ... import controls, results, tables
from ...notebook import Cell, Notebook, note

PROSE = """
Four small networks saw the same faces equally often; each differs from the first in one thing. **AdaIN**, StyleGAN's
way to apply a style, normalises every feature map, and the network smuggles strength past it in a single spot, the
*droplet*; StyleGAN2 scales the weights instead. **Growing**, from ProGAN, trains 4 px first, then 8 px, and so on;
skip connections let all sizes learn at once. **Path length regularisation** makes equal steps in $w$ change the
picture equally. These four are small and young: their model cards say how many images they saw. The numbers are
measurements of these networks, and need not agree with what the papers found on large ones.
"""

API = """Pictures, maps and measurements of four networks. Gives HTML, what ran, code, sheet, recipe, news.

Args:
    seed: the seed of the pictures and maps.
"""
NAMES = {
    "skip": "StyleGAN2",
    "adain": "with AdaIN",
    "growing": "with growing",
    "path-length": "with path length regularisation",
    "photographs": "photographs",
}


def build(book: Notebook) -> Cell:
    with book.cell("history", "What changed from ProGAN to StyleGAN2", PROSE) as cell:
        with cell.controls("Show the comparison", extra="Another seed", stop=None):
            seed = controls.seed(cell, 1)
        with cell.result():
            shown = gr.HTML("", label="Comparison", elem_id=cell.id("comparison"), elem_classes="nb-figure")
    outputs = [shown, cell.status, cell.code, cell.sheet, cell.recipe, cell.news]
    cell.makes([shown], [seed])

    def stylegan2_history(seed=1) -> Iterator[dict]:
        for values in compare(1 if seed is None else seed):
            yield dict(zip(outputs, values, strict=True))

    def load(visitor, recipe) -> Iterator[dict]:
        given = recipe.arguments.get("seed", 1)
        for update in stylegan2_history(given):
            yield {seed: gr.update(value=given), **update}

    cell.on(cell.run_button.click, stylegan2_history, [seed], outputs, api_name="stylegan2_history",
            api_description=API, show_progress_on=shown)  # fmt: skip
    drawn = controls.another(cell.extra_button, seed)
    cell.on(drawn.then, stylegan2_history, [seed], outputs, show_progress_on=shown)
    cell.loads("history.compare", load, [seed, *outputs], show_progress_on=shown)
    cell.finish()
    return cell


def compare(seed: int) -> Iterator[tuple]:
    """Yields the cell's values once; a generator, so that its files live until the page has copied them."""
    from pipelines import animation, recipes

    recipe = recipes.make("history.compare", seed=int(seed) if seed == int(seed) else seed)
    made = recipe.run()
    html = "".join(
        [
            part(
                "The same seeds in four networks",
                "Other networks, other faces: compare the kind of picture.",
                grid(made.samples),
            ),
            part(
                "The droplet",
                "Strength of the features at each size. The number is the strongest spot over the mean: a droplet is a "
                "small spot with a large number.",
                maps(made.magnitudes),
                comparison(made.peaks, "Strongest spot over the mean, mean of 64 pictures"),
            ),
            part(
                "Growing, or all sizes at once",
                "What each size adds to one picture of the skip network, and its share. The distance to photographs "
                "(SWD) is better when smaller; detail fixed to places is what growing is blamed for.",
                parts(made.contributions),
                comparison(made.growing, "Growing against skip connections"),
            ),
            part(
                "Path length",
                "How much the picture changes for a small step in w, at random places and in random directions. "
                "Unevenness, the deviation over the mean, is what the regularisation lowers.",
                comparison(made.path_length, "Path length without and with its regularisation"),
            ),
        ]
    )
    with results.folder() as folder:
        sheet, kept = (results.Path(folder) / f"history-seed-{seed:g}.{ending}" for ending in ("png", "json"))
        rows = list(made.samples.values())
        seeds = [f"seed {int(seed) + i}" for i in range(len(rows[0]))]
        animation.grid(rows, captions=[seeds] * len(rows)).save(sheet)
        kept.write_text(recipe.to_json(), encoding="utf-8")
        ran = note(f"seed {seed:g} in {len(made.samples)} networks of the catalogue", "nb-ran")
        yield html, ran, recipe.code(), str(sheet), str(kept), ""


def part(title: str, reading: str, *content: str) -> str:
    return f"<section class='nb-part'><h3>{escape(title)}</h3><p>{escape(reading)}</p>{''.join(content)}</section>"


def grid(samples: dict) -> str:
    heads = [(None, NAMES[name]) for name in samples]
    columns = [(None, "")] * len(next(iter(samples.values())))
    return tables.table(list(samples.values()), heads, columns, "Pictures of the same seeds")


def maps(magnitudes: list) -> str:
    by_network: dict[str, list] = {}
    for m in magnitudes:
        by_network.setdefault(m.network, []).append(m)
    columns = [(None, f"{m.resolution} px") for m in next(iter(by_network.values()))]
    heads = [
        (None, f"{NAMES[name]}: " + ", ".join(f"{m.peak_to_mean:.1f}" for m in found))
        for name, found in by_network.items()
    ]
    images = [[m.image for m in found] for found in by_network.values()]
    return tables.table(images, heads, columns, "Strength of the features")


def parts(contributions: list) -> str:
    columns = [(None, f"{px} px: {share:.0%}") for px, _image, share in contributions]
    images = [image for _px, image, _share in contributions]
    return tables.table([images], [(None, "adds")], columns, "What each size adds")


def comparison(found, about: str) -> str:
    rows = [(NAMES.get(label, label), [tables.number(v) for v in values]) for label, values in found.rows]
    return tables.numbers(found.columns, rows, about)
