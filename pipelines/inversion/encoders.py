"""Which encoder belongs to a network: one that ships for it, or one that lies in the same file (pSp, e4e)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import weights
from models import device_of
from weights.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from models.encoders import Encoder, GradualStyleEncoder
    from models.stylegan2 import Generator

NONE = (
    "No encoder belongs to this network; choose w or w+, or a network with an encoder: stylegan2/faces once `make"
    " train-encoder` has run for it, or a checkpoint of pSp or e4e."
)


def encoder_for(net: Generator) -> Encoder | GradualStyleEncoder | None:
    """The encoder of a loaded generator, on its device, eval and frozen; None where there is none.

    A shipped encoder belongs to the very file that it was trained for: another state of the same network has other
    latents. Raises UserError where the encoder of an own file is no longer kept.
    """
    info = getattr(net, "info", None)
    if info is None:
        return None
    device = device_of(net)
    if (info.card or {}).get("encoder") in weights.WITH_ENCODER:
        if info.name.startswith("own:"):
            found = weights.reopen(info.sha256, device, part="encoder")
        else:
            found = weights.load(info.name, device, part="encoder")
    else:
        name = weights.encoder_of(info.sha256)
        found = weights.load(name, device) if name else None
    return found if found is not None and fits(found, net) else None


def needed(net: Generator) -> Encoder | GradualStyleEncoder:
    """``encoder_for``, for who cannot do without. Raises UserError with what can be done."""
    found = encoder_for(net)
    if found is None:
        raise UserError(NONE)
    return found


def fits(encoder: nn.Module, net: Generator) -> bool:
    return (encoder.num_ws, encoder.w_dim) == (net.num_ws, net.w_dim)
