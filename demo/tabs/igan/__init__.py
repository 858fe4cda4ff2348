"""iGAN (Zhu et al. 2016): paint, and the nearest pictures that the network can make answer."""

from __future__ import annotations

import gradio as gr

from ...handover import Handover
from ...networks import Chooser
from ...notebook import LATEX, Notebook
from .. import Tab
from . import brush, manifold, project, toy, transfer

LEAD = """
# Paint, and the network follows

A sketch is rough, and a network that draws well does not know what you want. iGAN puts the two together: you paint a
colour, draw a line or move a piece of the picture, and it looks among all the pictures that it can make for those that
come nearest.
"""


def build(session: gr.State, page: gr.Blocks, tab: gr.Tab, handover: Handover) -> Chooser:
    """The whole tab. Gives its chooser of networks, whose list grows in the Checkpoints tab."""
    gr.Markdown(LEAD, latex_delimiters=LATEX, elem_classes="nb-lead")
    chooser = Chooser("ig", ("igan", "stylegan2"), session)
    book = Notebook("ig", chooser)
    _cell, handlers = brush.build(book, tab, handover)
    project.build(book, handlers, tab)
    transfer.build(book, handlers)
    transfer.build_morph(book, handlers)
    toy.build(book)
    manifold.build(book, handlers)
    return chooser


TAB = Tab(
    label="iGAN",
    order=40,
    build=build,
    networks=("igan",),
    send="Paint in iGAN",
    tools=("igan_brush", "igan_project", "igan_morph", "igan_ring", "igan_ring_step", "igan_plane"),
)
