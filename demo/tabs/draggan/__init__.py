"""DragGAN (Pan et al. 2023): points are pulled over a picture, and the picture follows."""

from __future__ import annotations

import gradio as gr

from ...handover import Handover
from ...networks import Chooser
from ...notebook import LATEX, Notebook
from .. import Tab
from . import drag, feature_map, photo

LEAD = """
# Take hold of a picture

DragGAN lets you say *this point should be there*, and finds the picture in which it is. The network knows how mouths
open and heads turn, so whatever has to change for that changes with it: teeth appear, the other ear goes out of sight.
"""


def build(session: gr.State, page: gr.Blocks, tab: gr.Tab, handover: Handover) -> Chooser:
    """The whole tab. Gives its chooser of networks, whose list grows in the Checkpoints tab."""
    gr.Markdown(LEAD, latex_delimiters=LATEX, elem_classes="nb-lead")
    chooser = Chooser("dg", "stylegan2", session)
    book = Notebook("dg", chooser)
    _first, handlers = drag.build(book, tab, handover)
    photo.build(book, handlers, handover)
    feature_map.build(book, handlers)
    return chooser


TAB = Tab(
    label="DragGAN",
    order=20,
    build=build,
    send="Drag it in DragGAN",
    tools=("draggan_drag", "draggan_invert"),
)
