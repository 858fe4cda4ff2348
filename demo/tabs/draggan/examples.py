"""Drags that are known to work on the networks that ship, for a first look with one click."""

from __future__ import annotations

from dataclasses import dataclass

import weights

Place = tuple[float, float]


@dataclass(frozen=True)
class Example:
    """Places are shares of the picture's side, so that they hold for a network of another size too.

    ``points``: pairs of a handle and its target.
    """

    key: str
    title: str
    network: str
    seed: int
    points: tuple[tuple[Place, Place], ...]
    truncation_psi: float = 0.7
    steps: int = 100

    def made(self) -> dict:
        return {"seed": self.seed, "truncation_psi": self.truncation_psi}

    def drag(self, size: int) -> dict:
        """Arguments of ``draggan.drag`` for a picture of ``size`` pixels."""
        handles, targets = ([[v * size - 0.5 for v in pair[end]] for pair in self.points] for end in (0, 1))
        return {"handles": handles, "targets": targets, "steps": self.steps}


EXAMPLES = {
    example.key: example
    for example in (
        Example("mouth", "close the mouth", "stylegan2/faces", 3, (((0.5, 0.78), (0.5, 0.72)),)),
        Example("turn", "turn the head", "stylegan2/faces", 3, (((0.5, 0.6), (0.62, 0.6)),)),
    )
}


def at_hand() -> list[Example]:
    """Those whose network is on this machine."""
    return [e for e in EXAMPLES.values() if weights.status(e.network) in ("shipped", "cached")]
