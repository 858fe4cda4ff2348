"""What lies on one visitor's state: the picture that a drag begins with, and what was pulled so far.

It lives in a ``gr.State`` and belongs to that visitor alone. The run that is going on writes into its own ``Pull``:
when something else is put on the state meanwhile, that ``Pull`` is on no state any more, and the run ends.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from weights.errors import UserError

from ...networks import Reference
from ...session import Newest

MAX_PULLS = 64  # as many as a recipe holds
MAX_FRAMES = 240  # kept for the animation; of longer drags every second, fourth, ... picture
MAX_ALL = 2 * MAX_FRAMES  # of all drags together: of earlier ones every second, fourth, ... picture
MAX_PIXELS = 32 * 2**20  # of the pictures of all drags together, to which Undo goes back
KEPT_SIDE = 512  # of pictures kept for the animation

# A picture that comes and a drag that begins are two threads of one visitor; what they do to a state takes
# microseconds, so one lock serves all states (one of its own could not be copied with a state).
_changing = threading.Lock()

Place = tuple[float, float]

# Parameters that suit a network where nothing is written, in words.
OPTIONAL = {
    "lr": "The step size",
    "r1": "r1",
    "r2": "r2",
    "rows": "The rows",
    "feature_resolution": "The feature map",
    "stop_distance": "The stop distance",
    "mask_weight": "λ",
}


@dataclass(frozen=True)
class Start:
    """The picture that was there before anything was pulled.

    ``made`` is how recipes make it: a seed with its truncation and class, or a latent as text. ``w`` is w+
    ``[1, num_ws, w_dim]``. ``about`` says in a few words what it is. ``usual``: the parameters that suit the network.
    """

    reference: Reference
    checkpoint: str
    sha256: str
    title: str
    resolution: int
    device: str
    made: dict
    w: Any
    image: Image.Image
    about: str
    usual: dict[str, float]

    @property
    def size(self) -> tuple[int, int]:
        return self.resolution, self.resolution


@dataclass(frozen=True)
class Photograph:
    """A photograph, and where in it the network's picture lies (``pipelines.faces.AlignedFace``)."""

    image: Image.Image
    aligned: Any


@dataclass(frozen=True)
class Frame:
    """A picture of the animation as a file's bytes, its points in pixels of the network's picture, and its step."""

    data: bytes
    scale: float
    handles: Sequence[Place]
    targets: Sequence[Place]
    step: int

    @classmethod
    def of(cls, step) -> Frame:
        image, scale = step.image, min(1.0, KEPT_SIDE / max(step.image.size))
        data = io.BytesIO()
        if scale < 1:
            size = tuple(round(v * scale) for v in image.size)
            image.resize(size, Image.Resampling.LANCZOS).save(data, "JPEG", quality=95)
        elif max(image.size) > 256:
            image.save(data, "JPEG", quality=95)
        else:
            image.save(data, "PNG", compress_level=1)
        return cls(data.getvalue(), scale, step.handles, step.targets, step.step)

    def image(self) -> Image.Image:
        return Image.open(io.BytesIO(self.data)).convert("RGB")

    def points(self) -> tuple[list[Place], list[Place]]:
        """Handles and targets in pixels of ``image()``."""

        def scaled(points: Sequence[Place]) -> list[Place]:
            return [tuple((v + 0.5) * self.scale - 0.5 for v in p) for p in points]

        return scaled(self.handles), scaled(self.targets)


@dataclass
class Pull:
    """One run of the method, from Drag to its end or to Stop.

    ``arguments`` are those of ``draggan.drag``, fit for JSON; ``drawn`` is the canvas's value before it. ``last`` is
    the last step that was shown: what is not shown did not happen. ``near``: the last of them whose picture had not
    strayed from what the network makes.
    """

    arguments: dict
    drawn: dict
    began: int = 0
    last: Any = None
    near: Any = None
    frames: list[Frame] = field(default_factory=list)
    stopped: bool = False
    running: bool = True
    seconds: float = 0.0

    def take(self, step) -> None:
        if self.last is None:
            self.began = step.step
        if step.image is not None:
            self.last = step
            self.near = self.near if step.strayed else step
            self.frames.append(Frame.of(step))
            if len(self.frames) > MAX_FRAMES:
                self.frames[1:-1] = self.frames[2:-1:2]

    def go_back(self) -> None:
        """To the last step whose picture had not strayed; the drag ended there then."""
        self.last, self.stopped = self.near, True
        self.frames = [frame for frame in self.frames if frame.step <= self.near.step]

    @property
    def way_back(self) -> int | None:
        """How many steps of it ``go_back`` would leave; None where it has not strayed, or had from its start on."""
        if self.last is None or not self.last.strayed or self.near is None or self.near.step == self.began:
            return None
        return self.near.step - self.began

    @property
    def steps(self) -> int:
        return 0 if self.last is None else self.last.step - self.began

    def recipe(self) -> dict:
        return {**self.arguments, "steps": self.steps}


@dataclass
class State(Newest):
    """``asked`` and ``called_off`` are of a drag that waits for its turn: Stop can be pressed before it begins.

    ``lent``: parameters that an example has set, for its picture alone. ``sent_photograph``: that which was sent
    here last, after its latent as text; it is the picture's own as long as the picture has that latent.
    """

    start: Start | None = None
    sent_photograph: tuple[str, Photograph] | None = None
    pulls: list[Pull] = field(default_factory=list)
    asked: bool = False
    called_off: bool = False
    size: str = "1x"  # of the picture's file
    lent: tuple[str, ...] = ()

    def put(self, start: Start) -> None:
        """A new picture. What runs ends."""
        with _changing:
            self._reset()
            self.start = start

    def reset(self) -> dict | None:
        """Back to the picture that was there first; gives what was drawn on it then."""
        with _changing:
            return self._reset()

    def _reset(self) -> dict | None:
        self.stop()
        drawn = self.pulls[0].drawn if self.pulls else None
        self.pulls = []
        return drawn

    def stop(self) -> bool:
        """Ends what runs within its present step. False if nothing does."""
        running = [pull for pull in self.pulls if pull.running and not pull.stopped]
        for pull in running:
            pull.stopped = True
        if self.asked:
            self.called_off = True
        return bool(running) or self.asked

    def begin(self, start: Start | None, arguments: dict, drawn: dict) -> Pull | None:
        """A new pull of ``start``, from where the last one ended; None if another picture has come since.

        Raises UserError when there are too many.
        """
        with _changing:
            if self.start is not start:
                return None
            self.stop()
            self.pulls = [pull for pull in self.pulls if pull.steps]
            most = MAX_PULLS if start is None else min(MAX_PULLS, max(1, MAX_PIXELS // start.resolution**2))
            if len(self.pulls) >= most:
                raise UserError(
                    f"This picture was dragged {most} times; save its latent and load it, then go on from there."
                )
            while sum(len(pull.frames) for pull in self.pulls) > MAX_ALL - MAX_FRAMES:
                longest = max(self.pulls, key=lambda pull: len(pull.frames))
                longest.frames[1:-1] = longest.frames[2:-1:2]
            pull = Pull(arguments, drawn)
            self.pulls.append(pull)
            return pull

    def undo(self) -> Pull | None:
        """Takes the last pull back and gives it; None if there is none."""
        with _changing:
            self.stop()
            self.pulls = [pull for pull in self.pulls if pull.steps]
            return self.pulls.pop() if self.pulls else None

    def go_back(self) -> Pull | None:
        """To the last step before the picture had strayed; None where the last drag knows of none."""
        with _changing:
            self.stop()
            pull = next((pull for pull in reversed(self.pulls) if pull.steps), None)
            if pull is None or pull.way_back is None:
                return None
            pull.go_back()
            return pull

    @property
    def photograph(self) -> Photograph | None:
        """That which the picture began as; None for pictures of seeds and of files."""
        latent, photograph = self.sent_photograph or (None, None)
        return photograph if self.start is not None and latent and self.start.made.get("latent") == latent else None

    def whole(self) -> Image.Image:
        """The photograph with what the drags have changed. Raises UserError."""
        from pipelines import faces

        if self.photograph is None or self.last is None:
            raise UserError("There is no dragged photograph to put it back into; find one in the next cell first.")
        return faces.paste(self.photograph.image, self.photograph.aligned, self.start.image, self.image)

    @property
    def image(self) -> Image.Image | None:
        """The picture as it is now."""
        last = self.last
        return last.image if last is not None else self.start and self.start.image

    @property
    def last(self):
        """The step that the picture now shows; None as long as nothing was pulled."""
        return next((pull.last for pull in reversed(self.pulls) if pull.steps), None)

    def made(self) -> dict:
        """How recipes make the picture as it is now: as the first one, or by its latent."""
        from pipelines import draggan

        if self.last is None:
            return dict(self.start.made)
        return {"latent": draggan.encode_latent(self.last.w, self.start.reference.open())}

    @property
    def frames(self) -> list[Frame]:
        """Pictures of all drags in a row. Each begins with the one that the last ended with, which is there once."""
        kept = [pull for pull in self.pulls if pull.steps]
        return [frame for i, pull in enumerate(kept) for frame in pull.frames[min(i, 1) :]]

    def recipe(self):
        """What makes this picture again. Raises UserError while nothing was pulled."""
        from pipelines.recipes import Recipe

        drags = [pull.recipe() for pull in self.pulls if pull.steps]
        if self.start is None or not drags:
            raise UserError("Nothing has been dragged yet; place a point and its target, then press Drag.")
        recipe = Recipe("draggan.replay", self.start.checkpoint, self.start.sha256, {"drags": drags, **self.start.made})
        recipe.check()
        return recipe
