"""Cell 4: a walk from seed to seed, as an animation."""

from __future__ import annotations

import gradio as gr

from pipelines import animation
from weights.errors import UserError

from ... import controls
from ...networks import size_text
from ...notebook import Cell, Notebook, Run
from ...results import Display, Result

PROSE = r"""
Between two styles lie others, all of them faces. In $\mathcal W$ the walk follows straight lines; in $\mathcal Z$, the
space of the raw numbers, it follows great circles, because nearly all random lists of numbers are of the same length.
"""

API = """An animation that walks through seeds. Gives the animation as a picture (GIF, WebP) or as a video (MP4), what
ran, the code, the file to keep, and the recipe.

Args:
    seeds: 2 to 8 seeds, such as 1-4.
    frames: 2 to 600 in all.
    space: w or z.
    easing: linear or smooth (rests at each seed).
    loop: walks back to the first seed.
    truncation_psi: -1 to 2.
    format: gif, webp or mp4.
    fps: frames per second, 1 to 60.
    size: 1x, 2x, 4x, or the pixels of the longer side.
"""


OUTPUT = ("format", "fps", "size")


def build(book: Notebook) -> Cell:
    with book.cell("interpolation", "Interpolation: a walk from seed to seed", PROSE) as cell:
        with cell.controls("Make the animation", stop="always"):
            seeds = gr.Textbox("22-25", label="Seeds", info="2 to 8", max_length=200, elem_id=cell.id("seeds"))
            with gr.Row(elem_classes="nb-two"):
                frames = gr.Slider(2, 600, 60, step=1, label="Frames", elem_id=cell.id("frames"), min_width=0)
                fps = gr.Slider(1, 60, 20, step=1, label="Frames a second", elem_id=cell.id("fps"), min_width=0)
            space = gr.Radio(["w", "z"], value="w", label="Space", elem_id=cell.id("space"))
            easing = gr.Radio(
                [("even", "linear"), ("rests at each seed", "smooth")],
                value="linear",
                label="Pace",
                elem_id=cell.id("easing"),
            )
            loop = gr.Checkbox(True, label="Back to the first seed", elem_id=cell.id("loop"))
            psi = controls.psi(cell)
            kind = gr.Radio(controls.kinds(), value="gif", label="File", elem_id=cell.id("format"))
            size = controls.file_size(cell)
        with cell.result("Animation file"):
            picture, video = controls.film(cell)
    inputs = {
        "seeds": seeds,
        "frames": frames,
        "space": space,
        "easing": easing,
        "loop": loop,
        "truncation_psi": psi,
        "format": kind,
        "fps": fps,
        "size": size,
    }
    run = Run(
        "stylegan2.interpolate",
        inputs,
        [picture, video],
        show,
        arguments=lambda values: {k: v for k, v in values.items() if k not in OUTPUT},
        restore=restore,
        output=output,
        preview=lambda frame: [frame, None],
        total="frames",
        first_frame=not_too_large,
    )
    cell.does(run, "stylegan2_interpolate", API, itself=True)
    cell.finish()
    return cell


def output(values: dict) -> dict:
    """What the recipe says of the file; the size only where it is not that of the frames."""
    return {name: values[name] for name in OUTPUT if (name, values[name]) != ("size", "1x")}


def not_too_large(frame, arguments: dict) -> None:
    """Says at once what ``animation.save`` would say after all frames were made."""
    most = animation.most_frames(frame.size)
    if arguments["frames"] > most:
        raise UserError(f"At {frame.width} px an animation has at most {most} frames; ask for fewer.")


def restore(arguments: dict, output: dict | None) -> dict:
    return {"size": "1x", **arguments, "seeds": controls.as_text(arguments["seeds"]), **(output or {})}


def show(made: Result) -> Display:
    output = {"format": "gif", "fps": 20, "size": "1x", **(made.recipe.output or {})}
    file = made.file("walk", ending=output["format"])
    path = animation.save(made.value, file, fps=output["fps"], size=output["size"])
    values = [None, str(path)] if output["format"] == "mp4" else [str(path), None]
    return Display(values, f"{len(made.value)} frames, {size_text(path.stat().st_size)}", file=path)
