"""Limits that every caller meets, the page and the API alike: one sentence when a value is out of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from weights.errors import UserError


def _shown(bound: float) -> str:
    return f"{bound:,.0f}" if float(bound).is_integer() else f"{bound:g}"


def number(value, name: str, low: float, high: float) -> float:
    """``value`` as a float within [low, high]. Raises UserError for anything else, NaN and infinity included."""
    try:
        value = float(value)
    except (TypeError, ValueError):
        raise UserError(f"{name} must be a number from {_shown(low)} to {_shown(high)}.") from None
    if not math.isfinite(value) or not low <= value <= high:
        raise UserError(f"{name} must be from {_shown(low)} to {_shown(high)}.")
    return value


def integer(value, name: str, low: int, high: int) -> int:
    """``value`` as an int within [low, high]. Raises UserError for anything else; 3.0 counts as 3."""
    checked = number(value, name, low, high)
    if checked != int(checked):
        raise UserError(f"{name} must be a whole number from {low:,} to {high:,}.")
    return int(checked)


def choice(value, name: str, options: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in options:
        raise UserError(f"{name} must be one of {', '.join(options)}.")
    return value


def sequence(value, name: str, low: int, high: int) -> list:
    """``value`` as a list of low to high entries."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise UserError(f"{name} must be a list.")
    if not low <= len(value) <= high:
        amount = f"{low} to {high}" if low != high else str(low)
        raise UserError(f"{name} must have {amount} entries; there are {len(value):,}.")
    return list(value)
