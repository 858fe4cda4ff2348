"""Drags that are known to work on the networks that ship, for a first look with one click."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    options: dict = field(default_factory=dict)  # of ``draggan.drag``

    def made(self) -> dict:
        return {"seed": self.seed, "truncation_psi": self.truncation_psi}

    def drag(self, size: int) -> dict:
        """Arguments of ``draggan.drag`` for a picture of ``size`` pixels."""
        handles, targets = ([[round(v * size - 0.5, 2) for v in pair[end]] for pair in self.points] for end in (0, 1))
        return {"handles": handles, "targets": targets, "steps": 100, **self.options}


FACES, CARTOONS = "stylegan2/faces", "stylegan2/cartoons"
EXAMPLES = {
    example.key: example
    for example in (
        Example("mouth", "close the mouth", FACES, 17, (((0.5, 0.8), (0.5, 0.74)),), options={"lr": 0.02}),
        Example("open", "open it", FACES, 28, (((0.5, 0.77), (0.5, 0.83)),), options={"lr": 0.012}),
        Example("forehead", "a higher forehead", FACES, 17, (((0.5, 0.2), (0.5, 0.12)),)),
        Example(
            "brows",
            "raise the eyebrows",
            FACES,
            22,
            (((0.36, 0.4), (0.36, 0.36)), ((0.64, 0.4), (0.64, 0.36))),
            options={"lr": 0.015},
        ),
        Example(
            "turn",
            "turn the head",
            FACES,
            20,
            (((0.5, 0.58), (0.56, 0.58)),),
            options={"lr": 0.012, "stop_distance": 2},
        ),
        Example("hair", "longer hair", CARTOONS, 25, (((0.5, 0.88), (0.5, 0.94)),)),
    )
}


def at_hand() -> list[Example]:
    """Those whose network is on this machine."""
    return [e for e in EXAMPLES.values() if weights.status(e.network) in ("shipped", "cached")]
