"""What lies on one visitor's state: the picture that painting began with, what was painted, and what came of it.

It lives in a ``gr.State`` and belongs to that visitor alone. Latents are text, as recipes hold them, or seeds. Whatever
is asked for gets the next number (``ask``); what runs looks whether its number is still the latest, and ends if not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from weights.errors import UserError

from ...networks import Reference
from ...session import Newest

MAX_ROUNDS = 32  # as many as a recipe holds
Latent = int | str
AVERAGE = "average"


@dataclass(frozen=True)
class Start:
    """The picture that was there before anything was painted.

    ``latent``: its seed or its text; None to start from scratch, where there is an empty ground. ``about`` says in a
    few words what it is. ``realistic``: the network has a discriminator.
    """

    reference: Reference
    checkpoint: str
    sha256: str
    title: str
    resolution: int
    device: str
    latent: Latent | None
    image: Image.Image
    about: str
    is_style: bool = False
    realistic: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return self.resolution, self.resolution


@dataclass
class Run:
    """One answer of the manifold to what was painted.

    ``arguments`` are those of ``igan.brush``, fit for JSON; ``drawn`` the canvas's value; ``last`` the last step shown.
    """

    arguments: dict
    drawn: dict
    last: Any = None
    seconds: float = 0.0
    running: bool = True
    stopped: bool = False

    @property
    def rate(self) -> float:
        return self.last.step / self.seconds if self.last is not None and self.seconds else 0.0

    def recipe(self) -> dict:
        """Its arguments with the steps that were really made; the same steps give the same candidates."""
        return {**self.arguments, "steps": max(1, self.last.step)}


@dataclass
class State(Newest):
    """``z0`` and ``base``: the latent of this round and its picture. ``rounds``: what was fixed, oldest first.

    ``chosen``: the number of the candidate that the visitor pressed, ``AVERAGE``, or None for the best one. ``first``:
    the latent from which Play begins. ``fixed``: (recipe, candidates) of what was fixed last. ``photo``: what cell 2
    found, if it is its picture that is painted on.
    """

    start: Start | None = None
    z0: Latent | None = None
    base: Image.Image | None = None
    rounds: list[dict] = field(default_factory=list)
    run: Run | None = None
    chosen: int | str | None = None
    first: Latent | None = None
    photo: Any = None
    frames: tuple | None = None  # (both latents, the pictures between them)
    size: str = "1x"  # of the picture's file
    fixed: tuple | None = None

    def put(self, start: Start, photo: Any = None) -> None:
        """A new picture. What runs ends."""
        self.ask()
        self.start, self.photo = start, photo
        self.restart()

    def restart(self) -> None:
        """Back to the picture that was there first."""
        self.ask()
        self.z0, self.base = self.opened().latent, self.opened().image
        self.rounds, self.run, self.chosen, self.frames = [], None, None, None
        self.first = self.z0

    def opened(self) -> Start:
        if self.start is None:
            raise UserError("There is no picture yet; press Show the picture first.")
        return self.start

    # -- what came of it

    @property
    def candidates(self) -> tuple:
        """Those of the last step that was shown, the best first."""
        return self.run.last.candidates if self.run is not None and self.run.last is not None else ()

    @property
    def candidate(self):
        """The one that is chosen, the best if none is; None while nothing was painted."""
        found = [c for c in self.candidates if c.number == self.chosen]
        return (found or self.candidates or [None])[0]

    @property
    def rank(self) -> int:
        """Which of the candidates is chosen, 0 for the best."""
        return next((i for i, c in enumerate(self.candidates) if c is self.candidate), 0)

    @property
    def image(self) -> Image.Image | None:
        """What the pad shows."""
        if self.chosen == AVERAGE and self.candidates:
            return self.run.last.average
        return self.candidate.image if self.candidate else self.base

    @property
    def latent(self) -> Latent | None:
        """Of what was found; of the start while nothing was painted; None for an empty ground."""
        from pipelines import igan

        return igan.encode_latent(self.candidate.latent) if self.candidate else self.z0

    @property
    def beginning(self) -> Latent | None:
        """Where Play begins: the first picture of all, or where the chosen candidate came from."""
        from pipelines import igan

        if self.first is not None:
            return self.first
        return igan.encode_latent(self.candidate.start) if self.candidate else None

    # -- rounds

    def fix(self) -> None:
        """What was painted stays asked for, and painting goes on from the chosen candidate. Raises UserError."""
        if self.candidate is None:
            raise UserError("There is nothing to fix yet; paint something first.")
        if len(self.rounds) >= MAX_ROUNDS - 1:
            raise UserError(f"There are {MAX_ROUNDS} rounds, which is the most; restart, or save this picture.")
        self.ask()
        given = {k: self.run.arguments[k] for k in ("colour", "sketch", "warp", "z0") if k in self.run.arguments}
        image, latent = self.candidate.image, self.latent
        self.first = self.beginning
        self.rounds = [*self.rounds, given]
        self.z0, self.base = latent, image
        self.run, self.chosen, self.frames = None, None, None
