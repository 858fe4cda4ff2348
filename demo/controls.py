"""Controls that several cells have, always under the same words."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence

import gradio as gr
from PIL import Image

from weights.errors import UserError

from . import networks
from . import tiles as pressed
from .notebook import Cell
from .results import Result

NOISE_MODES = [("stored", "const"), ("random", "random"), ("none", "none")]
FACE = 144  # pixels of a small face; it stands in half as many, of which fine screens have two each
LAYERS = ["all", "coarse", "middle", "fine", "coarse+middle", "middle+fine"]


def psi(cell: Cell, name: str = "psi", label: str = "Truncation ψ", value: float = 0.7) -> gr.Slider:
    return gr.Slider(
        -1,
        2,
        value,
        step=0.05,
        label=label,
        info="0 average · 1 as trained",
        elem_id=cell.id(name),
    )


def seed(cell: Cell, value: int = 1) -> gr.Number:
    return gr.Number(value, precision=0, minimum=0, label="Seed", elem_id=cell.id("seed"))


def another(button: gr.Button, number: gr.Number) -> gr.events.Dependency:
    """Makes a button draw a seed; what comes after the draw is told to come after the event that this gives."""
    draw = "() => Math.floor(Math.random() * 100000)"
    return button.click(None, None, number, js=draw, queue=False, api_visibility="private")


def noise_words(made: Result) -> str:
    """What there is to say of a choice of noise that changes nothing."""
    chosen = made.arguments["noise_mode"] != "const"
    return "; this network adds no noise" if chosen and networks.adds_no_noise(made.recipe.checkpoint) else ""


def noise_mode(cell: Cell) -> gr.Radio:
    return gr.Radio(
        NOISE_MODES,
        value="const",
        label="Noise",
        info="what seeds fine detail: hair, pores, grain",
        elem_id=cell.id("noise-mode"),
    )


def layers(cell: Cell, value: str, info: str) -> gr.Dropdown:
    return gr.Dropdown(
        LAYERS, value=value, allow_custom_value=True, label="Layers", info=info, elem_id=cell.id("layers")
    )


def tiles(cell: Cell, name: str, label: str, strip: bool = False) -> gr.Gallery:
    """A gallery in the manner of a contact sheet; as a ``strip`` its pictures stay in one row while they fit."""
    return gr.Gallery(
        label=label,
        show_label=False,
        height="auto",
        object_fit="contain",
        format="png",
        interactive=False,
        buttons=["download", "download_all", "fullscreen"],
        elem_id=cell.id(name),
        elem_classes=["nb-tiles", "nb-strip"] if strip else "nb-tiles",
    )


def faces(cell: Cell, name: str, label: str) -> gr.HTML:
    """Small faces in a row to press: those of a photograph, or some to try. What is shown is ``faces_of``."""
    return pressed.board(label, ["nb-faces"], elem_id=cell.id(name))


def faces_of(pictures: Iterable[tuple[Image.Image, str]], chosen: int | None = None) -> dict:
    """An update of ``faces``: pictures and words that stand for them; a press gives the number of one, from 0."""
    items = [pressed.Tile(str(i), image, alt=words) for i, (image, words) in enumerate(pictures)]
    return pressed.shown(items, None if chosen is None else str(chosen), side=FACE)


def picture(cell: Cell, name: str, label: str, classes: Sequence[str] = ()) -> gr.Image:
    """One picture; ``label`` stands below it."""
    return gr.Image(
        label=label,
        type="pil",
        format="png",
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_id=cell.id(name),
        elem_classes=["nb-picture", *classes],
    )


def numbers(text: str, name: str) -> list[float]:
    """``"-1, 0, 0.7"`` -> a list; the pipeline says which values it takes. Raises UserError."""
    parts = str(text or "").replace("−", "-").replace(";", ",").split(",")
    try:
        return [float(part) for part in parts if part.strip()]
    except ValueError:
        raise UserError(f"{name}: write numbers with commas between them, such as -1, 0, 0.7.") from None


def photograph(cell: Cell, sources: Sequence[str] = ("upload", "clipboard")) -> gr.Image:
    """A place for a visitor's photograph; what is handed on is the file, untouched."""
    return gr.Image(
        label="Photograph",
        type="filepath",
        image_mode=None,
        sources=list(sources),
        height=190,
        buttons=[],
        elem_id=cell.id("upload"),
        elem_classes="nb-upload",
    )


def before_after(cell: Cell, name: str, format: str = "png", visible: bool = True) -> gr.ImageSlider:
    """Two pictures of one size, one over the other."""
    return gr.ImageSlider(
        label="Left of the line: before. Right of it: after.",
        type="pil",
        format=format,
        interactive=False,
        buttons=[],
        visible=visible,
        elem_id=cell.id(name),
        elem_classes="nb-compare",
    )


def film(cell: Cell) -> tuple[gr.Image, gr.Video]:
    """An animation as a picture (GIF, WebP) or as a video (MP4); the one that is not there takes no room."""
    picture_ = picture(cell, "animation", "Animation (GIF, WebP)", classes=["nb-still"])
    video = gr.Video(
        label="Animation (MP4)",
        show_label=False,
        autoplay=True,
        loop=True,
        interactive=False,
        buttons=["download"],
        elem_id=cell.id("video"),
        elem_classes=["nb-picture", "nb-film"],
    )
    return picture_, video


def optional(cell: Cell, name: str, label: str, **options) -> gr.Textbox:
    """A number that may be left out. Not ``gr.Number``, whose empty box becomes 0 as soon as it is shown."""
    return gr.Textbox(None, label=label, max_length=20, elem_id=cell.id(name), **options)


def number_or_none(value, name: str) -> float | int | None:
    """What stands in an ``optional`` box; the pipeline says which values it takes. Raises UserError."""
    text = str("" if value is None else value).strip().replace("−", "-").replace(",", ".")
    try:
        number = float(text) if text else None
    except ValueError:
        raise UserError(f"{name}: write a number, or leave the box empty.") from None
    return int(number) if number is not None and number.is_integer() else number


def as_text(value) -> str:
    """A list out of a recipe as a visitor would type it."""
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in value) if isinstance(value, list) else value


def file_size(cell: Cell, name: str = "size") -> gr.Dropdown:
    """How large a file is written, as ``pipelines.sizes`` takes it."""
    return gr.Dropdown(
        [("1×", "1x"), ("2×", "2x"), ("4×", "4x"), ("512 px", "512"), ("1024 px", "1024")],
        value="1x",
        label="Size of the file",
        elem_id=cell.id(name),
        min_width=0,
    )


def film_output(kind: str, fps: float, size: str = "1x") -> dict:
    """What a recipe says of an animation's file; the size only where it is not that of the frames. Raises UserError."""
    from pipelines import animation, checks, sizes

    checks.choice(kind, "The file", animation.formats())
    checks.number(fps, "Frames a second", 1, 60)
    sizes.resized_to(size, (64, 64))
    return {"format": kind, "fps": fps} | ({} if size == "1x" else {"size": size})


def kinds() -> list[tuple[str, str]]:
    """GIF, WebP, and MP4 if there is a library for it; whether that has an encoder, only loading it would tell."""
    films = [("MP4", "mp4")] if importlib.util.find_spec("av") else []
    return [("GIF", "gif"), ("WebP", "webp"), *films]
