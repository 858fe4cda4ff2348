"""All drags of a visitor as one animation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from weights.errors import UserError

from ... import networks, results
from ...lifecycle import note
from ...results import Result
from .display import state_of


def animate(
    part: dict[str, gr.components.Component], visitor, kind: str, fps: float, with_points: bool, size: str = "1x"
) -> Iterator[dict]:
    """All drags so far as one animation."""
    from pipelines import draggan

    def say(words: str) -> dict:
        return {part["film_news"]: note(words)}

    state = state_of(visitor)
    with results.folder() as folder:
        frames = state.frames
        if len(frames) < 2:
            raise UserError("Nothing has been dragged yet, so there is nothing to animate; press Drag first.")
        nowhere = ((), ())
        pictures = [draggan.draw(f.image(), *(f.points() if with_points else nowhere), size=256) for f in frames]
        pictures += pictures[-1:] * round(fps)  # a second to look at the end
        made = Result(None, {}, state.recipe(), {}, Path(folder))
        file = made.file("drag", ending=kind)
        path = str((yield from results.written(pictures, file, say, fps=fps, size=size or "1x")))
        film = kind == "mp4"
        yield {
            part["film"]: None if film else path,
            part["video"]: path if film else None,
            part["file"]: gr.update(value=path, visible=True),
            part["film_news"]: note(f"{len(pictures)} frames, {networks.size_text(Path(path).stat().st_size)}"),
        }
