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


FACES, CATS, FLOWERS, CARTOONS = (f"stylegan2/{name}" for name in ("faces", "cats", "flowers", "cartoons"))
EXAMPLES = {
    example.key: example
    for example in (
        Example("open", "open the mouth", FACES, 20, (((0.5, 0.75), (0.5, 0.8)),)),
        Example("smile", "a wider smile", FACES, 24, (((0.39, 0.71), (0.35, 0.69)), ((0.61, 0.71), (0.65, 0.69)))),
        Example("forehead", "a higher forehead", FACES, 52, (((0.5, 0.2), (0.5, 0.12)),)),
        Example("slim", "a slimmer face", FACES, 31, (((0.28, 0.7), (0.32, 0.7)), ((0.72, 0.7), (0.68, 0.7)))),
        Example(
            "brows",
            "raise the eyebrows",
            FACES,
            25,
            (((0.36, 0.37), (0.36, 0.34)), ((0.64, 0.37), (0.64, 0.34))),
        ),
        Example("turn", "turn the head", FACES, 57, (((0.5, 0.59), (0.56, 0.59)),)),
        Example("cat", "turn the cat's head", CATS, 28, (((0.5, 0.6), (0.55, 0.6)),)),
        Example("nose", "raise the cat's nose", CATS, 17, (((0.5, 0.6), (0.5, 0.52)),)),
        Example("petals", "a narrower flower", FLOWERS, 30, (((0.15, 0.4), (0.27, 0.4)), ((0.88, 0.4), (0.76, 0.4)))),
        Example("flower", "a rounder flower", FLOWERS, 39, (((0.5, 0.12), (0.5, 0.2)), ((0.5, 0.85), (0.5, 0.78)))),
        Example("chin", "a longer chin", CARTOONS, 21, (((0.5, 0.83), (0.5, 0.88)),)),
        Example("hair", "more hair on top", CARTOONS, 23, (((0.5, 0.09), (0.5, 0.03)),)),
    )
}


def at_hand() -> list[Example]:
    """Those whose network is on this machine."""
    return [e for e in EXAMPLES.values() if weights.status(e.network) in ("shipped", "cached")]
