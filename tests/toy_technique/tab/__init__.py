"""A tab of one cell."""

from __future__ import annotations

import gradio as gr

from ... import controls
from ...handover import Handover
from ...networks import Chooser
from ...notebook import Notebook, Run
from ...results import Display, Result
from .. import Tab

API = """The average of the pictures of some seeds.

Args:
    seeds: numbers and ranges, such as 1-4.
"""


def build(session: gr.State, page: gr.Blocks, tab: gr.Tab, handover: Handover) -> Chooser:
    chooser = Chooser("toy", "stylegan2", session)
    book = Notebook("toy", chooser)
    with book.cell("average", "What faces have in common", "The mean of some pictures.") as cell:
        with cell.controls("Make the average"):
            seeds = gr.Textbox("1-4", label="Seeds", elem_id=cell.id("seeds"))
            psi = controls.psi(cell)
        with cell.result("Picture · PNG"):
            picture = controls.picture(cell, "picture", "The average")
    cell.does(Run("toy.average", {"seeds": seeds, "truncation_psi": psi}, [picture], show), "toy_average", API)
    cell.finish()
    return chooser


def show(made: Result) -> Display:
    return Display([made.value], f"seeds {made.arguments['seeds']}", sheet=lambda: made.value)


TAB = Tab(label="Averages", order=60, build=build, tools=("toy_average",))
