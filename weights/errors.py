"""The one kind of error that a visitor is shown."""

from __future__ import annotations

import re


class UserError(Exception):
    """Something a visitor caused or must know. ``str(error)`` is one plain sentence that says what to do next."""


class RefusedFile(UserError):
    """A file that is broken, hostile, or of a kind that is not read."""


TOO_LARGE = "Reading this file takes more memory than a checkpoint of its size needs, so it was stopped."


class ReadingStopped(RefusedFile):
    """A file whose reading met a limit of memory or time: on another machine it might be read."""


class DownloadFailed(UserError):
    """A download that did not bring a usable file; whatever arrived is not taken for good."""


class NoRoom(UserError):
    """The disk is full."""


def shown(text: object, length: int = 60) -> str:
    """Words out of a foreign file, made fit for a sentence: one line, no markup, at most ``length`` characters."""
    clean = re.sub(r"[^A-Za-z0-9_.:/@ +-]", "?", str(text)[: length * 4])
    return clean if len(clean) <= length else clean[: length - 3] + "..."
