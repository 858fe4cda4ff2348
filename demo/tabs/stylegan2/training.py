"""Cell 8: a network of one's own, and what its settings cost."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import gradio as gr

from ... import results, tables
from ...notebook import Cell, Notebook, note

PROSE = """
`python -m training stylegan2` trains a generator on a folder or a zip of your pictures, on a CPU or a GPU. A run that
was interrupted goes on where it stopped; sample sheets and a log lie in its folder, and `python -m training card`
turns it into a file that the Checkpoints tab reads.

How much network is needed? The article that this notebook follows trained on flowers at 128 px and made the mapping
network smaller, from 8 layers to 4 and $z$ and $w$ from 512 numbers to 256; it speaks of 23 million generator
parameters before and 20 million after. The table counts them in the class that this notebook uses. All of the saving
is in the mapping network and in the layers that read $w$; the convolutions stay as they were.
"""

API = """Counts the parameters of a generator. Gives a table as HTML, the training command, code, recipe, news.

Args:
    resolution: 16 to 1024, a power of two.
    mapping_layers: 1 to 16.
    z_dim, w_dim: 1 to 4096.
    channel_base: feature maps times resolution, 64 to 65536.
    channel_max: most feature maps of a layer, 4 to 2048.
"""
# The flower experiment of the article, before and after.
BEFORE = {
    "resolution": 128,
    "mapping_layers": 8,
    "z_dim": 512,
    "w_dim": 512,
    "channel_base": 16384,
    "channel_max": 512,
}
AFTER = {**BEFORE, "mapping_layers": 4, "z_dim": 256, "w_dim": 256}
WIDTHS = [32, 64, 128, 256, 512]


def build(book: Notebook) -> Cell:
    with book.cell("training", "Train your own", PROSE) as cell:
        with cell.controls("Count", stop=None):
            inputs = {
                "resolution": gr.Dropdown(
                    [16, 32, 64, 128, 256, 512, 1024], value=64, label="Pixels of a side", elem_id=cell.id("resolution")
                ),
                "mapping_layers": gr.Slider(1, 8, 4, step=1, label="Mapping layers", elem_id=cell.id("mapping-layers")),
                "z_dim": gr.Dropdown(WIDTHS, value=128, label="Numbers in z", elem_id=cell.id("z-dim")),
                "w_dim": gr.Dropdown(WIDTHS, value=128, label="Numbers in w", elem_id=cell.id("w-dim")),
                "channel_base": gr.Dropdown(
                    [1024, 2048, 4096, 8192, 16384, 32768],
                    value=1024,
                    label="Channel base",
                    info="feature maps × pixels of a side",
                    elem_id=cell.id("channel-base"),
                ),
                "channel_max": gr.Dropdown(
                    [64, 128, 256, 512], value=128, label="Most feature maps", elem_id=cell.id("channel-max")
                ),
            }
        with cell.result(sheet=None):
            table = gr.HTML("", label="Parameters", elem_id=cell.id("table"), elem_classes="nb-figure")
            command = gr.Code(
                "",
                language="shell",
                interactive=False,
                show_label=False,
                label="The command",
                lines=1,
                show_line_numbers=False,
                wrap_lines=True,
                elem_id=cell.id("command"),
                elem_classes="nb-command",
            )
    given = list(inputs.values())
    outputs = [table, command, cell.code, cell.recipe, cell.news]
    shown = [*outputs, cell.status]
    cell.makes([table], given)

    @functools.wraps(count)
    def counted(*values) -> Iterator[dict]:
        for *made, ran in count(*values):
            yield {**dict(zip(outputs, made, strict=True)), cell.status: note(ran, "nb-ran")}

    def load(visitor, recipe) -> Iterator[dict]:
        values = {name: recipe.arguments.get(name, control.value) for name, control in inputs.items()}
        for update in counted(*values.values()):
            yield {**{inputs[name]: gr.update(value=value) for name, value in values.items()}, **update}

    cell.on(cell.run_button.click, counted, given, outputs, api_name="stylegan2_parameter_count", api_description=API,
            show_progress_on=table)  # fmt: skip
    cell.on([control.change for control in given], counted, given, shown, live=True, trigger_mode="always_last")
    cell.loads("stylegan2.parameter_count", load, [*given, *shown], show_progress_on=table)
    cell.at_start = lambda page: cell.on(page.load, counted, given, shown, live=True)
    cell.finish()
    return cell


def count(resolution=64, mapping_layers=4, z_dim=128, w_dim=128, channel_base=1024, channel_max=128) -> Iterator[tuple]:
    """Yields the cell's values once; a generator, so that its file lives until the page has copied it."""
    from pipelines import recipes, stylegan2

    given = (resolution, mapping_layers, z_dim, w_dim, channel_base, channel_max)
    yours = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in zip(BEFORE, given, strict=True)}
    recipe = recipes.make("stylegan2.parameter_count", **yours)
    rows = {"yours": yours, "the article, before": BEFORE, "the article, after": AFTER}
    counted = {name: stylegan2.parameter_count(**settings) for name, settings in rows.items()}
    with results.folder() as folder:
        kept = results.Path(folder) / "parameter-count.json"
        kept.write_text(recipe.to_json(), encoding="utf-8")
        ran = f"{counted['yours']['total'] / 1e6:.1f} million parameters"
        yield table_of(rows, counted), command_for(yours), recipe.code(), str(kept), "", ran


def table_of(rows: dict[str, dict], counted: dict[str, dict[str, int]]) -> str:
    def line(name: str) -> tuple[str, list[str]]:
        s, n = rows[name], counted[name]
        parts = [f"{n[part] / 1e6:.2f} M" for part in ("mapping", "synthesis")]
        total = f"{n['total'] / 1e6:.1f} M"
        return name, [f"{s['resolution']} px", f"{s['mapping_layers']:g}", f"{s['z_dim']}, {s['w_dim']}", *parts, total]

    columns = ["pictures", "layers", "z, w", "mapping", "synthesis", "in all"]
    return tables.numbers(columns, [line(name) for name in rows], "Generator parameters")


def command_for(settings: dict) -> str:
    options = " ".join(f"--{name.replace('_', '-')} {value:g}" for name, value in settings.items())
    return f"python -m training stylegan2 --data your-pictures.zip --out runs/mine {options}"
