"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A path beside ``path`` to write to; what was written takes the place of ``path`` when the block ends.

    With an error nothing changes, and the half-written file goes. The ending is kept for writers that look at it. The
    folder has to exist.
    """
    path = Path(path)
    beside = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield beside
        os.chmod(beside, 0o644)  # some libraries make files for their owner alone
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
