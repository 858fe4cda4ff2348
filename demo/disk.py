"""A disk without room: recognised wherever it is met, and said in one sentence."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weights.errors import UserError

FULL = "The disk of the machine that serves this page is full, so the file could not be kept; try again later."
# No room, a file larger than is allowed, no room within a quota.
NUMBERS = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, is that there is no room to write."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, OSError) and error.errno in NUMBERS:
            return True
        if "No space left on device" in str(error):  # libraries in other languages say it in words
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


@contextmanager
def report_full_disk() -> Iterator[None]:
    """Around whatever writes files: a full disk becomes a UserError that says so."""
    try:
        yield
    except Exception as error:
        if is_full(error):
            raise UserError(FULL) from error
        raise


def clear_unfinished(folder: str | Path, older_s: float = 120.0) -> int:
    """Deletes uploads that broke off; Gradio keeps theirs for ever. Gives how many there were.

    A finished upload lies in a folder named by its content; what lies in ``folder`` itself is still being written, or
    never will be.
    """
    gone = 0
    for path in Path(folder).glob("tmp*"):
        try:
            if path.is_file() and time.time() - path.stat().st_mtime > older_s:
                path.unlink()
                gone += 1
        except OSError:  # another request was quicker
            pass
    return gone
