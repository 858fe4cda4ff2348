"""Defaults and limits that the page shows before torch is loaded, so nothing here imports it."""

from __future__ import annotations

MAX_HANDLES = 128  # of one drag; the 68 landmarks of a face fit

THRESHOLD, SOFTNESS = 0.1, 0.3  # of the mask
# What the mask lays over a photograph: T - I' without what it has at its border, T - I', or as in the paper T itself.
BLENDS = ("seamless", "change", "edit")
TUNING = 40  # steps of pivotal tuning after an inversion, at most
STEPS = {"encoder": 1, "hybrid": 30, "optimisation": 100}  # of the inversion, by method; an encoder alone takes none
METHODS = tuple(STEPS)
MAX_EDITS = 12
MAX_STRENGTH = 10.0  # standard deviations of w
POOR = 0.1  # a mean |I - I'| inside the mask, of 1 at most, above which a warning is due
