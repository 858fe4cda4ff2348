"""Defaults and limits that the page shows before torch is loaded, so nothing here imports it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

MAX_HANDLES = 128  # of one drag; the 68 landmarks of a face fit

THRESHOLD, SOFTNESS = 0.1, 0.3  # of the mask
# What the mask lays over a photograph: T - I' without what it has at its border, T - I', or as in the paper T itself.
BLENDS = ("seamless", "change", "edit")
TUNING = 40  # steps of pivotal tuning after an inversion, at most
STEPS = {"encoder": 1, "hybrid": 30, "optimisation": 100}  # of the inversion, by method; an encoder alone takes none
METHODS = tuple(STEPS)
MAX_EDITS = 12
MAX_STRENGTH = 10.0  # standard deviations of w
# How strongly a direction of the faces that ship is wanted where nobody says it. At these strengths edits of 16
# photographs of the train split all showed the same person for dlib, but for glasses: weaker ones are a shadow over the
# eyes, and dark ones hide so much of a face that dlib takes a quarter of them for somebody else's. Farther, hair goes
# well, but fringes, beards and mouths break to the eye before dlib notices.
STRENGTHS = {
    "Smiling": 5.0,
    "Mouth_Slightly_Open": 5.0,
    "Bangs": 6.0,
    "Eyeglasses": 7.0,
    "No_Beard": 5.0,
    "Blond_Hair": 8.0,
    "Black_Hair": 8.0,
    "Brown_Hair": 6.0,
}
STRENGTH = 4.0  # of any other
POOR = 0.1  # a mean |I - I'| inside the mask, of 1 at most, above which a warning is due


def usual_strength(direction: str) -> float:
    """Standard deviations of w."""
    return STRENGTHS.get(direction, STRENGTH)


@dataclass(frozen=True)
class MaskOptions:
    """How an out-of-domain edit is laid over its photograph.

    Attributes:
        threshold, softness, add, keep, cautious: of the mask, see ``out_of_domain.soft_mask``.
        deghost: False leaves the blend as it is.
        blend: "seamless", "change" or "edit" (the paper's), see ``out_of_domain.composed``.
    """

    threshold: float = THRESHOLD
    softness: float = SOFTNESS
    add: Any = None  # a mask, in any of the forms that ``images.Mask`` names
    keep: Any = None
    cautious: bool = True
    deghost: bool = True
    blend: str = BLENDS[0]

    def given(self) -> dict[str, Any]:
        """Those that are not as usual, by name."""
        values = {one.name: getattr(self, one.name) for one in fields(MaskOptions)}
        return {one.name: values[one.name] for one in fields(MaskOptions) if values[one.name] != one.default}
