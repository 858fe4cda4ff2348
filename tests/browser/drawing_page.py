"""A page with nothing but canvases on it, for test_canvas*.py: pictures whose colours say where in them one is.

One has points and a mask, the other the brushes of iGAN.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import demo
from demo import canvas

BRUSHES = (canvas.COLOUR, canvas.SKETCH, replace(canvas.WARP, most=3))
SIZES = {"square": (64, 64), "landscape": (96, 40), "portrait": (40, 96), "large": (800, 600)}
FRAMES = 30
BEFORE = 200  # the blue of the picture that is compared with
enough = threading.Event()


def picture(kind: str, blue: int = 0) -> Image.Image:
    """Red tells how far from the left one is, green how far from above: 0 in the first pixel, 250 in the last."""
    width, height = SIZES[kind]
    red, green = np.meshgrid(np.linspace(0, 250, width), np.linspace(0, 250, height))
    return Image.fromarray(np.stack([red, green, np.full_like(red, blue)], axis=2).round().astype(np.uint8))


def choose(kind: str):
    frame = canvas.frame(picture(kind), f"a {kind} picture", before=picture(kind, BEFORE))
    return gr.update(value=canvas.drawn(SIZES[kind]), frame=frame)


def other(kind: str):
    """A new picture for the brushes, and a drawing that is taken away."""
    return gr.update(
        value=canvas.drawn(SIZES[kind], patches=()), frame=canvas.frame(picture(kind), f"a {kind} picture")
    )


def painted(kind: str):
    """What a recipe could bring: two colours, a line, a patch."""
    image = Image.new("RGBA", (128, 128))
    image.paste((10, 200, 30, 255), (0, 0, 128, 32))
    image.paste((200, 10, 230, 255), (0, 32, 64, 64))
    line = np.zeros((64, 64), np.uint8)
    line[40] = 1
    layers = {"colour": canvas.Layer.of(image), "sketch": canvas.Layer(line)}
    return gr.update(
        value=canvas.drawn(SIZES[kind], layers=layers, patches=[canvas.Patch((15.5, 15.5), (40.5, 40.5), 12)])
    )


def run(kind: str, value):
    """Moves all handles towards their targets until ``enough``, then onto them; every frame has a blue of its own."""
    enough.clear()
    ends = [(np.array(p.handle), np.array(p.target)) for p in canvas.read(value).points]
    number, t = 0, 0.0
    while t < 1:
        number, t = number + 1, 1.0 if enough.is_set() else min(0.9, number / FRAMES)
        points = [((a + t * (b - a)).tolist(), b.tolist()) for a, b in ends]
        shown = picture(kind, 55 + number % 200)
        yield gr.update(frame=canvas.frame(shown, "moving", points, running=t < 1))
        time.sleep(0.06)


def example(kind: str):
    cells = np.zeros((100, 100), np.uint8)
    cells[:50] = 1
    value = canvas.drawn(SIZES[kind], [((5, 6), (15, 26)), ((30, 30), (20, 20))], {"mask": canvas.Layer(cells)})
    return gr.update(value=value)


def build() -> gr.Blocks:
    with gr.Blocks() as page:
        kind = gr.Radio(list(SIZES), value="square", elem_id="kind")
        board = canvas.board(elem_id="board", most=5, compares=True)
        start, load, end = (gr.Button(words, elem_id=words.lower()) for words in ("Run", "Load", "End"))
        heard = gr.Textbox("[]", lines=1, elem_id="heard")  # the value of every event so far
        hidden = {"show_progress": "hidden"}
        # In the browser: one event on its way to Python would keep the next one from being heard.
        board.input(None, [board, heard], heard, js="(value, old) => JSON.stringify([...JSON.parse(old), value])")
        kind.change(lambda kind: (choose(kind), "[]"), kind, [board, heard], **hidden)
        start.click(run, [kind, board], board, **hidden)
        end.click(enough.set, None, None, queue=False, **hidden)
        load.click(example, kind, board, **hidden)
        page.load(choose, kind, board, **hidden)
        with gr.Column(elem_classes="nb-cell", elem_id="cell"):
            keys = {"p": "count", "e": "hide"}
            pad = canvas.board(BRUSHES, elem_id="pad", empty="Nothing yet.", keys=keys)
            counted = gr.Number(0, elem_id="counted")
            count = gr.Button("Count", elem_id="count")
            bring = gr.Button("Bring", elem_id="bring")
            said = gr.Textbox("[]", lines=1, elem_id="said")
            pad.input(None, [pad, said], said, js="(value, old) => JSON.stringify([...JSON.parse(old), value])")
            count.click(None, counted, counted, js="n => n + 1")
        kind.change(lambda kind: (other(kind), "[]"), kind, [pad, said], **hidden)
        bring.click(painted, kind, pad, **hidden)
        page.load(other, kind, pad, **hidden)
    return page


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--offline", action="store_true")
    options = parser.parse_args()
    build().launch(server_name=options.host, server_port=options.port, quiet=True, **demo.launch_options())
