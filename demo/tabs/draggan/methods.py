"""The ways to the latent of a photograph that a network offers: by steps, and by its encoder where it has one."""

from __future__ import annotations

import gradio as gr

import weights
from weights.errors import UserError

from ... import networks
from ...networks import Reference

METHODS = {"w+": "w+", "w": "w", "encoder": "Encoder", "hybrid": "Encoder, then w+"}
WITHOUT = ("w+", "w")  # what every network has
TOLD = "w+ comes nearer · w is easier to drag · an encoder says it at once, where the network has one"


def methods(visitor, network, technique) -> list[tuple[str, str]]:
    """The ways to a latent that a network has, (label, value); what is not on this machine is not fetched for it."""
    found = WITHOUT
    try:
        reference = networks.resolve(visitor, network, technique)
        found = tuple(METHODS) if encoded(reference) else WITHOUT
    except UserError:  # no network, or one that is gone: said when it is used
        pass
    return [(METHODS[method], method) for method in found]


def encoded(reference: Reference) -> bool:
    """Whether a network has an encoder. Raises UserError."""
    if reference.sha256 is None:
        return weights.has_encoder(reference.name)
    return reference.open().info.card.get("encoder") is not None


def offered(visitor, network, method, technique):
    """The choice of ways for another network, which may lack the one that was chosen."""
    found = methods(visitor, network, technique)
    chosen = method if method in [value for _label, value in found] else "w+"
    return gr.update(choices=found, value=chosen), gr.update(visible=chosen != "encoder")
