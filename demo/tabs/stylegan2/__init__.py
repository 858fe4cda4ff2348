"""StyleGAN2 (Karras et al. 2020), from numbers to pictures: eight cells, one module each."""

from __future__ import annotations

import gradio as gr

from ...handover import Handover
from ...networks import STYLEGANS, Chooser
from ...notebook import LATEX, Notebook
from .. import Tab
from . import directions, history, interpolation, mixing, noise, sample, training, truncation

LEAD = """
# Pictures from numbers

StyleGAN2 turns a list of random numbers into a picture that nobody took. A *seed* picks the list, a small **mapping
network** bends it into a *style* $w$, and the **synthesis network** paints from a 4 × 4 grid upwards, asking the style
at every layer what to paint. Every control below changes one of these steps.
"""


def build(session: gr.State, page: gr.Blocks, tab: gr.Tab, handover: Handover) -> Chooser:
    """The whole tab. Gives its chooser of networks, whose list grows in the Checkpoints tab."""
    gr.Markdown(LEAD, latex_delimiters=LATEX, elem_classes="nb-lead")
    chooser = Chooser("sg2", STYLEGANS, session)
    book = Notebook("sg2", chooser)
    first = sample.build(book, handover)
    for cell in (truncation, mixing, interpolation, noise, directions, history):
        cell.build(book)
    counting = training.build(book)
    first.at_start(page, first.runs[0])
    counting.at_start(page)
    return chooser


TAB = Tab(
    label="StyleGAN2",
    order=10,
    build=build,
    networks=STYLEGANS,
    tools=(
        "stylegan2_sample",
        "stylegan2_truncation",
        "stylegan2_truncation_picture",
        "stylegan2_mix",
        "stylegan2_interpolate",
        "stylegan2_noise",
        "stylegan2_move",
        "stylegan2_move_strip",
        "stylegan2_history",
        "stylegan2_parameter_count",
    ),
)
