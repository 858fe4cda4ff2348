"""What the tabs that edit a face share: the components of their first cell, and files that come after the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import gradio as gr
from PIL import Image

from . import networks, results
from .controls import faces_of
from .lifecycle import PRIVATE, going, note


class FaceDisplay:
    """``part`` has the cell's components by name; every function gives or yields what they become.

    A tab says which ``FILES`` it has (name of the download's component: end of the file's name), where a visitor's
    ``state`` is, and how its files are written (``writer``). A state has ``found``, the face; a ``version`` that grows
    with every edit; and ``written``, the version whose files are there.
    """

    FILES: ClassVar[dict[str, str]]

    def __init__(self, part: dict, sliders: Sequence[gr.Slider], technique: str):
        self.part, self.sliders, self.technique = part, list(sliders), technique

    def state(self, visitor):
        raise NotImplementedError

    def writer(self, state) -> Callable[[dict[str, Path]], None] | None:
        """Writes the files of the edit as it is now to paths by ``FILES``' names; None where there is no edit."""
        raise NotImplementedError

    @property
    def everything(self) -> list:
        """All components that the first cell changes."""
        return [*self.part.values(), *self.sliders]

    def nothing(self) -> dict:
        """No face."""
        return {self.part[name]: None for name in ("whole", *self.FILES)} | {
            self.part["ticks"]: gr.update(choices=[], value=[]),
            self.part["status"]: "",
            self.part["code"]: self.part["code"].value,
            self.part["faces"]: faces_of([]),
            self.part["middle"]: gr.update(visible=False),
            **{slider: gr.update(visible=False) for slider in self.sliders},
        }

    def no_face(self) -> dict:
        """A photograph in which no face was found; its middle is on offer."""
        from pipelines import faces

        middle, news = gr.update(visible=True), note(faces.NO_FACE, "nb-error")
        return self.nothing() | {self.part["middle"]: middle, self.part["news"]: news}

    def searched(self, reference: networks.Reference, photo: Image.Image) -> Iterator[dict]:
        """Yields how far the network and the search have come; returns the faces, most prominent first."""
        from pipelines import faces

        for far in networks.fetching(reference):
            yield {self.part["news"]: far}
        yield {self.part["news"]: going("Looking for faces …")}
        return faces.detect(photo)

    def writes(self, event, session) -> None:
        """After an event that changes the face come its files, which it need not wait for."""
        outputs = [self.part[name] for name in self.FILES]
        event.success(self.files, session, outputs, concurrency_id="files", concurrency_limit=2, **PRIVATE)

    def files(self, visitor) -> Iterator[dict]:
        """The downloads of the newest edit; what has become old meanwhile is left out."""
        state, nothing = self.state(visitor), {self.part["sheet"]: gr.skip()}
        write = self.writer(state)
        if write is None or state.written == state.version:
            yield nothing
            return
        version, name = state.version, state.found.checkpoint.split("/")[-1].replace(":", "-")
        with results.folder() as folder:
            paths = {key: Path(folder) / f"{name}-{what}" for key, what in self.FILES.items()}
            write(paths)
            if state.version == version:
                state.written = version
                yield {self.part[key]: str(path) for key, path in paths.items()}
            else:
                yield nothing
