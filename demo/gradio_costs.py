"""What Gradio computes anew for every event and every visitor though it never changes: computed once, or not at all."""

from __future__ import annotations

import copy
import functools

import gradio as gr
from gradio.data_classes import GradioModel, GradioRootModel
from pydantic import BaseModel


@functools.cache
def _schema(model: type[BaseModel]) -> dict:
    return BaseModel.model_json_schema.__func__(model)


def _described(model: type[BaseModel], *args, **kwargs) -> dict:
    """Takes the place of ``model_json_schema``: a millisecond for each file component that a result changes."""
    if args or kwargs:
        return BaseModel.model_json_schema.__func__(model, *args, **kwargs)
    return copy.deepcopy(_schema(model))


def install() -> None:
    """For the descriptions of components, which every visitor's session holds."""
    for model in (GradioModel, GradioRootModel):
        model.model_json_schema = classmethod(_described)


def without_statistics(page: gr.Blocks) -> None:
    """Ends the statistics of the queue: a table of up to 10,000 events, made anew whenever an event is over.

    They are for Gradio's monitoring page, which is off.
    """
    page._queue.ANALYTICS_MAX_EVENTS = 1
    page._queue.compute_analytics_summary = lambda records: {"functions": {}}
