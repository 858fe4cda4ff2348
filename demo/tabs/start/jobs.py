"""What the tab lets compute: everything here runs where the accelerator is."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from ...networks import Reference
from ...running import in_worker


@in_worker
def five_papers(references: dict[str, Reference], photo: Image.Image) -> Iterator:
    """Every result and step of ``five_papers.in_steps``; ``references`` by technique."""
    from pipelines import five_papers as papers

    yield from papers.in_steps(photo, nets={technique: one.open() for technique, one in references.items()})
