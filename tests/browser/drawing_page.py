"""A page with nothing but a canvas on it, for test_canvas.py: pictures whose colours say where in them one is."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import demo
from demo import canvas

SIZES = {"square": (64, 64), "landscape": (96, 40), "portrait": (40, 96), "large": (800, 600)}
FRAMES = 30
enough = threading.Event()


def picture(kind: str, blue: int = 0) -> Image.Image:
    """Red tells how far from the left one is, green how far from above: 0 in the first pixel, 250 in the last."""
    width, height = SIZES[kind]
    red, green = np.meshgrid(np.linspace(0, 250, width), np.linspace(0, 250, height))
    return Image.fromarray(np.stack([red, green, np.full_like(red, blue)], axis=2).round().astype(np.uint8))


def choose(kind: str):
    return gr.update(value=canvas.drawn(SIZES[kind]), frame=canvas.frame(picture(kind), f"a {kind} picture"))


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
        board = canvas.board(elem_id="board", most=5)
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
    return page


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--offline", action="store_true")
    options = parser.parse_args()
    build().launch(server_name=options.host, server_port=options.port, quiet=True, **demo.launch_options())
