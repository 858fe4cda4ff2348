"""Out-of-domain editing (Song et al. 2022): what the generator cannot make stays in the photograph."""

from __future__ import annotations

import gradio as gr

from ...handover import Handover
from ...networks import Chooser
from ...notebook import LATEX, Notebook
from .. import Tab
from . import compare, edit, slide

LEAD = """
# Keep what it cannot make

A network that makes faces has never seen your hat. Asked to change a smile, it paints the hat over with hair. Here only
what the change itself touches is taken from the network; every other pixel stays your photograph's own.
"""


def build(session: gr.State, page: gr.Blocks, tab: gr.Tab, handover: Handover) -> Chooser:
    """The whole tab. Gives its chooser of networks, whose list grows in the Checkpoints tab."""
    gr.Markdown(LEAD, latex_delimiters=LATEX, elem_classes="nb-lead")
    chooser = Chooser("od", "stylegan2", session)
    book = Notebook("od", chooser)
    _cell, handlers = edit.build(book, tab, handover)
    compare.build(book, handlers)
    slide.build(book, handlers)
    return chooser


TAB = Tab(
    label="Out of domain",
    order=50,
    build=build,
    send="Edit it out of domain",
    tools=("od_photo",),
)
