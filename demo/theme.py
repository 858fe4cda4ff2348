"""How the page looks: theme, style sheet and the little script that goes with it. Everything is served from here."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, fonts, sizes

ASSETS = Path(__file__).resolve().parent / "assets"
STYLES = ("notebook.css", "canvas.css", "tiles.css")
# Of the canvas's scripts each needs those before it.
SCRIPTS = (
    "visit.js",
    "parts.js",
    "cells.js",
    "unasked.js",
    "canvas_layers.js",
    "canvas_marks.js",
    "canvas_patches.js",
    "canvas_keys.js",
    "canvas.js",
    "accessible.js",
    "messages.js",
    "start.js",
    "tiles.js",
)
FONTS_AT = "fonts"  # below the page's address
TOUR_AT, TOUR = "tour", ASSETS / "tour"  # pictures of the first page; docs/pictures.py makes them
PHOTOGRAPHS_AT, PHOTOGRAPHS = "photographs", ASSETS / "photographs"  # to try; its README says whose they are
FONTS = ASSETS / "fonts"  # Newsreader, under the SIL Open Font License beside it

# Light: a light table with a contact sheet, marked in grease pencil. Dark: the darkroom under its safelight.
INK = colors.Color(
    name="ink",
    c50="#fbfaf8",
    c100="#f3f1ed",
    c200="#e4e1da",
    c300="#cdc8be",
    c400="#9d978c",
    c500="#736d64",
    c600="#57524a",
    c700="#3c3833",
    c800="#262320",
    c900="#1a1816",
    c950="#11100f",
)
MARK = colors.Color(
    name="mark",
    c50="#fdf3f0",
    c100="#fbe3dc",
    c200="#f6c5b8",
    c300="#f09c87",
    c400="#fb7757",
    c500="#d9401f",
    c600="#bd3116",
    c700="#982612",
    c800="#782111",
    c900="#571a0f",
    c950="#330d06",
)


def theme() -> gr.themes.Base:
    sans = [fonts.LocalFont("IBM Plex Sans", weights=(400, 700)), "ui-sans-serif", "system-ui", "sans-serif"]
    mono = [fonts.LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "Menlo", "Consolas", "monospace"]
    made = gr.themes.Base(
        primary_hue=MARK,
        secondary_hue=MARK,
        neutral_hue=INK,
        text_size=sizes.text_md,
        spacing_size=sizes.spacing_md,
        radius_size=sizes.radius_sm,
        font=sans,
        font_mono=mono,
    )
    return made.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="#ece7df",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        background_fill_primary="white",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_100",
        background_fill_secondary_dark="*neutral_800",
        border_color_primary="*neutral_200",
        border_color_primary_dark="#38342f",
        color_accent="*primary_600",
        color_accent_soft="*primary_50",
        color_accent_soft_dark="#3a1d15",
        link_text_color="*primary_600",
        link_text_color_dark="*primary_400",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_padding="0px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_weight="700",
        block_title_text_size="*text_sm",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_300",
        block_info_text_size="*text_xs",
        form_gap_width="0px",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
        input_border_color="*neutral_300",
        input_border_color_dark="#4a443d",
        input_border_width="1px",
        input_shadow="none",
        input_shadow_focus="0 0 0 2px *primary_200",
        input_shadow_focus_dark="0 0 0 2px *primary_800",
        input_border_color_focus="*primary_500",
        input_border_color_focus_dark="*primary_400",
        button_primary_background_fill="*neutral_900",
        button_primary_background_fill_hover="*primary_600",
        button_primary_text_color="white",
        button_primary_background_fill_dark="*primary_400",
        button_primary_background_fill_hover_dark="*primary_300",
        button_primary_text_color_dark="*neutral_950",
        button_secondary_background_fill="transparent",
        button_secondary_background_fill_dark="transparent",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_hover_dark="*neutral_800",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="#4a443d",
        button_border_width="1px",
        button_large_text_weight="700",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
        checkbox_label_background_fill="transparent",
        checkbox_label_background_fill_dark="transparent",
        checkbox_background_color_selected="*primary_600",
        checkbox_background_color_selected_dark="*primary_500",
        checkbox_border_color_selected="*primary_600",
        checkbox_border_color_selected_dark="*primary_500",
    )


def launch_options() -> dict:
    """Arguments of ``Blocks.launch`` that concern the looks; Gradio 6 takes them there."""
    head = (ASSETS / "head.html").read_text(encoding="utf-8")
    parts = {
        key: "".join((ASSETS / name).read_text(encoding="utf-8") for name in names)
        for key, names in (("STYLES", STYLES), ("CANVAS", SCRIPTS))
    }
    head = head.replace("FONTS", FONTS_AT)
    for name, text in parts.items():
        head = head.replace(name, text)
    return {
        "theme": theme(),
        "head": head,
        "favicon_path": str(ASSETS / "favicon.png"),
        "footer_links": ["api", "settings"],
    }
