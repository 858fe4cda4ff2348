"""What one visitor holds. It lives in a ``gr.State``: copied, dropped after the visit, so small; no modules."""

from __future__ import annotations

from dataclasses import dataclass, field

from weights.errors import UserError

MAX_OWN = 8  # files of one's own that are kept in the list; the oldest goes first


@dataclass(frozen=True)
class OwnFile:
    """A checkpoint that the visitor loaded: what it was recognised as, and its hash, which opens it again."""

    sha256: str
    technique: str
    title: str
    resolution: int | None
    layout: str


@dataclass
class Visitor:
    """``own``: the visitor's own checkpoints by the name that recipes give them (``own:``, twelve digits of the hash).

    The name alone opens nothing: it has to be in this table, which only the visitor's own session has.
    """

    own: dict[str, OwnFile] = field(default_factory=dict)

    def add(self, name: str, file: OwnFile) -> None:
        self.own.pop(name, None)
        self.own[name] = file
        while len(self.own) > MAX_OWN:
            self.own.pop(next(iter(self.own)))

    def latest(self, technique: str) -> str | None:
        """The name of the file of a technique that was loaded last."""
        return next((name for name in reversed(self.own) if self.own[name].technique == technique), None)

    def sha256(self, name: str) -> str:
        """The hash behind ``own:...``. Raises UserError if this visitor has not loaded that file."""
        if name not in self.own:
            raise UserError("That checkpoint is a file of someone's own; load the file in the Checkpoints tab first.")
        return self.own[name].sha256
