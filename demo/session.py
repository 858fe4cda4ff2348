"""What one visitor holds. It lives in a ``gr.State``: small, no modules, dropped after the visit (``visitors``)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from weights.errors import UserError

MAX_OWN = 8  # files of one's own that are kept in the list; the oldest goes first


@dataclass(frozen=True)
class OwnFile:
    """A checkpoint that the visitor loaded: what it was recognised as, and its hash, which opens it again.

    ``base``: of a network that was tuned to a photograph here, the name of the one that it was tuned from.
    """

    sha256: str
    technique: str
    title: str
    resolution: int | None
    layout: str
    base: str | None = None


@dataclass(frozen=True)
class Sent:
    """A picture on its way to another tab, as what makes it: a network, and a seed or a latent (as recipes hold it)."""

    network: str
    class_index: int | None = None
    seed: int | None = None
    truncation_psi: float = 0.7
    latent: str | None = None


@dataclass
class Newest:
    """Of several things that a visitor asks for in a tab the newest counts, whichever is ready first."""

    number: int = 0

    def ask(self) -> int:
        """The number of something new."""
        self.number += 1
        return self.number


@dataclass
class Visitor:
    """``own``: the visitor's own checkpoints by the name that recipes give them (``own:``, twelve digits of the hash).

    The name alone opens nothing: it has to be in this table, which only the visitor's own session has. ``sent``: what
    is on its way to a tab, by the tab's id; ``received``: tabs that something was sent to. ``opened``: tabs that the
    browser has; ``wanted``: networks that were chosen for others. ``kept``: what the visitor holds in each tab, by
    names of theirs; ``used``: when it was looked at last, by ``time.monotonic``.
    """

    own: dict[str, OwnFile] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)
    received: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    wanted: dict[str, str] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)

    def state(self, name: str, make: Callable[[], Any]) -> Any:
        """What is kept under a name; ``make`` makes it the first time. Events change it in place."""
        self.used[name] = time.monotonic()
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]

    def receive(self, tab: str) -> Sent | None:
        """What was sent to a tab, once."""
        self.received.add(tab)
        return self.sent.pop(tab, None)

    def expects(self, tab: str) -> bool:
        """Whether something was sent to a tab, so that it needs nothing to begin with."""
        return tab in self.sent or tab in self.received

    def put_away(self) -> None:
        """Takes off the state what lay there untouched for longest; nothing else in here is large."""
        self.kept.pop(min(list(self.kept), key=lambda name: self.used.get(name, 0.0)), None)

    def add(self, name: str, file: OwnFile) -> None:
        self.own.pop(name, None)
        self.own[name] = file
        while len(self.own) > MAX_OWN:
            self.own.pop(next(iter(self.own)))

    def latest(self, *techniques: str) -> str | None:
        """The name of the file that was loaded last among those of some techniques."""
        return next((name for name in reversed(self.own) if self.own[name].technique in techniques), None)

    def sha256(self, name: str) -> str:
        """The hash behind ``own:...``. Raises UserError if this visitor has not loaded that file."""
        if name not in self.own:
            raise UserError("That checkpoint is a file of someone's own; load the file in the Checkpoints tab first.")
        return self.own[name].sha256
