"""The first page: what each technique does in a moving picture, and a place for a photograph.

The pictures are files (``docs/pictures.py`` makes them of what our networks make), and ``assets/start.js`` opens a tab,
presses its example, or hands it the photograph, as a visitor would. Only the cell below asks the server for something.
"""

from __future__ import annotations

from html import escape

import gradio as gr

from ... import photographs, theme
from ...handover import Handover
from ...networks import NoChooser
from ...notebook import LATEX, Notebook
from .. import Tab
from . import five_papers

LEAD = """
# Start here

Five papers on editing pictures with generative adversarial networks, each with its words, its controls and its code.
Press a picture: it opens the tab with the example that it shows.
"""
# The picture's name, the tab, and what the technique does.
TOUR = (
    ("walk", "StyleGAN2", "Make faces from random numbers, and walk from one to the next."),
    ("draggan", "DragGAN", "Drag a point of a picture to where it should be."),
    ("attgan", "AttGAN", "Tick what a face should have: glasses, a beard, blond hair."),
    ("igan", "iGAN", "Paint a stroke; the nearest pictures of the network follow."),
    ("out-of-domain", "Out of domain", "Change the smile, and keep the hat that the network cannot make."),
)
PHOTO = (("DragGAN", "Drag it"), ("AttGAN", "Tick attributes"), ("iGAN", "Paint on it"), ("Out of domain", "Edit it"))


def build(session: gr.State, page: gr.Blocks, tab: gr.Tab, handover: Handover) -> None:
    """The whole tab; it has no networks of its own."""
    gr.Markdown(LEAD, latex_delimiters=LATEX, elem_classes="nb-lead")
    gr.HTML(_tour() + _photo(), elem_id="start", elem_classes="nb-start")
    five_papers.build(Notebook("st", NoChooser(session)))


def _tour() -> str:
    def card(name: str, tab: str, words: str) -> str:
        at = f"{theme.TOUR_AT}/{name}"
        return (
            f'<li><button type="button" data-tour="{name}"><picture>'
            f'<source media="(prefers-reduced-motion: reduce)" srcset="{at}-still.webp">'
            f'<img src="{at}.webp" alt="" width="192" height="192"></picture>'
            f"<b>{escape(tab)}</b><span>{escape(words)}</span></button></li>"
        )

    return f'<ul class="nb-tour">{"".join(card(*one) for one in TOUR)}</ul>'


def _photo() -> str:
    buttons = '<button type="button" data-take="Start here">All five, side by side</button>'
    buttons += "".join(f'<button type="button" data-take="{tab}">{words} · {tab}</button>' for tab, words in PHOTO)
    return (
        '<section class="nb-own-photo" aria-label="Your own photograph"><h2>Your own photograph</h2>'
        "<figure><label><span>Drop a photograph here, or press to choose one</span>"
        '<input type="file" accept="image/*"></label>'
        f'<figcaption><button type="button" data-sample="{theme.PHOTOGRAPHS_AT}/{photographs.FILE.name}">'
        "No photograph at hand? Take NASA’s of Eileen Collins</button></figcaption></figure>"
        "<div><p>Then say what should be done with it. It goes to this page's server only when you press a button, and"
        f" is forgotten when you leave.</p>{buttons}</div></section>"
    )


TAB = Tab(label="Start here", order=0, build=build, tools=("five_papers",))
