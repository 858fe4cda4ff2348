"""AttGAN (He et al. 2019): attributes of a face are ticked, and the face has them."""

from __future__ import annotations

import gradio as gr

from ...handover import Handover
from ...networks import Chooser
from ...notebook import LATEX, Notebook
from .. import Tab
from . import batch, edit, flips, slide

LEAD = """
# Tick what should change

AttGAN takes a face apart into who it is and what it has, and puts it together again with other things: glasses, a
beard, blond hair, thirty more years. Thirteen of them, one at a time or all at once, each as strongly as you like.
"""


def build(session: gr.State, page: gr.Blocks, tab: gr.Tab, handover: Handover) -> Chooser:
    """The whole tab. Gives its chooser of networks, whose list grows in the Checkpoints tab."""
    gr.Markdown(LEAD, latex_delimiters=LATEX, elem_classes="nb-lead")
    chooser = Chooser("ag", "attgan", session)
    book = Notebook("ag", chooser)
    _cell, handlers = edit.build(book, tab, handover)
    flips.build(book, handlers)
    slide.build(book, handlers)
    batch.build(book, handlers)
    return chooser


TAB = Tab(
    label="AttGAN",
    order=30,
    build=build,
    networks=("attgan",),
    send="Tick attributes in AttGAN",
    tools=("attgan_face", "attgan_batch"),
)
